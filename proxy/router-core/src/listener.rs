//! Listening sockets, bound before any worker starts.
//!
//! Every worker gets its own SO_REUSEPORT socket of a TCP address, so the kernel spreads new
//! connections over the cores and no worker wakes for another's client. A unix socket exists once;
//! the workers share it. All binding happens on the main thread, so that an address that cannot be had is
//! a start-up error and not a half-started router.

use std::{io, net::SocketAddr, path::PathBuf};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::{
    address::ListenAddr,
    io::Listener,
    local_peer,
    socket_file::{SocketFile, SocketKind, clear_stale},
};

/// Connections the kernel queues for one listening socket until a worker accepts them.
const BACKLOG: i32 = 4096;

/// An address that could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct ListenError {
    /// The address as configured.
    pub address: String,
    /// What the kernel said.
    #[source]
    pub cause: io::Error,
}

/// One socket per worker for one address.
#[derive(Debug)]
pub struct Bound {
    /// The address with the port the kernel chose, if it was asked to.
    pub address: ListenAddr,
    sockets: Vec<Socket>,
    file: Option<SocketFile>,
}

/// A bound socket on its way to the worker that will own it.
#[derive(Debug)]
pub struct WorkerSocket {
    socket: Socket,
    is_unix: bool,
}

impl Bound {
    /// Binds `address` once per worker.
    ///
    /// # Errors
    /// [`ListenError`] with the address and the kernel's reason.
    pub fn bind(address: &ListenAddr, workers: usize) -> Result<Self, ListenError> {
        let bound = match address {
            ListenAddr::Tcp(wanted) => bind_tcp(*wanted, workers),
            ListenAddr::Unix(path) => bind_unix(path.clone(), workers),
        };
        bound.map_err(|cause| ListenError { address: address.to_string(), cause })
    }

    /// Takes the file of a unix socket over; it is removed when that is dropped.
    pub fn take_file(&mut self) -> Option<SocketFile> {
        self.file.take()
    }

    /// Hands out the sockets, one per worker.
    pub fn into_worker_sockets(self) -> impl Iterator<Item = WorkerSocket> {
        let is_unix = matches!(self.address, ListenAddr::Unix(_));
        self.sockets.into_iter().map(move |socket| WorkerSocket { socket, is_unix })
    }
}

impl WorkerSocket {
    /// Makes the socket a listener of this thread's runtime.
    pub fn into_listener(self) -> io::Result<Listener> {
        if self.is_unix {
            Listener::from_unix(self.socket.into())
        } else {
            Listener::from_tcp(self.socket.into())
        }
    }

    /// A second handle on the same socket, for ending its accepts.
    pub fn closer(&self) -> io::Result<Closer> {
        self.socket.try_clone().map(Closer)
    }
}

/// Ends the accepts of a listening socket from another task or thread.
#[derive(Debug)]
pub struct Closer(Socket);

impl Closer {
    /// Stops listening: the pending accept fails and new connections are refused.
    pub fn close(self) {
        let _ = self.0.shutdown(std::net::Shutdown::Both);
    }
}

fn bind_tcp(wanted: SocketAddr, workers: usize) -> io::Result<Bound> {
    let mut address = wanted;
    let mut sockets = Vec::with_capacity(workers);
    for _ in 0..workers {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM.nonblocking().cloexec(),
            Some(Protocol::TCP),
        )?;
        if address.is_ipv6() {
            // `[::]` and `0.0.0.0` are two addresses here, whatever the system's default.
            socket.set_only_v6(true)?;
        }
        socket.set_reuse_address(true)?;
        if sockets.is_empty() && address.port() != 0 {
            refuse_if_taken(address)?;
        }
        socket.set_reuse_port(true)?;
        // Heads and bodies go out in separate sends; waiting to merge them only delays. Connections
        // inherit it.
        socket.set_tcp_nodelay(true)?;
        if address.ip().is_loopback() {
            local_peer::spare_pacing(&socket);
        }
        socket.bind(&SockAddr::from(address))?;
        socket.listen(BACKLOG)?;
        if let Some(actual) = socket.local_addr()?.as_socket() {
            address = actual;
        }
        sockets.push(socket);
    }
    Ok(Bound { address: ListenAddr::Tcp(address), sockets, file: None })
}

/// SO_REUSEPORT would let a second router of the same user share the port silently and take half of
/// its connections. Binding once without it finds out.
fn refuse_if_taken(address: SocketAddr) -> io::Result<()> {
    let probe = Socket::new(Domain::for_address(address), Type::STREAM.cloexec(), None)?;
    if address.is_ipv6() {
        probe.set_only_v6(true)?;
    }
    probe.set_reuse_address(true)?;
    probe.bind(&SockAddr::from(address))
}

fn bind_unix(path: PathBuf, workers: usize) -> io::Result<Bound> {
    clear_stale(&path, SocketKind::Stream)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    socket.bind(&SockAddr::unix(&path)?)?;
    socket.listen(BACKLOG)?;
    let mut sockets = Vec::with_capacity(workers);
    for _ in 1..workers {
        sockets.push(socket.try_clone()?);
    }
    sockets.push(socket);
    let file = Some(SocketFile::bound_at(&path)?);
    Ok(Bound { address: ListenAddr::Unix(path), sockets, file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_workers_share_the_port_the_kernel_chose() {
        let bound = Bound::bind(&"127.0.0.1:0".parse().unwrap(), 3).unwrap();
        let ListenAddr::Tcp(address) = bound.address.clone() else { panic!("a TCP address") };
        assert_ne!(address.port(), 0);
        assert_eq!(bound.into_worker_sockets().count(), 3);
    }

    #[test]
    fn port_of_another_listener_is_refused() {
        let first = Bound::bind(&"127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let error = Bound::bind(&first.address, 1).unwrap_err();
        assert_eq!(error.cause.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains("127.0.0.1"), "{error}");
    }
}
