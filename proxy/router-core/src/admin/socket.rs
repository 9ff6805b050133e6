//! Binding the admin socket, and taking its file away again.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::address::ListenAddr;
use crate::estate::{Estate, Kind};
use crate::socket_file::{self, SocketFile, SocketKind, clear_stale};

/// A listening socket that removes its file when it is dropped.
#[derive(Debug)]
pub(super) struct AdminSocket {
    socket: Socket,
    address: ListenAddr,
    /// Goes with the socket.
    _file: Option<SocketFile>,
}

impl AdminSocket {
    /// Takes it from `estate`, or binds it.
    pub(super) fn bind(address: &ListenAddr, estate: &Estate) -> io::Result<Self> {
        match address {
            ListenAddr::Tcp(wanted) => {
                if let Some(socket) = estate.take(Kind::Stream, address)?.pop() {
                    return Ok(Self { socket, address: address.clone(), _file: None });
                }
                let socket = bind_tcp(*wanted)?;
                let actual = socket.local_addr()?.as_socket().unwrap_or(*wanted);
                let address = ListenAddr::Tcp(actual);
                estate.keep(Kind::Stream, &address, &socket)?;
                Ok(Self { socket, address, _file: None })
            }
            ListenAddr::Unix(path) => {
                let socket = match estate.take(Kind::Stream, address)?.pop() {
                    Some(socket) => {
                        socket_file::set_mode(path, MODE)?;
                        socket
                    }
                    None => {
                        let socket = bind_unix(path)?;
                        estate.keep(Kind::Stream, address, &socket)?;
                        socket
                    }
                };
                let file = Some(estate.file_at(Kind::Stream, path)?);
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

fn bind_tcp(wanted: SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(wanted);
    let socket = Socket::new(domain, Type::STREAM.nonblocking().cloexec(), None)?;
    if wanted.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(wanted))?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn bind_unix(path: &Path) -> io::Result<Socket> {
    clear_stale(path, SocketKind::Stream)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    // Before `listen`, so that nobody connects while the file has wider permissions.
    socket_file::set_mode(path, MODE)?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

const BACKLOG: i32 = 128;
/// The operator's alone.
const MODE: u32 = 0o600;
