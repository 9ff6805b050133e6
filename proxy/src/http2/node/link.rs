//! One connection to a node that speaks HTTP/2, and the task that turns it.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use h2::client::{self, SendRequest};
use http2_wire::limits::HEADER_LIST_BYTES_MAX;
use router_core::{
    deadline::{self, Half, Watch},
    io::{ReadHalf, WriteHalf, spawn},
};

use super::super::{
    CONNECTION_WINDOW_BYTES, SEND_BUFFER_BYTES, STREAM_WINDOW_BYTES,
    body::io_error,
    pipe::{CodecEnd, Pipe},
    wheels::{self, Inspection},
};

/// Streams open at once on one connection before another connection is opened. The node may allow
/// fewer.
const STREAMS_PER_LINK_MAX: usize = 100;
/// How long a connection without streams is kept.
const IDLE: Duration = Duration::from_secs(60);
/// Longest time for one write to make progress.
const WRITE_STALL: Duration = Duration::from_secs(60);

/// A connection that takes streams.
pub struct Link {
    send: SendRequest<Bytes>,
    facts: Rc<Facts>,
}

/// What a connection and its streams know of each other.
#[derive(Default)]
struct Facts {
    streams: Cell<usize>,
    ended: Cell<bool>,
}

/// The right to open one stream on a link.
pub struct LinkSlot {
    /// Opens it.
    pub send: SendRequest<Bytes>,
    facts: Rc<Facts>,
}

impl Drop for LinkSlot {
    fn drop(&mut self) {
        self.facts.streams.set(self.facts.streams.get() - 1);
    }
}

impl Link {
    /// Begins HTTP/2 over a fresh connection; its task ends by itself.
    ///
    /// # Errors
    /// The codec could not be set up.
    pub async fn start(read: ReadHalf, write: WriteHalf) -> io::Result<Self> {
        let pipe = Pipe::new();
        let mut builder = client::Builder::new();
        builder
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_header_list_size(HEADER_LIST_BYTES_MAX)
            .max_send_buffer_size(SEND_BUFFER_BYTES);
        // Writes into the pipe only, so it is ready at once.
        let (send, codec) = builder.handshake(pipe.codec_end()).await.map_err(io_error)?;
        let facts = Rc::new(Facts::default());
        spawn(turn(read, write, pipe, codec, facts.clone()));
        Ok(Self { send, facts })
    }

    /// Whether streams can still be opened.
    pub fn is_open(&self) -> bool {
        !self.facts.ended.get()
    }

    /// Room for one more stream, if there is.
    pub fn slot(&self) -> Option<LinkSlot> {
        let most = self.send.current_max_send_streams().min(STREAMS_PER_LINK_MAX);
        if !self.is_open() || self.facts.streams.get() >= most {
            return None;
        }
        self.facts.streams.set(self.facts.streams.get() + 1);
        Some(LinkSlot { send: self.send.clone(), facts: self.facts.clone() })
    }
}

/// Turns a connection until either side ends it.
async fn turn(
    mut read: ReadHalf,
    mut write: WriteHalf,
    pipe: Pipe,
    codec: client::Connection<CodecEnd, Bytes>,
    facts: Rc<Facts>,
) {
    let watch = read.watch_handle();
    let mut codec = Some(Box::pin(codec));
    let mut inwards = pin!(wheels::receive(&mut read, &pipe, |_| Inspection::Passed));
    let mut outwards = pin!(wheels::send(&mut write, &pipe, &watch, WRITE_STALL, |_| {}));
    let mut received_all = false;
    let mut idle = false;
    poll_fn(|cx| {
        loop {
            if !received_all && inwards.as_mut().poll(cx).is_ready() {
                received_all = true;
                pipe.end();
            }
            if let Some(turning) = &mut codec
                && Pin::new(turning).poll(cx).is_ready()
            {
                codec = None;
                pipe.close();
                facts.ended.set(true);
            }
            note_idle(&watch, facts.streams.get() == 0, &mut idle);
            if outwards.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if !pipe.take_moved() {
                return Poll::Pending;
            }
        }
    })
    .await;
    facts.ended.set(true);
}

fn note_idle(watch: &Watch, idle: bool, was_idle: &mut bool) {
    if idle == std::mem::replace(was_idle, idle) {
        return;
    }
    // A drain waits for clients only; it need not end this connection.
    if idle && !deadline::is_draining() {
        watch.arm(Half::Read, IDLE);
    } else {
        watch.disarm(Half::Read);
    }
}
