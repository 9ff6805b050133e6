//! The workloads: what is asked of every proxy, over which upstream protocol.

use std::time::Duration;

use serde::Serialize;

use crate::client::{Reuse, packets, websocket};
use crate::origin::{ECHO_PATH, Protocol};
use crate::peers::Proxy;
use crate::tls::KeyKind;

/// A workload.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// 1 KB answers over kept-alive connections, HTTP to the upstream.
    Keepalive,
    /// A connection for every request, 1 KB answers, HTTP to the upstream.
    NewConnection,
    /// 1 KB answers, kept-alive clients, the uwsgi protocol to a unix socket (a connection for every request).
    UwsgiUpstream,
    /// 1 MB answers over kept-alive connections, HTTP to the upstream.
    Big,
    /// 1 MB uploads over kept-alive connections, answered with 1 KB, HTTP to the upstream.
    BigUpload,
    /// 1 KB answers over kept-alive TLS connections.
    TlsKeepalive,
    /// Full TLS handshakes with a P-256 certificate, and nothing after them.
    TlsHandshake,
    /// The same with an RSA 2048 certificate.
    TlsHandshakeRsa,
    /// Resumed TLS handshakes.
    TlsResume,
    /// HTTP/2 over TLS: 8 connections with 32 requests under way on each.
    H2,
    /// HTTP/2 over TLS: one connection with 100.
    H2Single,
    /// WebSockets: many that rest, and small messages over some.
    #[value(name = "websocket-10k-idle")]
    #[serde(rename = "websocket-10k-idle")]
    WebSocket,
    /// The same inside TLS; only those that rest.
    #[value(name = "websocket-10k-idle-tls")]
    #[serde(rename = "websocket-10k-idle-tls")]
    WebSocketTls,
    /// uwsgi packets over a unix socket as nginx sends them, a connection each, to a unix socket.
    Fastrouter,
}

/// What the client does in a workload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Work {
    /// HTTP/1 requests of our own generator.
    Requests,
    /// TLS handshakes, new or resumed.
    Handshakes(Tickets),
    /// Messages that come back.
    Messages,
    /// uwsgi packets, a connection each.
    Packets,
    /// Requests of nghttp2's `h2load`.
    H2load {
        /// Whether it speaks HTTP/2, or HTTP/1.1.
        alpn: Alpn,
        /// Requests under way on each connection.
        streams: usize,
    },
}

/// Whether a handshake may resume a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tickets {
    /// Never: every handshake is full.
    Unused,
    /// Always, but for the first.
    Used,
}

/// The protocol a client offers inside TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Alpn {
    /// `http/1.1`.
    Http1,
    /// `h2`.
    H2,
}

impl Alpn {
    /// As it is offered.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http1 => "http/1.1",
            Self::H2 => "h2",
        }
    }
}

/// The numbers of a workload.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Load {
    /// Client connections open at once.
    pub connections: usize,
    /// Length of every answer's body.
    pub body_bytes: usize,
    /// Length of every request's body.
    pub upload_bytes: usize,
    /// Whether a client connection carries one request.
    pub connection_per_request: bool,
}

impl Load {
    /// The bytes that count, in the direction that the scenario is about.
    pub const fn moved_bytes(&self) -> usize {
        if self.upload_bytes > 0 { self.upload_bytes } else { self.body_bytes }
    }
}

/// How a proxy reaches the upstream.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Upstream {
    /// Protocol spoken to it.
    pub protocol: Protocol,
    /// Socket it listens on.
    pub transport: Transport,
}

/// Kind of the upstream's socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP on 127.0.0.1.
    Tcp,
    /// A unix stream socket.
    Unix,
}

/// Where the processes of a run are bound to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Case {
    /// The proxy has a CPU for itself; client and upstream share the other. Less than full load.
    Keep,
    /// The upstream shares the proxy's CPU, which is then saturated: what the proxy can do at most.
    Sat,
}

impl Scenario {
    /// The name used on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::Keepalive => "keepalive",
            Scenario::NewConnection => "new-connection",
            Scenario::UwsgiUpstream => "uwsgi-upstream",
            Scenario::Big => "big",
            Scenario::BigUpload => "big-upload",
            Scenario::TlsKeepalive => "tls-keepalive",
            Scenario::TlsHandshake => "tls-handshake",
            Scenario::TlsHandshakeRsa => "tls-handshake-rsa",
            Scenario::TlsResume => "tls-resume",
            Scenario::H2 => "h2",
            Scenario::H2Single => "h2-single",
            Scenario::WebSocket => "websocket-10k-idle",
            Scenario::WebSocketTls => "websocket-10k-idle-tls",
            Scenario::Fastrouter => "fastrouter",
        }
    }

    /// What the client does.
    pub fn work(self) -> Work {
        match self {
            Scenario::TlsKeepalive => Work::H2load { alpn: Alpn::Http1, streams: 1 },
            Scenario::H2 => Work::H2load { alpn: Alpn::H2, streams: 32 },
            Scenario::H2Single => Work::H2load { alpn: Alpn::H2, streams: 100 },
            Scenario::TlsHandshake | Scenario::TlsHandshakeRsa => Work::Handshakes(Tickets::Unused),
            Scenario::TlsResume => Work::Handshakes(Tickets::Used),
            Scenario::WebSocket | Scenario::WebSocketTls => Work::Messages,
            Scenario::Fastrouter => Work::Packets,
            _ => Work::Requests,
        }
    }

    /// The key of the proxy's certificate; `None` where it serves plain text.
    pub fn tls(self) -> Option<KeyKind> {
        match self {
            Scenario::TlsHandshakeRsa => Some(KeyKind::Rsa2048),
            Scenario::WebSocketTls => Some(KeyKind::P256),
            _ => match self.work() {
                Work::Handshakes(_) | Work::H2load { .. } => Some(KeyKind::P256),
                Work::Requests | Work::Messages | Work::Packets => None,
            },
        }
    }

    /// What one of the counted things is, if it is no request.
    pub fn unit(self) -> Option<&'static str> {
        match self.work() {
            Work::Handshakes(_) => Some("TLS handshake"),
            Work::Messages => Some("message there and back"),
            Work::Requests | Work::Packets | Work::H2load { .. } => None,
        }
    }

    /// Its numbers.
    pub fn load(self) -> Load {
        let small = Load {
            connections: 64,
            body_bytes: 1024,
            upload_bytes: 0,
            connection_per_request: false,
        };
        match self {
            Scenario::Keepalive | Scenario::UwsgiUpstream => small,
            Scenario::NewConnection => Load { connection_per_request: true, ..small },
            Scenario::Big => Load { connections: 8, body_bytes: 1 << 20, ..small },
            Scenario::BigUpload => Load { connections: 8, upload_bytes: 1 << 20, ..small },
            Scenario::H2 => Load { connections: 8, ..small },
            Scenario::H2Single => Load { connections: 1, ..small },
            Scenario::TlsHandshake | Scenario::TlsHandshakeRsa | Scenario::TlsResume => {
                Load { connections: 16, ..small }
            }
            Scenario::TlsKeepalive | Scenario::WebSocket | Scenario::WebSocketTls => small,
            Scenario::Fastrouter => small,
        }
    }

    /// How `proxy` reaches the upstream here; `None` where it cannot take part.
    pub fn upstream(self, proxy: Proxy) -> Option<Upstream> {
        let http = Some(Upstream { protocol: Protocol::Http, transport: Transport::Tcp });
        let packets = Some(Upstream { protocol: Protocol::Uwsgi, transport: Transport::Unix });
        match (self, proxy) {
            (Scenario::Fastrouter, Proxy::Suzerain | Proxy::Uwsgi | Proxy::Floor) => packets,
            (Scenario::Fastrouter, _) => None,
            (Scenario::UwsgiUpstream, Proxy::Suzerain | Proxy::Nginx | Proxy::Uwsgi) => packets,
            (Scenario::UwsgiUpstream, _) => None,
            // It has a connection to the upstream for each client: not the others' work where those pool,
            // and it knows no TLS.
            (Scenario::NewConnection, Proxy::Floor) => None,
            (_, Proxy::Floor | Proxy::Direct) => http.filter(|_| self.tls().is_none()),
            // Plain HTTP is what their minimal set-ups here are for.
            (_, Proxy::Sozu | Proxy::Pingora) => {
                http.filter(|_| self.work() == Work::Requests && self != Scenario::BigUpload)
            }
            // Its router would speak neither HTTP/2 nor WebSocket without more, and TLS is another job.
            (_, Proxy::Uwsgi) if self.work() != Work::Requests => None,
            (Scenario::BigUpload, Proxy::Uwsgi) => None,
            // uWSGI 2.0 speaks nothing else to its upstreams. See `footnote`.
            (_, Proxy::Uwsgi) => {
                Some(Upstream { protocol: Protocol::Uwsgi, transport: Transport::Tcp })
            }
            _ => http,
        }
    }

    /// Whether CPU per gigabyte says more than CPU per request.
    pub fn is_big(self) -> bool {
        matches!(self, Scenario::Big | Scenario::BigUpload)
    }

    /// Whether nothing but memory is measured here.
    pub fn is_memory_only(self) -> bool {
        self == Scenario::WebSocketTls
    }

    /// The program that does this job, where it is not the one `proxy` is known by.
    pub fn program(self, proxy: Proxy, known: &str) -> String {
        match (self, proxy) {
            (Scenario::Fastrouter, Proxy::Suzerain) => format!("{known}-fastrouter"),
            _ => known.to_owned(),
        }
    }

    /// What a reader of the table must know about `proxy` here.
    pub fn footnote(self, proxy: Proxy) -> Option<&'static str> {
        match (self, proxy) {
            (Scenario::UwsgiUpstream, Proxy::Haproxy) => {
                Some("HAProxy cannot speak the uwsgi protocol: not applicable.")
            }
            (Scenario::UwsgiUpstream, _) => None,
            (Scenario::Fastrouter, Proxy::Floor) => Some(
                "the floor makes the socket operations of a fastrouter and nothing else, on a bare \
                 loop. Its memory is not weighed.",
            ),
            (_, Proxy::Floor) if self.upstream(proxy).is_some() => Some(
                "the floor is a blind relay on io_uring: the socket operations of a proxy and \
                 nothing else. Its memory is not weighed.",
            ),
            (_, Proxy::Uwsgi) if self.upstream(proxy).is_none() => None,
            (Scenario::Fastrouter, _) => None,
            (_, Proxy::Uwsgi) => Some(
                "uWSGI 2.0's http router speaks only the uwsgi protocol to its upstream and \
                 connects anew for every request; here over TCP like the others.",
            ),
            _ => None,
        }
    }

    /// Idle connections memory is weighed with, unless told otherwise. Each is served once first, and
    /// 5,000 big bodies would take longer than the load itself. A handshake leaves no connection.
    pub fn idle_connections(self) -> usize {
        match self {
            Scenario::Big => 500,
            Scenario::BigUpload | Scenario::Fastrouter => 0,
            Scenario::WebSocket | Scenario::WebSocketTls => 10_000,
            _ if matches!(self.work(), Work::Handshakes(_)) => 0,
            Scenario::H2 | Scenario::H2Single => 0,
            _ => 5_000,
        }
    }

    /// Client connections a proxy is configured for, where there are descriptors for them.
    pub fn clients_max(self) -> usize {
        match self {
            Scenario::WebSocket | Scenario::WebSocketTls => 10_000,
            _ => 8_192,
        }
    }

    /// The bytes of one request of our own generator.
    pub fn request(self) -> Vec<u8> {
        match self.work() {
            Work::Messages => websocket::request(HOST),
            Work::Packets => packets::packet(PATH),
            _ => self.probe_request(),
        }
    }

    /// A plain request; always the same, as a browser-like client would send it.
    pub fn probe_request(self) -> Vec<u8> {
        let connection = if self.load().connection_per_request { "close" } else { "keep-alive" };
        match self.load().upload_bytes {
            0 => request(PATH, connection),
            upload_bytes => upload(PATH, upload_bytes),
        }
    }

    /// What a client connection is used for.
    pub fn reuse(self) -> Reuse {
        if self.load().connection_per_request { Reuse::OneRequest } else { Reuse::KeepAlive }
    }
}

/// A request on a kept-alive connection whose answer is what the upstream received.
pub fn echo_request() -> Vec<u8> {
    request(ECHO_PATH, "keep-alive")
}

fn request(target: &str, connection: &str) -> Vec<u8> {
    format!(
        "GET {target} HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: loadtests/1\r\nAccept: */*\r\n\
         Accept-Encoding: identity\r\nCookie: session=0123456789abcdef\r\n\
         Connection: {connection}\r\n\r\n"
    )
    .into_bytes()
}

/// A request that carries a body.
fn upload(target: &str, upload_bytes: usize) -> Vec<u8> {
    let mut bytes = format!(
        "POST {target} HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: loadtests/1\r\nAccept: */*\r\n\
         Content-Type: application/octet-stream\r\nContent-Length: {upload_bytes}\r\n\
         Connection: keep-alive\r\n\r\n"
    )
    .into_bytes();
    bytes.extend_from_slice(&crate::origin::body(upload_bytes));
    bytes
}

/// What is asked for.
const PATH: &str = "/shop/item?id=42";
/// The only host routed: every proxy looks it up, none has a big table.
pub const HOST: &str = "load.test";
/// Load before counting starts, unless told otherwise.
pub const WARMUP: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_uwsgi_speaks_another_protocol_than_the_others_in_http_scenarios() {
        for scenario in [Scenario::Keepalive, Scenario::NewConnection, Scenario::Big] {
            for proxy in [Proxy::Suzerain, Proxy::Nginx, Proxy::Haproxy, Proxy::Uwsgi] {
                let upstream = scenario.upstream(proxy).unwrap();
                assert_eq!(upstream.protocol == Protocol::Uwsgi, proxy == Proxy::Uwsgi);
                assert_eq!(scenario.footnote(proxy).is_some(), proxy == Proxy::Uwsgi);
            }
        }
    }

    #[test]
    fn tls_comes_with_its_client_and_uwsgi_stays_out_of_it() {
        for scenario in [Scenario::TlsKeepalive, Scenario::TlsResume, Scenario::H2Single] {
            assert_eq!(scenario.tls(), Some(KeyKind::P256));
            assert_eq!(scenario.upstream(Proxy::Uwsgi), None);
            assert_eq!(scenario.footnote(Proxy::Uwsgi), None);
            assert!(scenario.upstream(Proxy::Haproxy).is_some());
        }
        assert_eq!(Scenario::TlsHandshakeRsa.tls(), Some(KeyKind::Rsa2048));
        assert_eq!((Scenario::Keepalive.tls(), Scenario::WebSocket.tls()), (None, None));
    }

    #[test]
    fn a_request_per_connection_says_so() {
        let text = String::from_utf8(Scenario::NewConnection.request()).unwrap();
        assert!(text.contains("\r\nConnection: close\r\n") && text.ends_with("\r\n\r\n"));
        let text = String::from_utf8(Scenario::Keepalive.request()).unwrap();
        assert!(text.contains("\r\nConnection: keep-alive\r\n"));
    }
}
