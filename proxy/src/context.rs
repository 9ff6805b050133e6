//! What a worker needs to serve a request, and what a client connection is known by.

mod generation;
mod shared;

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
    ops::Range,
};

use router_core::clients::ClientSlot;

use crate::{
    introduction::Introduction,
    tls::{cert_store::CertId, client_cert::ClientCert},
};

pub use generation::{Context, Current, Generations, Renewal, WorkerState};
pub use shared::{HeaderRules, Shared, WorkerBounds};

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
    /// Whatever comes, to the key that its listener, of this number, has in [`Shared::tcp_keys`].
    Tcp(u32),
}

/// What a listening socket is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
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
    pub client: Cow<'static, str>,
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
                (text.into(), brackets..ip - brackets, peer.port())
            }
            // As uWSGI tells its apps about clients of a unix socket (http-router.md 3.5).
            None => ("0.0.0.0".into(), 0..7, 0),
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
            assert_eq!((&*facts.client, facts.client_ip()), (named, ip));
        }
        assert_eq!(facts(None).client_ip(), "0.0.0.0");
    }
}
