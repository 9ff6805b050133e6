//! The memory between a socket and the HTTP/2 codec.
//!
//! Both ends live in one task, which looks at each after every turn of the other; so there are no
//! wakers here, and a `Pending` means "look again after the other end had its turn". Both directions
//! are bounded: the codec is not given more than it has read, and must wait when the socket is slow.

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use router_core::buffer::{self, BODY_BYTES, REPLY_BYTES, Use};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Octets written and not yet sent at which the codec has to wait: those of the largest buffer, which
/// then leave in one send.
const UNSENT_BYTES_MAX: usize = BODY_BYTES;

#[derive(Default)]
struct State {
    /// Received and not yet read, from `read` on.
    received: Vec<u8>,
    read: usize,
    /// What `received` was taken as.
    size: Option<Use>,
    /// Nothing more comes.
    ended: bool,
    /// Written and not yet sent.
    unsent: Vec<u8>,
    /// What `unsent` was taken as.
    unsent_size: Option<Use>,
    /// The codec closed its end.
    closed: bool,
    /// Something happened at the codec's end, or may happen now, since the socket's end last asked.
    moved: bool,
    /// The codec had to wait for the socket.
    waits: bool,
}

impl State {
    /// Sees to it that `unsent` takes so much more without growing: a buffer that grew is no buffer of
    /// the pool any more.
    fn make_room(&mut self, bytes: usize) {
        let needed = self.unsent.len() + bytes;
        if self.unsent_size.is_some() && needed <= self.unsent.capacity() {
            return;
        }
        let size = if needed <= REPLY_BYTES { Use::Reply } else { Use::Body };
        let mut larger = buffer::take(size);
        larger.extend_from_slice(&self.unsent);
        let smaller = std::mem::replace(&mut self.unsent, larger);
        if let Some(size) = self.unsent_size.replace(size) {
            buffer::give(size, smaller);
        }
    }
}

/// The socket's end.
#[derive(Clone, Default)]
pub struct Pipe(Rc<RefCell<State>>);

/// The codec's end.
pub struct CodecEnd(Rc<RefCell<State>>);

impl Pipe {
    /// An empty pipe.
    pub fn new() -> Self {
        Self::default()
    }

    /// The other end. There is one codec to a pipe.
    pub fn codec_end(&self) -> CodecEnd {
        CodecEnd(self.0.clone())
    }

    /// Whether everything that was received has been read.
    pub fn wants_more(&self) -> bool {
        let state = self.0.borrow();
        state.read == state.received.len()
    }

    /// Passes received octets on; everything before has been read.
    pub fn feed(&self, size: Use, bytes: Vec<u8>) {
        let mut state = self.0.borrow_mut();
        debug_assert!(state.read == state.received.len(), "fed only when empty");
        (state.received, state.read, state.size) = (bytes, 0, Some(size));
    }

    /// Says that nothing more will be received.
    pub fn end(&self) {
        self.0.borrow_mut().ended = true;
    }

    /// Takes what is to be sent, and what it is to be given back as.
    pub fn take_unsent(&self) -> Option<(Use, Vec<u8>)> {
        let mut state = self.0.borrow_mut();
        let size = state.unsent_size.take()?;
        // Nobody else tells the codec that there is room: it must be looked at again, also if the socket takes
        // this at once.
        state.moved |= std::mem::take(&mut state.waits);
        Some((size, std::mem::take(&mut state.unsent)))
    }

    /// Closes the codec's end in its place.
    pub fn close(&self) {
        self.0.borrow_mut().closed = true;
    }

    /// Whether the codec closed its end, so that nothing follows what is unsent.
    pub fn is_closed(&self) -> bool {
        self.0.borrow().closed
    }

    /// Whether the codec read or wrote, or was given room it had waited for, since this was last asked.
    pub fn take_moved(&self) -> bool {
        std::mem::take(&mut self.0.borrow_mut().moved)
    }
}

impl AsyncRead for CodecEnd {
    fn poll_read(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.0.borrow_mut();
        let state = &mut *state;
        let rest = &state.received[state.read..];
        if rest.is_empty() {
            return if state.ended { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
        let count = rest.len().min(target.remaining());
        target.put_slice(&rest[..count]);
        state.read += count;
        state.moved = true;
        if state.read == state.received.len() {
            let spent = std::mem::take(&mut state.received);
            state.read = 0;
            if let Some(size) = state.size.take() {
                buffer::give(size, spent);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for CodecEnd {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.0.borrow_mut();
        if state.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = UNSENT_BYTES_MAX - state.unsent.len();
        if room == 0 {
            state.waits = true;
            return Poll::Pending;
        }
        let offered = slices.iter().map(|slice| slice.len()).sum::<usize>();
        let taken = offered.min(room);
        if taken == 0 {
            return Poll::Ready(Ok(0));
        }
        state.moved = true;
        state.make_room(taken);
        let mut left = taken;
        for slice in slices {
            let count = slice.len().min(left);
            state.unsent.extend_from_slice(&slice[..count]);
            left -= count;
        }
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// What was written is sent at the end of the turn in any case.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().closed = true;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    fn read(end: &mut CodecEnd, room: usize) -> Poll<Vec<u8>> {
        let mut bytes = vec![0; room];
        let mut target = ReadBuf::new(&mut bytes);
        let mut cx = Context::from_waker(Waker::noop());
        match Pin::new(end).poll_read(&mut cx, &mut target) {
            Poll::Ready(result) => Poll::Ready(result.map(|()| target.filled().to_vec()).unwrap()),
            Poll::Pending => Poll::Pending,
        }
    }

    #[test]
    fn bytes_arrive_in_order_and_then_the_end() {
        let pipe = Pipe::new();
        let mut end = pipe.codec_end();
        assert!(read(&mut end, 4).is_pending() && pipe.wants_more());
        pipe.feed(Use::Head, b"abcde".to_vec());
        assert_eq!(read(&mut end, 3), Poll::Ready(b"abc".to_vec()));
        assert!(!pipe.wants_more() && pipe.take_moved() && !pipe.take_moved());
        assert_eq!(read(&mut end, 3), Poll::Ready(b"de".to_vec()));
        pipe.end();
        assert_eq!(read(&mut end, 3), Poll::Ready(Vec::new()));
    }

    #[test]
    fn a_codec_ahead_of_its_socket_waits() {
        let pipe = Pipe::new();
        let mut end = pipe.codec_end();
        let mut cx = Context::from_waker(Waker::noop());
        let piece = vec![7; UNSENT_BYTES_MAX - 3];
        assert!(Pin::new(&mut end).poll_write(&mut cx, &piece).is_ready());
        let slices = [IoSlice::new(b"89"), IoSlice::new(b"abc")];
        let taken = Pin::new(&mut end).poll_write_vectored(&mut cx, &slices);
        assert!(matches!(taken, Poll::Ready(Ok(3))), "no more than one send takes: {taken:?}");
        assert!(pipe.take_moved());
        assert!(Pin::new(&mut end).poll_write(&mut cx, b"x").is_pending());
        assert!(!pipe.take_moved());
        let (size, unsent) = pipe.take_unsent().unwrap();
        assert_eq!((size, unsent.len()), (Use::Body, UNSENT_BYTES_MAX));
        assert!(unsent.ends_with(b"\x0789a") && pipe.take_unsent().is_none());
        assert!(pipe.take_moved(), "it is looked at again");
        assert!(Pin::new(&mut end).poll_write(&mut cx, b"x").is_ready());
    }
}
