//! Connections that are passed on as they came: TLS by the name in its first message, raw TCP by the
//! listener.
//!
//! Nothing is decrypted or framed. A node is chosen and connected to before a byte goes on; until then
//! another one may be tried, afterwards never. Nodes are those that speak so ([`Speech`]): requests
//! never reach them, and these bytes never reach a node of requests.

mod choice;
mod conclude;
mod hello;
mod waiting;

use std::{io, rc::Rc, sync::Arc, time::Instant};

use route_table::{Node, Opening, RouteKey, Speech, Tried};
use router_core::{
    buffer::{self, Use},
    deadline::Half,
    io::{Accepted, ReadHalf, WriteHalf},
    metrics::{Counter, Latency},
    termination::{Phase, Side as FaultOf, Termination},
    tunnel::{self, Side, TunnelBytes, TunnelEnd, TunnelLimits},
    upstream::{self, Checkout, Upstream, checkout, retry::ATTEMPTS_MAX},
};
use tls_wire::Alert;

use crate::{
    context::{ConnFacts, Context, Relay},
    http::{
        gate::Admitted,
        record::{Record, micros},
    },
    introduction,
    policy::Policy,
};
use choice::choose;
use hello::HelloFailure;

/// How long a client may take to see why it was refused.
const LINGER: std::time::Duration = std::time::Duration::from_secs(1);

/// Serves a connection to its end. `received` are bytes of it that were read already.
pub async fn serve(
    ctx: Rc<Context>,
    accepted: Accepted,
    received: Vec<u8>,
    conn: ConnFacts,
    relay: Relay,
) {
    let Accepted { read, write, .. } = accepted;
    let record = Record::begin(Instant::now(), 0);
    let tried = Tried::default();
    let mut line = Line { ctx: &ctx, conn, read, write, relay, key: None, record, tried };
    let outcome = match relay {
        Relay::Tls => line.pass_tls(received).await,
        Relay::Tcp(_) => line.pass_on(received).await,
    };
    let refused = match outcome {
        Ok(()) | Err(Ended::Unseen) => None,
        Err(Ended::Refused(alert)) => alert,
    };
    if !matches!(outcome, Err(Ended::Unseen)) {
        conclude::conclude(line.ctx, &line.conn, relay, line.key.as_ref(), &line.record);
    }
    if let Some(alert) = refused {
        line.refuse(alert).await;
    }
}

/// Why a connection has no node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ended {
    /// The client left before it said anything.
    Unseen,
    /// The router closes it; a client of TLS is told why.
    Refused(Option<Alert>),
}

/// One connection.
struct Line<'a> {
    ctx: &'a Rc<Context>,
    conn: ConnFacts,
    read: ReadHalf,
    write: WriteHalf,
    relay: Relay,
    key: Option<RouteKey>,
    record: Record,
    tried: Tried,
}

impl Line<'_> {
    /// Reads the first message, then passes everything on.
    async fn pass_tls(&mut self, received: Vec<u8>) -> Result<(), Ended> {
        match hello::receive(self.ctx, &mut self.read, received).await {
            Ok(hello) => {
                self.conn.sni = hello.server_name;
                if let (Some(name), Some(introduction)) =
                    (self.conn.sni.as_deref(), &mut self.conn.introduction)
                {
                    // Which protocol they agree on, only the node learns.
                    introduction.note_tls(name, b"");
                }
                self.pass_on(hello.received).await
            }
            Err(HelloFailure::Nothing) => Err(Ended::Unseen),
            Err(failure) => {
                self.ctx.shard.count(failure.counter());
                let side = match failure {
                    HelloFailure::Late => FaultOf::ClientDeadline,
                    _ => FaultOf::Client,
                };
                self.record.termination = Termination::new(side, Phase::RequestHead);
                Err(Ended::Refused(failure.alert()))
            }
        }
    }

    /// Connects to a node and pumps until both sides are done.
    async fn pass_on(&mut self, received: Vec<u8>) -> Result<(), Ended> {
        self.record.bytes_in = received.len() as u64;
        // Counted among the exchanges of its key for as long as it lasts.
        let mut admitted = Admitted::default();
        for _ in 0..ATTEMPTS_MAX {
            let mut chosen = match choose(self.ctx, &self.conn, self.relay, &self.tried) {
                Ok(chosen) => chosen,
                Err(unserved) => return Err(self.unserved(unserved)),
            };
            if self.tried.is_first() {
                admitted = std::mem::take(&mut chosen.admitted);
            }
            self.tried.note_counted();
            self.key = Some(chosen.key.clone());
            let policy = self.ctx.shared.policies.get(chosen.policy);
            let _in_flight = self.begin(&mut chosen, policy).await?;
            let node = chosen.node;
            if let Some(upstream) = self.connect(&node, policy).await {
                self.tunnel(&node, policy, upstream, received).await;
                drop(admitted);
                return Ok(());
            }
            self.tried.push(node.id);
        }
        Err(self.close(Alert::InternalError))
    }

    fn unserved(&mut self, unserved: choice::Unserved) -> Ended {
        // What the last node did says more than that there is none left.
        if self.record.node.is_none() {
            self.record.termination = Termination::new(FaultOf::Router, unserved.phase);
        }
        self.close(unserved.alert)
    }

    fn close(&self, alert: Alert) -> Ended {
        Ended::Refused((self.relay.speech() == Speech::Tls).then_some(alert))
    }

    /// A connection to `node`, `None` if it has none and another may be tried.
    async fn connect(&mut self, node: &Arc<Node>, policy: &Policy) -> Option<Upstream> {
        let (ctx, began) = (self.ctx, Instant::now());
        let (limit, eject) = (policy.timeouts.connect, policy.resilience.eject);
        let how = match introduction::opening(policy, node) {
            Opening::ProxyV2 => Checkout::Introduced(introduction::of(&self.conn)),
            Opening::Plain => Checkout::Fresh,
        };
        let outcome = checkout(node, how, &ctx.pool, &ctx.shard, limit, eject).await;
        ctx.shard.add(Counter::UpstreamRetries, u64::from(!self.tried.is_empty()));
        self.record.node = Some(node.clone());
        let side = match outcome {
            Ok(upstream) => {
                self.record.connect_us = micros(began);
                ctx.shard.observe_us(Latency::UpstreamConnect, self.record.connect_us);
                return Some(upstream);
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => FaultOf::UpstreamDeadline,
            Err(_refused) => FaultOf::Upstream,
        };
        ctx.shard.add(Counter::UpstreamFailures, 1);
        self.record.termination = Termination::new(side, Phase::Connect);
        None
    }

    async fn tunnel(
        &mut self,
        node: &Node,
        policy: &Policy,
        mut upstream: Upstream,
        received: Vec<u8>,
    ) {
        self.ctx.shard.count(match self.relay.speech() {
            Speech::Tls => Counter::RelayedTls,
            _ => Counter::RelayedTcp,
        });
        let timeouts = &policy.timeouts;
        let limits = TunnelLimits { idle: timeouts.tunnel, write_stall: timeouts.write_stall };
        let moved = TunnelBytes::default();
        let end = match self.send_first(&mut upstream, policy, received).await {
            Err(_) => TunnelEnd::Second,
            Ok(()) => {
                let client = Side { source: &mut self.read, sink: &mut self.write };
                let far = Side { source: &mut upstream.read, sink: &mut upstream.write };
                tunnel::run(client, far, limits, &moved).await
            }
        };
        self.record.bytes_in += moved.from_first.get();
        let (asked, answered) = (self.record.bytes_in, moved.from_second.get());
        self.record.bytes_out += answered;
        self.record.termination = end.termination();
        node.load.add_bytes(answered, asked);
        self.judge_node(node, policy, end, answered);
    }

    /// Sends what was read while the node was sought.
    async fn send_first(
        &self,
        upstream: &mut Upstream,
        policy: &Policy,
        received: Vec<u8>,
    ) -> io::Result<()> {
        if received.is_empty() {
            return Ok(());
        }
        upstream.write.watch().arm(Half::Write, policy.timeouts.write_stall);
        let (result, received) = upstream.write.write_all(received, 0).await;
        upstream.write.watch().disarm(Half::Write);
        buffer::give(Use::Head, received);
        result
    }

    /// A node that was asked in TLS and broke off without a byte has failed. One of raw TCP owes
    /// nobody an answer: that it could be connected to is all there is to know.
    fn judge_node(&self, node: &Node, policy: &Policy, end: TunnelEnd, answered: u64) {
        let was_asked = self.relay.speech() == Speech::Tls;
        if was_asked && answered == 0 && end == TunnelEnd::Second {
            self.ctx.shard.add(Counter::UpstreamFailures, 1);
            upstream::note_failure(node, policy.resilience.eject, &self.ctx.shard);
        } else if answered > 0 || !was_asked {
            node.load.note_success();
        }
    }

    /// Says why, and lets the client see it: closing over unread bytes would take it back.
    async fn refuse(&mut self, alert: Alert) {
        self.write.watch().arm(Half::Write, LINGER);
        let (result, _) = self.write.write_all(alert.record().to_vec(), 0).await;
        if result.is_err() || self.write.shutdown().await.is_err() {
            return;
        }
        self.read.watch().arm(Half::Read, LINGER);
        for _ in 0..LINGER_READS_MAX {
            let (result, unread) = self.read.read(buffer::take(Use::Reply), usize::MAX).await;
            buffer::give(Use::Reply, unread);
            if !matches!(result, Ok(received) if received > 0) {
                break;
            }
        }
    }
}

/// Reads of what a refused client still sends.
const LINGER_READS_MAX: usize = 8;
