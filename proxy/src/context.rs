//! What a worker needs to serve a request, and what a client connection is known by.

use std::{
    cell::{Cell, RefCell},
    net::{IpAddr, SocketAddr},
    ops::Range,
    rc::Rc,
    sync::Arc,
};

use route_table::{Dotsplit, RouteKey, TableReader};
use router_core::{
    access_log::LogSink,
    clients::{ClientConnections, ClientRates, ClientSlot},
    fairness::Fairness,
    heads::Heads,
    metrics::Shard,
    upstream::{pool::Pool, queue::Queues},
};
use rustls::ServerConfig;

use crate::{
    config::{Http2, Timeouts},
    http::sticky::{StickySecret, Tokens},
    http::{request_id::RequestIds, rtsp::pairs::Pairs},
    http2::node::Links,
    introduction::Introduction,
    on_demand::{Wakes, emperor::Emperor},
    policy::{Policies, streams::Switch},
    sources::NamedSources,
    tls::{
        cert_store::{CertId, CertStore},
        client_cert::{ClientCert, PemExport},
    },
};

/// Facts shared by all workers, fixed at start.
pub struct Shared {
    /// Deadlines of connections, where no key is known; an exchange has those of its policy.
    pub timeouts: Timeouts,
    /// The rules of every key.
    pub policies: Policies,
    /// Where HTTP/2 is spoken to clients.
    pub http2: Http2,
    /// Who must begin a connection with a PROXY preface.
    pub named: NamedSources,
    /// Who is believed, and what requests are called.
    pub headers: HeaderRules,
    /// Whether parent-domain keys are looked up.
    pub dotsplit: Dotsplit,
    /// Key that serves hosts without one.
    pub fallback_key: Option<RouteKey>,
    /// Keys of the listeners of raw TCP, by number.
    pub tcp_keys: Box<[RouteKey]>,
    /// What makes sticky cookies, if any policy has them.
    pub sticky: Option<StickySecret>,
    /// What each client asked lately, if any policy bounds that.
    pub client_rates: Option<ClientRates>,
    /// The connections of each client, if they are bounded.
    pub client_connections: Option<Arc<ClientConnections>>,
    /// Whether connections to any node begin with a PROXY preface.
    pub introduces: Switch,
    /// Whether RTSP is spoken for any key.
    pub rtsp: Switch,
    /// RTSP sessions tunnelled in HTTP.
    pub rtsp_pairs: Arc<Pairs>,
    /// The machine's name: SERVER_NAME of the uwsgi vars, and the key of a request that names no host.
    pub hostname: String,
    /// TLS of the https listeners.
    pub tls: Arc<ServerConfig>,
    /// The certificates behind it.
    pub certs: CertStore,
    /// Whether uwsgi nodes get client certificates as PEM too.
    pub pem_export: PemExport,
    /// Who starts vassals that sleep, if anybody does.
    pub emperor: Option<Emperor>,
}

/// What holds for the fields of all requests, whatever their key.
pub struct HeaderRules {
    /// Proxies that may tell of clients.
    pub trusted: NamedSources,
    /// Our name in `Via`; empty: we do not show.
    pub via: String,
    /// Whether requests are named.
    pub request_ids: RequestIds,
}

/// One worker's state. Nothing in it is shared with another worker but the table.
pub struct Context {
    /// Facts of the process.
    pub shared: Arc<Shared>,
    /// This worker's view of the route table.
    pub table: RefCell<TableReader>,
    /// Idle upstream connections.
    pub pool: RefCell<Pool>,
    /// Requests that wait for a node with room.
    pub queues: Rc<Queues>,
    /// Requests that wait for a vassal to start.
    pub wakes: Wakes,
    /// Values of sticky cookies.
    pub tokens: Tokens,
    /// Heads that are not complete.
    pub heads: Rc<Heads>,
    /// The exchanges of this worker by key.
    pub fairness: Rc<Fairness>,
    /// Connections to nodes that speak HTTP/2.
    pub links: Links,
    /// Counters.
    pub shard: Arc<Shard>,
    /// Access log.
    pub log: LogSink,
    /// Bytes of request bodies held in memory now.
    pub held_bytes: Cell<usize>,
}

/// How the client reached us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP inside TLS.
    Https,
    /// uwsgi packets, in which a web server passes requests on.
    Uwsgi,
}

impl Scheme {
    /// As it stands in X-Forwarded-Proto.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Uwsgi => "uwsgi",
        }
    }
}

/// Whether what a connection says about other clients is believed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trust {
    /// A client: it speaks for itself alone.
    Client,
    /// A proxy the operator named.
    Proxy,
}

/// The version a connection speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dialect {
    /// HTTP/1.0 or HTTP/1.1, as each request says.
    Http1,
    /// HTTP/2: requests come as streams.
    Http2,
}

/// Connections that are passed on as they come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Relay {
    /// TLS, by the name the client asks for.
    Tls,
    /// Whatever comes, to the key with this number in [`Shared::tcp_keys`].
    Tcp(u16),
}

/// What a listening socket is for.
#[derive(Clone, Copy, Debug)]
pub struct Role {
    /// Plain or TLS.
    pub scheme: Scheme,
    /// Port it listens on; none for a unix socket.
    pub port: Option<u16>,
    /// Whether connections are passed on as they come; `None`: HTTP is served.
    pub relay: Option<Relay>,
}

/// Facts about one client connection, fixed once it is established.
#[derive(Debug)]
pub struct ConnFacts {
    /// Address and port as text, for the log.
    pub client: String,
    /// The part of `client` that is the address alone.
    ip_text: Range<usize>,
    /// The client's address; none over a unix socket.
    pub ip: Option<IpAddr>,
    /// The client's port; zero over a unix socket.
    pub client_port: u16,
    /// Plain or TLS.
    pub scheme: Scheme,
    /// Whether it may speak for others.
    pub trust: Trust,
    /// The version spoken.
    pub dialect: Dialect,
    /// Port of the listener as text; empty for a unix socket.
    pub local_port: String,
    /// The name the client asked a certificate for.
    pub sni: Option<Box<str>>,
    /// The certificate it was given.
    pub cert: Option<CertId>,
    /// The certificate it showed.
    pub client_cert: Option<Box<ClientCert>>,
    /// What nodes that want a PROXY preface are told of it, if there are any.
    pub introduction: Option<Box<Introduction>>,
    /// Counts it among the connections of its client, if those are bounded.
    pub slot: Option<ClientSlot>,
}

impl ConnFacts {
    /// Facts of a connection before any handshake.
    pub fn new(peer: Option<SocketAddr>, role: Role) -> Self {
        let (client, ip, client_port) = match peer {
            Some(peer) => {
                // An IPv4 client of an IPv6 listener is known by its IPv4 address.
                let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                let text = peer.to_string();
                let ip = text.rfind(':').unwrap_or(text.len());
                let brackets = usize::from(peer.is_ipv6());
                (text, brackets..ip - brackets, peer.port())
            }
            // As uWSGI tells its apps about clients of a unix socket (http-router.md 3.5).
            None => ("0.0.0.0".to_owned(), 0..7, 0),
        };
        Self {
            client,
            ip_text: ip,
            ip: peer.map(|peer| peer.ip().to_canonical()),
            client_port,
            scheme: role.scheme,
            trust: Trust::Client,
            dialect: Dialect::Http1,
            local_port: role.port.map(|port| port.to_string()).unwrap_or_default(),
            sni: None,
            cert: None,
            client_cert: None,
            introduction: None,
            slot: None,
        }
    }

    /// The client's address without port or brackets.
    pub fn client_ip(&self) -> &str {
        &self.client[self.ip_text.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(peer: Option<&str>) -> ConnFacts {
        let role = Role { scheme: Scheme::Http, port: Some(80), relay: None };
        ConnFacts::new(peer.map(|peer| peer.parse().unwrap()), role)
    }

    #[test]
    fn a_client_is_named_with_its_port_and_without() {
        for (peer, named, ip) in [
            ("192.0.2.7:4711", "192.0.2.7:4711", "192.0.2.7"),
            ("[2001:db8::7]:4711", "[2001:db8::7]:4711", "2001:db8::7"),
            ("[::ffff:192.0.2.7]:4711", "192.0.2.7:4711", "192.0.2.7"),
        ] {
            let facts = facts(Some(peer));
            assert_eq!((facts.client.as_str(), facts.client_ip()), (named, ip));
        }
        assert_eq!(facts(None).client_ip(), "0.0.0.0");
    }
}
