//! Accepting, and ending it without losing anybody.
//!
//! The socket is not shut down for that: another process may have it too, and would be left with a dead
//! one. The accept under way is called off instead, and its result is awaited, because it may be a
//! connection that came in the same moment.

use std::{cell::Cell, io, net::SocketAddr};

use super::{
    CancelHandle, Canceller, ReadHalf, Socket, TcpListener, TcpStream, UnixListener, UnixStream,
    WriteHalf, is_legacy, split_tcp, split_unix,
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
pub struct Listener {
    side: ListeningSide,
    /// The same socket, for calls that do not wait.
    plain: Socket,
    patience: Patience,
}

enum ListeningSide {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// When to look whether more connections wait than the one that was accepted.
///
/// Looking costs a system call. Where connections come one by one that is not worth it, so it is done the
/// more rarely the more often it was in vain.
#[derive(Debug, Default)]
struct Patience {
    /// Accepts until the next look.
    left: Cell<u32>,
    /// Accepts between two looks.
    pause: Cell<u32>,
}

impl Patience {
    fn is_over(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left == 0
    }

    fn note(&self, found: usize) {
        let pause = if found > 0 { 0 } else { (2 * self.pause.get() + 1).min(PATIENCE_MAX) };
        self.pause.set(pause);
        self.left.set(pause);
    }
}

impl Listener {
    /// Takes over a bound, listening, non-blocking TCP socket.
    pub fn from_tcp(listener: std::net::TcpListener) -> io::Result<Self> {
        let plain = listener.try_clone()?.into();
        let side = ListeningSide::Tcp(TcpListener::from_std(listener)?);
        Ok(Self { side, plain, patience: Patience::default() })
    }

    /// Takes over a bound, listening, non-blocking unix socket.
    pub fn from_unix(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        let plain = listener.try_clone()?.into();
        let side = ListeningSide::Unix(UnixListener::from_std(listener)?);
        Ok(Self { side, plain, patience: Patience::default() })
    }

    /// Passes on those that wait besides the one that was accepted last.
    ///
    /// An accept of the ring brings one in each turn, and then a turn does the work of one connection: what
    /// the kernel does for a whole turn is done for each.
    pub fn accept_waiting(&self, mut take: impl FnMut(Accepted)) {
        // Without a ring an accept is such a call anyway.
        if is_legacy() || !self.patience.is_over() {
            return;
        }
        let mut found = 0;
        while found < WAITING_MAX
            && let Some(accepted) = self.accept_now()
        {
            found += 1;
            take(accepted);
        }
        self.patience.note(found);
    }

    fn accept_now(&self) -> Option<Accepted> {
        // What is wrong with it the next accept of the runtime will tell.
        let (socket, peer) = self.plain.accept().ok()?;
        let ((read, write), peer) = match self.side {
            ListeningSide::Tcp(_) => {
                (split_tcp(TcpStream::from_std(socket.into()).ok()?), peer.as_socket())
            }
            ListeningSide::Unix(_) => (split_unix(UnixStream::from_std(socket.into()).ok()?), None),
        };
        Some(Accepted { read, write, peer })
    }

    /// The next connection, unless `stop` comes first.
    ///
    /// # Errors
    /// What the kernel said, or that it was stopped.
    pub async fn accept(&self, stop: &AcceptStop) -> io::Result<Accepted> {
        let called_off = stop.handle.clone();
        let ((read, write), peer) = match &self.side {
            ListeningSide::Tcp(listener) => {
                // It inherits TCP_NODELAY from its listener.
                let (stream, peer) = listener.cancelable_accept(called_off).await?;
                (split_tcp(stream), Some(peer))
            }
            ListeningSide::Unix(listener) => {
                (split_unix(listener.cancelable_accept(called_off).await?.0), None)
            }
        };
        Ok(Accepted { read, write, peer })
    }
}

/// Connections passed on besides the one of an accept, before their work is done.
const WAITING_MAX: usize = 16;
/// Most accepts between two looks for more.
const PATIENCE_MAX: u32 = 63;

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

    /// Goal: those that came together are served in one turn, and nobody is taken twice or lost.
    #[test]
    fn connections_that_wait_are_all_passed_on_at_once() {
        on_every_driver(|| async {
            let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            socket.set_nonblocking(true).unwrap();
            let address = socket.local_addr().unwrap();
            let listener = Listener::from_tcp(socket).unwrap();
            let stop = AcceptStop::new();
            let clients: Vec<_> =
                (0..WAITING_MAX).map(|_| TcpStream::connect(address).unwrap()).collect();
            let mut accepted = vec![listener.accept(&stop).await.unwrap()];
            listener.accept_waiting(|more| accepted.push(more));
            // Without a ring each accept is such a call.
            let expected = if is_legacy() { 1 } else { WAITING_MAX };
            assert_eq!(accepted.len(), expected);
            while accepted.len() < clients.len() {
                accepted.push(listener.accept(&stop).await.unwrap());
            }
            let ports = |peers: Vec<Option<SocketAddr>>| {
                let mut ports: Vec<_> = peers.iter().map(|peer| peer.unwrap().port()).collect();
                ports.sort_unstable();
                ports
            };
            let served = ports(accepted.iter().map(|accepted| accepted.peer).collect());
            let asked = clients.iter().map(|client| client.local_addr().ok());
            assert_eq!(served, ports(asked.collect()));
        });
    }

    #[test]
    fn looking_in_vain_makes_looks_rare_until_one_finds_something() {
        let patience = Patience::default();
        let accepts_until_look = || {
            let waited = (0..).take_while(|_| !patience.is_over()).count();
            patience.note(0);
            waited
        };
        let waited: Vec<_> = (0..8).map(|_| accepts_until_look()).collect();
        assert_eq!(waited, [0, 1, 3, 7, 15, 31, 63, 63]);
        while !patience.is_over() {}
        patience.note(3);
        assert!(patience.is_over(), "more are likely to wait");
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
