//! The load generator: one thread, one epoll, a fixed set of connections.
//!
//! Closed loop: each connection sends its next request as soon as the last response is complete, so
//! the proxy sets the pace. Open loop: requests are due at fixed instants and latency counts from
//! the instant a request was due, so a stall is charged to every request it delayed (no
//! coordinated omission). Only complete, correct responses count as requests; everything else
//! is an error by kind. It knows no proxy and reads no `/proc`: the caller's `mark` does that at
//! the edges of the measured window.

pub mod connection;
pub mod h2load;
pub mod handshakes;
pub mod idle;
pub mod packets;
pub mod response;
pub mod tally;
#[cfg(test)]
mod tests;
pub mod websocket;
mod window;
pub mod wire;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use connection::{Connection, Step};
use tally::{Failure, Tally};
use window::Load;

/// What to send, on how many connections, and for how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The proxy's listener.
    pub target: SocketAddr,
    /// The bytes of one request.
    pub request: Vec<u8>,
    /// Length every response's body must have.
    pub body_bytes: u64,
    /// Length of the bodies that count: the responses', or the requests' where those are big.
    pub moved_bytes: u64,
    /// Connections open at once.
    pub connections: usize,
    /// What a connection is used for.
    pub reuse: Reuse,
    /// Who sets the pace.
    pub pace: Pace,
    /// Load before the window; not counted.
    pub warmup: Duration,
    /// Length of the counted window.
    pub window: Duration,
}

/// How many requests a connection carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reuse {
    /// As many as the proxy allows.
    KeepAlive,
    /// One; the request must ask for `Connection: close`.
    OneRequest,
}

/// Who decides when a request is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// The last response.
    Closed,
    /// A clock: this many requests per second over all connections.
    Open {
        /// Requests per second.
        rate: f64,
    },
}

/// Edge of the measured window.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mark {
    /// Counting starts when the callback returns.
    Opens,
    /// Counting has ended.
    Closes,
}

/// Runs the plan on the calling thread.
///
/// # Errors
/// When stopped from outside, when epoll fails, when `mark` fails, or past [`ERRORS_MAX`] errors.
/// Single failed requests are not an `Err`; they are in the tally.
pub fn run(plan: &Plan, stop: &AtomicBool, mark: impl FnMut(Mark) -> Result<()>) -> Result<Tally> {
    let mut generator = Generator::new(plan)?;
    let begun = Instant::now();
    generator.schedule.start(begun)?;
    generator.housekeep(begun);
    window::measure(generator, plan, stop, mark)
}

struct Generator<'p> {
    plan: &'p Plan,
    epoll: Epoll,
    connections: Vec<Connection>,
    /// Shared by all connections: only the bytes of an unfinished head are ever kept.
    buffer: Vec<u8>,
    schedule: Schedule,
    tally: Tally,
    housekept: Instant,
}

/// When the next open-loop request is due, and which connections are free to carry it.
struct Schedule {
    begun: Instant,
    interval: Option<Duration>,
    sent: u32,
    free: Vec<usize>,
    timer: Option<TimerFd>,
}

impl Load for Generator<'_> {
    fn turn_until(&mut self, end: Instant, stop: &AtomicBool) -> Result<()> {
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        loop {
            let ready = match self.epoll.wait(&mut events, WAIT_MS) {
                Ok(ready) => ready,
                Err(Errno::EINTR) => 0,
                Err(error) => return Err(error).context("waiting for events"),
            };
            for event in &events[..ready] {
                self.turn(*event);
            }
            let now = Instant::now();
            self.send_due(now);
            if now - self.housekept >= HOUSEKEEPING {
                self.housekeep(now);
            }
            anyhow::ensure!(!stop.load(Ordering::Relaxed), "stopped");
            anyhow::ensure!(
                self.tally.errors() <= ERRORS_MAX,
                "gave up after too many errors: {}",
                self.tally.describe_errors()
            );
            if now >= end {
                return Ok(());
            }
        }
    }

    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }
}

impl<'p> Generator<'p> {
    fn new(plan: &'p Plan) -> Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).context("creating an epoll")?;
        let schedule = Schedule::new(plan.pace)?;
        if let Some(timer) = &schedule.timer {
            epoll
                .add(timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER_TOKEN))
                .context("watching the pace timer")?;
        }
        Ok(Self {
            plan,
            epoll,
            connections: (0..plan.connections).map(|_| Connection::closed()).collect(),
            buffer: vec![0; READ_BYTES],
            schedule,
            tally: Tally::new()?,
            housekept: Instant::now(),
        })
    }

    fn turn(&mut self, event: EpollEvent) {
        if event.data() == TIMER_TOKEN {
            if let Some(timer) = &self.schedule.timer {
                // Only re-arms it; the clock says what is due.
                let _ = timer.wait();
            }
            return;
        }
        let Ok(index) = usize::try_from(event.data()) else { return };
        let hangup = EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR;
        let to_the_end = event.events().intersects(hangup);
        let connection = &mut self.connections[index];
        match connection.advance(self.plan, &mut self.buffer, to_the_end) {
            Ok(Step::Waiting) => {}
            Ok(Step::Complete { started }) => {
                self.tally.record(started.elapsed(), self.plan.moved_bytes);
                self.go_on(index);
            }
            Ok(Step::ClosedIdle { started }) => {
                // Legal between two requests (RFC 9112 section 9.5): send it again elsewhere.
                self.tally.reconnects += 1;
                match started {
                    Some(started) => self.begin(index, started),
                    None => self.connections[index].close(),
                }
            }
            Ok(Step::ClosedAfterResponse { completed }) => {
                if let Some(started) = completed {
                    self.tally.record(started.elapsed(), self.plan.moved_bytes);
                }
                self.connections[index].close();
                self.go_on(index);
            }
            Err(failure) => self.fail(index, failure),
        }
    }

    /// What a connection does after a complete response.
    fn go_on(&mut self, index: usize) {
        if self.connections[index].is_awaiting_close() {
            return;
        }
        match self.plan.pace {
            Pace::Closed => self.begin(index, Instant::now()),
            Pace::Open { .. } => self.schedule.free.push(index),
        }
    }

    /// Sends a request that was due at `started`, connecting first where needed.
    fn begin(&mut self, index: usize, started: Instant) {
        let connection = &mut self.connections[index];
        if let Err(failure) = connection.begin(self.plan, &self.epoll, index as u64, started) {
            self.fail(index, failure);
        }
    }

    /// The connection rests until the next housekeeping: a dead proxy is not hammered.
    fn fail(&mut self, index: usize, failure: Failure) {
        self.connections[index].close();
        self.tally.fail(failure);
    }

    fn send_due(&mut self, now: Instant) {
        while let Some(due) = self.schedule.due().filter(|due| *due <= now) {
            let Some(index) = self.schedule.free.pop() else { return };
            self.schedule.sent += 1;
            self.begin(index, due);
        }
    }

    /// Fails what waited too long and revives connections that rest after a failure.
    fn housekeep(&mut self, now: Instant) {
        self.housekept = now;
        for index in 0..self.connections.len() {
            if self.connections[index].is_overdue(now, RESPONSE_WAIT) {
                self.fail(index, Failure::TimedOut);
            } else if self.connections[index].is_closed() && !self.schedule.free.contains(&index) {
                self.go_on(index);
            }
        }
    }
}

impl Schedule {
    fn new(pace: Pace) -> Result<Self> {
        let begun = Instant::now();
        let Pace::Open { rate } = pace else {
            return Ok(Self { begun, interval: None, sent: 0, free: Vec::new(), timer: None });
        };
        anyhow::ensure!(rate > 0.0 && rate <= RATE_MAX, "rate must be above 0, at most {RATE_MAX}");
        let interval = Duration::from_secs_f64(1.0 / rate);
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK)
            .context("creating the pace timer")?;
        let free = Vec::new();
        Ok(Self { begun, interval: Some(interval), sent: 0, free, timer: Some(timer) })
    }

    /// Begins to count. The timer ticks just after each request is due: a tick just before would
    /// send every request one interval late.
    fn start(&mut self, begun: Instant) -> Result<()> {
        self.begun = begun;
        if let (Some(timer), Some(interval)) = (&self.timer, self.interval) {
            let tick = TimeSpec::from_duration(interval.max(TICK_MIN));
            let first = TimeSpec::from_duration(TICK_DELAY);
            timer
                .set(Expiration::IntervalDelayed(first, tick), TimerSetTimeFlags::empty())
                .context("arming the pace timer")?;
        }
        Ok(())
    }

    /// The instant the next request is due; `None` in a closed loop.
    fn due(&self) -> Option<Instant> {
        self.interval.map(|interval| self.begun + interval * self.sent)
    }
}

/// How long after a request is due the timer ticks.
const TICK_DELAY: Duration = Duration::from_micros(20);
/// Errors after which a run is pointless.
pub const ERRORS_MAX: u64 = 10_000;
/// A request without a complete response after this long has failed.
const RESPONSE_WAIT: Duration = Duration::from_secs(5);
/// How often overdue and resting connections are looked at.
const HOUSEKEEPING: Duration = Duration::from_millis(50);
/// Longest wait for events: bounds how late the window's edge and a stop are seen.
const WAIT_MS: u8 = 10;
const EVENTS_MAX: usize = 256;
const READ_BYTES: usize = 256 * 1024;
const TIMER_TOKEN: u64 = u64::MAX;
/// Requests due within one tick leave together; finer timers would only cost CPU.
const TICK_MIN: Duration = Duration::from_micros(100);
const RATE_MAX: f64 = 1_000_000.0;
