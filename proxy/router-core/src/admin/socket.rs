//! Binding the admin socket, and taking its file away again.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::address::ListenAddr;
use crate::socket_file::{SocketFile, SocketKind, clear_stale};

/// A listening socket that removes its file when it is dropped.
#[derive(Debug)]
pub(super) struct AdminSocket {
    socket: Socket,
    address: ListenAddr,
    /// Goes with the socket.
    _file: Option<SocketFile>,
}

impl AdminSocket {
    pub(super) fn bind(address: &ListenAddr) -> io::Result<Self> {
        match address {
            ListenAddr::Tcp(wanted) => {
                let domain = Domain::for_address(*wanted);
                let socket = Socket::new(domain, Type::STREAM.nonblocking().cloexec(), None)?;
                if wanted.is_ipv6() {
                    socket.set_only_v6(true)?;
                }
                socket.set_reuse_address(true)?;
                socket.bind(&SockAddr::from(*wanted))?;
                socket.listen(BACKLOG)?;
                let actual = socket.local_addr()?.as_socket().unwrap_or(*wanted);
                Ok(Self { socket, address: ListenAddr::Tcp(actual), _file: None })
            }
            ListenAddr::Unix(path) => {
                clear_stale(path, SocketKind::Stream)?;
                let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
                socket.bind(&SockAddr::unix(path)?)?;
                // Before `listen`, so that nobody connects while the file has wider permissions.
                fs::set_permissions(path, Permissions::from_mode(0o600))?;
                socket.listen(BACKLOG)?;
                let file = Some(SocketFile::bound_at(path)?);
                Ok(Self { socket, address: address.clone(), _file: file })
            }
        }
    }

    pub(super) fn address(&self) -> &ListenAddr {
        &self.address
    }

    /// A second handle on the socket for the runtime that accepts.
    pub(super) fn try_clone(&self) -> io::Result<Socket> {
        self.socket.try_clone()
    }
}

const BACKLOG: i32 = 128;
