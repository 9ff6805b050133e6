//! Moving what is there already, between two sockets, through one buffer of the worker.
//!
//! A tunnel or a body that is busy would need a large buffer of its own while it waits for more. Instead
//! a pump waits with the smallest one, and what then is in the socket goes through the worker's buffer
//! by plain calls that do not wait. Nothing stays in it: what the other side does not take at once is
//! handed back, to be sent the ordinary way. A long stretch goes through the worker's pipe instead,
//! which copies nothing.

use std::{
    cell::{Cell, RefCell},
    io,
    os::fd::RawFd,
};

use nix::{
    errno::Errno,
    libc,
    sys::socket::{MsgFlags, recv, send},
};

mod pipe;

use pipe::Pipe;

/// The worker's buffer: fewer, longer calls make a fast stream cheap.
const BURST_BYTES: usize = 512 * 1024;
/// The part of it a stream begins with, and goes back to when the other side is slow. What a slow side
/// does not take has to be kept, so this is what a slow stream may hold.
const WINDOW_BYTES_MIN: usize = 64 * 1024;
/// Bytes handed back and not yet sent, over all streams of a worker, above which none uses more than
/// the least window.
const BLOCKED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What is still to come if a stream is to use the pipe, and what it must have brought at once before.
const PIPE_BYTES_MIN: usize = 64 * 1024;
/// A stretch through the pipe below which the next ones are copied: two more system calls cost as much.
const PIPE_STRETCH_MIN: usize = 16 * 1024;
/// Stretches moved before others have their turn.
const STRETCHES_MAX: usize = 8;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static BLOCKED_BYTES: Cell<usize> = const { Cell::new(0) };
}

/// How a burst ended.
#[derive(Debug)]
pub enum Burst {
    /// The source has no more now, or others shall have their turn.
    Paused,
    /// The other side took only a part: these bytes are left, and counted while they are.
    Blocked(Vec<u8>, Blocked),
    /// The source failed.
    SourceFailed,
    /// The other side failed.
    SinkFailed,
}

/// Counts bytes that a slow side has not taken yet.
#[derive(Debug)]
pub struct Blocked(usize);

impl Blocked {
    fn begin(bytes: usize) -> Self {
        BLOCKED_BYTES.set(BLOCKED_BYTES.get() + bytes);
        Self(bytes)
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // At thread end there may be nothing to count in any more.
        let _ = BLOCKED_BYTES.try_with(|all| all.set(all.get().saturating_sub(self.0)));
    }
}

/// How a stream moves: in longer stretches while all of one goes through, in shorter ones when it does not.
#[derive(Debug)]
pub struct Window {
    bytes: usize,
    by: By,
    is_prepared: bool,
}

/// What a stretch goes through.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum By {
    Buffer,
    Pipe,
}

impl Default for Window {
    fn default() -> Self {
        Self { bytes: WINDOW_BYTES_MIN, by: By::Buffer, is_prepared: false }
    }
}

impl Window {
    /// Of a body whose sender has all of it, most likely.
    pub fn of_body() -> Self {
        Self { by: By::Pipe, ..Self::default() }
    }

    fn bytes(&self) -> usize {
        if BLOCKED_BYTES.get() > BLOCKED_BYTES_MAX { WINDOW_BYTES_MIN } else { self.bytes }
    }

    fn grow(&mut self) {
        self.bytes = (self.bytes * 2).min(BURST_BYTES);
    }

    fn shrink(&mut self) {
        self.bytes = (self.bytes / 2).max(WINDOW_BYTES_MIN);
    }

    /// The pipe, if the next stretch of `left` bytes is one for it.
    fn pipe(&mut self, way: Way, left: usize) -> Option<Pipe> {
        if self.by == By::Buffer || left < PIPE_BYTES_MIN {
            return None;
        }
        if !self.is_prepared {
            pipe::prepare(way).ok()?;
            self.is_prepared = true;
        }
        pipe::take()
    }
}

/// The two sockets of a burst, which nobody else reads from and writes to meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// Where bytes come from.
    pub source: RawFd,
    /// Where they go.
    pub sink: RawFd,
}

/// Sends `first`, and then up to `most` bytes of what the source has, to the sink. Calls `moved` with
/// the length of every stretch received.
pub fn run(
    way: Way,
    first: &[u8],
    most: u64,
    window: &mut Window,
    mut moved: impl FnMut(usize),
) -> Burst {
    let (mut first, mut left) = (first, usize::try_from(most).unwrap_or(usize::MAX));
    for _ in 0..STRETCHES_MAX {
        let stretch = match window.pipe(way, left) {
            Some(pipe) => through_pipe(pipe, way, first, left, window),
            None => through_buffer(way, first, left, window),
        };
        moved(stretch.received);
        left -= stretch.received;
        match stretch.next {
            Next::More if left > 0 => first = &[],
            Next::More => break,
            Next::Over(burst) => return burst,
        }
    }
    Burst::Paused
}

/// What became of a stretch.
struct Stretch {
    received: usize,
    next: Next,
}

enum Next {
    /// All of it went through, and there may be more.
    More,
    Over(Burst),
}

impl Stretch {
    fn over(received: usize, burst: Burst) -> Self {
        Self { received, next: Next::Over(burst) }
    }
}

fn through_buffer(way: Way, first: &[u8], left: usize, window: &mut Window) -> Stretch {
    BUFFER.with_borrow_mut(|buffer| {
        buffer.resize(BURST_BYTES.max(first.len()), 0);
        buffer[..first.len()].copy_from_slice(first);
        let room = window.bytes().max(first.len()).min(first.len().saturating_add(left));
        let outcome = receive(way.source, &mut buffer[first.len()..room]);
        let received = *outcome.as_ref().unwrap_or(&0);
        let held = first.len() + received;
        let burst = match pass(way.sink, &buffer[..held], MsgFlags::empty()) {
            Ok(sent) if sent < held => {
                window.shrink();
                Burst::Blocked(buffer[sent..held].to_vec(), Blocked::begin(held - sent))
            }
            Err(_broken) => Burst::SinkFailed,
            Ok(_all) if outcome.is_err() => Burst::SourceFailed,
            // There was room for more: the socket was emptied.
            Ok(_all) if held < room => Burst::Paused,
            Ok(_all) => {
                window.grow();
                window.by = By::Pipe;
                return Stretch { received, next: Next::More };
            }
        };
        Stretch::over(received, burst)
    })
}

fn through_pipe(
    mut pipe: Pipe,
    way: Way,
    first: &[u8],
    left: usize,
    window: &mut Window,
) -> Stretch {
    let room = window.bytes().min(left);
    let outcome = pipe.fill(way, room);
    if outcome.is_err_and(pipe::cannot) {
        pipe::give_up(pipe);
        return through_buffer(way, first, left, window);
    }
    let received = outcome.unwrap_or(0);
    // The sink need not see the two apart.
    let more = if received > 0 { more_follows() } else { MsgFlags::empty() };
    let Ok(sent) = pass(way.sink, first, more) else {
        return Stretch::over(received, Burst::SinkFailed);
    };
    if sent == first.len() {
        pipe.empty(way);
    }
    let mut rest = first[sent..].to_vec();
    if pipe.drain(&mut rest).is_err() {
        return Stretch::over(received, Burst::SinkFailed);
    }
    pipe::put_back(pipe);
    if !rest.is_empty() {
        window.shrink();
        let counted = Blocked::begin(rest.len());
        return Stretch::over(received, Burst::Blocked(rest, counted));
    }
    if outcome.is_err() {
        return Stretch::over(received, Burst::SourceFailed);
    }
    if received == room {
        window.grow();
    } else if received < PIPE_STRETCH_MIN {
        window.by = By::Buffer;
    }
    if received < PIPE_BYTES_MIN {
        return Stretch::over(received, Burst::Paused);
    }
    Stretch { received, next: Next::More }
}

fn more_follows() -> MsgFlags {
    MsgFlags::from_bits_retain(libc::MSG_MORE)
}

/// What is there; zero also at the end of the stream, which the next read that waits will see too.
fn receive(source: RawFd, room: &mut [u8]) -> io::Result<usize> {
    if room.is_empty() {
        return Ok(0);
    }
    match recv(source, room, MsgFlags::MSG_DONTWAIT) {
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(0),
        outcome => Ok(outcome?),
    }
}

/// As much as the socket takes.
fn pass(sink: RawFd, bytes: &[u8], how: MsgFlags) -> io::Result<usize> {
    if bytes.is_empty() {
        return Ok(0);
    }
    match send(sink, bytes, how | MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL) {
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(0),
        outcome => Ok(outcome?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{Read, Write},
        os::{fd::AsRawFd, unix::net::UnixStream},
    };

    #[test]
    fn all_that_is_there_goes_on_in_order_behind_what_came_first() {
        let (near, mut client) = UnixStream::pair().unwrap();
        let (far, mut node) = UnixStream::pair().unwrap();
        client.write_all(b"second").unwrap();
        let mut count = 0;
        let way = Way { source: near.as_raw_fd(), sink: far.as_raw_fd() };
        let burst = run(way, b"first ", u64::MAX, &mut Window::default(), |moved| count += moved);
        assert!(matches!(burst, Burst::Paused));
        let mut got = [0; 12];
        node.read_exact(&mut got).unwrap();
        assert_eq!((&got, count), (b"first second", 6));
        // Nothing there and the end look alike: the next read that waits tells them apart.
        drop(client);
        assert!(matches!(run(way, b"", u64::MAX, &mut Window::default(), |_| ()), Burst::Paused));
    }

    #[test]
    fn no_byte_is_taken_from_behind_the_end_of_a_body() {
        let (near, mut node) = UnixStream::pair().unwrap();
        let (far, mut client) = UnixStream::pair().unwrap();
        node.write_all(b"body, and what belongs to nobody").unwrap();
        let way = Way { source: near.as_raw_fd(), sink: far.as_raw_fd() };
        let mut count = 0;
        let burst = run(way, b"head ", 4, &mut Window::default(), |moved| count += moved);
        assert!(matches!(burst, Burst::Paused));
        assert_eq!(count, 4);
        drop(far);
        let mut got = Vec::new();
        client.read_to_end(&mut got).unwrap();
        assert_eq!(got, b"head body");
        let mut rest = [0; 28];
        (&near).read_exact(&mut rest).unwrap();
        assert_eq!(&rest, b", and what belongs to nobody");
    }

    #[test]
    fn a_window_is_small_while_much_is_blocked_elsewhere() {
        let mut window = Window::default();
        (0..9).for_each(|_| window.grow());
        assert_eq!(window.bytes(), BURST_BYTES);
        let blocked = Blocked::begin(BLOCKED_BYTES_MAX + 1);
        assert_eq!(window.bytes(), WINDOW_BYTES_MIN);
        drop(blocked);
        (0..9).for_each(|_| window.shrink());
        assert_eq!(window.bytes(), WINDOW_BYTES_MIN);
    }

    #[test]
    fn what_the_other_side_does_not_take_is_handed_back() {
        let (near, mut client) = UnixStream::pair().unwrap();
        let (far, mut node) = UnixStream::pair().unwrap();
        client.set_nonblocking(true).unwrap();
        node.set_nonblocking(true).unwrap();
        let way = Way { source: near.as_raw_fd(), sink: far.as_raw_fd() };
        let mut window = Window::default();
        let (mut sent, mut passed, mut got) = (0_usize, 0, Vec::new());
        let (left, counted) = loop {
            let stretch = [sent as u8; 1000];
            sent += client.write(&stretch).unwrap_or(0);
            match run(way, b"", u64::MAX, &mut window, |moved| passed += moved) {
                Burst::Paused => {}
                Burst::Blocked(left, counted) => break (left, counted),
                other => panic!("{other:?}"),
            }
        };
        let _ = node.read_to_end(&mut got);
        assert_eq!(got.len() + left.len(), passed, "nothing is lost and nothing is kept");
        assert_eq!(BLOCKED_BYTES.get(), left.len());
        drop(counted);
        assert_eq!(BLOCKED_BYTES.get(), 0);
        drop(node);
        let broken = run(way, b"x", u64::MAX, &mut window, |_| ());
        assert!(matches!(broken, Burst::SinkFailed));
    }
}
