//! The sockets announcements arrive on: UDP over IPv4 or IPv6, and unix datagram.
//!
//! An IPv6 socket takes IPv6 only, so that `[::]:7171` and `0.0.0.0:7171` are two sockets and an
//! allowed network means what it says. A unix socket is writable by everybody where signatures are
//! demanded, because vassals run as users of their own; where nothing is signed the file's mode
//! is the only proof, and owner and group alone may write. None is shared with another process:
//! a second router on the same address is an error.

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use super::limits::RECEIVE_BUFFER_BYTES;
use crate::address::ListenAddr;
use crate::socket_file::{SocketFile, SocketKind, clear_stale};

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
    Unix(SocketFile),
}

impl DatagramSocket {
    pub(super) fn bind(addr: &ListenAddr, senders: Senders) -> io::Result<Self> {
        match addr {
            ListenAddr::Tcp(addr) => bind_udp(*addr),
            ListenAddr::Unix(path) => bind_unix(path, senders),
        }
    }

    pub(super) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Where it is bound, the port by the kernel filled in.
    pub(super) fn local_addr(&self) -> ListenAddr {
        match &self.kind {
            Kind::Udp(addr) => ListenAddr::Tcp(*addr),
            Kind::Unix(file) => ListenAddr::Unix(file.path().to_owned()),
        }
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

fn bind_udp(addr: SocketAddr) -> io::Result<DatagramSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    let bound = socket.local_addr()?.as_socket().unwrap_or(addr);
    Ok(DatagramSocket::prepared(socket.into(), Kind::Udp(bound)))
}

fn bind_unix(path: &Path, senders: Senders) -> io::Result<DatagramSocket> {
    clear_stale(path, SocketKind::Datagram)?;
    let socket = UnixDatagram::bind(path)?;
    socket.set_nonblocking(true)?;
    let mode = match senders {
        Senders::Everybody => MODE_SIGNED,
        Senders::Group => MODE_UNSIGNED,
    };
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    let kind = Kind::Unix(SocketFile::bound_at(path)?);
    Ok(DatagramSocket::prepared(socket.into(), kind))
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
