//! The waist: one request and its response, who may fail, and when another attempt is made.

pub mod pour;

use std::{cell::Cell, io, sync::Arc, time::Instant};

use http1_wire::RequestFraming;
use route_table::{Node, Opening, Proto, Tried};
use router_core::{
    deadline,
    metrics::Counter,
    termination::{Phase, Side as FaultOf, Termination},
    upstream::{
        Checkout, Reuse, checkout,
        retry::{Progress, Replay, Retry, after_failure},
    },
};

use super::{
    attempt::{Attempt, Expecting, send_continue},
    blame,
    failure::{Cause, Failure},
    gate::Admitted,
    held_body::HeldBody,
    in_flight::InFlight,
    inbound::Inbound,
    judge::{Held, Judged, Plan, Refusal, Round, Wish, judge},
    raw_body::{self, BodyUntil},
    record::{Record, micros},
    rejects,
    response::{Asked, Finished, Progressed},
    rtsp::{over_http, pairs::Pair},
    switched::{Counted, Switched},
    wake::Unplanned,
};
use crate::{
    client::{ClientReader, ClientWriter},
    context::{ConnFacts, Context},
    introduction,
    node::NodeConn,
    policy::Policy,
};

/// The client's connection, lent to one exchange.
pub struct Client<'a> {
    /// Its facts.
    pub conn: &'a ConnFacts,
    /// Its bytes.
    pub reader: &'a mut ClientReader,
    /// The way back.
    pub writer: &'a mut ClientWriter,
    /// What it sent and nobody consumed; the head of this exchange is held in it.
    pub inbound: &'a mut Inbound,
}

/// How an exchange ended.
pub enum Outcome {
    /// The response is complete.
    Complete(Finished),
    /// Nothing was sent; the router answers.
    Answer(Refusal),
    /// Part of a response was sent, so only closing tells the client.
    Broken,
    /// It became a tunnel, which has still to run.
    Switched(Box<Switched>),
    /// It was a tunnel, which ended.
    Tunnelled,
}

/// Where the request body is.
enum Body<'c> {
    /// There is none, or this many bytes of it were received with the head, which is all.
    Here(usize),
    /// It was received completely and its chunks are undone.
    Held(HeldBody<'c>),
    /// Some of it has still to come.
    Coming,
}

/// Runs one exchange to its end.
pub async fn run(
    ctx: &Context,
    client: Client<'_>,
    plan: &mut Plan,
    record: &mut Record,
) -> Outcome {
    let policy = ctx.shared.policies.get(plan.policy);
    record.id = plan.id;
    let mut tried = Tried::default();
    tried.note_counted();
    // Plans of further attempts are not counted again.
    let admitted = std::mem::take(&mut plan.admitted);
    Exchange { ctx, policy, client, record, tried, admitted }.run(plan).await
}

pub(super) struct Exchange<'a> {
    pub(super) ctx: &'a Context,
    pub(super) policy: &'a Policy,
    pub(super) client: Client<'a>,
    pub(super) record: &'a mut Record,
    pub(super) tried: Tried,
    admitted: Admitted,
}

impl<'a> Exchange<'a> {
    async fn run(&mut self, plan: &mut Plan) -> Outcome {
        if let (Wish::RtspSending, Some(pair)) = (plan.wish, &plan.pair)
            && Box::pin(over_http::is_open(self.ctx, pair)).await
        {
            return Box::pin(self.pour(plan)).await;
        }
        let body = match self.place_body(plan) {
            Body::Coming if self.must_hold(plan) => match Box::pin(self.hold_body(plan)).await {
                Ok(held) => {
                    let length = Held::Bytes(held.bytes().len() as u64);
                    match self.judge_again(length) {
                        Ok(again) => *plan = again,
                        Err(unplanned) => return Outcome::Answer(unplanned.refusal()),
                    }
                    Body::Held(held)
                }
                Err(failure) => return self.failed(failure, 0),
            },
            body => body,
        };
        self.attempts(plan, &body).await
    }

    /// A uwsgi node reads no chunks unless it is one that does, so the body must be complete before
    /// its packet is written.
    fn must_hold(&self, plan: &Plan) -> bool {
        plan.framing == RequestFraming::Chunked
            && plan.node.facts.proto == Proto::Uwsgi
            && !raw_body::passes_chunks(self.policy, &plan.node)
    }

    fn place_body(&self, plan: &Plan) -> Body<'a> {
        let here = self.client.inbound.bytes().len() as u64;
        match plan.framing {
            RequestFraming::None if plan.until == BodyUntil::Closed => Body::Coming,
            RequestFraming::None => Body::Here(0),
            RequestFraming::Length(bytes) if bytes <= here => Body::Here(bytes as usize),
            RequestFraming::Length(_) | RequestFraming::Chunked => Body::Coming,
        }
    }

    async fn hold_body(&mut self, plan: &Plan) -> Result<HeldBody<'a>, Failure> {
        if plan.expect_continue && self.client.inbound.bytes().is_empty() {
            send_continue(self.client.writer, &self.policy.timeouts).await?;
        }
        let (reader, inbound) = (&mut *self.client.reader, &mut *self.client.inbound);
        let held = HeldBody::receive(self.ctx, self.policy, reader, inbound).await?;
        self.record.bytes_in += held.bytes().len() as u64;
        Ok(held)
    }

    /// Tries nodes until one answers, none is left, or the request cannot be sent again.
    async fn attempts(&mut self, plan: &mut Plan, body: &Body<'a>) -> Outcome {
        let held = match body {
            Body::Held(held) => Held::Bytes(held.bytes().len() as u64),
            Body::Here(_) | Body::Coming => Held::No,
        };
        let mut how = Checkout::Any;
        let mut waits = None;
        for attempt in 1.. {
            if let Some(waits) = waits.take() {
                match self.wake(waits, plan, held).await {
                    Ok(()) => {}
                    Err(failure) => return self.failed(failure, 0),
                }
            }
            let progressed = Progressed::of(&self.record.trace);
            let in_flight = match plan.room.take() {
                None => InFlight::begin(&plan.node),
                Some(room) => match Box::pin(self.wait_for_room(plan, room, held)).await {
                    Ok(begun) => begun,
                    Err(failure) => return self.failed(failure, 0),
                },
            };
            let node = plan.node.clone();
            let (failure, progress, reuse) = match self.check_out(&node, how).await {
                Err(failure) => (failure, Progress::Unconnected, Reuse::Fresh),
                Ok(mut upstream) => {
                    let reuse = upstream.reuse;
                    match self.attempt(plan, &mut upstream, body, &progressed).await {
                        Ok(finished) if finished.switched => {
                            return self.switch(node, upstream, plan.pair.take(), in_flight);
                        }
                        Ok(finished) => return self.finish(&node, upstream, finished),
                        Err(failure) => {
                            blame::note_failure(
                                self.ctx,
                                self.policy,
                                &node,
                                &failure,
                                reuse,
                                &progressed,
                            );
                            (failure, progressed.progress(), reuse)
                        }
                    }
                }
            };
            self.trace_failure(&failure, progressed.status.get());
            let replay = match body {
                _ if matches!(failure.cause, Cause::ClientGone) => Replay::Spent,
                Body::Coming if progress != Progress::Unconnected => Replay::Spent,
                _ => plan.replay,
            };
            match after_failure(progress, reuse, replay, attempt) {
                Retry::Stop => return self.failed(failure, progressed.sent.get()),
                Retry::FreshConnection => how = Checkout::Fresh,
                Retry::NextNode => self.tried.push(node.id),
            }
            match self.judge_again(held) {
                Ok(again) => *plan = again,
                Err(Unplanned::Asleep(asleep)) => waits = Some(Box::new((*asleep, failure))),
                // No node is left: what the last one did says more than that.
                Err(_refusal) => return self.failed(failure, 0),
            }
            self.ctx.shard.add(Counter::UpstreamRetries, 1);
        }
        unreachable!("the retry rule bounds the attempts")
    }

    /// Leaves a tunnel, which is counted for as long as it lasts.
    fn switch(
        &mut self,
        node: Arc<Node>,
        upstream: NodeConn,
        pair: Option<Box<Pair>>,
        in_flight: InFlight,
    ) -> Outcome {
        node.load.note_success();
        let pairs = &self.ctx.shared.rtsp_pairs;
        let counted = Counted {
            admitted: std::mem::take(&mut self.admitted),
            in_flight: Some(in_flight),
            session: pair.map(|pair| pairs.open(*pair, &node)),
        };
        Outcome::Switched(Switched::new(node, upstream, &self.policy.timeouts, counted))
    }

    async fn check_out(
        &mut self,
        node: &Arc<Node>,
        how: Checkout<'_>,
    ) -> Result<NodeConn, Failure> {
        let conn = self.client.conn;
        let how = match introduction::opening(self.policy, node) {
            Opening::ProxyV2 => Checkout::Introduced(introduction::of(conn)),
            Opening::Plain if node.facts.proto == Proto::Uwsgi => Checkout::Fresh,
            Opening::Plain => how,
        };
        let limit = self.policy.timeouts.connect;
        self.trace_attempt(node);
        let began = (how != Checkout::Any).then(Instant::now);
        let eject = self.policy.resilience.eject;
        let (pool, shard) = (&self.ctx.pool, &self.ctx.shard);
        let result = match node.facts.proto {
            // Boxed, so that the others do not carry its state.
            Proto::H2c => Box::pin(self.ctx.links.open(node, how, shard, limit, eject)).await,
            _ => checkout(node, how, pool, shard, limit, eject).await.map(NodeConn::from),
        };
        self.record.node = Some(node.clone());
        match result {
            Ok(upstream) => {
                self.record.reused = upstream.reuse == Reuse::Pooled;
                if let Some(began) = began {
                    self.note_connect(micros(began));
                }
                Ok(upstream)
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(Failure {
                termination: Termination::new(FaultOf::UpstreamDeadline, Phase::Connect),
                status: 504,
                cause: Cause::ConnectSlow,
            }),
            Err(_refused) => Err(Failure::upstream(Phase::Connect, 503, Cause::Unreachable)),
        }
    }

    async fn attempt(
        &mut self,
        plan: &mut Plan,
        upstream: &mut NodeConn,
        body: &Body<'a>,
        progressed: &Progressed,
    ) -> Result<Finished, Failure> {
        let asked = Asked {
            is_head: plan.is_head,
            version: plan.version,
            keep_alive: plan.keep_alive,
            wish: plan.wish,
            scheme: plan.scheme,
            takes_trailers: plan.takes_trailers,
            coding: plan.coding,
        };
        progressed.cookie.replace(plan.cookie.take());
        let mut request = std::mem::take(&mut plan.request);
        let received = Cell::new(0);
        let here = match body {
            Body::Here(bytes) => &self.client.inbound.bytes()[..*bytes],
            Body::Held(held) => held.bytes(),
            Body::Coming => &[],
        };
        request.extend_from_slice(here);
        let attempt = Attempt {
            reader: &mut *self.client.reader,
            writer: &mut *self.client.writer,
            inbound: &mut *self.client.inbound,
            upstream,
            policy: self.policy,
            progressed,
            received: &received,
        };
        let result = match body {
            Body::Here(_) | Body::Held(_) => attempt.whole(request, asked).await,
            Body::Coming => {
                let expecting =
                    if plan.expect_continue { Expecting::Continue } else { Expecting::Nothing };
                // Boxed, so that the many exchanges without a body do not carry its state.
                Box::pin(attempt.streaming(request, plan.until, expecting, asked)).await
            }
        };
        self.record.bytes_in += received.get();
        if let (Ok(_), Body::Here(bytes)) = (&result, body) {
            self.client.inbound.consume(*bytes);
            self.record.bytes_in += *bytes as u64;
        }
        self.record.bytes_out += progressed.sent.get();
        self.record.status = progressed.status.get();
        self.trace_answer(progressed);
        if let Some(coding) = progressed.coding.get() {
            self.ctx.shard.count(coding.counter());
        }
        // As uWSGI counts them: tx from the node, rx to it.
        plan.node
            .load
            .add_bytes(progressed.answered.get(), progressed.asked.get() + received.get());
        result
    }

    pub(super) fn judge_again(&self, held: Held) -> Result<Plan, Unplanned> {
        let Record { id, trace, .. } = &*self.record;
        let round = Round { tried: &self.tried, held, id: *id, trace };
        match judge(self.ctx, self.client.conn, self.client.inbound.head(), &round) {
            Judged::Admitted(plan) => Ok(plan),
            Judged::Refused(refusal) => Err(Unplanned::Refused(refusal)),
            Judged::Asleep(asleep) => Err(Unplanned::Asleep(asleep)),
            Judged::Partial | Judged::Rtsp(_) => {
                unreachable!("a held head was a complete one of HTTP when it was judged first")
            }
        }
    }

    fn finish(&mut self, node: &Node, upstream: NodeConn, finished: Finished) -> Outcome {
        blame::note_answer(self.ctx, self.policy, node, self.record.status);
        let reusable = finished.upstream_clean
            && finished.request_done
            && node.facts.proto == Proto::Http
            && introduction::opening(self.policy, node) == Opening::Plain;
        if !reusable {
            upstream.close();
        } else if let Some((read, write)) = upstream.into_socket() {
            read.watch().disarm(deadline::Half::Read);
            self.ctx.pool.borrow_mut().keep(node.id, read, write);
        }
        Outcome::Complete(finished)
    }

    fn failed(&mut self, failure: Failure, sent: u64) -> Outcome {
        self.record.termination = failure.termination;
        if matches!(failure.termination.side, FaultOf::Upstream | FaultOf::UpstreamDeadline) {
            self.ctx.shard.add(Counter::UpstreamFailures, 1);
        }
        self.ctx
            .shard
            .add(Counter::SlowBodiesEnded, u64::from(matches!(failure.cause, Cause::BodySlow)));
        if let Cause::ClientBody(error) = &failure.cause {
            self.ctx.shard.count_head_reject(rejects::index(error.label()));
        }
        if sent > 0 || matches!(failure.cause, Cause::ClientGone) {
            return Outcome::Broken;
        }
        let detail = match failure.termination.side {
            FaultOf::Client | FaultOf::ClientDeadline | FaultOf::Router => failure.to_string(),
            // What a node did wrong is for its operator's log, not for its visitors.
            _ => String::new(),
        };
        let head = self.client.inbound.head();
        Outcome::Answer(Refusal::closing(failure.status, detail, head))
    }
}
