//! One RTSP connection: its first request and answer, then bytes both ways.
//!
//! What the client sends behind its first request is held back until the node answered in RTSP. A
//! node that does not speak it is never handed bytes that were not judged, so RTSP is no way around
//! the rules of HTTP.

use std::{io, sync::Arc, time::Instant};

use http1_wire::{Parsed, RtspSlots, parse_rtsp, rtsp_cseq};
use route_table::{Node, Opening, Tried};
use router_core::{
    buffer::{self, Use},
    deadline::{self, Half},
    metrics::{Counter, Latency},
    termination::{Phase, Side as FaultOf, Termination},
    upstream::{self, Checkout, checkout, retry::ATTEMPTS_MAX},
};

use super::{
    Call, Refused,
    choice::{Chosen, choose},
    write_answer,
};
use crate::{
    context::Context,
    http::{
        exchange::{Client, pour},
        failure::{Cause, Failure},
        gate::Admitted,
        in_flight::InFlight,
        record::{Record, micros},
        request_body::{receive_body, send_request},
    },
    introduction,
    node::NodeConn,
    policy::Policy,
};

/// Longest body of a first request: an ANNOUNCE carries a session description of a few hundred bytes.
const BODY_BYTES_MAX: u64 = 64 * 1024;
/// First bytes of every answer.
const ANSWER: &[u8] = b"RTSP/1.0 ";
/// Those and a status.
const STATUS_LINE_BYTES: usize = ANSWER.len() + 3;

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// The router answered, and the next request may come.
    Answered,
    /// The router answered, and the client may still be sending.
    Refused,
    /// Nothing more can be said to the client.
    Over,
}

/// Serves the RTSP request whose head is held.
pub async fn serve(ctx: &Context, client: Client<'_>, call: Call, record: &mut Record) -> Ending {
    let mut line = Line { ctx, client, record, tried: Tried::default() };
    let refused = match call.verdict {
        Ok(body_bytes) => match line.call(body_bytes).await {
            Ok(()) => return Ending::Over,
            Err(refused) => refused,
        },
        Err(refused) => {
            line.record.termination = Termination::new(FaultOf::Client, Phase::RequestHead);
            refused
        }
    };
    line.refuse(&refused).await
}

/// A request without a node yet.
struct Line<'a> {
    ctx: &'a Context,
    client: Client<'a>,
    record: &'a mut Record,
    tried: Tried,
}

impl Line<'_> {
    /// From the first request to the end of the conversation. An error is to be told to the client.
    async fn call(&mut self, body_bytes: u64) -> Result<(), Refused> {
        let body = self.receive_body(body_bytes).await?;
        // Counted among the requests of its key for as long as the conversation lasts.
        let mut admitted = Admitted::default();
        for _ in 0..ATTEMPTS_MAX {
            let mut chosen = self.choose(&body)?;
            if self.tried.is_first() {
                admitted = std::mem::take(&mut chosen.admitted);
            }
            self.tried.note_counted();
            let policy = self.ctx.shared.policies.get(chosen.policy);
            let most = policy.resilience.node_connections_max;
            let _in_flight = match &chosen.room {
                None => InFlight::begin(&chosen.node),
                // Conversations last: waiting for one to end would be waiting in vain.
                Some(room) => InFlight::begin_below(&chosen.node, most, &self.ctx.queues, room)
                    .map_err(|_busy| self.refuse_for(503))?,
            };
            if let Some(upstream) = self.connect(&chosen.node, policy).await {
                let ended = self.converse(&chosen.node, policy, upstream, chosen.request).await;
                drop(admitted);
                return ended;
            }
            self.tried.push(chosen.node.id);
        }
        Err(Refused::closing(503))
    }

    async fn receive_body(&mut self, bytes: u64) -> Result<Vec<u8>, Refused> {
        if bytes > BODY_BYTES_MAX {
            return Err(Refused { may_stay: false, ..self.refuse_for(413) });
        }
        let bytes = bytes as usize;
        let here = self.client.inbound.bytes();
        let mut body = here[..bytes.min(here.len())].to_vec();
        body.reserve_exact(bytes - body.len());
        self.client.inbound.consume(body.len());
        while body.len() < bytes {
            let most = bytes - body.len();
            let timeouts = &self.ctx.shared.timeouts;
            body = receive_body(self.client.reader, timeouts, body, most)
                .await
                .map_err(|failure| self.fail(&failure))?;
        }
        self.record.bytes_in += body.len() as u64;
        Ok(body)
    }

    /// The next node and the bytes for it.
    fn choose(&mut self, body: &[u8]) -> Result<Chosen, Refused> {
        let mut slots = RtspSlots::new();
        let Ok(Parsed::Complete(head)) = parse_rtsp(self.client.inbound.head(), &mut slots) else {
            unreachable!("a held head was sound when it was judged first")
        };
        match choose(self.ctx, self.client.conn, &head, &self.tried) {
            Ok(mut chosen) => {
                if chosen.request.is_empty() {
                    chosen.request.extend_from_slice(self.client.inbound.head());
                }
                chosen.request.extend_from_slice(body);
                Ok(chosen)
            }
            Err(status) => Err(self.refuse_for(status)),
        }
    }

    /// What is told to a client whose request has no node. The first cause is what counts.
    fn refuse_for(&mut self, status: u16) -> Refused {
        if self.record.node.is_none() {
            let side = if status == 400 { FaultOf::Client } else { FaultOf::Router };
            let phase = if status == 503 { Phase::Connect } else { Phase::RequestHead };
            self.record.termination = Termination::new(side, phase);
        }
        Refused { status, may_stay: true }
    }

    /// A connection to `node`, `None` if it has none and another may be tried.
    async fn connect(&mut self, node: &Arc<Node>, policy: &Policy) -> Option<NodeConn> {
        let (ctx, began) = (self.ctx, Instant::now());
        let (limit, eject) = (policy.timeouts.connect, policy.resilience.eject);
        let how = match introduction::opening(policy, node) {
            Opening::ProxyV2 => Checkout::Introduced(introduction::of(self.client.conn)),
            Opening::Plain => Checkout::Fresh,
        };
        let outcome = checkout(node, how, &ctx.pool, &ctx.shard, limit, eject).await;
        ctx.shard.add(Counter::UpstreamRetries, u64::from(!self.tried.is_empty()));
        self.record.node = Some(node.clone());
        let side = match outcome {
            Ok(upstream) => {
                self.record.connect_us = micros(began);
                ctx.shard.observe_us(Latency::UpstreamConnect, self.record.connect_us);
                self.record.termination = Termination::CLEAN;
                return Some(upstream.into());
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => FaultOf::UpstreamDeadline,
            Err(_refused) => FaultOf::Upstream,
        };
        self.record.termination = Termination::new(side, Phase::Connect);
        None
    }

    /// The first answer, then everything.
    async fn converse(
        &mut self,
        node: &Arc<Node>,
        policy: &Policy,
        mut upstream: NodeConn,
        request: Vec<u8>,
    ) -> Result<(), Refused> {
        let timeouts = &policy.timeouts;
        let asked = request.len() as u64;
        let request = send_request(&mut upstream.write, timeouts, request)
            .await
            .map_err(|failure| self.fail(&failure))?;
        buffer::give(Use::Reply, request);
        let answer = self.receive_answer(node, policy, &mut upstream).await?;
        self.ctx.shard.add(Counter::RtspConnections, 1);
        node.load.note_success();
        self.record.bytes_out += answer.len() as u64;
        let watch = self.client.writer.watch();
        watch.arm(Half::Write, timeouts.write_stall);
        let (result, answer) = self.client.writer.write_all(answer, 0).await;
        self.client.writer.watch().disarm(Half::Write);
        node.load.add_bytes(answer.len() as u64, asked);
        buffer::give(Use::Reply, answer);
        if result.is_err() {
            self.record.termination = Termination::new(FaultOf::Client, Phase::ResponseHead);
            return Ok(());
        }
        let client = Client {
            conn: self.client.conn,
            reader: &mut *self.client.reader,
            writer: &mut *self.client.writer,
            inbound: &mut *self.client.inbound,
        };
        pour::pass_on(self.ctx, policy, client, self.record, node.clone(), upstream).await;
        Ok(())
    }

    /// Receives until the answer is known to be RTSP and its status is there.
    async fn receive_answer(
        &mut self,
        node: &Node,
        policy: &Policy,
        upstream: &mut NodeConn,
    ) -> Result<Vec<u8>, Refused> {
        let mut answer = buffer::take(Use::Reply);
        while answer.len() < STATUS_LINE_BYTES {
            upstream.read.watch().arm(Half::Read, policy.timeouts.first_byte);
            let result;
            (result, answer) = upstream.read.read(answer, usize::MAX).await;
            upstream.read.watch().disarm(Half::Read);
            if !matches!(result, Ok(received) if received > 0) {
                upstream::note_failure(node, policy.resilience.eject, &self.ctx.shard);
                let failure = Failure::upstream_ended(Phase::ResponseHead, upstream.read.watch());
                return Err(self.fail(&failure));
            }
        }
        match status_of(&answer) {
            Some(status) => {
                self.record.status = status;
                Ok(answer)
            }
            None => {
                upstream::note_failure(node, policy.resilience.eject, &self.ctx.shard);
                let cause = Cause::UpstreamNoRtsp;
                Err(self.fail(&Failure::upstream(Phase::ResponseHead, 502, cause)))
            }
        }
    }

    fn fail(&mut self, failure: &Failure) -> Refused {
        self.record.termination = failure.termination;
        if matches!(failure.termination.side, FaultOf::Upstream | FaultOf::UpstreamDeadline) {
            self.ctx.shard.add(Counter::UpstreamFailures, 1);
        }
        Refused::closing(failure.status)
    }

    async fn refuse(self, refused: &Refused) -> Ending {
        let stays = refused.may_stay && !deadline::is_draining();
        let mut out = buffer::take(Use::Head);
        write_answer(refused.status, rtsp_cseq(self.client.inbound.head()), &mut out);
        self.record.status = refused.status;
        self.record.bytes_out += out.len() as u64;
        self.client.writer.watch().arm(Half::Write, self.ctx.shared.timeouts.write_stall);
        let (result, out) = self.client.writer.write_all(out, 0).await;
        self.client.writer.watch().disarm(Half::Write);
        buffer::give(Use::Head, out);
        match result {
            Err(_) => Ending::Over,
            Ok(()) if stays => Ending::Answered,
            Ok(()) => Ending::Refused,
        }
    }
}

/// The status of an RTSP answer that begins like this.
fn status_of(answer: &[u8]) -> Option<u16> {
    let digits = answer.strip_prefix(ANSWER)?.first_chunk::<3>()?;
    let status: u16 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (100..=999).contains(&status).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_rtsp_answer_has_a_status() {
        assert_eq!(status_of(b"RTSP/1.0 200 OK\r\n"), Some(200));
        for other in [&b"HTTP/1.1 200 OK\r\n"[..], b"RTSP/1.0 +20", b"RTSP/1.0 099", b"RTSP/1.0 2"]
        {
            assert_eq!(status_of(other), None);
        }
    }
}
