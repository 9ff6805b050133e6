//! The sockets announcements arrive on: UDP over IPv4 or IPv6, and unix datagram.
//!
//! An IPv6 socket takes IPv6 only, so that `[::]:7171` and `0.0.0.0:7171` are two sockets and an
//! allowed network means what it says. A unix socket is writable by everybody where signatures are
//! demanded, because vassals run as users of their own; where nothing is signed the file's mode
//! is the only proof, and owner and group alone may write. Where credentials are asked for, the
//! kernel is told so before there is an address to send to. None is shared with another process:
//! a second router on the same address is an error, but for multicast and broadcast.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::group::Cast;
use super::limits::RECEIVE_BUFFER_BYTES;
use crate::address::ListenAddr;
use crate::estate::{Estate, Kind as SocketOf};
use crate::socket_file::{self, SocketFile, SocketKind, clear_stale};

/// Mode of a unix socket whose datagrams prove themselves.
const MODE_SIGNED: u32 = 0o666;
/// Mode of a unix socket where being able to write is the proof.
const MODE_UNSIGNED: u32 = 0o660;

/// Who may write to a unix socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Senders {
    /// Everybody: datagrams are signed.
    Everybody,
    /// Owner and group.
    Group,
}

impl Senders {
    const fn mode(self) -> u32 {
        match self {
            Self::Everybody => MODE_SIGNED,
            Self::Group => MODE_UNSIGNED,
        }
    }
}

/// Whether the kernel is asked who sent each datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum AskCredentials {
    /// Unix sockets only; UDP has none.
    Yes,
    No,
}

/// One bound, non-blocking socket.
#[derive(Debug)]
pub(super) struct DatagramSocket {
    fd: OwnedFd,
    kind: Kind,
    /// Last value of the kernel's drop counter.
    pub(super) drops_seen: u32,
}

/// What differs between the families.
#[derive(Debug)]
pub(super) enum Kind {
    Udp(SocketAddr),
    /// The file goes with its socket.
    Unix(SocketFile, AskCredentials),
}

impl DatagramSocket {
    pub(super) fn bind(
        addr: &ListenAddr,
        senders: Senders,
        credentials: AskCredentials,
        interfaces: &[Ipv4Addr],
        estate: &Estate,
    ) -> io::Result<Self> {
        match addr {
            ListenAddr::Tcp(addr) => bind_udp(*addr, interfaces, estate),
            ListenAddr::Unix(path) => bind_unix(path, senders, credentials, estate),
        }
    }

    pub(super) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Where it is bound, the port by the kernel filled in.
    pub(super) fn local_addr(&self) -> ListenAddr {
        match &self.kind {
            Kind::Udp(addr) => ListenAddr::Tcp(*addr),
            Kind::Unix(file, _) => ListenAddr::Unix(file.path().to_owned()),
        }
    }

    pub(super) fn asks(&self) -> AskCredentials {
        match &self.kind {
            Kind::Udp(_) => AskCredentials::No,
            Kind::Unix(_, asks) => *asks,
        }
    }

    /// Serves other senders from now on.
    pub(super) fn adapt(
        &mut self,
        senders: Senders,
        credentials: AskCredentials,
    ) -> io::Result<()> {
        if let Kind::Unix(file, asks) = &mut self.kind {
            setsockopt(&self.fd, sockopt::PassCred, &(credentials == AskCredentials::Yes))?;
            *asks = credentials;
            socket_file::set_mode(file.path(), senders.mode())?;
        }
        Ok(())
    }

    pub(super) fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl AsFd for DatagramSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn bind_udp(
    wanted: SocketAddr,
    interfaces: &[Ipv4Addr],
    estate: &Estate,
) -> io::Result<DatagramSocket> {
    let cast = Cast::of(wanted)?;
    if let Some(socket) = estate.take(SocketOf::Datagram, &ListenAddr::Tcp(wanted))?.pop() {
        cast.join_again(&socket, interfaces)?;
        return Ok(DatagramSocket::prepared(socket.into(), Kind::Udp(wanted)));
    }
    let socket = Socket::new(Domain::for_address(wanted), Type::DGRAM, Some(Protocol::UDP))?;
    if wanted.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    cast.prepare(&socket)?;
    socket.bind(&wanted.into())?;
    cast.join(&socket, interfaces)?;
    let bound = socket.local_addr()?.as_socket().unwrap_or(wanted);
    estate.keep(SocketOf::Datagram, &ListenAddr::Tcp(bound), &socket)?;
    Ok(DatagramSocket::prepared(socket.into(), Kind::Udp(bound)))
}

fn bind_unix(
    path: &Path,
    senders: Senders,
    credentials: AskCredentials,
    estate: &Estate,
) -> io::Result<DatagramSocket> {
    let address = ListenAddr::Unix(path.to_owned());
    let socket = match estate.take(SocketOf::Datagram, &address)?.pop() {
        Some(socket) => {
            setsockopt(&socket, sockopt::PassCred, &(credentials == AskCredentials::Yes))?;
            socket
        }
        None => new_unix(path, credentials, estate)?,
    };
    socket_file::set_mode(path, senders.mode())?;
    let kind = Kind::Unix(estate.file_at(SocketOf::Datagram, path)?, credentials);
    Ok(DatagramSocket::prepared(socket.into(), kind))
}

fn new_unix(path: &Path, credentials: AskCredentials, estate: &Estate) -> io::Result<Socket> {
    clear_stale(path, SocketKind::Datagram)?;
    let socket = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
    socket.set_nonblocking(true)?;
    if credentials == AskCredentials::Yes {
        setsockopt(&socket, sockopt::PassCred, &true)?;
    }
    socket.bind(&SockAddr::unix(path)?)?;
    estate.keep(SocketOf::Datagram, &ListenAddr::Unix(path.to_owned()), &socket)?;
    Ok(socket)
}

impl DatagramSocket {
    /// Asks for room and for the drop counter; both are welcome and neither is needed.
    fn prepared(fd: OwnedFd, kind: Kind) -> Self {
        if setsockopt(&fd, sockopt::RcvBufForce, &RECEIVE_BUFFER_BYTES).is_err() {
            let _ = setsockopt(&fd, sockopt::RcvBuf, &RECEIVE_BUFFER_BYTES);
        }
        let _ = setsockopt(&fd, sockopt::RxqOvfl, &1);
        Self { fd, kind, drops_seen: 0 }
    }
}
