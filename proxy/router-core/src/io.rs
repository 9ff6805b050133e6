//! Sockets of a worker: accept, connect, read and write over the runtime.
//!
//! One of the two files that name the runtime crate, so that a change of runtime is a change of this
//! file. Every socket is split in two halves, because the two directions of an exchange are pumped
//! independently, and is watched by a [`Watch`], because a pending operation must never be dropped
//! while its connection is still wanted.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsRawFd, RawFd},
    rc::Rc,
    time::Duration,
};

use monoio::{
    buf::{IoBuf, IoBufMut},
    io::{
        AsyncReadRent, AsyncWriteRent, AsyncWriteRentExt, OwnedReadHalf, OwnedWriteHalf, Splitable,
    },
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
};
use nix::sys::socket::{MsgFlags, SockaddrStorage, getsockname, recv};
use route_table::Address;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::deadline::Watch;

/// Pause before a connect to a unix socket whose backlog is full is tried again.
const BACKLOG_RETRY_MS: u64 = 2;

/// Sleeps on this worker's runtime.
pub async fn sleep_ms(ms: u64) {
    monoio::time::sleep(Duration::from_millis(ms)).await;
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
    side: ReadSide,
}

/// The sending half of a connection.
pub struct WriteHalf {
    watch: Rc<Watch>,
    fd: RawFd,
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
        let (result, window) = match &mut self.side {
            ReadSide::Tcp(half) => half.read(window).await,
            ReadSide::Unix(half) => half.read(window).await,
        };
        (result, window.into_inner())
    }

    /// Waits, without a buffer, until there is something to read or the stream ended. It may be woken
    /// for nothing. Unlike a read it can be given up: no byte is taken.
    ///
    /// # Errors
    /// The connection is broken; a read might not say so again.
    pub async fn readable(&mut self) -> io::Result<()> {
        // The kernel keeps a read waiting that has no room, and answers it once there are bytes.
        let nowhere = Vec::new();
        let (result, _) = match &mut self.side {
            ReadSide::Tcp(half) => half.read(nowhere).await,
            ReadSide::Unix(half) => half.read(nowhere).await,
        };
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
            Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => false,
            Err(_reset) => true,
        }
    }

    /// Whether an idle connection is still open and silent. One system call.
    pub fn is_quiet(&self) -> bool {
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        matches!(recv(self.fd, &mut [0], flags), Err(nix::errno::Errno::EAGAIN))
    }
}

impl WriteHalf {
    /// Sends all of `buffer` from `start` on and returns the buffer.
    pub async fn write_all(&mut self, buffer: Vec<u8>, start: usize) -> (io::Result<()>, Vec<u8>) {
        let end = buffer.len();
        let window = buffer.slice(start..end);
        let (result, window) = match &mut self.side {
            WriteSide::Tcp(half) => half.write_all(window).await,
            WriteSide::Unix(half) => half.write_all(window).await,
        };
        (result.map(|_| ()), window.into_inner())
    }

    /// The socket, for calls that do not wait while no operation of this half is pending.
    pub fn socket(&self) -> RawFd {
        self.fd
    }

    /// Tells the other side that nothing more comes.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        match &mut self.side {
            WriteSide::Tcp(half) => half.shutdown().await,
            WriteSide::Unix(half) => half.shutdown().await,
        }
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
        ReadHalf { watch: watch.clone(), fd, side: ReadSide::Tcp(read) },
        WriteHalf { watch, fd, side: WriteSide::Tcp(write) },
    )
}

fn split_unix(stream: UnixStream) -> (ReadHalf, WriteHalf) {
    let fd = stream.as_raw_fd();
    let watch = Rc::new(Watch::new(fd));
    let (read, write) = stream.into_split();
    (
        ReadHalf { watch: watch.clone(), fd, side: ReadSide::Unix(read) },
        WriteHalf { watch, fd, side: WriteSide::Unix(write) },
    )
}

/// A connection just accepted.
pub struct Accepted {
    /// Receiving half.
    pub read: ReadHalf,
    /// Sending half.
    pub write: WriteHalf,
    /// The client's address; none for a unix socket.
    pub peer: Option<SocketAddr>,
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

    /// The next connection.
    pub async fn accept(&self) -> io::Result<Accepted> {
        let ((read, write), peer) = match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Heads and bodies go out in separate sends; waiting to merge them only delays.
                let _ = stream.set_nodelay(true);
                (split_tcp(stream), Some(peer))
            }
            Self::Unix(listener) => (split_unix(listener.accept().await?.0), None),
        };
        Ok(Accepted { read, write, peer })
    }
}

/// Connects to a node within `limit`.
///
/// # Errors
/// `TimedOut` after `limit`, else what the kernel said.
pub async fn connect(address: &Address, limit: Duration) -> io::Result<(ReadHalf, WriteHalf)> {
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

/// uWSGI counts a closing zero byte into the name of its abstract sockets, others do not; the
/// announced name is the same, so both are tried.
async fn connect_abstract(name: &[u8]) -> io::Result<(ReadHalf, WriteHalf)> {
    let path = [&[0], name, &[0]].concat();
    match connect_unix(&SockAddr::unix(as_path(&path))?).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            connect_unix(&SockAddr::unix(as_path(&path[..path.len() - 1]))?).await
        }
        outcome => outcome,
    }
}

/// A unix connect either succeeds at once, fails, or finds the backlog full; only the last waits.
async fn connect_unix(address: &SockAddr) -> io::Result<(ReadHalf, WriteHalf)> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    loop {
        match socket.connect(address) {
            Ok(()) => break,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                sleep_ms(BACKLOG_RETRY_MS).await;
            }
            Err(error) => return Err(error),
        }
    }
    let stream: std::os::unix::net::UnixStream = socket.into();
    Ok(split_unix(UnixStream::from_std(stream)?))
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
                let refused = connect(&Address::Tcp(gone), Duration::from_secs(5)).await;
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
}
