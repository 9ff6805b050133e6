//! One client connection of the load generator, as a small state machine over a non-blocking socket.
//!
//! It is registered edge-triggered once. A read shorter than the buffer means the socket is empty,
//! so most responses cost one read. Flags of an event are only hints: a stale one leads to a read
//! that would block, never to an error.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use socket2::{Domain, Socket, Type};

use super::response;
use super::tally::Failure;
use super::{Plan, Reuse};

/// A connection and how far its exchange is.
#[derive(Debug)]
pub struct Connection {
    socket: Option<Socket>,
    phase: Phase,
    /// Bytes of the request under way that are sent.
    sent: usize,
    /// When the request under way was sent or due.
    started: Instant,
    /// Bytes of a head that came in pieces.
    head: Vec<u8>,
    served: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Closed,
    Connecting,
    /// A part of the request is sent.
    Sending,
    AwaitingHead,
    ReadingBody {
        left: u64,
        persistent: bool,
    },
    /// The response is complete and said it is the last one; the proxy closes first.
    AwaitingClose,
    /// Open and without a request.
    Idle,
}

/// How an event ended.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// More must come.
    Waiting,
    /// A response is complete.
    Complete {
        /// When its request was sent or due.
        started: Instant,
    },
    /// The proxy closed a kept-alive connection before answering anything of the request under way.
    ClosedIdle {
        /// When that request was sent or due; `None` where there was none.
        started: Option<Instant>,
    },
    /// The proxy closed after the last response, as it should.
    ClosedAfterResponse {
        /// Set when that response became complete in this very step.
        completed: Option<Instant>,
    },
}

impl Connection {
    /// A connection that is not open yet.
    pub fn closed() -> Self {
        Self {
            socket: None,
            phase: Phase::Closed,
            sent: 0,
            started: Instant::now(),
            head: Vec::new(),
            served: 0,
        }
    }

    /// Whether there is no socket.
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Whether it only waits for the proxy to close.
    pub fn is_awaiting_close(&self) -> bool {
        self.phase == Phase::AwaitingClose
    }

    /// Whether a request has been under way for longer than `wait`.
    pub fn is_overdue(&self, now: Instant, wait: Duration) -> bool {
        !matches!(self.phase, Phase::Closed | Phase::Idle)
            && now.saturating_duration_since(self.started) > wait
    }

    /// Drops the socket, which also ends its registration.
    pub fn close(&mut self) {
        self.socket = None;
        self.phase = Phase::Closed;
        self.head.clear();
        self.served = 0;
    }

    /// Sends a request, connecting first unless an idle connection is open.
    pub fn begin(
        &mut self,
        plan: &Plan,
        epoll: &Epoll,
        token: u64,
        started: Instant,
    ) -> Result<(), Failure> {
        self.started = started;
        self.sent = 0;
        if self.phase == Phase::Idle {
            return self.send(&plan.request);
        }
        self.close();
        let socket = connect(plan).map_err(|_| Failure::Connect)?;
        let interest = EpollFlags::EPOLLIN
            | EpollFlags::EPOLLOUT
            | EpollFlags::EPOLLRDHUP
            | EpollFlags::EPOLLET;
        epoll.add(&socket, EpollEvent::new(interest, token)).map_err(|_| Failure::Connect)?;
        self.socket = Some(socket);
        self.phase = Phase::Connecting;
        Ok(())
    }

    /// Goes as far as the socket allows. `to_the_end` reads on after a short read, because the
    /// event also told of a hang-up.
    pub fn advance(
        &mut self,
        plan: &Plan,
        buffer: &mut [u8],
        to_the_end: bool,
    ) -> Result<Step, Failure> {
        if matches!(self.phase, Phase::Connecting | Phase::Sending) {
            self.send(&plan.request)?;
            if self.phase != Phase::AwaitingHead {
                return Ok(Step::Waiting);
            }
        }
        let mut completed = None;
        loop {
            let Some(mut socket) = self.socket.as_ref() else { return Ok(Step::Waiting) };
            let length = match socket.read(buffer) {
                Ok(0) => return self.closed_by_proxy(completed),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Ok(
                        completed.map_or(Step::Waiting, |started| Step::Complete { started })
                    );
                }
                Err(_) if self.phase == Phase::AwaitingClose => {
                    return self.closed_by_proxy(completed);
                }
                Err(_) => return Err(Failure::Read),
            };
            if self.absorb(&buffer[..length], plan)? {
                completed = Some(self.started);
            }
            let last_expected = self.phase == Phase::AwaitingClose;
            if length < buffer.len() && !to_the_end && !last_expected {
                return Ok(completed.map_or(Step::Waiting, |started| Step::Complete { started }));
            }
        }
    }

    /// Takes in bytes of a response; true when it became complete.
    fn absorb(&mut self, bytes: &[u8], plan: &Plan) -> Result<bool, Failure> {
        match self.phase {
            Phase::AwaitingHead if self.head.is_empty() => {
                let Some(head) = response::head(bytes)? else {
                    self.head.extend_from_slice(bytes);
                    return Ok(false);
                };
                self.accept(head, bytes.len(), plan)
            }
            Phase::AwaitingHead => {
                self.head.extend_from_slice(bytes);
                let Some(head) = response::head(&self.head)? else { return Ok(false) };
                let received = self.head.len();
                self.accept(head, received, plan)
            }
            Phase::ReadingBody { left, persistent } => {
                self.take_body(left, bytes.len() as u64, persistent, plan)
            }
            // Bytes nobody asked for.
            _ => Err(Failure::BadBody),
        }
    }

    fn accept(
        &mut self,
        head: response::Head,
        received: usize,
        plan: &Plan,
    ) -> Result<bool, Failure> {
        self.head.clear();
        if head.body_bytes != plan.body_bytes {
            return Err(Failure::BadBody);
        }
        let body_received = received.saturating_sub(head.head_bytes) as u64;
        self.take_body(head.body_bytes, body_received, head.persistent, plan)
    }

    fn take_body(
        &mut self,
        left: u64,
        received: u64,
        persistent: bool,
        plan: &Plan,
    ) -> Result<bool, Failure> {
        let left = left.checked_sub(received).ok_or(Failure::BadBody)?;
        if left > 0 {
            self.phase = Phase::ReadingBody { left, persistent };
            return Ok(false);
        }
        self.served += 1;
        let last = plan.reuse == Reuse::OneRequest || !persistent;
        self.phase = if last { Phase::AwaitingClose } else { Phase::Idle };
        Ok(true)
    }

    fn closed_by_proxy(&mut self, completed: Option<Instant>) -> Result<Step, Failure> {
        let (phase, served) = (self.phase, self.served);
        let unanswered = phase == Phase::AwaitingHead && self.head.is_empty();
        self.close();
        match phase {
            Phase::AwaitingClose => Ok(Step::ClosedAfterResponse { completed }),
            Phase::Idle if completed.is_some() => Ok(Step::ClosedAfterResponse { completed }),
            Phase::Idle => Ok(Step::ClosedIdle { started: None }),
            _ if unanswered && served > 0 => Ok(Step::ClosedIdle { started: Some(self.started) }),
            _ => Err(Failure::ClosedEarly),
        }
    }

    /// Writes the request as far as it goes; leaves the phase alone while the connection is not
    /// established.
    fn send(&mut self, request: &[u8]) -> Result<(), Failure> {
        loop {
            let Some(mut socket) = self.socket.as_ref() else { return Err(Failure::Connect) };
            match socket.write(request.get(self.sent..).unwrap_or_default()) {
                Ok(length) => {
                    self.sent += length;
                    self.phase = Phase::Sending;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(_) if self.phase == Phase::Connecting => return Err(Failure::Connect),
                Err(_) => return Err(Failure::Write),
            }
            if self.sent >= request.len() {
                self.phase = Phase::AwaitingHead;
                return Ok(());
            }
        }
    }
}

/// A non-blocking socket on its way to the proxy.
fn connect(plan: &Plan) -> std::io::Result<Socket> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new_raw(Domain::for_address(plan.target), kind, None)?;
    match socket.connect(&plan.target.into()) {
        Err(error) if error.raw_os_error() != Some(nix::libc::EINPROGRESS) => Err(error),
        _ => Ok(socket),
    }
}
