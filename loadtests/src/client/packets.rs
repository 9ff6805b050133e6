//! uwsgi packets as load: connect, send one as nginx would, read the answer to its end, again.
//!
//! One thread, one epoll. The answer must be complete and of the right length before the router closes;
//! nothing else counts.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use super::tally::{Failure, Tally};
use super::window::{self, Load};
use super::wire::WAIT;
use super::{ERRORS_MAX, Mark, Plan, response};
use crate::scenario::HOST;

/// A packet for `target`, with the variables that nginx's `uwsgi_params` and a browser-like client give.
pub fn packet(target: &str) -> Vec<u8> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let variables = [
        ("QUERY_STRING", query),
        ("REQUEST_METHOD", "GET"),
        ("CONTENT_TYPE", ""),
        ("CONTENT_LENGTH", ""),
        ("REQUEST_URI", target),
        ("PATH_INFO", path),
        ("DOCUMENT_ROOT", "/usr/share/nginx/html"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("REQUEST_SCHEME", "http"),
        ("REMOTE_ADDR", "203.0.113.7"),
        ("REMOTE_PORT", "55068"),
        ("SERVER_PORT", "80"),
        ("SERVER_NAME", HOST),
        ("HTTP_HOST", HOST),
        ("HTTP_USER_AGENT", "loadtests/1"),
        ("HTTP_ACCEPT", "*/*"),
        ("HTTP_COOKIE", "session=0123456789abcdef"),
    ];
    let mut body = Vec::new();
    for text in variables.into_iter().flat_map(|(name, value)| [name, value]) {
        body.extend_from_slice(&(text.len() as u16).to_le_bytes());
        body.extend_from_slice(text.as_bytes());
    }
    let length = (body.len() as u16).to_le_bytes();
    [&[0, length[0], length[1], 0], &body[..]].concat()
}

/// One packet, and the body of the answer.
pub fn exchange(router: &Path, packet: &[u8]) -> Result<Vec<u8>> {
    let mut stream = UnixStream::connect(router).context("connecting")?;
    stream.set_read_timeout(Some(WAIT)).context("setting the read timeout")?;
    stream.write_all(packet).context("sending a packet")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).context("reading the answer")?;
    let head = response::head(&bytes)?.context("the answer is cut")?;
    let body = bytes.split_off(head.head_bytes);
    anyhow::ensure!(body.len() as u64 == head.body_bytes, "the body is cut");
    Ok(body)
}

/// Runs the plan with packets to `router` instead of requests, as [`super::run`].
///
/// # Errors
/// As [`super::run`].
pub fn run(
    plan: &Plan,
    router: &Path,
    stop: &AtomicBool,
    mark: impl FnMut(Mark) -> Result<()>,
) -> Result<Tally> {
    let mut generator = Generator {
        plan,
        router,
        epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).context("creating an epoll")?,
        exchanges: (0..plan.connections).map(|_| None).collect(),
        tally: Tally::new()?,
    };
    generator.revive();
    window::measure(generator, plan, stop, mark)
}

struct Generator<'p> {
    plan: &'p Plan,
    router: &'p Path,
    epoll: Epoll,
    exchanges: Vec<Option<Exchange>>,
    tally: Tally,
}

struct Exchange {
    stream: UnixStream,
    started: Instant,
    answer: Vec<u8>,
}

impl Load for Generator<'_> {
    fn turn_until(&mut self, end: Instant, stop: &AtomicBool) -> Result<()> {
        let mut events = [EpollEvent::empty(); 64];
        while Instant::now() < end {
            let ready = match self.epoll.wait(&mut events, 10u8) {
                Ok(ready) => ready,
                Err(Errno::EINTR) => 0,
                Err(error) => return Err(error).context("waiting for answers"),
            };
            for event in &events[..ready] {
                self.receive(usize::try_from(event.data()).unwrap_or(usize::MAX));
            }
            if ready == 0 {
                self.revive();
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

impl Generator<'_> {
    /// Begins on every connection that has nothing to do, and gives up what waits too long.
    fn revive(&mut self) {
        for token in 0..self.exchanges.len() {
            let overdue = |exchange: &Exchange| exchange.started.elapsed() > WAIT;
            if self.exchanges[token].as_ref().is_some_and(overdue) {
                self.tally.fail(Failure::TimedOut);
                self.exchanges[token] = None;
            }
            if self.exchanges[token].is_none() {
                self.begin(token);
            }
        }
    }

    fn begin(&mut self, token: usize) {
        match self.send(token) {
            Ok(exchange) => self.exchanges[token] = Some(exchange),
            // It rests until nothing else happens: a dead router is not hammered.
            Err(failure) => self.tally.fail(failure),
        }
    }

    fn send(&self, token: usize) -> Result<Exchange, Failure> {
        let started = Instant::now();
        let mut stream = UnixStream::connect(self.router).map_err(|_| Failure::Connect)?;
        stream.set_nonblocking(true).map_err(|_| Failure::Connect)?;
        stream.write_all(&self.plan.request).map_err(|_| Failure::Write)?;
        let readable = EpollEvent::new(EpollFlags::EPOLLIN, token as u64);
        self.epoll.add(&stream, readable).map_err(|_| Failure::Connect)?;
        Ok(Exchange { stream, started, answer: Vec::new() })
    }

    fn receive(&mut self, token: usize) {
        let Some(Some(exchange)) = self.exchanges.get_mut(token) else { return };
        let mut buffer = [0; 16 * 1024];
        let outcome = loop {
            match exchange.stream.read(&mut buffer) {
                Ok(0) => break judge(&exchange.answer, self.plan.body_bytes),
                Ok(length) => {
                    exchange.answer.extend_from_slice(buffer.get(..length).unwrap_or_default());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => break Err(Failure::Read),
            }
        };
        let started = exchange.started;
        self.exchanges[token] = None;
        match outcome {
            Ok(()) => self.tally.record(started.elapsed(), self.plan.moved_bytes),
            Err(failure) => self.tally.fail(failure),
        }
        self.begin(token);
    }
}

/// Whether an answer that has ended was the right one.
fn judge(answer: &[u8], body_bytes: u64) -> Result<(), Failure> {
    let head = response::head(answer)?.ok_or(Failure::ClosedEarly)?;
    let received = (answer.len() - head.head_bytes) as u64;
    if received < head.body_bytes {
        return Err(Failure::ClosedEarly);
    }
    if received != body_bytes { Err(Failure::BadBody) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_says_its_length_and_is_as_long_as_those_of_nginx() {
        let packet = packet("/shop/item?id=42");
        let said = usize::from(u16::from_le_bytes([packet[1], packet[2]]));
        assert_eq!(said + 4, packet.len());
        assert!((380..460).contains(&packet.len()), "{}", packet.len());
    }

    #[test]
    fn an_answer_cut_or_too_long_is_no_success() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        assert_eq!(judge(answer, 5), Ok(()));
        assert_eq!(judge(&answer[..answer.len() - 1], 5), Err(Failure::ClosedEarly));
        assert_eq!(judge(answer, 4), Err(Failure::BadBody));
        assert_eq!(judge(b"", 5), Err(Failure::ClosedEarly));
    }
}
