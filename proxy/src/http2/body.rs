//! The body of one stream in either direction, as an exchange reads and writes it.
//!
//! Back-pressure is the window: octets are released to the client once they were copied out for the
//! node, and a response waits for the room the client gives. Deadlines are those of a watch without a
//! socket, so one slow stream ends alone.

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use http::HeaderMap;
use router_core::{
    buffer::{self, BODY_BYTES, Use},
    deadline::{Half, Watch},
};

/// A stretch of body is handed over to the codec with its buffer, of which it fills at least this part;
/// a shorter one is copied, so that what a slow peer does not take holds little more than it says.
const FILLED_PART_MIN: usize = 16;

/// Octets received on a stream, from a client or from a node.
pub struct StreamReader {
    stream: RecvStream,
    watch: Rc<Watch>,
    /// Received and not yet copied out.
    pending: Bytes,
    trailers: Option<HeaderMap>,
    ended: bool,
}

impl StreamReader {
    /// The receiving half of a stream.
    pub fn new(stream: RecvStream, watch: Rc<Watch>) -> Self {
        let ended = stream.is_end_stream();
        Self { stream, watch, pending: Bytes::new(), trailers: None, ended }
    }

    /// Appends up to `most` octets of body; `Ok(0)` is the end of the body or an expired deadline.
    pub async fn read(&mut self, mut buffer: Vec<u8>, most: usize) -> (io::Result<usize>, Vec<u8>) {
        let room = (buffer.capacity() - buffer.len()).min(most);
        let result = poll_fn(|cx| self.poll_fill(cx, &mut buffer, room)).await;
        (result, buffer)
    }

    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<u8>,
        room: usize,
    ) -> Poll<io::Result<usize>> {
        let mut copied = 0;
        loop {
            copied += self.copy_pending(buffer, room - copied)?;
            if copied == room || self.ended || self.watch.expired().is_some() {
                return Poll::Ready(Ok(copied));
            }
            match self.stream.poll_data(cx) {
                Poll::Ready(Some(Ok(bytes))) => self.pending = bytes,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(io_error(error))),
                Poll::Ready(None) => match self.stream.poll_trailers(cx) {
                    Poll::Ready(Ok(trailers)) => (self.trailers, self.ended) = (trailers, true),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(io_error(error))),
                    Poll::Pending => return self.wait(cx, copied),
                },
                Poll::Pending => return self.wait(cx, copied),
            }
        }
    }

    fn wait(&self, cx: &Context<'_>, copied: usize) -> Poll<io::Result<usize>> {
        if copied > 0 {
            return Poll::Ready(Ok(copied));
        }
        self.watch.wake_with(cx.waker());
        Poll::Pending
    }

    fn copy_pending(&mut self, buffer: &mut Vec<u8>, room: usize) -> io::Result<usize> {
        let count = self.pending.len().min(room);
        if count > 0 {
            buffer.extend_from_slice(&self.pending[..count]);
            self.pending.advance(count);
            self.stream.flow_control().release_capacity(count).map_err(io_error)?;
        }
        Ok(count)
    }

    /// Whether the whole body was received and taken; then there is nothing to wait for.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// What came behind the body, once that ended.
    pub fn take_trailers(&mut self) -> Option<HeaderMap> {
        self.trailers.take()
    }

    /// The deadlines of this stream.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// The deadlines, for one who sets them while this half is reading.
    pub fn watch_handle(&self) -> Rc<Watch> {
        self.watch.clone()
    }
}

/// Where in its response a stream is.
pub(super) enum Sending {
    /// No head was sent.
    Head(SendResponse<Bytes>),
    /// The body is under way.
    Body(SendStream<Bytes>),
    /// Nothing more can be sent.
    Ended,
}

/// The sending half of a client's stream, shared with the one who waits for its reset.
#[derive(Clone)]
pub struct SendHalf(pub(super) Rc<RefCell<Sending>>);

impl SendHalf {
    /// A stream on which nothing was sent.
    pub fn new(respond: SendResponse<Bytes>) -> Self {
        Self(Rc::new(RefCell::new(Sending::Head(respond))))
    }

    /// Ready when the client gave the stream up, or its connection ended.
    pub fn poll_reset(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut *self.0.borrow_mut() {
            Sending::Head(respond) => respond.poll_reset(cx).map(|_| ()),
            Sending::Body(stream) => stream.poll_reset(cx).map(|_| ()),
            Sending::Ended => Poll::Pending,
        }
    }

    /// Whether the response was sent to its end.
    pub fn is_ended(&self) -> bool {
        matches!(*self.0.borrow(), Sending::Ended)
    }

    /// Tells the client that the response will not be completed.
    pub fn reset(&self, reason: Reason) {
        match std::mem::replace(&mut *self.0.borrow_mut(), Sending::Ended) {
            Sending::Head(mut respond) => respond.send_reset(reason),
            Sending::Body(mut stream) => stream.send_reset(reason),
            Sending::Ended => {}
        }
    }
}

/// The sending half of a stream whose head was or will be sent.
pub struct Outflow {
    pub(super) half: SendHalf,
    pub(super) watch: Rc<Watch>,
    /// Octets of body still to come, if that is known: the last of them end the stream.
    pub(super) left: Option<u64>,
}

impl Outflow {
    /// A request whose head was sent to a node; `left` octets of body follow if that is known.
    pub fn of_request(stream: SendStream<Bytes>, left: Option<u64>, watch: Rc<Watch>) -> Self {
        let sending = if left == Some(0) { Sending::Ended } else { Sending::Body(stream) };
        Self { half: SendHalf(Rc::new(RefCell::new(sending))), watch, left }
    }

    /// Sends all of `buffer` from `start` on, as the peer gives room, and returns a buffer.
    pub async fn write_all(&mut self, buffer: Vec<u8>, start: usize) -> (io::Result<()>, Vec<u8>) {
        let length = buffer.len() - start;
        if length == 0 {
            return (Ok(()), buffer);
        }
        let (mut bytes, spare) = if length < buffer.capacity() / FILLED_PART_MIN {
            (Bytes::copy_from_slice(&buffer[start..]), buffer)
        } else {
            let size = if buffer.capacity() >= BODY_BYTES { Use::Body } else { Use::Reply };
            let bytes = Bytes::from_owner(Lent { size, bytes: buffer });
            (bytes.slice(start..), buffer::take(size))
        };
        while !bytes.is_empty() {
            let room = match poll_fn(|cx| self.poll_room(cx, bytes.len())).await {
                Ok(room) => room.min(bytes.len()),
                Err(error) => return (Err(error), spare),
            };
            if let Err(error) = self.send_piece(bytes.split_to(room)) {
                return (Err(error), spare);
            }
        }
        (Ok(()), spare)
    }

    fn poll_room(&self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        let mut sending = self.half.0.borrow_mut();
        let Sending::Body(stream) = &mut *sending else { return Poll::Ready(Err(gone())) };
        if self.watch.expired() == Some(Half::Write) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        stream.reserve_capacity(wanted);
        let room = stream.capacity();
        if room > 0 {
            return Poll::Ready(Ok(room));
        }
        match stream.poll_capacity(cx) {
            Poll::Ready(Some(Ok(room))) if room > 0 => Poll::Ready(Ok(room)),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Err(io_error(error))),
            Poll::Ready(None) => Poll::Ready(Err(gone())),
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {
                self.watch.wake_with(cx.waker());
                Poll::Pending
            }
        }
    }

    fn send_piece(&mut self, piece: Bytes) -> io::Result<()> {
        let mut sending = self.half.0.borrow_mut();
        let Sending::Body(stream) = &mut *sending else { return Err(gone()) };
        let left = self.left.map(|left| left.saturating_sub(piece.len() as u64));
        let ends = left == Some(0);
        stream.send_data(piece, ends).map_err(io_error)?;
        self.left = left;
        if ends {
            *sending = Sending::Ended;
        }
        Ok(())
    }

    /// Ends the body, with what comes behind it.
    ///
    /// # Errors
    /// The stream is gone.
    pub fn end(&mut self, trailers: Option<HeaderMap>) -> io::Result<()> {
        let mut sending = self.half.0.borrow_mut();
        match (&mut *sending, trailers) {
            (Sending::Ended, _) => return Ok(()),
            (Sending::Head(_), _) => return Err(gone()),
            (Sending::Body(stream), Some(trailers)) => {
                stream.send_trailers(trailers).map_err(io_error)?;
            }
            (Sending::Body(stream), None) => {
                stream.send_data(Bytes::new(), true).map_err(io_error)?;
            }
        }
        *sending = Sending::Ended;
        Ok(())
    }

    /// The deadlines of this stream.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }
}

/// A buffer lent to the codec; it comes back when the last of it was sent.
pub(super) struct Lent {
    pub(super) size: Use,
    pub(super) bytes: Vec<u8>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        buffer::give(self.size, std::mem::take(&mut self.bytes));
    }
}

pub(super) fn gone() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

pub(super) fn io_error(error: h2::Error) -> io::Error {
    match error.into_io() {
        Some(error) => error,
        None => io::ErrorKind::ConnectionReset.into(),
    }
}
