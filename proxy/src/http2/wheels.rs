//! What turns between a socket and a [`Pipe`]: one wheel for each direction.
//!
//! Both are futures of the task that also turns the codec; they never read ahead of it and send all
//! that it wrote in a turn at once.

use std::{future::poll_fn, task::Poll, time::Duration};

use router_core::{
    buffer::{self, Use},
    deadline::{Half, Watch},
    tunnel::{Sink, Source},
};

use super::pipe::Pipe;

/// From the socket to the codec, until the socket ends or `inspect` refuses what came.
pub async fn receive<R: Source>(
    source: &mut R,
    pipe: &Pipe,
    mut inspect: impl FnMut(&[u8]) -> Inspection,
) {
    let mut size = Use::Head;
    loop {
        poll_fn(|_| if pipe.wants_more() { Poll::Ready(()) } else { Poll::Pending }).await;
        let (result, bytes) = source.read(buffer::take(size)).await;
        match result {
            Ok(count) if count > 0 => {}
            _ => return buffer::give(size, bytes),
        }
        if inspect(&bytes) == Inspection::Refused {
            return buffer::give(size, bytes);
        }
        let filled = bytes.len() == bytes.capacity();
        pipe.feed(size, bytes);
        size = if filled { Use::Body } else { Use::Head };
    }
}

/// What became of inspected bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Inspection {
    /// They go on.
    Passed,
    /// They do not, and nothing after them.
    Refused,
}

/// From the codec to the socket; ends when the codec's end is closed and everything was sent, or when
/// the socket fails. Each write has `stall` to make progress.
pub async fn send<W: Sink>(
    sink: &mut W,
    pipe: &Pipe,
    watch: &Watch,
    stall: Duration,
    mut inspect: impl FnMut(&[u8]),
) {
    loop {
        let unsent = poll_fn(|_| match pipe.take_unsent() {
            Some(unsent) => Poll::Ready(Some(unsent)),
            None if pipe.is_closed() => Poll::Ready(None),
            None => Poll::Pending,
        });
        let Some((size, bytes)) = unsent.await else {
            watch.arm(Half::Write, stall);
            // Whoever does not take the goodbye does not miss it.
            let _ = sink.finish().await;
            return;
        };
        inspect(&bytes);
        watch.arm(Half::Write, stall);
        let (result, bytes) = sink.write_all(bytes).await;
        watch.disarm(Half::Write);
        buffer::give(size, bytes);
        if result.is_err() {
            return;
        }
    }
}
