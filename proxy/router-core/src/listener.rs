//! Listening sockets, bound before any worker starts.
//!
//! Every worker gets its own SO_REUSEPORT socket of a TCP address, so the kernel spreads new
//! connections over the cores and no worker wakes for another's client. A unix socket exists once;
//! the workers share it. All binding happens on the main thread, so that an address that cannot be had is
//! a start-up error and not a half-started router. Sockets that the process was given
//! ([`crate::estate`]) come first.

use std::{io, net::SocketAddr, path::Path};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::{
    address::ListenAddr,
    estate::{Estate, Kind},
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

/// The sockets of one address.
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
    /// Takes what `estate` has of `address`, and binds what is missing to one socket per worker.
    ///
    /// # Errors
    /// [`ListenError`] with the address and the kernel's reason.
    pub fn bind(
        address: &ListenAddr,
        workers: usize,
        estate: &Estate,
    ) -> Result<Self, ListenError> {
        let bound = match address {
            ListenAddr::Tcp(wanted) => bind_tcp(*wanted, workers, estate),
            ListenAddr::Unix(path) => bind_unix(path, workers, estate),
        };
        bound.map_err(|cause| ListenError { address: address.to_string(), cause })
    }

    /// Takes the file of a unix socket over; it is removed when that is dropped.
    pub fn take_file(&mut self) -> Option<SocketFile> {
        self.file.take()
    }

    /// Hands out the sockets, in turn to workers from zero on: at least one for each, and more if a process
    /// with more workers left more.
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
}

fn bind_tcp(wanted: SocketAddr, workers: usize, estate: &Estate) -> io::Result<Bound> {
    let mut sockets = estate.take(Kind::Stream, &ListenAddr::Tcp(wanted))?;
    for socket in &sockets {
        prepare_tcp(socket, wanted)?;
    }
    if let Some(first) = sockets.first()
        && !first.reuse_port()?
    {
        // Whoever bound it allows no second one, so the workers share it like a unix socket.
        for _ in sockets.len()..workers {
            sockets.push(sockets[0].try_clone()?);
        }
    }
    let mut address = wanted;
    while sockets.len() < workers {
        let socket = listen_tcp(address, sockets.is_empty())?;
        if let Some(actual) = socket.local_addr()?.as_socket() {
            address = actual;
        }
        estate.keep(Kind::Stream, &ListenAddr::Tcp(address), &socket)?;
        sockets.push(socket);
    }
    Ok(Bound { address: ListenAddr::Tcp(address), sockets, file: None })
}

fn listen_tcp(address: SocketAddr, is_first: bool) -> io::Result<Socket> {
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
    if is_first && address.port() != 0 {
        refuse_if_taken(address)?;
    }
    socket.set_reuse_port(true)?;
    prepare_tcp(&socket, address)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// What connections inherit.
fn prepare_tcp(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    // Heads and bodies go out in separate sends; waiting to merge them only delays.
    socket.set_tcp_nodelay(true)?;
    if address.ip().is_loopback() {
        local_peer::spare_pacing(socket);
    }
    Ok(())
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

fn bind_unix(path: &Path, workers: usize, estate: &Estate) -> io::Result<Bound> {
    let address = ListenAddr::Unix(path.to_owned());
    let mut sockets = estate.take(Kind::Stream, &address)?;
    if sockets.is_empty() {
        clear_stale(path, SocketKind::Stream)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
        socket.bind(&SockAddr::unix(path)?)?;
        socket.listen(BACKLOG)?;
        estate.keep(Kind::Stream, &address, &socket)?;
        sockets.push(socket);
    }
    for _ in sockets.len()..workers {
        sockets.push(sockets[0].try_clone()?);
    }
    let file = Some(estate.file_at(Kind::Stream, path)?);
    Ok(Bound { address, sockets, file })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estate::Owner;

    fn bind(address: &ListenAddr, workers: usize, estate: &Estate) -> Bound {
        Bound::bind(address, workers, estate).unwrap()
    }

    fn any() -> ListenAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    /// An estate as the next process finds it.
    fn passed_on(estate: &Estate) -> Estate {
        let next = Estate::default();
        for bequest in estate.bequeath().unwrap() {
            next.inherit(bequest.socket.into(), Owner::Router).unwrap();
        }
        next
    }

    #[test]
    fn all_workers_share_the_port_the_kernel_chose() {
        let bound = bind(&any(), 3, &Estate::default());
        let ListenAddr::Tcp(address) = bound.address.clone() else { panic!("a TCP address") };
        assert_ne!(address.port(), 0);
        assert_eq!(bound.into_worker_sockets().count(), 3);
    }

    #[test]
    fn port_of_another_listener_is_refused() {
        let first = bind(&any(), 1, &Estate::default());
        let error = Bound::bind(&first.address, 1, &Estate::default()).unwrap_err();
        assert_eq!(error.cause.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains("127.0.0.1"), "{error}");
    }

    #[test]
    fn all_sockets_left_by_another_process_are_used_whatever_the_number_of_workers() {
        for (before, after, sockets) in [(3, 3, 3), (1, 3, 3), (3, 1, 3)] {
            let estate = Estate::default();
            let first = bind(&any(), before, &estate);
            let next = passed_on(&estate);
            let second = bind(&first.address, after, &next);
            assert!(next.close_unclaimed().is_empty());
            assert_eq!(next.bequeath().unwrap().len(), sockets);
            assert_eq!(second.into_worker_sockets().count(), sockets);
        }
    }

    #[test]
    fn a_socket_that_allows_no_second_one_is_shared() {
        let given = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = ListenAddr::Tcp(given.local_addr().unwrap());
        let estate = Estate::default();
        estate.inherit(given.into(), Owner::Manager).unwrap();
        assert_eq!(bind(&address, 3, &estate).into_worker_sockets().count(), 3);
        assert_eq!(estate.bequeath().unwrap().len(), 1, "it is one socket");
    }

    #[test]
    fn a_unix_socket_without_its_file_is_bound_again() {
        let dir = tempfile::tempdir().unwrap();
        let address = ListenAddr::Unix(dir.path().join("s.sock"));
        let estate = Estate::default();
        let mut first = bind(&address, 2, &estate);
        let next = passed_on(&estate);
        drop(first.take_file());
        let _second = bind(&address, 2, &next);
        assert_eq!(next.close_unclaimed().len(), 1);
        assert!(std::os::unix::net::UnixStream::connect(address.path().unwrap()).is_ok());
    }
}
