//! Where a router listens: an IP socket or a unix socket path, as written by an operator.
//!
//! Names are never resolved here: what is bound must be what was written. The same type serves
//! stream listeners, subscription sockets (datagrams) and the admin socket.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// An address to listen on.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ListenAddr {
    /// An IPv4 or IPv6 socket; TCP or UDP by use.
    Tcp(SocketAddr),
    /// A unix socket at an absolute path.
    Unix(PathBuf),
}

impl ListenAddr {
    /// The IP socket address, if this is one.
    #[must_use]
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(addr) => Some(*addr),
            Self::Unix(_) => None,
        }
    }

    /// The socket path, if this is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix(path) => Some(path),
        }
    }

    /// Whether only processes of this machine can reach the address.
    ///
    /// `0.0.0.0` and `::` are not local: they include every interface.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(addr) => addr.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl FromStr for ListenAddr {
    type Err = ListenAddrError;

    /// Reads `127.0.0.1:80`, `[::1]:80`, `:80` (every IPv4 interface) or `/path`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(ListenAddrError::Empty);
        }
        if text.starts_with('/') {
            return unix(text);
        }
        if let Some(port) = text.strip_prefix(':').filter(|port| !port.contains(':')) {
            let port = port.parse().map_err(|_| ListenAddrError::Port)?;
            return Ok(Self::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)));
        }
        if let Ok(addr) = text.parse() {
            return Ok(Self::Tcp(addr));
        }
        if text.ends_with(".sock") || (text.contains('/') && !text.contains(':')) {
            return Err(ListenAddrError::RelativePath);
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(ListenAddrError::NoPort);
        };
        if port.parse::<u16>().is_err() {
            return Err(ListenAddrError::Port);
        }
        if host.contains(':') && !host.starts_with('[') {
            return Err(ListenAddrError::Bracketless);
        }
        Err(ListenAddrError::NotAnIp)
    }
}

fn unix(text: &str) -> Result<ListenAddr, ListenAddrError> {
    if text.contains('\0') || text.ends_with('/') {
        return Err(ListenAddrError::Path);
    }
    if text.len() > UNIX_PATH_BYTES_MAX {
        return Err(ListenAddrError::PathLong { bytes: text.len() });
    }
    Ok(ListenAddr::Unix(PathBuf::from(text)))
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

impl From<SocketAddr> for ListenAddr {
    fn from(addr: SocketAddr) -> Self {
        Self::Tcp(addr)
    }
}

/// Why a text is not a listen address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ListenAddrError {
    /// Nothing was written.
    #[error("an address is empty")]
    Empty,
    /// The path of a socket would mean another one to whoever is started elsewhere: this router's next
    /// process, its operators and its vassals.
    #[error("the path of a socket must be absolute")]
    RelativePath,
    /// There is no `:PORT` at the end.
    #[error("the port is missing")]
    NoPort,
    /// What follows the last colon is not 0 to 65535.
    #[error("the port is not a number from 0 to 65535")]
    Port,
    /// An IPv6 address must stand in brackets before its port.
    #[error("an IPv6 address must stand in brackets, as in [::1]:80")]
    Bracketless,
    /// A name or a broken IP address.
    #[error("not an IP address (names are not looked up)")]
    NotAnIp,
    /// A path with a NUL byte or one that names a directory.
    #[error("not the path of a socket")]
    Path,
    /// The kernel takes paths of up to 107 bytes.
    #[error("a socket path may have 107 bytes, this one has {bytes}")]
    PathLong {
        /// Length of the refused path.
        bytes: usize,
    },
}

/// Longest socket path: `sun_path` of Linux less its closing NUL (unix(7)).
pub const UNIX_PATH_BYTES_MAX: usize = 107;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ListenAddr, ListenAddrError> {
        text.parse()
    }

    #[test]
    fn ip_ports_and_paths_are_read_and_written_back_the_same() {
        for text in ["127.0.0.1:80", "[::1]:8443", "0.0.0.0:0", "/run/suzerain.sock"] {
            assert_eq!(read(text).expect(text).to_string(), text);
        }
    }

    #[test]
    fn a_bare_port_means_every_ipv4_interface() {
        assert_eq!(read(":8080").expect("a bare port").to_string(), "0.0.0.0:8080");
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said() {
        assert_eq!(read(""), Err(ListenAddrError::Empty));
        assert_eq!(read("8080"), Err(ListenAddrError::NoPort));
        for relative in ["ctl.sock", "./ctl", "run/ctl.sock"] {
            assert_eq!(read(relative), Err(ListenAddrError::RelativePath), "{relative}");
        }
        assert_eq!(read("127.0.0.1:70000"), Err(ListenAddrError::Port));
        assert_eq!(read("::1:80"), Err(ListenAddrError::Bracketless));
        assert_eq!(read("localhost:80"), Err(ListenAddrError::NotAnIp));
        assert_eq!(read("/run/"), Err(ListenAddrError::Path));
        let long = format!("/{}", "x".repeat(UNIX_PATH_BYTES_MAX));
        assert_eq!(read(&long), Err(ListenAddrError::PathLong { bytes: 108 }));
    }

    #[test]
    fn every_interface_is_not_local() {
        assert!(read("127.9.9.9:1").expect("loopback").is_local());
        assert!(read("[::1]:1").expect("loopback").is_local());
        assert!(read("[::ffff:127.0.0.1]:1").expect("mapped loopback").is_local());
        assert!(read("/run/s.sock").expect("a path").is_local());
        assert!(!read(":1").expect("unspecified").is_local());
        assert!(!read("[::]:1").expect("unspecified").is_local());
        assert!(!read("239.1.2.3:1").expect("a group").is_local());
        assert!(!read("10.0.0.1:1").expect("private").is_local());
    }
}
