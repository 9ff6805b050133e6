//! What an inherited descriptor is, found out from the kernel and not from a name.

use std::{fmt, io, os::fd::OwnedFd};

use socket2::{SockAddr, Socket, Type};

use super::{Bequest, Owner};
use crate::address::ListenAddr;

/// What a bound socket takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Connections.
    Stream,
    /// Datagrams.
    Datagram,
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Stream => "stream socket",
            Self::Datagram => "datagram socket",
        })
    }
}

/// Why a descriptor is no bound socket that a router could ask for.
#[derive(Debug, thiserror::Error)]
pub enum Stranger {
    /// The kernel does not say what it is.
    #[error("it is no socket: {0}")]
    NoSocket(#[source] io::Error),
    /// A kind that is never asked for.
    #[error("it takes neither connections nor datagrams")]
    Kind,
    /// A stream socket on which nobody can connect.
    #[error("it does not listen")]
    NotListening,
    /// No address that could be configured.
    #[error("it is bound neither to an IP address nor to a path")]
    Address,
}

pub(super) fn recognise(fd: OwnedFd, owner: Owner) -> Result<Bequest, Stranger> {
    let socket = Socket::from(fd);
    let kind = match socket.r#type().map_err(Stranger::NoSocket)? {
        Type::STREAM => Kind::Stream,
        Type::DGRAM => Kind::Datagram,
        _ => return Err(Stranger::Kind),
    };
    if kind == Kind::Stream && !socket.is_listener().map_err(Stranger::NoSocket)? {
        return Err(Stranger::NotListening);
    }
    let address = socket.local_addr().map_err(Stranger::NoSocket)?;
    let address = bound_to(&address).ok_or(Stranger::Address)?;
    socket.set_nonblocking(true).map_err(Stranger::NoSocket)?;
    socket.set_cloexec(true).map_err(Stranger::NoSocket)?;
    Ok(Bequest { kind, address, socket, owner })
}

fn bound_to(address: &SockAddr) -> Option<ListenAddr> {
    if let Some(ip) = address.as_socket() {
        return (ip.port() != 0).then_some(ListenAddr::Tcp(ip));
    }
    address.as_pathname().map(|path| ListenAddr::Unix(path.to_owned()))
}
