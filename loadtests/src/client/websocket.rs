//! WebSockets: opened once, then small messages that come back, or rest.
//!
//! Messages are masked as RFC 6455 wants of a client. One thread, one epoll; a connection sends its next
//! message when the last one is back.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use super::tally::{Failure, Tally};
use super::window::{self, Load};
use super::wire::{Dial, Wire};
use super::{ERRORS_MAX, Mark, Plan};

/// Length of a message.
pub const MESSAGE_BYTES: usize = 32;

/// The request that opens a WebSocket, with the key of RFC 6455 section 1.3.
pub fn request(host: &str) -> Vec<u8> {
    format!(
        "GET /socket HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    .into_bytes()
}

/// Opens one and sends a message over it, which must come back.
pub fn open(dial: &Dial, request: &[u8]) -> Result<Wire> {
    let mut wire = dial.connect()?;
    wire.write_all(request).context("asking for a WebSocket")?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        wire.read_exact(&mut byte).context("reading the answer")?;
        head.push(byte[0]);
    }
    let line = String::from_utf8_lossy(&head);
    anyhow::ensure!(line.starts_with("HTTP/1.1 101 "), "answered {:?}", line.lines().next());
    wire.write_all(&message()).context("sending a message")?;
    let mut back = vec![0; answer().len()];
    wire.read_exact(&mut back).context("reading a message")?;
    anyhow::ensure!(back == answer(), "another message came back");
    Ok(wire)
}

/// A text frame, masked.
fn message() -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | MESSAGE_BYTES as u8];
    frame.extend_from_slice(&MASK);
    frame.extend((0..MESSAGE_BYTES).map(|at| b'm' ^ MASK[at % 4]));
    frame
}

/// The same from a server: not masked.
fn answer() -> Vec<u8> {
    let mut frame = vec![0x81, MESSAGE_BYTES as u8];
    frame.resize(frame.len() + MESSAGE_BYTES, b'm');
    frame
}

struct Socket {
    stream: TcpStream,
    started: Instant,
    received: usize,
}

/// Runs the plan with messages instead of requests, as [`super::run`].
///
/// # Errors
/// As [`super::run`]; also when a WebSocket cannot be opened.
pub fn run(
    plan: &Plan,
    dial: &Dial,
    stop: &AtomicBool,
    mark: impl FnMut(Mark) -> Result<()>,
) -> Result<Tally> {
    let mut echo = Echo {
        epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).context("creating an epoll")?,
        sockets: Vec::new(),
        message: message(),
        answer: answer(),
        tally: Tally::new()?,
    };
    for token in 0..plan.connections {
        let Wire::Plain(stream) = open(dial, &plan.request)? else {
            anyhow::bail!("WebSockets are measured without TLS");
        };
        stream.set_nonblocking(true).context("not blocking")?;
        echo.epoll
            .add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, token as u64))
            .context("watching a WebSocket")?;
        echo.sockets.push(Some(Socket { stream, started: Instant::now(), received: 0 }));
        echo.send(token);
    }
    window::measure(echo, plan, stop, mark)
}

struct Echo {
    epoll: Epoll,
    sockets: Vec<Option<Socket>>,
    message: Vec<u8>,
    answer: Vec<u8>,
    tally: Tally,
}

impl Load for Echo {
    fn turn_until(&mut self, end: Instant, stop: &AtomicBool) -> Result<()> {
        let mut events = [EpollEvent::empty(); 64];
        while Instant::now() < end {
            let ready = match self.epoll.wait(&mut events, 10u8) {
                Ok(ready) => ready,
                Err(Errno::EINTR) => 0,
                Err(error) => return Err(error).context("waiting for messages"),
            };
            for event in &events[..ready] {
                self.receive(usize::try_from(event.data()).unwrap_or(usize::MAX));
            }
            anyhow::ensure!(!stop.load(Ordering::Relaxed), "stopped");
            let errors = self.tally.errors();
            anyhow::ensure!(errors <= ERRORS_MAX, "{}", self.tally.describe_errors());
        }
        Ok(())
    }

    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }
}

impl Echo {
    fn receive(&mut self, token: usize) {
        let Some(Some(socket)) = self.sockets.get_mut(token) else { return };
        let mut buffer = [0; 256];
        match socket.stream.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Ok(length) if length > 0 => {
                let expected = self.answer.get(socket.received..socket.received + length);
                if expected != buffer.get(..length) {
                    return self.fail(token, Failure::BadBody);
                }
                socket.received += length;
                if socket.received == self.answer.len() {
                    self.tally.record(socket.started.elapsed(), MESSAGE_BYTES as u64);
                    self.send(token);
                }
            }
            Ok(_) | Err(_) => self.fail(token, Failure::ClosedEarly),
        }
    }

    fn send(&mut self, token: usize) {
        let Some(Some(socket)) = self.sockets.get_mut(token) else { return };
        (socket.started, socket.received) = (Instant::now(), 0);
        if socket.stream.write_all(&self.message).is_err() {
            self.fail(token, Failure::Write);
        }
    }

    fn fail(&mut self, token: usize, failure: Failure) {
        self.sockets[token] = None;
        self.tally.fail(failure);
    }
}

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
