//! The exchange with a node that was reached: the packet there, its body, and the response back.
//!
//! A request without a body needs no second direction: its response is awaited and passed on. Everything
//! else, and every response that is longer than one read, is a tunnel that is done with the answer.

use std::{cell::Cell, io, rc::Rc, time::Duration};

use proxy::{context::Context, relay::Reached};
use router_core::{
    buffer::{self, Use},
    deadline::{GoneWhen, Half},
    io::{WriteHalf, rest_of_turn},
    metrics::Counter,
    termination::{Phase, Side as FaultOf, Termination},
    tunnel::{self, Ends, Side, Source, TunnelBytes, TunnelEnd, TunnelLimits},
    upstream,
};
use uwsgi_request::Body;

use crate::{
    body::{BodySource, NodeSink, Progress, Rest},
    linger,
    reply::{ReplySink, ReplySource, stated_bytes},
    session::{PacketLine, Refused},
};

/// How far an exchange is.
#[derive(Default)]
pub struct Passage {
    /// What the first bytes of the response said; zero until then, and if they said nothing.
    pub status: Cell<u16>,
    body: Cell<Progress>,
    moved: TunnelBytes,
}

impl Passage {
    /// Whether any of the response has passed.
    pub fn answered(&self) -> bool {
        self.moved.from_second.get() > 0
    }
}

/// The request there and the response back.
pub async fn exchange(
    line: &mut PacketLine<'_>,
    mut reached: Reached<'_>,
    rest: Rest,
) -> Result<(), Refused> {
    let passage = Passage::default();
    let ended = match send_packet(line, &mut reached).await {
        Err(_) => Some(TunnelEnd::Second),
        Ok(()) if matches!(rest, Rest::Stated(0)) => {
            passage.body.set(Progress::Passed);
            answer(line, &mut reached, &passage).await
        }
        Ok(()) => None,
    };
    let end = match ended {
        Some(end) => end,
        None => Box::pin(both_ways(line, &mut reached, rest, &passage)).await,
    };
    let outcome = conclude(line, &reached, &passage, end).await;
    reached.close();
    outcome
}

/// Sends the packet, and what came of its body with it.
async fn send_packet(line: &mut PacketLine<'_>, reached: &mut Reached<'_>) -> io::Result<()> {
    let write = &mut reached.upstream.write;
    let sent = write.send_now(&line.errand.bytes)?;
    if sent == line.errand.bytes.len() {
        return Ok(());
    }
    let bytes = std::mem::take(&mut line.errand.bytes);
    let stall = reached.policy.timeouts.write_stall;
    let (result, bytes) = Box::pin(send_rest(write, bytes, sent, stall)).await;
    line.errand.bytes = bytes;
    result
}

/// Sends what of `bytes` comes after those that were `sent`, and gives them all back.
async fn send_rest(
    write: &mut WriteHalf,
    bytes: Vec<u8>,
    sent: usize,
    stall: Duration,
) -> (io::Result<()>, Vec<u8>) {
    write.watch().arm(Half::Write, stall);
    let (result, bytes) = write.write_all(bytes, sent).await;
    write.watch().disarm(Half::Write);
    (result, bytes)
}

/// Passes a short response on; `None` if more than one read brings is to come.
async fn answer(
    line: &mut PacketLine<'_>,
    reached: &mut Reached<'_>,
    passage: &Passage,
) -> Option<TunnelEnd> {
    let timeouts = &reached.policy.timeouts;
    let watch = reached.upstream.read.watch_handle();
    let mut reply = ReplySource::new(&mut reached.upstream.read, timeouts, passage);
    let mut stated = None;
    loop {
        watch.arm(Half::Read, reply.idle());
        watch.mind(line.read.watch(), GoneWhen::Reset);
        let (result, bytes) = reply.read(buffer::take(Use::Reply)).await;
        let has_left = watch.stop_minding();
        let received = match result {
            _ if has_left => return Some(TunnelEnd::First),
            Ok(0) if watch.expired().is_some() => return Some(TunnelEnd::Idle),
            Ok(0) => return Some(TunnelEnd::Complete),
            Ok(received) => received,
            Err(_) => return Some(TunnelEnd::Second),
        };
        if !passage.answered() {
            stated = stated_bytes(&bytes, line.errand.text(&line.errand.request.method));
        }
        passage.moved.from_second.set(passage.moved.from_second.get() + received as u64);
        let was_filled = bytes.len() == bytes.capacity();
        let is_last = stated == Some(passage.moved.from_second.get());
        if pass_on(&mut line.write, bytes, is_last, timeouts.write_stall).await.is_err() {
            return Some(TunnelEnd::First);
        }
        if is_last {
            return Some(TunnelEnd::Complete);
        }
        if was_filled || passage.status.get() == SWITCHED {
            return None;
        }
    }
}

/// Sends a stretch of the response. The last one leaves with those of the other exchanges that end in this turn,
/// just before their connections are closed.
async fn pass_on(
    write: &mut WriteHalf,
    mut bytes: Vec<u8>,
    is_last: bool,
    stall: Duration,
) -> io::Result<()> {
    let mut sent = 0;
    if is_last {
        rest_of_turn().await;
        sent = write.send_now(&bytes)?;
    }
    if sent < bytes.len() {
        let result;
        (result, bytes) = send_rest(write, bytes, sent, stall).await;
        result?;
    }
    buffer::give(Use::Reply, bytes);
    Ok(())
}

/// The status after which both sides speak something else.
pub const SWITCHED: u16 = 101;

/// Passes the body and the response at once.
async fn both_ways(
    line: &mut PacketLine<'_>,
    reached: &mut Reached<'_>,
    rest: Rest,
    passage: &Passage,
) -> TunnelEnd {
    let timeouts = &reached.policy.timeouts;
    let upstream = &mut reached.upstream;
    let mut body = BodySource::new(&mut line.read, rest, &passage.body);
    let mut sink = NodeSink { write: &mut upstream.write, body: line.errand.request.body };
    let mut reply = ReplySource::new(&mut upstream.read, timeouts, passage);
    let mut back = ReplySink(&mut line.write);
    let limits = TunnelLimits {
        ends: Ends::WithAnswer,
        idle: reply.idle(),
        write_stall: timeouts.write_stall,
    };
    let client = Side { source: &mut body, sink: &mut back };
    let far = Side { source: &mut reply, sink: &mut sink };
    tunnel::run(client, far, limits, &passage.moved).await
}

/// What came of it: for the log, the node and the web server.
async fn conclude(
    line: &mut PacketLine<'_>,
    reached: &Reached<'_>,
    passage: &Passage,
    end: TunnelEnd,
) -> Result<(), Refused> {
    let (node, body) = (&reached.node, passage.body.get());
    line.record.bytes_in += passage.moved.from_first.get();
    line.record.bytes_out += passage.moved.from_second.get();
    line.record.status = passage.status.get();
    line.record.termination = termination(end, passage);
    node.load.add_bytes(passage.moved.from_second.get(), line.record.bytes_in);
    if passage.answered() {
        node.load.note_success();
        let is_stated = matches!(line.errand.request.body, Body::Stated(_));
        if is_stated && end == TunnelEnd::Complete && body == Progress::Passing {
            Box::pin(linger::see_off(&mut line.read, &mut line.write)).await;
        }
        return Ok(());
    }
    match line.record.termination.side {
        FaultOf::Client | FaultOf::ClientDeadline => Err(Refused::with(408)),
        side => {
            blame(line.ctx, reached);
            Err(Refused::with(if side == FaultOf::UpstreamDeadline { 504 } else { 502 }))
        }
    }
}

fn blame(ctx: &Rc<Context>, reached: &Reached<'_>) {
    ctx.shard.count(Counter::UpstreamFailures);
    upstream::note_failure(&reached.node, reached.policy.resilience.eject, &ctx.shard);
}

/// Who ended it, and during what.
fn termination(end: TunnelEnd, passage: &Passage) -> Termination {
    let answered = passage.answered();
    let of_response = if answered { Phase::ResponseBody } else { Phase::ResponseHead };
    match end {
        TunnelEnd::Complete if answered => Termination::CLEAN,
        TunnelEnd::Complete | TunnelEnd::Second => Termination::new(FaultOf::Upstream, of_response),
        TunnelEnd::Idle if passage.status.get() == SWITCHED => end.termination(),
        TunnelEnd::Idle => Termination::new(FaultOf::UpstreamDeadline, of_response),
        TunnelEnd::First if passage.body.get() == Progress::Cut => {
            Termination::new(FaultOf::Client, Phase::RequestBody)
        }
        TunnelEnd::First => Termination::new(FaultOf::Client, of_response),
    }
}
