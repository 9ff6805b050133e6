//! Sources of connections the operator named: networks, and whoever connects over a unix socket.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::config::ProxySource;

/// A list of sources, as looked up for every connection.
#[derive(Clone, Debug, Default)]
pub struct NamedSources {
    nets: Vec<IpNet>,
    has_unix: bool,
}

impl NamedSources {
    /// The sources as configured.
    #[must_use]
    pub fn new(sources: &[ProxySource]) -> Self {
        let nets = sources.iter().filter_map(|source| match source {
            ProxySource::Net(net) => Some(*net),
            ProxySource::Unix => None,
        });
        Self { nets: nets.collect(), has_unix: sources.contains(&ProxySource::Unix) }
    }

    /// Whether a connection from `peer` is from one of them; no peer is a unix socket.
    #[must_use]
    pub fn contains(&self, peer: Option<SocketAddr>) -> bool {
        self.contains_ip(peer.map(|peer| peer.ip()))
    }

    /// The same by address alone.
    #[must_use]
    pub fn contains_ip(&self, ip: Option<IpAddr>) -> bool {
        match ip {
            Some(ip) => {
                let ip = ip.to_canonical();
                self.nets.iter().any(|net| net.contains(&ip))
            }
            None => self.has_unix,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_sources_that_were_named_are_contained() {
        let net = |text: &str| ProxySource::Net(text.parse().unwrap());
        let peer = |text: &str| Some(text.parse().unwrap());
        let tcp = NamedSources::new(&[net("10.0.0.0/8"), net("2001:db8::1/128")]);
        for inside in ["10.0.0.1:1", "10.255.255.255:2", "[2001:db8::1]:3", "[::ffff:10.1.1.1]:4"] {
            assert!(tcp.contains(peer(inside)), "{inside}");
        }
        for outside in ["11.0.0.0:1", "127.0.0.1:1", "[2001:db8::2]:1", "[::1]:1"] {
            assert!(!tcp.contains(peer(outside)), "{outside}");
        }
        assert!(!tcp.contains(None));
        let unix = NamedSources::new(&[ProxySource::Unix]);
        assert!(unix.contains(None) && !unix.contains(peer("127.0.0.1:1")));
        assert!(!NamedSources::default().contains(None));
    }
}
