//! Accepting, and ending it without losing anybody.
//!
//! The socket is not shut down for that: another process may have it too, and would be left with a dead
//! one. The accept under way is called off instead, and its result is awaited, because it may be a
//! connection that came in the same moment.

use std::{cell::Cell, io, net::SocketAddr};

use super::{
    CancelHandle, Canceller, ReadHalf, TcpListener, UnixListener, WriteHalf, split_tcp, split_unix,
};

/// A connection just accepted.
pub struct Accepted {
    /// Receiving half.
    pub read: ReadHalf,
    /// Sending half.
    pub write: WriteHalf,
    /// The client's address; none for a unix socket.
    pub peer: Option<SocketAddr>,
}

/// Ends the accepts of a listener on the same worker.
pub struct AcceptStop {
    /// Gone once it was used.
    canceller: Cell<Option<Canceller>>,
    handle: CancelHandle,
}

impl AcceptStop {
    /// For one listener that goes on accepting.
    #[must_use]
    pub fn new() -> Self {
        let canceller = Canceller::new();
        Self { handle: canceller.handle(), canceller: Cell::new(Some(canceller)) }
    }

    /// Ends the accept under way, if it has not succeeded, and fails all later ones.
    pub fn stop(&self) {
        if let Some(canceller) = self.canceller.take() {
            drop(canceller.cancel());
        }
    }

    /// Whether [`Self::stop`] was called.
    pub fn is_stopped(&self) -> bool {
        let canceller = self.canceller.take();
        let is_stopped = canceller.is_none();
        self.canceller.set(canceller);
        is_stopped
    }
}

impl Default for AcceptStop {
    fn default() -> Self {
        Self::new()
    }
}

/// A listening socket on a worker's runtime.
pub enum Listener {
    /// A TCP socket.
    Tcp(TcpListener),
    /// A unix stream socket.
    Unix(UnixListener),
}

impl Listener {
    /// Takes over a bound, listening, non-blocking TCP socket.
    pub fn from_tcp(listener: std::net::TcpListener) -> io::Result<Self> {
        TcpListener::from_std(listener).map(Self::Tcp)
    }

    /// Takes over a bound, listening, non-blocking unix socket.
    pub fn from_unix(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        UnixListener::from_std(listener).map(Self::Unix)
    }

    /// The next connection, unless `stop` comes first.
    ///
    /// # Errors
    /// What the kernel said, or that it was stopped.
    pub async fn accept(&self, stop: &AcceptStop) -> io::Result<Accepted> {
        let called_off = stop.handle.clone();
        let ((read, write), peer) = match self {
            Self::Tcp(listener) => {
                // It inherits TCP_NODELAY from its listener.
                let (stream, peer) = listener.cancelable_accept(called_off).await?;
                (split_tcp(stream), Some(peer))
            }
            Self::Unix(listener) => {
                (split_unix(listener.cancelable_accept(called_off).await?.0), None)
            }
        };
        Ok(Accepted { read, write, peer })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        net::TcpStream,
        os::unix::net::UnixStream,
        rc::Rc,
        sync::atomic::{AtomicUsize, Ordering},
        time::{Duration, Instant},
    };

    use super::{
        super::{sleep_ms, spawn},
        *,
    };
    use crate::runtime::{Driver, IoChoice, choose_driver, run};

    fn on_every_driver<F: Future<Output = ()>>(test: impl Fn() -> F) {
        for driver in [choose_driver(IoChoice::Auto).unwrap(), Driver::Epoll] {
            run(driver, test()).unwrap();
        }
    }

    #[test]
    fn an_accept_under_way_ends_and_later_ones_fail_at_once() {
        on_every_driver(|| async {
            let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            socket.set_nonblocking(true).unwrap();
            let other = socket.try_clone().unwrap();
            let address = socket.local_addr().unwrap();
            let listener = Listener::from_tcp(socket).unwrap();
            let stop = Rc::new(AcceptStop::new());
            let later = stop.clone();
            spawn(async move {
                sleep_ms(5).await;
                later.stop();
            });
            assert!(listener.accept(&stop).await.is_err());
            assert!(stop.is_stopped());
            assert!(listener.accept(&stop).await.is_err());
            drop(listener);
            // Who has the socket too still gets connections.
            let _client = TcpStream::connect(address).unwrap();
            assert!(other.accept().is_ok());
        });
    }

    /// Goal: whoever connects is accepted by the one that stops, or by the one that has the socket too.
    /// Method: clients connect without pause while generations of listeners on one socket stop and follow one
    /// another; each accepted connection is answered by its close.
    #[test]
    fn no_connection_is_lost_between_one_that_stops_and_the_next() {
        const CLIENTS: usize = 400;
        const GENERATIONS: usize = 60;
        on_every_driver(|| async {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("s.sock");
            let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
            tcp.set_nonblocking(true).unwrap();
            unix.set_nonblocking(true).unwrap();
            let address = tcp.local_addr().unwrap();
            let accepted = Rc::new(Cell::new(0));
            let connected = std::sync::Arc::new(AtomicUsize::new(0));
            let count = connected.clone();
            let clients = std::thread::spawn(move || {
                let mut kept: Vec<Box<dyn Write + Send>> = Vec::new();
                for number in 0..CLIENTS {
                    match number % 2 {
                        0 => kept.push(Box::new(TcpStream::connect(address).unwrap())),
                        _ => kept.push(Box::new(UnixStream::connect(&path).unwrap())),
                    }
                    count.fetch_add(1, Ordering::SeqCst);
                }
                kept
            });
            for generation in 0.. {
                let stop = Rc::new(AcceptStop::new());
                for listener in [
                    Listener::from_tcp(tcp.try_clone().unwrap()).unwrap(),
                    Listener::from_unix(unix.try_clone().unwrap()).unwrap(),
                ] {
                    let (stop, accepted) = (stop.clone(), accepted.clone());
                    spawn(async move {
                        while listener.accept(&stop).await.is_ok() {
                            accepted.set(accepted.get() + 1);
                        }
                    });
                }
                sleep_ms(1).await;
                let is_last = generation >= GENERATIONS && clients.is_finished();
                if !is_last {
                    stop.stop();
                    continue;
                }
                let began = Instant::now();
                while accepted.get() < CLIENTS && began.elapsed() < Duration::from_secs(5) {
                    sleep_ms(1).await;
                }
                break;
            }
            assert_eq!(connected.load(Ordering::SeqCst), CLIENTS);
            assert_eq!(accepted.get(), CLIENTS);
            drop(clients.join().unwrap());
        });
    }
}
