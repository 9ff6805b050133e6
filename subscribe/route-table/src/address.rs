//! The address of an upstream, as subscriptions and configuration write it.
//!
//! Only literals: a name is never resolved, so nobody can make the router ask a DNS server. Which
//! addresses may be used is not decided here but by the registry's upstream policy.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::limits::{ADDRESS_BYTES_MAX, UNIX_NAME_BYTES_MAX};

/// Where an upstream listens (subscription spec 1.3).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Address {
    /// `A.B.C.D:port`, `[v6]:port`, or `:port` for 127.0.0.1.
    Tcp(SocketAddr),
    /// A path, absolute or relative to the router's working directory.
    Unix(Box<[u8]>),
    /// A Linux abstract socket, written `@name` or `\0name`; the name without its leading zero.
    Abstract(Box<[u8]>),
    /// None: its vassal sleeps. Never read from text, and nothing connects to it.
    Nowhere,
}

impl Address {
    /// Reads an address of the wire or the configuration.
    ///
    /// # Errors
    /// [`AddressError`] says which form was meant and what is wrong with it.
    pub fn parse(raw: &[u8]) -> Result<Self, AddressError> {
        if raw.is_empty() {
            return Err(AddressError::Empty);
        }
        if raw.len() > ADDRESS_BYTES_MAX {
            return Err(AddressError::Long { bytes: raw.len() });
        }
        let text = std::str::from_utf8(raw).map_err(|_| AddressError::NotText)?;
        if text.chars().any(char::is_control) {
            return Err(AddressError::NotText);
        }
        if let Some(name) = text.strip_prefix('@').or_else(|| text.strip_prefix("\\0")) {
            return unix_name(name).map(Self::Abstract);
        }
        if text.starts_with('/') {
            return unix_name(text).map(Self::Unix);
        }
        match text.rsplit_once(':') {
            Some((ip, port)) => Ok(Self::Tcp(SocketAddr::new(parse_ip(ip)?, parse_port(port)?))),
            None => unix_name(text).map(Self::Unix),
        }
    }
}

/// An IPv4 literal, an IPv6 literal in brackets, or nothing for this host.
fn parse_ip(text: &str) -> Result<IpAddr, AddressError> {
    if text.is_empty() {
        return Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let v6 = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match v6 {
        Some(v6) => v6.parse::<Ipv6Addr>().map(IpAddr::V6),
        None => text.parse::<Ipv4Addr>().map(IpAddr::V4),
    }
    .map_err(|_| AddressError::NotIp)
}

/// 1 to 65535 without sign or leading zero.
fn parse_port(text: &str) -> Result<u16, AddressError> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| plain).ok_or(AddressError::BadPort)
}

fn unix_name(text: &str) -> Result<Box<[u8]>, AddressError> {
    match text.len() {
        0 => Err(AddressError::Empty),
        1..=UNIX_NAME_BYTES_MAX => Ok(text.as_bytes().into()),
        bytes => Err(AddressError::Long { bytes }),
    }
}

impl fmt::Display for Address {
    /// Writes a form that [`Address::parse`] reads as the same address; nothing for none.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(out),
            Self::Unix(path) => out.write_str(&String::from_utf8_lossy(path)),
            Self::Nowhere => Ok(()),
            Self::Abstract(name) => write!(out, "@{}", String::from_utf8_lossy(name)),
        }
    }
}

/// Why bytes are not an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AddressError {
    /// Nothing was given, or nothing after `@`.
    #[error("address is empty")]
    Empty,
    /// Longer than an address or the path of a unix socket can be.
    #[error("address of {bytes} bytes is too long")]
    Long {
        /// How long it was.
        bytes: usize,
    },
    /// Holds control characters or is not UTF-8.
    #[error("address is not plain text")]
    NotText,
    /// What stands before the port is no IPv4 literal and no IPv6 literal in brackets.
    #[error("address is neither an IP literal with a port nor a path")]
    NotIp,
    /// The port is not a number from 1 to 65535.
    #[error("port is not a number from 1 to 65535")]
    BadPort,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(text: &str) -> Address {
        Address::Tcp(text.parse().expect("a socket address"))
    }

    #[test]
    fn every_form_of_the_wire_is_read() {
        assert_eq!(Address::parse(b":3031"), Ok(tcp("127.0.0.1:3031")));
        assert_eq!(Address::parse(b"10.0.0.7:80"), Ok(tcp("10.0.0.7:80")));
        assert_eq!(Address::parse(b"[::1]:80"), Ok(tcp("[::1]:80")));
        assert_eq!(Address::parse(b"/run/a:b.sock"), Ok(Address::Unix((*b"/run/a:b.sock").into())));
        assert_eq!(Address::parse(b"rel.sock"), Ok(Address::Unix((*b"rel.sock").into())));
        assert_eq!(Address::parse(b"@name"), Ok(Address::Abstract((*b"name").into())));
        assert_eq!(Address::parse(b"\\0name"), Ok(Address::Abstract((*b"name").into())));
    }

    #[test]
    fn what_is_displayed_parses_to_the_same_address() {
        for raw in [":1", "1.2.3.4:65535", "[fd00::2]:8000", "/a b", "x.sock", "@n", "\\0@n"] {
            let address = Address::parse(raw.as_bytes()).expect("legal");
            assert_eq!(Address::parse(address.to_string().as_bytes()), Ok(address), "{raw}");
        }
    }

    #[test]
    fn names_signs_zeros_and_controls_are_refused() {
        use AddressError::{BadPort, Empty, NotIp, NotText};
        for (raw, error) in [
            (&b""[..], Empty),
            (b"@", Empty),
            (b"localhost:80", NotIp),
            (b"::1:80", NotIp),
            (b"[fe80::1%2]:80", NotIp),
            (b"127.1:80", NotIp),
            (b"010.0.0.1:80", NotIp),
            (b"1.2.3.4:", BadPort),
            (b"1.2.3.4:0", BadPort),
            (b"1.2.3.4:+80", BadPort),
            (b"1.2.3.4:080", BadPort),
            (b"1.2.3.4:65536", BadPort),
            (b"/a\0b", NotText),
            (b"/a\nb", NotText),
            (b"/\xff", NotText),
        ] {
            assert_eq!(Address::parse(raw), Err(error), "{raw:?}");
        }
        assert_eq!(Address::parse(&[b'a'; 108]), Err(AddressError::Long { bytes: 108 }));
        assert_eq!(Address::parse(&[b'a'; 256]), Err(AddressError::Long { bytes: 256 }));
    }
}
