//! The workloads: what is asked of every proxy, over which upstream protocol.

use std::time::Duration;

use serde::Serialize;

use crate::client::Reuse;
use crate::origin::{ECHO_PATH, Protocol};
use crate::peers::Proxy;

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
}

/// The numbers of a workload.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Load {
    /// Client connections open at once.
    pub connections: usize,
    /// Length of every body.
    pub body_bytes: usize,
    /// Whether a client connection carries one request.
    pub connection_per_request: bool,
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
        }
    }

    /// Its numbers.
    pub fn load(self) -> Load {
        let small = Load { connections: 64, body_bytes: 1024, connection_per_request: false };
        match self {
            Scenario::Keepalive | Scenario::UwsgiUpstream => small,
            Scenario::NewConnection => Load { connection_per_request: true, ..small },
            Scenario::Big => Load { connections: 8, body_bytes: 1 << 20, ..small },
        }
    }

    /// How `proxy` reaches the upstream here; `None` where it cannot take part.
    pub fn upstream(self, proxy: Proxy) -> Option<Upstream> {
        match (self, proxy) {
            (Scenario::UwsgiUpstream, Proxy::Haproxy) => None,
            (Scenario::UwsgiUpstream, _) => {
                Some(Upstream { protocol: Protocol::Uwsgi, transport: Transport::Unix })
            }
            // uWSGI 2.0 speaks nothing else to its upstreams. See `footnote`.
            (_, Proxy::Uwsgi) => {
                Some(Upstream { protocol: Protocol::Uwsgi, transport: Transport::Tcp })
            }
            _ => Some(Upstream { protocol: Protocol::Http, transport: Transport::Tcp }),
        }
    }

    /// What a reader of the table must know about `proxy` here.
    pub fn footnote(self, proxy: Proxy) -> Option<&'static str> {
        match (self, proxy) {
            (Scenario::UwsgiUpstream, Proxy::Haproxy) => {
                Some("HAProxy cannot speak the uwsgi protocol: not applicable.")
            }
            (Scenario::UwsgiUpstream, _) => None,
            (_, Proxy::Uwsgi) => Some(
                "uWSGI 2.0's http router speaks only the uwsgi protocol to its upstream and \
                 connects anew for every request; here over TCP like the others.",
            ),
            _ => None,
        }
    }

    /// Most idle connections memory is weighed with: each is served one body first, and 5,000 big
    /// ones would take longer than the load itself.
    pub fn idle_connections_max(self) -> usize {
        match self {
            Scenario::Big => 500,
            _ => usize::MAX,
        }
    }

    /// The bytes of one request; always the same, as a browser-like client would send them.
    pub fn request(self) -> Vec<u8> {
        let connection = if self.load().connection_per_request { "close" } else { "keep-alive" };
        request("/shop/item?id=42", connection)
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
            for proxy in Proxy::ALL {
                let upstream = scenario.upstream(proxy).unwrap();
                assert_eq!(upstream.protocol == Protocol::Uwsgi, proxy == Proxy::Uwsgi);
                assert_eq!(scenario.footnote(proxy).is_some(), proxy == Proxy::Uwsgi);
            }
        }
    }

    #[test]
    fn a_request_per_connection_says_so() {
        let text = String::from_utf8(Scenario::NewConnection.request()).unwrap();
        assert!(text.contains("\r\nConnection: close\r\n") && text.ends_with("\r\n\r\n"));
        let text = String::from_utf8(Scenario::Keepalive.request()).unwrap();
        assert!(text.contains("\r\nConnection: keep-alive\r\n"));
    }
}
