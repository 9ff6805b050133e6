//! Which Host a request on the admin socket may name.
//!
//! A browser sends the name its user typed or a page chose. A hostile page can let its own name
//! resolve to this machine (DNS rebinding) and then read what it gets, but it cannot make the
//! browser send another name than its own. Addresses and names that are surely ours pass.

use std::net::{IpAddr, Ipv6Addr};

/// The names that pass besides IP literals and `localhost`.
#[derive(Clone, Debug)]
pub(super) struct KnownHosts {
    /// `None`: every Host passes, because no browser can reach the socket.
    names: Option<Vec<String>>,
}

impl KnownHosts {
    pub(super) fn new(names: Vec<String>) -> Self {
        Self { names: Some(names) }
    }

    pub(super) fn any() -> Self {
        Self { names: None }
    }

    /// Whether a request with this Host is answered. A request without one is: browsers always
    /// send it.
    pub(super) fn admit(&self, host: Option<&str>) -> bool {
        let (Some(names), Some(host)) = (&self.names, host) else { return true };
        let name = without_port(host);
        let name = name.strip_suffix('.').unwrap_or(name);
        name.eq_ignore_ascii_case("localhost")
            || is_ip_literal(name)
            || names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_ip_literal(name: &str) -> bool {
    match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
        None => matches!(name.parse(), Ok(IpAddr::V4(_))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_localhost_and_known_names_pass() {
        let hosts = KnownHosts::new(vec!["router7.example".into()]);
        for host in [
            "127.0.0.1",
            "127.0.0.1:9090",
            "[::1]",
            "[::1]:9090",
            "localhost",
            "LocalHost:9090",
            "localhost.",
            "Router7.example:9090",
        ] {
            assert!(hosts.admit(Some(host)), "{host}");
        }
        assert!(hosts.admit(None));
    }

    #[test]
    fn names_anybody_could_own_are_refused() {
        let hosts = KnownHosts::new(vec!["router7.example".into()]);
        for host in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example:9090",
            "",
            "[x]",
            "::1",
        ] {
            assert!(!hosts.admit(Some(host)), "{host}");
        }
        assert!(KnownHosts::any().admit(Some("evil.example")));
    }
}
