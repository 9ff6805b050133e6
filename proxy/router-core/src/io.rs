//! Sockets of a worker: accept, connect, read and write over the runtime.
//!
//! One of the two files that name the runtime crate, so that a change of runtime is a change of this
//! file. Every socket is split in two halves, because the two directions of an exchange are pumped
//! independently, and is watched by a [`Watch`], because a pending operation must never be dropped
//! while its connection is still wanted.

mod closing;
mod listening;
mod pending;

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsRawFd, IntoRawFd, RawFd},
    rc::Rc,
    task::Poll,
    time::Duration,
};

use monoio::{
    buf::{IoBuf, IoBufMut},
    io::{
        AsyncReadRent, AsyncWriteRent, AsyncWriteRentExt, CancelHandle, Canceller, OwnedReadHalf,
        OwnedWriteHalf, Splitable,
    },
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    utils::is_legacy,
};
use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, SockaddrStorage, getsockname, recv, send},
};
use route_table::Address;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::{deadline::Watch, local_peer};
pub use listening::{AcceptStop, Accepted, Listener};
use pending::Pending;

/// Pause before a connect to a unix socket whose backlog is full is tried again.
const BACKLOG_RETRY_MS: u64 = 2;

/// Sleeps on this worker's runtime.
pub async fn sleep_ms(ms: u64) {
    monoio::time::sleep(Duration::from_millis(ms)).await;
}

/// Waits until the other tasks of this turn have run.
pub async fn rest_of_turn() {
    let mut has_waited = false;
    let wait = |cx: &mut std::task::Context<'_>| match std::mem::replace(&mut has_waited, true) {
        true => Poll::Ready(()),
        false => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    };
    std::future::poll_fn(wait).await;
}

/// Starts a task on this worker. It runs until it ends; nothing can cancel it.
pub fn spawn(task: impl Future<Output = ()> + 'static) {
    drop(monoio::spawn(task));
}

enum ReadSide {
    Tcp(OwnedReadHalf<TcpStream>),
    Unix(OwnedReadHalf<UnixStream>),
}

enum WriteSide {
    Tcp(OwnedWriteHalf<TcpStream>),
    Unix(OwnedWriteHalf<UnixStream>),
}

/// The receiving half of a connection.
pub struct ReadHalf {
    // Declared first, so that the watch is gone before the socket closes.
    watch: Rc<Watch>,
    fd: RawFd,
    pending: Pending,
    side: ReadSide,
}

/// The sending half of a connection.
pub struct WriteHalf {
    watch: Rc<Watch>,
    fd: RawFd,
    pending: Pending,
    side: WriteSide,
}

impl ReadHalf {
    /// Appends up to `most` bytes to `buffer`, within its capacity. `Ok(0)` is the end of the stream
    /// or an expired deadline; [`Watch::expired`] tells them apart.
    pub async fn read(&mut self, buffer: Vec<u8>, most: usize) -> (io::Result<usize>, Vec<u8>) {
        let start = buffer.len();
        let end = buffer.capacity().min(start.saturating_add(most));
        debug_assert!(end > start, "a read needs room, else it looks like the end of the stream");
        let window = buffer.slice_mut(start..end);
        self.pending.begin();
        let (result, window) = match &mut self.side {
            ReadSide::Tcp(half) => half.read(window).await,
            ReadSide::Unix(half) => half.read(window).await,
        };
        self.pending.end();
        (result, window.into_inner())
    }

    /// Appends what is there now to `buffer`, within its capacity; `None` if that is nothing yet. For the first
    /// bytes of a connection whose other side sends them as it connects: no operation and no second turn of
    /// the task.
    pub fn read_now(&mut self, buffer: &mut Vec<u8>) -> Option<io::Result<usize>> {
        debug_assert!(!self.pending.may_be(), "bytes would go to whichever read is first");
        let start = buffer.len();
        buffer.resize(buffer.capacity(), 0);
        let received = recv(self.fd, &mut buffer[start..], MsgFlags::MSG_DONTWAIT);
        buffer.truncate(start + *received.as_ref().unwrap_or(&0));
        match received {
            Err(Errno::EAGAIN | Errno::EINTR) => None,
            outcome => Some(outcome.map_err(Into::into)),
        }
    }

    /// Waits, without a buffer, until there is something to read or the stream ended. It may be woken
    /// for nothing. Unlike a read it can be given up: no byte is taken.
    ///
    /// # Errors
    /// The connection is broken; a read might not say so again.
    pub async fn readable(&mut self) -> io::Result<()> {
        // The kernel keeps a read waiting that has no room, and answers it once there are bytes.
        let nowhere = Vec::new();
        self.pending.begin();
        let (result, _) = match &mut self.side {
            ReadSide::Tcp(half) => half.read(nowhere).await,
            ReadSide::Unix(half) => half.read(nowhere).await,
        };
        self.pending.end();
        result.map(|_none| ())
    }

    /// The deadlines of this connection.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// The deadlines, for one who sets them while this half is reading.
    pub fn watch_handle(&self) -> Rc<Watch> {
        self.watch.clone()
    }

    /// The address the other side connected to; none for a unix socket. One system call.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        let storage = getsockname::<SockaddrStorage>(self.fd).ok()?;
        let v4 = storage.as_sockaddr_in().map(|addr| SocketAddr::V4((*addr).into()));
        v4.or_else(|| storage.as_sockaddr_in6().map(|addr| SocketAddr::V6((*addr).into())))
    }

    /// The socket, for calls that do not wait while no operation of this half is pending.
    pub fn socket(&self) -> RawFd {
        self.fd
    }

    /// Whether the other side has finished sending and all it sent was read. One system call.
    pub fn is_finished(&self) -> bool {
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        match recv(self.fd, &mut [0], flags) {
            Ok(received) => received == 0,
            Err(Errno::EAGAIN | Errno::EINTR) => false,
            Err(_reset) => true,
        }
    }

    /// Whether an idle connection is still open and silent. One system call.
    pub fn is_quiet(&self) -> bool {
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        matches!(recv(self.fd, &mut [0], flags), Err(Errno::EAGAIN))
    }
}

impl WriteHalf {
    /// Sends all of `buffer` from `start` on and returns the buffer.
    ///
    /// By an operation of the runtime even where a plain call would do: all sends of a turn then go to the
    /// kernel together, and whoever receives them is woken once (docs/PERFORMANCE.md).
    pub async fn write_all(&mut self, buffer: Vec<u8>, start: usize) -> (io::Result<()>, Vec<u8>) {
        let end = buffer.len();
        let window = buffer.slice(start..end);
        self.pending.begin();
        let (result, window) = match &mut self.side {
            WriteSide::Tcp(half) => half.write_all(window).await,
            WriteSide::Unix(half) => half.write_all(window).await,
        };
        self.pending.end();
        (result.map(|_| ()), window.into_inner())
    }

    /// Sends what the socket takes now. For the first bytes of a connection that was just made, and for the
    /// last before a close: its other side then wakes once, for both.
    ///
    /// # Errors
    /// What the kernel said; a full socket takes nothing and is none.
    pub fn send_now(&self, bytes: &[u8]) -> io::Result<usize> {
        match send(self.fd, bytes, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL) {
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(0),
            outcome => Ok(outcome?),
        }
    }

    /// The socket, for calls that do not wait while no operation of this half is pending.
    pub fn socket(&self) -> RawFd {
        self.fd
    }

    /// Tells the other side that nothing more comes.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.pending.begin();
        let result = match &mut self.side {
            WriteSide::Tcp(half) => half.shutdown().await,
            WriteSide::Unix(half) => half.shutdown().await,
        };
        self.pending.end();
        result
    }

    /// The deadlines of this connection.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }
}

fn split_tcp(stream: TcpStream) -> (ReadHalf, WriteHalf) {
    let fd = stream.as_raw_fd();
    let watch = Rc::new(Watch::new(fd));
    let (read, write) = stream.into_split();
    (
        ReadHalf {
            watch: watch.clone(),
            fd,
            pending: Pending::default(),
            side: ReadSide::Tcp(read),
        },
        WriteHalf { watch, fd, pending: Pending::default(), side: WriteSide::Tcp(write) },
    )
}

fn split_unix(stream: UnixStream) -> (ReadHalf, WriteHalf) {
    let fd = stream.as_raw_fd();
    let watch = Rc::new(Watch::new(fd));
    let (read, write) = stream.into_split();
    (
        ReadHalf {
            watch: watch.clone(),
            fd,
            pending: Pending::default(),
            side: ReadSide::Unix(read),
        },
        WriteHalf { watch, fd, pending: Pending::default(), side: WriteSide::Unix(write) },
    )
}

/// Closes a connection at the end of this turn, together with others.
///
/// Dropping it closes it too, by an operation of the runtime and another one that is to cancel the first.
pub fn close(read: ReadHalf, write: WriteHalf) {
    if read.pending.may_be() || write.pending.may_be() {
        // The operation holds the descriptor; the runtime closes it after that.
        return;
    }
    let ReadHalf { watch, side: read, .. } = read;
    drop((watch, write.watch));
    let fd = match (read, write.side) {
        (ReadSide::Tcp(read), WriteSide::Tcp(write)) => {
            read.reunite(write).ok().map(IntoRawFd::into_raw_fd)
        }
        (ReadSide::Unix(read), WriteSide::Unix(write)) => {
            read.reunite(write).ok().map(IntoRawFd::into_raw_fd)
        }
        // Halves of two connections close as they drop.
        _ => None,
    };
    if let Some(fd) = fd {
        closing::at_end_of_turn(fd);
    }
}

/// The two halves of a connection.
pub type Halves = (ReadHalf, WriteHalf);

/// Connects to a node on this machine, if that takes no waiting; else `None`, and [`connect`] does.
pub fn connect_now(address: &Address) -> Option<io::Result<Halves>> {
    match address {
        Address::Tcp(peer) if peer.ip().is_loopback() => tcp_now(*peer).transpose(),
        Address::Unix(path) => {
            let address = SockAddr::unix(as_path(path));
            address.and_then(|address| unix_now(&address)).transpose()
        }
        Address::Tcp(_) | Address::Abstract(_) | Address::Nowhere => None,
    }
}

/// Connects to a node within `limit`.
///
/// # Errors
/// `TimedOut` after `limit`, else what the kernel said.
pub async fn connect(address: &Address, limit: Duration) -> io::Result<Halves> {
    let attempt = async {
        match address {
            Address::Tcp(peer) => {
                let stream = TcpStream::connect_addr(*peer).await?;
                let _ = stream.set_nodelay(true);
                Ok(split_tcp(stream))
            }
            Address::Nowhere => Err(io::ErrorKind::AddrNotAvailable.into()),
            Address::Unix(path) => connect_unix(&SockAddr::unix(as_path(path))?).await,
            Address::Abstract(name) => connect_abstract(name).await,
        }
    };
    match monoio::time::timeout(limit, attempt).await {
        Ok(result) => result,
        Err(_elapsed) => Err(io::ErrorKind::TimedOut.into()),
    }
}

fn as_path(bytes: &[u8]) -> &std::path::Path {
    use std::os::unix::ffi::OsStrExt;
    std::path::Path::new(std::ffi::OsStr::from_bytes(bytes))
}

/// Over loopback the first call has the whole handshake done, and a second one says how it ended;
/// unless the backlog is full.
fn tcp_now(peer: SocketAddr) -> io::Result<Option<Halves>> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(peer), kind, Some(Protocol::TCP))?;
    local_peer::spare_pacing(&socket);
    let _ = socket.set_tcp_nodelay(true);
    let peer = SockAddr::from(peer);
    match socket.connect(&peer) {
        Err(error) if error.raw_os_error() == Some(Errno::EINPROGRESS as i32) => {
            match socket.connect(&peer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.raw_os_error() == Some(Errno::EALREADY as i32) => {
                    return Ok(None);
                }
                outcome => outcome?,
            }
        }
        outcome => outcome?,
    }
    TcpStream::from_std(socket.into()).map(|stream| Some(split_tcp(stream)))
}

/// uWSGI counts a closing zero byte into the name of its abstract sockets, others do not; the
/// announced name is the same, so both are tried.
async fn connect_abstract(name: &[u8]) -> io::Result<Halves> {
    let path = [&[0], name, &[0]].concat();
    match connect_unix(&SockAddr::unix(as_path(&path))?).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            connect_unix(&SockAddr::unix(as_path(&path[..path.len() - 1]))?).await
        }
        outcome => outcome,
    }
}

async fn connect_unix(address: &SockAddr) -> io::Result<Halves> {
    loop {
        match unix_now(address)? {
            Some(halves) => return Ok(halves),
            None => sleep_ms(BACKLOG_RETRY_MS).await,
        }
    }
}

/// A unix connect either succeeds at once, fails, or finds the backlog full; only the last waits.
fn unix_now(address: &SockAddr) -> io::Result<Option<Halves>> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    match socket.connect(address) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
        Err(error) => return Err(error),
    }
    let stream: std::os::unix::net::UnixStream = socket.into();
    UnixStream::from_std(stream).map(|stream| Some(split_unix(stream)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Driver, IoChoice, choose_driver, run};

    #[test]
    fn a_node_that_refuses_is_an_error_and_not_a_tunnel() {
        for driver in [choose_driver(IoChoice::Auto).unwrap(), Driver::Epoll] {
            run(driver, async {
                let gone =
                    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
                let gone = Address::Tcp(gone);
                let refused = connect(&gone, Duration::from_secs(5)).await;
                assert!(refused.is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused));
                let refused = connect_now(&gone).expect("no waiting");
                assert!(refused.is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused));
            })
            .unwrap();
        }
    }

    /// A connection of this worker over a unix socket or over TCP, and its far end.
    async fn pair(listening: Listening) -> (ReadHalf, WriteHalf, Socket) {
        match listening {
            Listening::Unix => {
                let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
                near.set_nonblocking(true).unwrap();
                let (read, write) = split_unix(UnixStream::from_std(near).unwrap());
                (read, write, far.into())
            }
            Listening::Tcp => {
                let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
                let address = Address::Tcp(listener.local_addr().unwrap());
                let (read, write) = connect(&address, Duration::from_secs(5)).await.unwrap();
                (read, write, listener.accept().unwrap().0.into())
            }
        }
    }

    #[derive(Clone, Copy)]
    enum Listening {
        Unix,
        Tcp,
    }

    #[test]
    fn reading_at_once_takes_what_is_there_and_the_rest_comes_by_a_read() {
        for driver in [choose_driver(IoChoice::Auto).unwrap(), Driver::Epoll] {
            for listening in [Listening::Unix, Listening::Tcp] {
                run(driver, async {
                    let (mut read, _write, far) = pair(listening).await;
                    let mut bytes = Vec::with_capacity(8);
                    assert!(read.read_now(&mut bytes).is_none() && bytes.is_empty());
                    assert_eq!(far.send(b"abc").unwrap(), 3);
                    sleep_ms(5).await;
                    assert_eq!(read.read_now(&mut bytes).unwrap().unwrap(), 3);
                    assert!(read.read_now(&mut bytes).is_none());
                    assert_eq!(far.send(b"defghijk").unwrap(), 8);
                    let (result, mut bytes) = read.read(bytes, 2).await;
                    assert_eq!((result.unwrap(), bytes.as_slice()), (2, &b"abcde"[..]));
                    assert_eq!(read.read_now(&mut bytes).unwrap().unwrap(), bytes.capacity() - 5);
                    assert_eq!(&bytes[..8], b"abcdefgh");
                    drop(far);
                    sleep_ms(5).await;
                    let mut rest = Vec::with_capacity(8);
                    assert_eq!(read.read_now(&mut rest).unwrap().unwrap(), 3);
                    assert_eq!(read.read_now(&mut rest).unwrap().unwrap(), 0, "the end");
                })
                .unwrap();
            }
        }
    }

    #[test]
    fn waiting_without_a_buffer_ends_with_the_first_byte_and_takes_none() {
        for driver in [choose_driver(IoChoice::Auto).unwrap(), Driver::Epoll] {
            for listening in [Listening::Unix, Listening::Tcp] {
                run(driver, async {
                    let (mut read, _write, mut far) = pair(listening).await;
                    let waited = monoio::time::timeout(Duration::from_millis(50), read.readable());
                    assert!(waited.await.is_err(), "nothing came");
                    let speaker = std::thread::spawn(move || {
                        std::io::Write::write_all(&mut far, b"hello").unwrap();
                        far
                    });
                    read.readable().await.unwrap();
                    read.readable().await.unwrap();
                    let (result, bytes) = read.read(Vec::with_capacity(16), usize::MAX).await;
                    assert_eq!((result.unwrap(), &bytes[..]), (5, &b"hello"[..]));
                    drop(speaker.join().unwrap());
                    read.readable().await.unwrap();
                    assert_eq!(read.read(bytes, usize::MAX).await.0.unwrap(), 0);
                })
                .unwrap();
            }
        }
    }

    #[test]
    fn a_reset_ends_the_wait_with_an_error() {
        for driver in [choose_driver(IoChoice::Auto).unwrap(), Driver::Epoll] {
            run(driver, async {
                let (mut read, _write, far) = pair(Listening::Tcp).await;
                far.set_linger(Some(Duration::ZERO)).unwrap();
                drop(far);
                let error = read.readable().await.unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
            })
            .unwrap();
        }
    }

    #[test]
    fn a_node_on_this_machine_is_connected_at_once_and_closed_at_the_end_of_the_turn() {
        use std::io::Read;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node.sock");
        let unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let path = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str());
        for driver in [choose_driver(IoChoice::Auto).unwrap(), Driver::Epoll] {
            run(driver, async {
                let address = Address::Unix(path.into());
                let (read, mut write) = connect_now(&address).expect("no waiting").unwrap();
                write.write_all(b"asked".to_vec(), 0).await.0.unwrap();
                close(read, write);
                sleep_ms(1).await;
                let mut got = Vec::new();
                unix.accept().unwrap().0.read_to_end(&mut got).unwrap();
                assert_eq!(got, b"asked");
                let address = Address::Tcp(tcp.local_addr().unwrap());
                let (read, mut write) = connect_now(&address).expect("no waiting").unwrap();
                write.write_all(b"asked".to_vec(), 0).await.0.unwrap();
                close(read, write);
                sleep_ms(1).await;
                let mut got = Vec::new();
                tcp.accept().unwrap().0.read_to_end(&mut got).unwrap();
                assert_eq!(got, b"asked");
            })
            .unwrap();
        }
    }

    #[test]
    fn a_connection_whose_wait_was_given_up_closes_too() {
        for driver in [choose_driver(IoChoice::Auto).unwrap(), Driver::Epoll] {
            run(driver, async {
                let (mut read, write, mut far) = pair(Listening::Tcp).await;
                let waited = monoio::time::timeout(Duration::from_millis(5), read.readable());
                assert!(waited.await.is_err(), "nothing came");
                std::io::Write::write_all(&mut far, b"hello").unwrap();
                assert_eq!(read.read(Vec::with_capacity(16), usize::MAX).await.0.unwrap(), 5);
                close(read, write);
                sleep_ms(20).await;
                assert_eq!(std::io::Read::read(&mut far, &mut [0; 8]).unwrap(), 0);
            })
            .unwrap();
        }
    }

    #[test]
    fn a_full_backlog_is_waited_for_and_is_no_refusal() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node.sock");
        let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        listener.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        listener.listen(0).unwrap();
        let path = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str());
        run(choose_driver(IoChoice::Auto).unwrap(), async {
            let address = Address::Unix(path.into());
            let _first = connect_now(&address).expect("room for one").unwrap();
            assert!(connect_now(&address).is_none(), "the next has to wait");
            let waited = connect(&address, Duration::from_millis(20)).await;
            assert!(waited.is_err_and(|e| e.kind() == io::ErrorKind::TimedOut));
        })
        .unwrap();
    }
}
