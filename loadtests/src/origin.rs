//! The upstream every proxy is measured against: a one-threaded responder with one fixed answer.
//!
//! It speaks HTTP/1.1 with keep-alive, or the uwsgi protocol with one request per connection (the
//! protocol has no keep-alive), over TCP or a unix socket. It runs as its own process, so that
//! its CPU is never the proxy's, and ends when its standard input closes, so that it cannot outlive
//! the test. A request for [`ECHO_PATH`] is answered with the request itself as text: the
//! report shows with it what a proxy really forwards. Bodies of HTTP requests with a length are read
//! and dropped; the load generator sends no others.

use std::collections::HashMap;
use std::io::Read;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::rc::Rc;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{MsgFlags, recv, send};
use serde::Serialize;
use socket2::{Domain, SockAddr, Socket, Type};

mod websocket;

/// Path whose answer is the request as the upstream saw it.
pub const ECHO_PATH: &str = "/request-as-seen-by-the-upstream";

/// Options of the hidden `origin` command.
#[derive(Debug, clap::Args)]
pub struct OriginArgs {
    /// Where to listen: `IP:PORT`, or a path for a unix socket.
    #[arg(long)]
    pub listen: String,
    /// Protocol spoken.
    #[arg(long, value_enum)]
    pub protocol: Protocol,
    /// Length of the body of every answer, in bytes.
    #[arg(long)]
    pub body_bytes: usize,
}

/// Protocol between proxy and upstream.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP/1.1 with keep-alive.
    Http,
    /// uwsgi packets, one request per connection.
    Uwsgi,
}

/// Serves until standard input closes.
pub fn run(args: &OriginArgs) -> Result<()> {
    let listener = listen(&args.listen)?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).context("creating an epoll")?;
    let readable = EpollEvent::new(EpollFlags::EPOLLIN, LISTENER_TOKEN);
    epoll.add(&listener, readable).context("watching the listener")?;
    let stdin = std::io::stdin();
    let parent = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLHUP, PARENT_TOKEN);
    epoll.add(&stdin, parent).context("watching standard input (it must be a pipe)")?;
    let mut origin = Origin {
        protocol: args.protocol,
        answer: answer(&body(args.body_bytes)).into(),
        exchanges: HashMap::new(),
        next_token: 0,
        buffer: vec![0; READ_BYTES],
    };
    let mut events = [EpollEvent::empty(); EVENTS_MAX];
    loop {
        let ready = match epoll.wait(&mut events, EpollTimeout::NONE) {
            Ok(ready) => ready,
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(error).context("waiting for events"),
        };
        for event in &events[..ready] {
            match event.data() {
                LISTENER_TOKEN => origin.accept(&listener, &epoll)?,
                PARENT_TOKEN => {
                    if matches!(stdin.lock().read(&mut [0; 64]), Ok(0) | Err(_)) {
                        return Ok(());
                    }
                }
                token => origin.turn(token),
            }
        }
    }
}

/// The body of every answer: printable, not constant, of the given length.
pub fn body(body_bytes: usize) -> Vec<u8> {
    (b'a'..=b'z').cycle().take(body_bytes).collect()
}

struct Origin {
    protocol: Protocol,
    answer: Rc<[u8]>,
    exchanges: HashMap<u64, Exchange>,
    next_token: u64,
    buffer: Vec<u8>,
}

/// One connection from a proxy.
struct Exchange {
    socket: Socket,
    /// Bytes of a request that came in pieces.
    request: Vec<u8>,
    /// Bytes of the request's body that have not come.
    body_left: usize,
    /// What is being sent, and how much of it has been.
    sending: Option<(Rc<[u8]>, usize)>,
    close_after: bool,
    /// It is a WebSocket by now.
    is_upgraded: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Progress {
    Waiting,
    Over,
}

impl Origin {
    fn accept(&mut self, listener: &Socket, epoll: &Epoll) -> Result<()> {
        loop {
            let socket = match listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
                // The client gave up, or descriptors ran out: the next event tries again.
                Err(_) => return Ok(()),
            };
            let mut exchange = Exchange {
                socket,
                request: Vec::new(),
                body_left: 0,
                sending: None,
                close_after: false,
                is_upgraded: false,
            };
            // The request has often come with the connection; then it is answered in this turn.
            let progress = exchange.turn(self.protocol, &self.answer, &mut self.buffer);
            if progress == Progress::Over {
                continue;
            }
            let token = self.next_token;
            self.next_token += 1;
            let interest = EpollFlags::EPOLLIN
                | EpollFlags::EPOLLOUT
                | EpollFlags::EPOLLRDHUP
                | EpollFlags::EPOLLET;
            epoll.add(&exchange.socket, EpollEvent::new(interest, token)).context("watching")?;
            self.exchanges.insert(token, exchange);
        }
    }

    fn turn(&mut self, token: u64) {
        let Some(exchange) = self.exchanges.get_mut(&token) else { return };
        if exchange.turn(self.protocol, &self.answer, &mut self.buffer) == Progress::Over {
            self.exchanges.remove(&token);
        }
    }
}

impl Exchange {
    /// Sends and reads until the socket would block or the connection is over. No descriptor is
    /// set non-blocking; every call says so itself, which spares a system call per connection.
    fn turn(&mut self, protocol: Protocol, answer: &Rc<[u8]>, buffer: &mut [u8]) -> Progress {
        loop {
            if let Some((bytes, sent)) = &mut self.sending {
                let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
                match send(self.socket.as_raw_fd(), &bytes[*sent..], flags) {
                    Ok(length) => *sent += length,
                    Err(Errno::EAGAIN) => return Progress::Waiting,
                    Err(_) => return Progress::Over,
                }
                if *sent < bytes.len() {
                    continue;
                }
                self.sending = None;
                if self.close_after {
                    return Progress::Over;
                }
            }
            match recv(self.socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(length) if self.body_left > 0 && length > 0 => {
                    self.body_left = self.body_left.saturating_sub(length);
                }
                Ok(length) if length > 0 => {
                    self.request.extend_from_slice(&buffer[..length]);
                    self.body_left = self.await_body(protocol);
                }
                Err(Errno::EAGAIN) => return Progress::Waiting,
                Ok(_) | Err(_) => return Progress::Over,
            }
            if self.body_left > 0 {
                continue;
            }
            if self.is_upgraded {
                self.sending = websocket::echo(&mut self.request).map(|frames| (frames.into(), 0));
            } else if request_length(protocol, &self.request).is_some() {
                self.answer_request(protocol, answer);
            } else if self.request.len() > REQUEST_BYTES_MAX {
                return Progress::Over;
            }
        }
    }

    /// How much of a body must come before the answer, once the head is there; what has come of it is
    /// dropped.
    fn await_body(&mut self, protocol: Protocol) -> usize {
        if protocol != Protocol::Http || self.is_upgraded {
            return 0;
        }
        let Some(head) = request_length(protocol, &self.request) else { return 0 };
        let body_bytes = content_length(&self.request[..head]);
        let left = (head + body_bytes).saturating_sub(self.request.len());
        if body_bytes > 0 {
            self.request.truncate(head);
        }
        left
    }

    fn answer_request(&mut self, protocol: Protocol, answer_bytes: &Rc<[u8]>) {
        if protocol == Protocol::Http && websocket::is_handshake(&self.request) {
            self.is_upgraded = true;
            self.sending = Some((websocket::ACCEPTED.into(), 0));
            self.request.clear();
            return;
        }
        let echo = contains(&self.request, ECHO_PATH.as_bytes());
        self.close_after = protocol == Protocol::Uwsgi
            || contains(&self.request, b"\r\nConnection: close\r\n")
            || contains(&self.request, b"\r\nconnection: close\r\n");
        let answer_bytes = match (echo, protocol) {
            (false, _) => Rc::clone(answer_bytes),
            (true, Protocol::Http) => answer(&self.request).into(),
            (true, Protocol::Uwsgi) => answer(&describe_packet(&self.request)).into(),
        };
        self.sending = Some((answer_bytes, 0));
        self.request.clear();
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Length of the complete request at the start of `bytes`.
fn request_length(protocol: Protocol, bytes: &[u8]) -> Option<usize> {
    match protocol {
        Protocol::Http => {
            bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
        }
        Protocol::Uwsgi => {
            // modifier1, body length as little-endian u16, modifier2.
            let (header, rest) = bytes.split_first_chunk::<4>()?;
            let length = usize::from(u16::from_le_bytes([header[1], header[2]]));
            (rest.len() >= length).then_some(4 + length)
        }
    }
}

/// The length of the body that a head announces.
fn content_length(head: &[u8]) -> usize {
    // Only uploads begin like this: others pay one comparison.
    if !head.starts_with(b"POST ") {
        return 0;
    }
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let field = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    field.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

/// The variables of a uwsgi packet, one `KEY=VALUE` per line.
fn describe_packet(packet: &[u8]) -> Vec<u8> {
    let mut lines = Vec::new();
    let mut rest = packet.get(4..).unwrap_or_default();
    while let Some((key, after_key)) = take_string(rest) {
        let Some((value, after_value)) = take_string(after_key) else { break };
        lines.extend_from_slice(&[key, b"=", value, b"\n"].concat());
        rest = after_value;
    }
    lines
}

fn take_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))
}

/// A complete response, head and body in one piece, with the fields a usual application sends.
fn answer(body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Cache-Control: no-store\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn listen(address: &str) -> Result<Socket> {
    let (domain, address): (_, SockAddr) = match address.parse::<SocketAddr>() {
        Ok(address) => (Domain::for_address(address), address.into()),
        Err(_) => (Domain::UNIX, SockAddr::unix(PathBuf::from(address)).context("socket path")?),
    };
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new_raw(domain, kind, None).context("creating the listener")?;
    if domain != Domain::UNIX {
        socket.set_reuse_address(true).context("allowing the address to be bound again")?;
    }
    socket.bind(&address).context("binding the listener")?;
    socket.listen(BACKLOG).context("listening")?;
    Ok(socket)
}

const LISTENER_TOKEN: u64 = u64::MAX;
const PARENT_TOKEN: u64 = u64::MAX - 1;
const BACKLOG: i32 = 4096;
const EVENTS_MAX: usize = 256;
const READ_BYTES: usize = 64 * 1024;
const REQUEST_BYTES_MAX: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_announces_its_body() {
        let upload = b"POST / HTTP/1.1\r\nContent-Length: 1048576\r\n\r\n";
        assert_eq!(content_length(upload), 1 << 20);
        assert_eq!(content_length(b"GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n"), 0);
    }

    #[test]
    fn a_request_is_complete_only_with_its_last_byte() {
        let http = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let uwsgi = b"\x00\x06\x00\x00\x01\x00A\x01\x00B";
        for (protocol, bytes) in [(Protocol::Http, &http[..]), (Protocol::Uwsgi, &uwsgi[..])] {
            for cut in 0..bytes.len() {
                assert_eq!(request_length(protocol, &bytes[..cut]), None, "{protocol:?} {cut}");
            }
            assert_eq!(request_length(protocol, bytes), Some(bytes.len()));
        }
        assert_eq!(describe_packet(uwsgi), b"A=B\n");
    }
}
