//! What a gateway states about the client of a request: `X-Forwarded-*` and `Forwarded` (RFC 7239).
//!
//! Only the values are written here; which field or var they stand in is the caller's. Nothing of an
//! untrusted sender gets in: what trusted proxies stated comes as `prior`, checked by the caller.

use std::net::IpAddr;

use crate::connection::options;

/// The statements about one request. None of the texts may hold CR or LF.
#[derive(Clone, Copy, Debug)]
pub struct Claims<'a> {
    /// `X-Forwarded-For` as trusted proxies built it; empty if the client itself connected.
    pub prior: &'a [u8],
    /// Address of whoever connected, without port.
    pub peer_ip: &'a str,
    /// `http` or `https`: how the client asked.
    pub proto: &'a str,
    /// `host[:port]` the client asked for.
    pub host: &'a str,
    /// Port the client connected to.
    pub port: &'a str,
}

impl Claims<'_> {
    /// Appends the value of `X-Forwarded-For`: the client first, whoever connected last.
    #[inline]
    pub fn write_for(&self, out: &mut Vec<u8>) {
        if !self.prior.is_empty() {
            out.extend_from_slice(self.prior);
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(self.peer_ip.as_bytes());
    }

    /// Appends the value of `Forwarded`: one element per address of `X-Forwarded-For`, the first with
    /// what the client asked for. An address that is none becomes `unknown` (RFC 7239 6.2).
    #[inline]
    pub fn write_forwarded(&self, out: &mut Vec<u8>) {
        let mut rest = "";
        for node in options(self.prior) {
            out.extend_from_slice(rest.as_bytes());
            match forwarded_ip(node) {
                Some(IpAddr::V4(ip)) => write_node(&ip.to_string(), out),
                Some(IpAddr::V6(ip)) => write_node(&ip.to_string(), out),
                None => out.extend_from_slice(b"for=unknown"),
            }
            if rest.is_empty() {
                self.write_asked(out);
            }
            rest = ", ";
        }
        out.extend_from_slice(rest.as_bytes());
        write_node(self.peer_ip, out);
        if rest.is_empty() {
            self.write_asked(out);
        }
    }

    #[inline]
    fn write_asked(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b";proto=");
        out.extend_from_slice(self.proto.as_bytes());
        if self.host.is_empty() {
            return;
        }
        // A colon or bracket makes it no token (RFC 7239 4).
        let quote: &[u8] = if self.host.contains(':') { b"\"" } else { b"" };
        out.extend_from_slice(b";host=");
        out.extend_from_slice(quote);
        out.extend_from_slice(self.host.as_bytes());
        out.extend_from_slice(quote);
    }
}

#[inline]
fn write_node(ip: &str, out: &mut Vec<u8>) {
    if ip.contains(':') {
        out.extend_from_slice(b"for=\"[");
        out.extend_from_slice(ip.as_bytes());
        out.extend_from_slice(b"]\"");
    } else {
        out.extend_from_slice(b"for=");
        out.extend_from_slice(ip.as_bytes());
    }
}

/// The address of one member of `X-Forwarded-For`, which some proxies write with a port.
pub fn forwarded_ip(member: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(member).ok()?;
    if let Some(rest) = text.strip_prefix('[') {
        let (ip, port) = rest.split_once(']')?;
        let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_digits);
        return ip.parse().ok().filter(|ip: &IpAddr| is_port && ip.is_ipv6());
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(ip.to_canonical());
    }
    let (ip, port) = text.rsplit_once(':')?;
    ip.parse().ok().filter(|ip: &IpAddr| ip.is_ipv4() && is_digits(port))
}

fn is_digits(text: &str) -> bool {
    (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(claims: Claims<'_>) -> (String, String) {
        let (mut list, mut forwarded) = (Vec::new(), Vec::new());
        claims.write_for(&mut list);
        claims.write_forwarded(&mut forwarded);
        (String::from_utf8(list).unwrap(), String::from_utf8(forwarded).unwrap())
    }

    const DIRECT: Claims<'static> =
        Claims { prior: b"", peer_ip: "192.0.2.7", proto: "https", host: "a.example", port: "443" };

    #[test]
    fn a_client_that_connects_itself_is_the_only_element() {
        let (list, forwarded) = written(DIRECT);
        assert_eq!(list, "192.0.2.7");
        assert_eq!(forwarded, "for=192.0.2.7;proto=https;host=a.example");
    }

    #[test]
    fn addresses_of_version_6_and_ports_are_quoted() {
        let claims = Claims { peer_ip: "2001:db8::7", host: "a.example:8443", ..DIRECT };
        assert_eq!(written(claims).1, "for=\"[2001:db8::7]\";proto=https;host=\"a.example:8443\"");
        let claims = Claims { host: "[::1]", ..DIRECT };
        assert!(written(claims).1.ends_with("host=\"[::1]\""));
        let claims = Claims { host: "", ..DIRECT };
        assert_eq!(written(claims).1, "for=192.0.2.7;proto=https");
    }

    #[test]
    fn the_chain_of_trusted_proxies_is_kept_in_order() {
        let prior = b"203.0.113.9:4711, [2001:db8::9]:1,what;host=\"x\" , 2001:db8::8";
        let (list, forwarded) = written(Claims { prior, ..DIRECT });
        assert!(list.ends_with("2001:db8::8, 192.0.2.7"), "{list}");
        assert_eq!(
            forwarded,
            "for=203.0.113.9;proto=https;host=a.example, for=\"[2001:db8::9]\", for=unknown, \
             for=\"[2001:db8::8]\", for=192.0.2.7"
        );
    }

    #[test]
    fn only_addresses_are_read_as_addresses() {
        let ip = |text: &str| forwarded_ip(text.as_bytes()).map(|ip| ip.to_string());
        for (text, read) in [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1:80", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
        ] {
            assert_eq!(ip(text).as_deref(), Some(read), "{text}");
        }
        for text in ["", "unknown", "_hidden", "192.0.2.1:", "192.0.2.1:x", "[192.0.2.1]", "[::1]x"]
        {
            assert_eq!(ip(text), None, "{text}");
        }
    }
}
