//! One HTTP/1 client connection: request after request, in order, until one side is done.
//!
//! It rests most of its life, and then is little more than its two halves and what is known of the
//! client. All that a request needs beyond that is a turn (`turns`), and what it may become in the
//! end, a tunnel (`tail`), is again a state of its own.

mod asleep;
mod linger;
mod rtsp;
mod tail;
mod turns;

use std::{rc::Rc, time::Instant};

use http1_wire::{HeadEnd, head_end};
use route_table::Tried;
use router_core::{
    buffer::{self, Use},
    deadline::{self, Half},
    heads::HeadSlot,
    io::sleep_ms,
    metrics::Counter,
    pulse::{Hold, Pulse},
    termination::{Phase, Side, Termination},
};

use super::{
    conclude::{conclude, termination_of},
    exchange::{self, Client, Outcome},
    inbound::Inbound,
    judge::{Held, Judged, Pace, Plan, Refusal, Round, judge},
    record::Record,
    reply::{self, Persistence},
};
use crate::{
    client::{self, ClientReader, ClientWriter},
    config::Timeouts,
    context::{ConnFacts, Context},
    policy::PolicyId,
    traces::TraceSlot,
};
use tail::Tail;

/// What becomes of the connection.
enum After {
    /// The next request may come.
    Keep,
    /// Both sides speak something else from here on.
    Tunnel(Tail),
    /// Everything was received and answered.
    Close,
    /// The client may still be sending what nobody wants.
    Linger,
    /// A response was cut short, which the client must notice.
    Abort,
}

/// What follows a turn.
enum Next {
    /// Another request, which may come late.
    Rest,
    /// A tunnel.
    Tunnel(Tail),
    /// Nothing.
    End,
}

/// A client connection being served.
pub struct Session {
    ctx: Rc<Context>,
    conn: ConnFacts,
    reader: ClientReader,
    writer: ClientWriter,
    inbound: Inbound,
    /// When the first byte of the request at hand came.
    began: Instant,
    /// The rules of the key it asked for last, which hold until the next head is known.
    policy: PolicyId,
    /// Counts this connection while its head is not complete.
    unfinished: Option<HeadSlot>,
    /// The place in a trace of the request at hand.
    trace: TraceSlot,
    /// When its client is likely to speak.
    pulse: Pulse,
    /// The client sends nothing more.
    ended: bool,
}

/// How waiting for a head ended.
enum Arrival {
    /// Enough is there to be judged.
    Judged(Judged),
    /// The client left or was too slow, before or within a head.
    Ended,
}

impl Session {
    /// A connection of which `received` is all that came so far.
    pub fn new(
        ctx: Rc<Context>,
        conn: ConnFacts,
        reader: ClientReader,
        writer: ClientWriter,
        received: Vec<u8>,
    ) -> Box<Self> {
        let unfinished = Some(ctx.heads.enter(reader.watch_handle(), &ctx.shard));
        let mut inbound = Inbound::new();
        inbound.push_back(&received);
        buffer::give(Use::Head, received);
        // The first head has no idle time before it: who connects must ask.
        reader.watch().arm(Half::Read, ctx.shared.timeouts.head);
        Box::new(Self {
            ctx,
            conn,
            reader,
            writer,
            inbound,
            began: Instant::now(),
            policy: PolicyId::DEFAULT,
            unfinished,
            trace: TraceSlot::default(),
            pulse: Pulse::fresh(),
            ended: false,
        })
    }

    /// Serves the connection to its end.
    pub async fn run(mut self: Box<Self>) {
        // Who connects has something to say, so the first turn waits for it.
        let mut held = self.pulse.rest();
        loop {
            if held.is_none() && self.inbound.bytes().is_empty() {
                self.inbound.put_away();
                self.ended = self.reader.readable().await.is_err();
            }
            let next;
            (self, next) = turns::take(self, held.take()).await;
            match next {
                Next::Rest => {}
                // Boxed, so that connections that never are one do not carry its state.
                Next::Tunnel(tail) => return Box::pin(self.pass(tail)).await,
                Next::End => return client::close(self.reader, self.writer),
            }
        }
    }

    /// Serves requests for as long as the next one is likely to come soon.
    async fn turn(&mut self, mut held: Option<Hold>) -> Next {
        loop {
            if self.inbound.bytes().is_empty() && !self.ended {
                self.receive_first().await;
            }
            drop(held.take());
            match self.serve_one().await {
                Next::Rest if self.inbound.bytes().is_empty() => {
                    held = self.pulse.rest();
                    if held.is_none() {
                        return Next::Rest;
                    }
                }
                // Pipelined.
                Next::Rest => {}
                over => return over,
            }
        }
    }

    /// Receives the first bytes of a request, or the end.
    async fn receive_first(&mut self) {
        match self.inbound.receive(&mut self.reader).await {
            Ok(received) if received > 0 => {
                self.pulse.beat();
                self.began = Instant::now();
                let watch = self.reader.watch();
                watch.set_idle(false);
                watch.arm(Half::Read, self.timeouts().head);
            }
            _ => self.ended = true,
        }
    }

    /// Serves one request, from its first bytes until the connection may rest.
    async fn serve_one(&mut self) -> Next {
        let mut arrival = self.arrive().await;
        self.unfinished = None;
        let after = match arrival {
            Arrival::Ended => self.end_of_input().await,
            // Lent, because a plan is too large to be handed on by value from step to step.
            Arrival::Judged(Judged::Admitted(ref mut plan)) => self.exchange(plan).await,
            // Boxed, so that requests with a node do not carry its state.
            Arrival::Judged(judged) => Box::pin(self.answer(judged)).await,
        };
        match after {
            After::Keep => {}
            After::Tunnel(tail) => return Next::Tunnel(tail),
            After::Close if self.inbound.bytes().is_empty() => {
                self.writer.say_goodbye().await;
                return Next::End;
            }
            After::Close | After::Linger => {
                self.linger().await;
                return Next::End;
            }
            After::Abort => return Next::End,
        }
        self.inbound.release();
        if self.inbound.bytes().is_empty() {
            let watch = self.reader.watch();
            watch.arm(Half::Read, self.timeouts().keepalive);
            watch.set_idle(true);
        } else {
            // Pipelined: its time begins when the one before it is done.
            self.began = Instant::now();
            self.reader.watch().arm(Half::Read, self.timeouts().head);
        }
        Next::Rest
    }

    /// Deadlines of the key this connection asked for last; before that, of all keys.
    fn timeouts(&self) -> &Timeouts {
        &self.ctx.shared.policies.get(self.policy).timeouts
    }

    /// Receives until there is a head to judge.
    async fn arrive(&mut self) -> Arrival {
        let mut scanned = 0;
        while !self.ended {
            if let Some(judged) = self.look(&mut scanned) {
                self.reader.watch().disarm(Half::Read);
                return Arrival::Judged(judged);
            }
            match self.inbound.receive(&mut self.reader).await {
                Ok(received) if received > 0 => {}
                _ => self.ended = true,
            }
        }
        Arrival::Ended
    }

    /// Judges what is there, if it is a head. One that comes in many pieces is parsed when it begins and
    /// when its end is there; between, `scanned` is how far that was looked for.
    fn look(&mut self, scanned: &mut usize) -> Option<Judged> {
        let bytes = self.inbound.bytes();
        if bytes.is_empty() {
            return None;
        }
        if let Some(newer) = self.ctx.newer() {
            let policies = &newer.shared.policies;
            self.policy = policies.successor(&self.ctx.shared.policies, self.policy);
            self.ctx = newer;
        }
        let known = match *scanned {
            0 => None,
            upto => Some(head_end(bytes, upto)),
        };
        if !matches!(known, Some(Ok(HeadEnd::Partial(_)))) {
            let tried = Tried::default();
            let round = Round { tried: &tried, held: Held::No, id: None, trace: &self.trace };
            match judge(&self.ctx, &self.conn, bytes, &round) {
                Judged::Partial => {}
                judged => return Some(judged),
            }
        }
        if let Ok(HeadEnd::Partial(upto)) = known.unwrap_or_else(|| head_end(bytes, 0)) {
            *scanned = upto;
        }
        self.note_unfinished();
        None
    }

    /// The head is not complete, so its connection is one of those that are bounded.
    fn note_unfinished(&mut self) {
        let (heads, shard) = (&self.ctx.heads, &self.ctx.shard);
        let enter = || heads.enter(self.reader.watch_handle(), shard);
        let slot = self.unfinished.get_or_insert_with(enter);
        slot.note_bytes(self.inbound.bytes().len(), shard);
        if !slot.is_counted() {
            // It was ended in the moment in which its first byte came and set a new deadline.
            self.reader.watch().arm(Half::Read, std::time::Duration::ZERO);
        }
    }

    /// The input ended where a head was awaited.
    async fn end_of_input(&mut self) -> After {
        if self.inbound.bytes().is_empty() {
            return After::Close;
        }
        let mut record = Record::begin(self.began, self.inbound.bytes().len());
        let side = match self.reader.watch().expired() {
            Some(_) => Side::ClientDeadline,
            None => Side::Client,
        };
        record.termination = Termination::new(side, Phase::RequestHead);
        let after = if side == Side::ClientDeadline {
            let refusal = Refusal::closing(408, String::new(), self.inbound.bytes());
            self.refuse(&refusal, &mut record).await
        } else {
            After::Abort
        };
        self.conclude(&record);
        after
    }

    /// Answers a head, or waits for who can.
    async fn answer(&mut self, judged: Judged) -> After {
        match judged {
            Judged::Partial => After::Keep,
            Judged::Asleep(asleep) => self.answer_awake(*asleep).await,
            Judged::Refused(refusal) => {
                self.ctx.shard.add(Counter::Requests, u64::from(refusal.head.is_some()));
                let head_bytes = refusal.head.map_or(0, |head| head.head_bytes);
                self.inbound.hold_head(head_bytes);
                let mut record = Record::begin(self.began, head_bytes);
                record.trace = std::mem::take(&mut self.trace);
                record.termination = termination_of(&refusal);
                let after = self.refuse(&refusal, &mut record).await;
                self.conclude(&record);
                after
            }
            Judged::Rtsp(call) => self.converse(*call).await,
            Judged::Admitted(mut plan) => self.exchange(&mut plan).await,
        }
    }

    /// Has a node answer a request.
    async fn exchange(&mut self, plan: &mut Plan) -> After {
        self.policy = plan.policy;
        self.ctx.shard.add(Counter::Requests, 1);
        let mut record = Record::begin(self.began, plan.head_bytes);
        record.trace = std::mem::take(&mut self.trace);
        self.inbound.hold_head(plan.head_bytes);
        let client = Client {
            conn: &self.conn,
            reader: &mut self.reader,
            writer: &mut self.writer,
            inbound: &mut self.inbound,
        };
        let after = match exchange::run(&self.ctx, client, plan, &mut record).await {
            Outcome::Complete(finished) if finished.client_stays => After::Keep,
            Outcome::Complete(finished) if finished.request_done => After::Close,
            Outcome::Complete(_) => After::Linger,
            Outcome::Answer(refusal) => self.refuse(&refusal, &mut record).await,
            Outcome::Switched(switched) => return self.switch(switched, record).await,
            Outcome::Broken | Outcome::Tunnelled => After::Abort,
        };
        self.conclude(&record);
        after
    }

    async fn refuse(&mut self, refusal: &Refusal, record: &mut Record) -> After {
        if refusal.pace == Pace::Held {
            // Boxed, so that the many sessions that are never held do not carry it.
            Box::pin(sleep_ms(reply::held_ms())).await;
        }
        let stays = refusal.head.is_some_and(|head| head.may_stay) && !deadline::is_draining();
        let after = if stays { Persistence::Keep } else { Persistence::Close };
        let mut out = buffer::take(Use::Head);
        reply::write(refusal, after, &mut out);
        record.status = refusal.status;
        record.bytes_out += out.len() as u64;
        self.writer.watch().arm(Half::Write, self.ctx.shared.timeouts.write_stall);
        let (result, out) = self.writer.write_all(out, 0).await;
        self.writer.watch().disarm(Half::Write);
        buffer::give(Use::Head, out);
        match result {
            Err(_) => After::Abort,
            Ok(()) if stays => After::Keep,
            Ok(()) => After::Linger,
        }
    }

    fn conclude(&self, record: &Record) {
        conclude(&self.ctx, &self.conn, self.inbound.head(), record);
    }
}

#[cfg(test)]
mod tests;
