//! One client connection that speaks HTTP/2: its socket, its codec, and the tasks of its streams.
//!
//! A single task turns three wheels: bytes from the socket to the codec, new streams out of the
//! codec, bytes from the codec to the socket. Each turn of one may set another going, so they are
//! looked at in a circle until none moves. Streams run in tasks of their own.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use bytes::Bytes;
use h2::{Reason, server};
use http2_wire::{
    Flood,
    limits::{HEADER_LIST_BYTES_MAX, STREAMS_MAX},
};
use router_core::{
    buffer::Use,
    deadline::{self, Half},
    metrics::Counter,
};

use super::{
    CONNECTION_WINDOW_BYTES, SEND_BUFFER_BYTES, STREAM_WINDOW_BYTES,
    guard::{self, Guard},
    pipe::{CodecEnd, Pipe},
    servers,
    stream::{Connection, Open, Opened},
    wheels::{self, Inspection},
};
use crate::{
    client::{ClientReader, ClientWriter},
    context::{ConnFacts, Context},
};

/// Streams reset by us that the codec remembers, to ignore what was already on its way.
const RESET_STREAMS_KEPT: usize = 32;

/// How long a client may take in a drain to see that its connection ends, if no stream is open.
const GOODBYE: Duration = Duration::from_secs(1);

/// Serves a connection to its end. `received` is what was read of it before.
pub async fn serve(
    ctx: Rc<Context>,
    conn: ConnFacts,
    mut reader: ClientReader,
    mut writer: ClientWriter,
    received: Vec<u8>,
) {
    ctx.shard.count(Counter::Http2Connections);
    let timeouts = ctx.shared.timeouts;
    let shard = ctx.shard.clone();
    let shared = Rc::new(Connection { current: ctx.into(), conn, guard: Rc::new(Guard::new()) });
    let flow = Flow::new();
    let pipe = Pipe::new();
    reader.watch().arm(Half::Read, timeouts.head);
    match shared.guard.note_received(&received) {
        Ok(()) if received.is_empty() => {}
        Ok(()) => pipe.feed(Use::Head, received),
        Err(flood) => flow.flood.set(Some(flood)),
    }
    let watch = spared(reader.watch_handle());
    let mut codec = Codec::new(&pipe);
    let guard = shared.guard.clone();
    let mut inwards = pin!(wheels::receive(&mut reader, &pipe, |bytes| {
        match guard.note_received(bytes) {
            Ok(()) => Inspection::Passed,
            Err(flood) => {
                flow.flood.set(Some(flood));
                Inspection::Refused
            }
        }
    }));
    let mut outwards =
        pin!(wheels::send(&mut writer, &pipe, &watch, timeouts.write_stall, |bytes| {
            if let Err(flood) = guard.note_sent(bytes, &shard) {
                flow.flood.set(Some(flood));
            }
        }));
    let mut received_all = false;
    poll_fn(|cx| {
        watch.wake_with(cx.waker());
        loop {
            if !received_all && inwards.as_mut().poll(cx).is_ready() {
                received_all = true;
                pipe.end();
            }
            if let Some(flood) = flow.flood.take()
                && codec.abort(Reason::ENHANCE_YOUR_CALM)
            {
                shared.context().shard.count(guard::counter(flood));
            }
            if deadline::is_draining() && codec.drain() && flow.open.get() == 0 {
                // Ends by itself when the client has seen it; this is for one that does not answer.
                watch.arm(Half::Read, GOODBYE);
            }
            if flow.open.get() == 0 && received_all {
                codec.abort(Reason::NO_ERROR);
            }
            codec.turn(cx, &shared, &flow);
            flow.note_open(&watch, &shared);
            if outwards.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let moved = pipe.take_moved();
            if !moved && flow.flood.get().is_none() {
                return Poll::Pending;
            }
        }
    })
    .await;
}

/// It may carry WebSockets, and outlives with them what a drain cuts. Its other streams have watches of
/// their own, and without streams it ends.
fn spared(watch: Rc<deadline::Watch>) -> Rc<deadline::Watch> {
    watch.spare();
    watch
}

/// What the wheels of one connection tell each other.
struct Flow {
    /// Streams being served.
    open: Rc<Cell<usize>>,
    /// Whether no stream was served when last looked at.
    idle: Cell<bool>,
    flood: Cell<Option<Flood>>,
}

impl Flow {
    /// A connection before its first stream, for which it has the time of a head.
    fn new() -> Self {
        Self { open: Rc::default(), idle: Cell::new(true), flood: Cell::new(None) }
    }

    /// A connection without streams is idle, and one with streams is not.
    fn note_open(&self, watch: &deadline::Watch, shared: &Connection) {
        let idle = self.open.get() == 0;
        if idle == self.idle.replace(idle) {
            return;
        }
        if idle && deadline::is_draining() {
            watch.arm(Half::Read, GOODBYE);
        } else if idle {
            watch.arm(Half::Read, shared.context().shared.timeouts.keepalive);
        } else {
            watch.disarm(Half::Read);
        }
    }
}

/// The codec and how far it is.
struct Codec {
    state: CodecState,
    draining: bool,
    aborted: bool,
    pipe: Pipe,
}

enum CodecState {
    Shaking(Pin<Box<server::Handshake<CodecEnd, Bytes>>>),
    Open(Box<server::Connection<CodecEnd, Bytes>>),
    Ended,
}

impl Codec {
    fn new(pipe: &Pipe) -> Self {
        let mut builder = server::Builder::new();
        builder
            .initial_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(HEADER_LIST_BYTES_MAX)
            .max_send_buffer_size(SEND_BUFFER_BYTES)
            .max_concurrent_reset_streams(RESET_STREAMS_KEPT)
            .enable_connect_protocol();
        let shaking = Box::pin(builder.handshake(pipe.codec_end()));
        Self {
            state: CodecState::Shaking(shaking),
            draining: false,
            aborted: false,
            pipe: pipe.clone(),
        }
    }

    /// Takes no new streams and says so; those that are open are finished. Says whether this is news.
    fn drain(&mut self) -> bool {
        let CodecState::Open(codec) = &mut self.state else { return false };
        let is_news = !std::mem::replace(&mut self.draining, true);
        if is_news {
            codec.graceful_shutdown();
        }
        is_news
    }

    /// Ends the connection, and says why; `false` if it was being ended before.
    fn abort(&mut self, reason: Reason) -> bool {
        match &mut self.state {
            CodecState::Open(_) if self.aborted => return false,
            CodecState::Open(codec) => codec.abrupt_shutdown(reason),
            CodecState::Shaking(_) => self.end(),
            CodecState::Ended => return false,
        }
        self.aborted = true;
        true
    }

    fn end(&mut self) {
        self.state = CodecState::Ended;
        self.pipe.close();
    }

    /// Lets the codec read and write, and starts the streams that come out.
    fn turn(&mut self, cx: &mut TaskContext<'_>, shared: &Rc<Connection>, flow: &Flow) {
        if let CodecState::Shaking(shaking) = &mut self.state {
            match shaking.as_mut().poll(cx) {
                Poll::Ready(Ok(codec)) => self.state = CodecState::Open(Box::new(codec)),
                Poll::Ready(Err(error)) => self.fail(&error, shared),
                Poll::Pending => {}
            }
        }
        while let CodecState::Open(codec) = &mut self.state {
            match codec.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    shared.context().shard.count(Counter::Http2Streams);
                    let open = Open::begin(&flow.open, cx);
                    servers::serve(Opened { connection: shared.clone(), request, respond, open });
                }
                Poll::Ready(Some(Err(error))) => self.fail(&error, shared),
                Poll::Ready(None) => self.end(),
                Poll::Pending => return,
            }
        }
    }

    fn fail(&mut self, error: &h2::Error, shared: &Connection) {
        if error.is_library() && error.is_go_away() {
            let calm = error.reason() == Some(Reason::ENHANCE_YOUR_CALM);
            let counter = if calm { Counter::Http2FloodCodec } else { Counter::Http2Malformed };
            shared.context().shard.count(counter);
        }
        self.end();
    }
}
