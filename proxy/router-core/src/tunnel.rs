//! Opaque bytes both ways, once two sides agreed to speak something else.
//!
//! Two pumps run independently: a side that sends nothing does not slow the other, and a side that has
//! finished sending is told to the other by a half-close. Nothing is parsed. While a direction is
//! idle it holds no buffer, or the smallest one ([`crate::pulse`]). Once that is filled, what else is
//! there moves in a [`burst`] between two sockets, or a large buffer is taken where TLS or a stream is
//! on a side.

use std::{
    cell::Cell,
    future::{Future, poll_fn, ready},
    io,
    os::fd::RawFd,
    pin::pin,
    rc::Rc,
    task::Poll,
    time::Duration,
};

use crate::{
    buffer::{self, Use},
    burst::{self, Burst, Window},
    deadline::{Half, Watch},
    io::{ReadHalf, WriteHalf},
    pulse::Pulse,
    termination::{Phase, Side as FaultOf, Termination},
};

/// Longest silence once one side has finished sending: the other is expected to follow.
const HALF_CLOSED_IDLE_MAX: Duration = Duration::from_secs(60);

/// Where a pump takes bytes from.
pub trait Source {
    /// Waits without a buffer until a read has something to say, as [`ReadHalf::readable`] does. Where
    /// that cannot be known, the read waits.
    fn readable(&mut self) -> impl Future<Output = io::Result<()>> {
        ready(Ok(()))
    }
    /// Appends bytes to `buffer`; `Ok(0)` is the end of the stream or an expired deadline.
    fn read(&mut self, buffer: Vec<u8>) -> impl Future<Output = (io::Result<usize>, Vec<u8>)>;
    /// The deadlines of the connection.
    fn watch_handle(&self) -> Rc<Watch>;
    /// The socket, if its bytes are those of the source.
    fn socket(&self) -> Option<RawFd> {
        None
    }
    /// The idle time from now on, if what was read changes it.
    fn idle_limit(&self) -> Option<Duration> {
        None
    }
}

/// Where a pump puts them.
pub trait Sink {
    /// Sends all of `buffer`.
    fn write_all(&mut self, buffer: Vec<u8>) -> impl Future<Output = (io::Result<()>, Vec<u8>)>;
    /// The socket, if the bytes go there as they are.
    fn socket(&self) -> Option<RawFd> {
        None
    }
    /// Says that nothing more comes.
    fn finish(&mut self) -> impl Future<Output = io::Result<()>>;
}

impl Source for ReadHalf {
    fn readable(&mut self) -> impl Future<Output = io::Result<()>> {
        ReadHalf::readable(self)
    }

    async fn read(&mut self, buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        ReadHalf::read(self, buffer, usize::MAX).await
    }

    fn watch_handle(&self) -> Rc<Watch> {
        ReadHalf::watch_handle(self)
    }

    fn socket(&self) -> Option<RawFd> {
        Some(ReadHalf::socket(self))
    }
}

impl Sink for WriteHalf {
    async fn write_all(&mut self, buffer: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
        WriteHalf::write_all(self, buffer, 0).await
    }

    fn socket(&self) -> Option<RawFd> {
        Some(WriteHalf::socket(self))
    }

    async fn finish(&mut self) -> io::Result<()> {
        self.shutdown().await
    }
}

/// How a tunnel ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TunnelEnd {
    /// Both sides finished sending.
    Complete,
    /// Neither side sent anything for the idle time.
    Idle,
    /// The first pump's source or the second one's sink failed. Tunnels are begun with the client
    /// first.
    First,
    /// The second pump's source or the first one's sink failed.
    Second,
}

impl TunnelEnd {
    /// What the access log says of it.
    pub const fn termination(self) -> Termination {
        match self {
            Self::Complete => Termination::CLEAN,
            Self::Idle => Termination::new(FaultOf::ClientDeadline, Phase::Tunnel),
            Self::First => Termination::new(FaultOf::Client, Phase::Tunnel),
            Self::Second => Termination::new(FaultOf::Upstream, Phase::Tunnel),
        }
    }
}

/// When both directions are done.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Ends {
    /// Once each side has finished sending.
    #[default]
    Both,
    /// Once the second side has: what it sent was the answer. That it stops listening before is no
    /// failure.
    WithAnswer,
}

/// Deadlines of a tunnel.
#[derive(Clone, Copy, Debug)]
pub struct TunnelLimits {
    /// When it is done.
    pub ends: Ends,
    /// Longest silence of both sides together.
    pub idle: Duration,
    /// Longest time for one write to make progress.
    pub write_stall: Duration,
}

impl TunnelLimits {
    /// For a tunnel that is done once both sides have finished.
    pub const fn new(idle: Duration, write_stall: Duration) -> Self {
        Self { ends: Ends::Both, idle, write_stall }
    }
}

/// Bytes moved, readable while the tunnel runs.
#[derive(Debug, Default)]
pub struct TunnelBytes {
    /// From the first side.
    pub from_first: Cell<u64>,
    /// From the second side.
    pub from_second: Cell<u64>,
}

/// One of two connections.
pub struct Side<'a, R, W> {
    /// Its bytes.
    pub source: &'a mut R,
    /// The way to it.
    pub sink: &'a mut W,
}

/// Pumps until both sides are done, one fails, or both are silent for too long.
pub async fn run<R1: Source, W1: Sink, R2: Source, W2: Sink>(
    first: Side<'_, R1, W1>,
    second: Side<'_, R2, W2>,
    limits: TunnelLimits,
    bytes: &TunnelBytes,
) -> TunnelEnd {
    let clocks = Clocks {
        first: first.source.watch_handle(),
        second: second.source.watch_handle(),
        idle: Cell::new(limits.idle),
        write_stall: limits.write_stall,
    };
    clocks.touch();
    if limits.ends == Ends::Both {
        clocks.first.spare();
        clocks.second.spare();
    }
    let mut there =
        pin!(pump(first.source, second.sink, &clocks, &clocks.second, &bytes.from_first));
    let mut back =
        pin!(pump(second.source, first.sink, &clocks, &clocks.first, &bytes.from_second));
    let (mut there_done, mut back_done) = (false, false);
    poll_fn(|cx| {
        if !there_done && let Poll::Ready(ended) = there.as_mut().poll(cx) {
            match ended {
                PumpEnd::SourceFailed => return Poll::Ready(clocks.verdict(TunnelEnd::First)),
                // Only the answer is waited for, by its own time.
                PumpEnd::Finished | PumpEnd::SinkFailed if limits.ends == Ends::WithAnswer => {
                    there_done = true;
                }
                PumpEnd::Finished => there_done = clocks.half_closed(),
                PumpEnd::SinkFailed => return Poll::Ready(clocks.verdict(TunnelEnd::Second)),
            }
        }
        if !back_done && let Poll::Ready(ended) = back.as_mut().poll(cx) {
            match ended {
                PumpEnd::Finished => back_done = clocks.half_closed(),
                PumpEnd::SourceFailed => return Poll::Ready(clocks.verdict(TunnelEnd::Second)),
                PumpEnd::SinkFailed => return Poll::Ready(clocks.verdict(TunnelEnd::First)),
            }
        }
        let is_answered = back_done && limits.ends == Ends::WithAnswer;
        if (there_done && back_done) || is_answered {
            Poll::Ready(TunnelEnd::Complete)
        } else {
            Poll::Pending
        }
    })
    .await
}

/// The idle deadline, shared by both directions: a byte either way keeps the tunnel.
struct Clocks {
    first: Rc<Watch>,
    second: Rc<Watch>,
    idle: Cell<Duration>,
    write_stall: Duration,
}

impl Clocks {
    fn touch(&self) {
        self.first.arm(Half::Read, self.idle.get());
        self.second.arm(Half::Read, self.idle.get());
    }

    /// One direction is done, which it says by `true`.
    fn half_closed(&self) -> bool {
        self.idle.set(self.idle.get().min(HALF_CLOSED_IDLE_MAX));
        self.touch();
        true
    }

    fn verdict(&self, otherwise: TunnelEnd) -> TunnelEnd {
        let idle = [&self.first, &self.second].iter().any(|w| w.expired() == Some(Half::Read));
        if idle { TunnelEnd::Idle } else { otherwise }
    }
}

enum PumpEnd {
    Finished,
    SourceFailed,
    SinkFailed,
}

async fn pump<R: Source, W: Sink>(
    source: &mut R,
    sink: &mut W,
    clocks: &Clocks,
    sink_watch: &Watch,
    moved: &Cell<u64>,
) -> PumpEnd {
    let (mut pulse, mut window) = (Pulse::unheard(), Window::default());
    pulse.rest();
    loop {
        if source.readable().await.is_err() {
            return PumpEnd::SourceFailed;
        }
        let way = Way { clocks, sink_watch, moved, window: &mut window, pulse: &mut pulse };
        // Boxed, so that a direction that is silent carries none of it.
        match Box::pin(move_what_comes(source, sink, way)).await {
            Moved::Silent => {}
            Moved::Ended(end) => return end,
        }
    }
}

/// What a direction keeps in mind while it is silent.
struct Way<'a> {
    clocks: &'a Clocks,
    sink_watch: &'a Watch,
    moved: &'a Cell<u64>,
    window: &'a mut Window,
    pulse: &'a mut Pulse,
}

/// Why moving stopped.
enum Moved {
    /// Nothing is expected soon.
    Silent,
    /// Nothing will follow.
    Ended(PumpEnd),
}

/// Moves what is there and what follows soon.
async fn move_what_comes<R: Source, W: Sink>(source: &mut R, sink: &mut W, way: Way<'_>) -> Moved {
    let Way { clocks, sink_watch, moved, window, pulse } = way;
    let (mut size, mut held) = (Use::Head, None);
    loop {
        let (result, mut bytes) = source.read(buffer::take(size)).await;
        match result {
            // An expired deadline reads as the end, and must not be passed on as one.
            Ok(0) if source.watch_handle().expired().is_some() => {
                return Moved::Ended(PumpEnd::SourceFailed);
            }
            Ok(0) => {
                buffer::give(size, bytes);
                let finished = sink.finish().await;
                let end = finished.map_or(PumpEnd::SinkFailed, |()| PumpEnd::Finished);
                return Moved::Ended(end);
            }
            Ok(received) => moved.set(moved.get() + received as u64),
            Err(_) => return Moved::Ended(PumpEnd::SourceFailed),
        }
        drop(held);
        pulse.beat();
        if let Some(idle) = source.idle_limit() {
            clocks.idle.set(idle);
        }
        clocks.touch();
        let was_filled = bytes.len() == bytes.capacity();
        let mut blocked = None;
        let direct = source.socket().zip(sink.socket());
        if let Some((from, to)) = direct.filter(|_| was_filled) {
            let count = |received: usize| moved.set(moved.get() + received as u64);
            let sockets = burst::Way { source: from, sink: to };
            let burst = burst::run(sockets, &bytes, u64::MAX, window, count);
            buffer::give(size, std::mem::take(&mut bytes));
            match burst {
                Burst::Paused => {}
                Burst::Blocked(left, counted) => (bytes, blocked) = (left, Some(counted)),
                Burst::SourceFailed => return Moved::Ended(PumpEnd::SourceFailed),
                Burst::SinkFailed => return Moved::Ended(PumpEnd::SinkFailed),
            }
        }
        if !bytes.is_empty() {
            sink_watch.arm(Half::Write, clocks.write_stall);
            let result;
            (result, bytes) = sink.write_all(bytes).await;
            sink_watch.disarm(Half::Write);
            drop(blocked);
            buffer::give(size, bytes);
            if result.is_err() {
                return Moved::Ended(PumpEnd::SinkFailed);
            }
        }
        size = if was_filled && direct.is_none() { Use::Body } else { Use::Head };
        held = pulse.rest();
        if held.is_none() {
            return Moved::Silent;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        deadline,
        estate::Estate,
        io::{AcceptStop, Listener, sleep_ms, spawn},
        listener::Bound,
        runtime::{Driver, IoChoice, choose_driver, run as block_on},
    };

    const LIMITS: TunnelLimits = TunnelLimits {
        ends: Ends::Both,
        idle: Duration::from_secs(30),
        write_stall: Duration::from_secs(5),
    };

    /// Two connected sockets of this worker: the near halves, and the far ones as a plain stream.
    async fn pair() -> (ReadHalf, WriteHalf, std::net::TcpStream) {
        let any = "127.0.0.1:0".parse().unwrap();
        let bound = Bound::bind(&any, 1, &Estate::default()).unwrap();
        let address = bound.address.ip().unwrap();
        let socket = bound.into_worker_sockets().next().unwrap();
        let far = std::net::TcpStream::connect(address).unwrap();
        let listener: Listener = socket.into_listener().unwrap();
        let accepted = listener.accept(&AcceptStop::new()).await.unwrap();
        (accepted.read, accepted.write, far)
    }

    fn on_every_driver<F: Future<Output = ()>>(test: impl Fn() -> F) {
        for driver in [choose_driver(IoChoice::Auto).unwrap(), Driver::Epoll] {
            block_on(driver, test()).unwrap();
        }
    }

    #[test]
    fn bytes_pass_both_ways_and_each_half_close_is_passed_on() {
        use std::io::{Read, Write};
        on_every_driver(|| async {
            let (mut read1, mut write1, mut client) = pair().await;
            let (mut read2, mut write2, mut node) = pair().await;
            let peers = std::thread::spawn(move || {
                client.write_all(&[7; 300_000]).unwrap();
                client.shutdown(std::net::Shutdown::Write).unwrap();
                let mut got = Vec::new();
                node.read_to_end(&mut got).unwrap();
                node.write_all(b"answer").unwrap();
                drop(node);
                let mut answer = Vec::new();
                client.read_to_end(&mut answer).unwrap();
                (got.len(), answer)
            });
            let bytes = TunnelBytes::default();
            let first = Side { source: &mut read1, sink: &mut write1 };
            let second = Side { source: &mut read2, sink: &mut write2 };
            let end = run(first, second, LIMITS, &bytes).await;
            assert_eq!(end, TunnelEnd::Complete);
            assert_eq!(peers.join().unwrap(), (300_000, b"answer".to_vec()));
            assert_eq!((bytes.from_first.get(), bytes.from_second.get()), (300_000, 6));
        });
    }

    #[test]
    fn silence_of_both_sides_ends_it() {
        on_every_driver(|| async {
            spawn(async {
                for _ in 0..20 {
                    sleep_ms(20).await;
                    deadline::tick();
                }
            });
            let (mut read1, mut write1, _client) = pair().await;
            let (mut read2, mut write2, _node) = pair().await;
            let limits = TunnelLimits { idle: Duration::from_millis(60), ..LIMITS };
            let bytes = TunnelBytes::default();
            let first = Side { source: &mut read1, sink: &mut write1 };
            let second = Side { source: &mut read2, sink: &mut write2 };
            assert_eq!(run(first, second, limits, &bytes).await, TunnelEnd::Idle);
        });
    }
}
