//! One stream of a client's connection: an exchange like any other.
//!
//! The head the codec yields is written as an HTTP/1 head and held for as long as the exchange lasts,
//! so that routing, retries and the access log read it as they read all heads. A stream that its
//! client gives up ends at once, and the node's connection with it.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context as TaskContext, Poll, Waker},
    time::Instant,
};

use bytes::Bytes;
use h2::{Reason, RecvStream, ext::Protocol, server::SendResponse};
use http::{HeaderMap, HeaderValue, Request, header};
use http1_wire::ReplyBody;
use http2_wire::{HeadBody, RequestParts, RequestRefusal, write_request};
use route_table::Tried;
use router_core::{
    buffer::{self, Use},
    deadline::{Half, Watch},
    io::sleep_ms,
    metrics::Counter,
    termination::{Phase, Side, Termination},
};

use super::{
    body::{SendHalf, StreamReader},
    guard::Guard,
    reply::StreamWriter,
};
use crate::{
    client::{ClientReader, ClientWriter},
    context::{ConnFacts, Context},
    http::{
        conclude::{conclude, termination_of},
        exchange::{self, Client, Outcome},
        inbound::Inbound,
        judge::{Held, Judged, Pace, Refusal, Round, judge},
        record::Record,
        rejects,
        reply::{self, Text},
        wake::{self, Asleep, Unplanned},
    },
    traces::TraceSlot,
};

/// What the streams of one connection share.
pub struct Connection {
    /// What its streams are served with.
    pub current: RefCell<Rc<Context>>,
    /// Who the client is.
    pub conn: ConnFacts,
    /// What ends floods.
    pub guard: Rc<Guard>,
}

impl Connection {
    /// What a stream that begins now is served with.
    pub fn context(&self) -> Rc<Context> {
        let mut current = self.current.borrow_mut();
        if let Some(newer) = current.newer() {
            *current = newer;
        }
        current.clone()
    }
}

/// Counts a stream that is being served, and wakes the connection when it is done.
pub struct Open {
    count: Rc<Cell<usize>>,
    connection: Waker,
}

impl Open {
    /// One more of the connection whose task asks.
    pub fn begin(count: &Rc<Cell<usize>>, cx: &TaskContext<'_>) -> Self {
        count.set(count.get() + 1);
        Self { count: count.clone(), connection: cx.waker().clone() }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.count.set(self.count.get() - 1);
        self.connection.wake_by_ref();
    }
}

/// A stream that a client opened.
pub struct Opened {
    /// Its connection.
    pub connection: Rc<Connection>,
    /// What is asked.
    pub request: Request<RecvStream>,
    /// The way back.
    pub respond: SendResponse<Bytes>,
    /// Counts it.
    pub open: Open,
}

/// Serves one stream to its end.
pub async fn serve(opened: Opened) {
    let Opened { connection, request, respond, open: _open } = opened;
    let began = Instant::now();
    let (parts, body) = request.into_parts();
    let half = SendHalf::new(respond);
    let mut stream = Stream::new(connection, half.clone(), body);
    let trace = TraceSlot::default();
    let judged = stream.judge(&parts, &trace);
    let mut record = Record::begin(began, stream.inbound.bytes().len());
    record.trace = trace;
    let shown = match &judged {
        Judged::Admitted(plan) => plan.head_bytes,
        Judged::Refused(refusal) => refusal.head.map_or(0, |head| head.head_bytes),
        Judged::Asleep(asleep) => asleep.head_bytes(),
        Judged::Partial | Judged::Rtsp(_) => 0,
    };
    stream.inbound.hold_head(shown);
    let (connection, ctx) = (stream.connection.clone(), stream.ctx.clone());
    // A stream given up drops what is pending towards its node. That may lose bytes, but it drops the
    // node's connection with it, so nobody reads there again.
    let given_up = {
        let mut answer = pin!(stream.answer(judged, &mut record));
        poll_fn(|cx| match answer.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(false),
            Poll::Pending => half.poll_reset(cx).map(|()| true),
        })
        .await
    };
    if given_up {
        record.termination = Termination::new(Side::Client, given_up_in(&record));
    }
    settle(&connection.guard, &half, &record);
    conclude(&ctx, &connection.conn, stream.inbound.head(), &record);
}

/// What was under way when a client gave its stream up.
fn given_up_in(record: &Record) -> Phase {
    if record.status > 0 { Phase::ResponseBody } else { Phase::ResponseHead }
}

/// Resets what was not completed, and tells the guard whose fault that is.
fn settle(guard: &Guard, half: &SendHalf, record: &Record) {
    if record.termination == Termination::CLEAN && half.is_ended() {
        return guard.note_answered();
    }
    if !matches!(record.termination.side, Side::Client) {
        guard.excuse_reset();
    }
    let reason = match record.termination.side {
        Side::Client | Side::ClientDeadline => Reason::CANCEL,
        _ => Reason::INTERNAL_ERROR,
    };
    half.reset(reason);
}

struct Stream {
    ctx: Rc<Context>,
    connection: Rc<Connection>,
    reader: ClientReader,
    writer: ClientWriter,
    inbound: Inbound,
}

impl Stream {
    fn new(connection: Rc<Connection>, half: SendHalf, body: RecvStream) -> Self {
        let watch = Rc::new(Watch::of_stream());
        let writer = StreamWriter::new(half, watch.clone(), connection.guard.clone());
        Self {
            reader: ClientReader::Stream(Box::new(StreamReader::new(body, watch))),
            writer: ClientWriter::Stream(Box::new(writer)),
            inbound: Inbound::new(),
            ctx: connection.context(),
            connection,
        }
    }

    fn judge(&mut self, parts: &http::request::Parts, trace: &TraceSlot) -> Judged {
        let ended = matches!(&self.reader, ClientReader::Stream(half) if half.is_ended());
        let mut text = buffer::take(Use::Head);
        let written = write_head(parts, ended, &mut text);
        self.inbound.push_back(&text);
        buffer::give(Use::Head, text);
        let (ctx, conn) = (&*self.ctx, &self.connection.conn);
        match written {
            Err(refusal) => {
                ctx.shard.count_head_reject(rejects::index(refusal.label()));
                let head = self.inbound.bytes();
                let detail = refusal.to_string();
                Judged::Refused(Refusal::closing(refusal.status(), detail, head))
            }
            Ok(()) => {
                let round = Round { tried: &Tried::default(), held: Held::No, id: None, trace };
                judge(ctx, conn, self.inbound.bytes(), &round)
            }
        }
    }

    async fn answer(&mut self, judged: Judged, record: &mut Record) {
        let (ctx, conn) = (&*self.ctx, &self.connection.conn);
        let refusal = match judged {
            Judged::Asleep(asleep) => return self.answer_awake(*asleep, record).await,
            // What is written here is a whole head.
            Judged::Partial | Judged::Rtsp(_) => Refusal::closing(400, String::new(), b""),
            Judged::Refused(refusal) => {
                ctx.shard.add(Counter::Requests, u64::from(refusal.head.is_some()));
                record.termination = termination_of(&refusal);
                refusal
            }
            Judged::Admitted(mut plan) => {
                ctx.shard.add(Counter::Requests, 1);
                let client = Client {
                    conn,
                    reader: &mut self.reader,
                    writer: &mut self.writer,
                    inbound: &mut self.inbound,
                };
                match exchange::run(ctx, client, &mut plan, record).await {
                    Outcome::Answer(refusal) => refusal,
                    Outcome::Switched(switched) => {
                        let (reader, writer) = (&mut self.reader, &mut self.writer);
                        // Boxed, so that other streams do not carry its state.
                        let passed = switched.pass(reader, writer, &mut self.inbound, record);
                        return Box::pin(passed).await;
                    }
                    Outcome::Complete(_) | Outcome::Broken | Outcome::Tunnelled => return,
                }
            }
        };
        self.refuse(&refusal, record).await;
    }

    /// Answers once the vassal is awake. Boxed, so that streams with a node do not carry it.
    fn answer_awake<'s>(
        &'s mut self,
        asleep: Asleep,
        record: &'s mut Record,
    ) -> Pin<Box<dyn Future<Output = ()> + 's>> {
        Box::pin(async move {
            let judged = self.wake(asleep, &record.trace).await;
            self.answer(judged, record).await;
        })
    }

    /// What a request comes to whose vassal is waited for. One that its client gives up is dropped.
    async fn wake(&self, asleep: Asleep, trace: &TraceSlot) -> Judged {
        let (ctx, conn) = (&*self.ctx, &self.connection.conn);
        match wake::first(ctx, conn, self.inbound.head(), asleep, trace, || false).await {
            Ok(plan) => Judged::Admitted(plan),
            Err(Unplanned::Refused(refusal)) => Judged::Refused(refusal),
            Err(Unplanned::Left | Unplanned::Asleep(_)) => Judged::Partial,
        }
    }

    async fn refuse(&mut self, refusal: &Refusal, record: &mut Record) {
        let ClientWriter::Stream(writer) = &mut self.writer else { return };
        if refusal.pace == Pace::Held {
            // Boxed, so that streams that are never held do not carry a timer.
            Box::pin(sleep_ms(reply::held_ms())).await;
        }
        let text = reply::text(refusal.status, &refusal.detail);
        let mut fields = HeaderMap::with_capacity(4);
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        fields.insert(header::CONTENT_TYPE, plain);
        fields.insert(header::CONTENT_LENGTH, text.len().into());
        fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if refusal.retry_after_s > 0 {
            fields.insert(header::RETRY_AFTER, refusal.retry_after_s.into());
        }
        if let Ok(location) = HeaderValue::from_str(&refusal.location)
            && !location.is_empty()
        {
            fields.insert(header::LOCATION, location);
        }
        let shown = refusal.text == Text::Shown;
        let body = if shown { ReplyBody::Length(text.len() as u64) } else { ReplyBody::None };
        record.status = refusal.status;
        if writer.head(refusal.status, fields, body).is_ok() && shown {
            record.bytes_out += text.len() as u64;
            writer.watch().arm(Half::Write, self.ctx.shared.timeouts.write_stall);
            let _ = writer.write_all(text.into_bytes(), 0).await;
        }
    }
}

fn write_head(
    parts: &http::request::Parts,
    ended: bool,
    out: &mut Vec<u8>,
) -> Result<(), RequestRefusal> {
    let key =
        if parts.extensions.get::<Protocol>().is_some() { websocket_key() } else { [b'A'; 24] };
    let written = RequestParts {
        method: parts.method.as_str(),
        authority: parts.uri.authority().map(|authority| authority.as_str()),
        path: parts.uri.path_and_query().map_or("", |path| path.as_str()),
        protocol: parts.extensions.get::<Protocol>().map(Protocol::as_str),
        body: if ended { HeadBody::None } else { HeadBody::Follows },
        websocket_key: std::str::from_utf8(&key).unwrap_or_default(),
    };
    let fields = || parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    write_request(&written, fields, out)
}

/// 16 bytes in base64, of which 126 bits are random (RFC 6455 4.1): the last digit before the padding
/// carries two bits, which are zero.
fn websocket_key() -> [u8; 24] {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut key = *b"AAAAAAAAAAAAAAAAAAAAAA==";
    let mut random = [0; 21];
    // Without randomness the key is constant, which the handshake still allows.
    if aws_lc_rs::rand::fill(&mut random).is_ok() {
        for (digit, octet) in key.iter_mut().zip(random) {
            *digit = DIGITS[usize::from(octet & 63)];
        }
    }
    key
}
