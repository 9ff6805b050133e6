//! Connections that are passed on as they came: TLS by the name in its first message, raw TCP by the
//! listener.
//!
//! Nothing is decrypted or framed. A node is chosen and connected to before a byte goes on; until then
//! another one may be tried, afterwards never. Nodes are those that speak so (`route_table::Speech`): requests
//! never reach them, and these bytes never reach a node of requests.

mod asleep;
pub mod choice;
mod conclude;
mod hello;
mod line;
mod names;
mod waiting;

use std::{io, rc::Rc};

use route_table::Node;
use router_core::{
    buffer::{self, Use},
    deadline::Half,
    io::{Accepted, ReadHalf, WriteHalf},
    metrics::Counter,
    termination::{Phase, Side as FaultOf, Termination},
    tunnel::{self, Side, TunnelBytes, TunnelEnd, TunnelLimits},
    upstream,
};
use tls_wire::Alert;

use crate::{
    context::{ConnFacts, Context, Relay},
    policy::Policy,
};
use choice::Unserved;
use hello::HelloFailure;
pub use line::{Errand, Line, Reached};

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
    let mut line = Line::new(&ctx, conn, (read, write), relay);
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
        refuse(&mut line.read, &mut line.write, alert.record().to_vec()).await;
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

impl Line<'_, Relay> {
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
        let reached = self.reach().await.map_err(|unserved| self.refused(unserved))?;
        self.tunnel(reached, received).await;
        Ok(())
    }

    fn refused(&self, unserved: Unserved) -> Ended {
        Ended::Refused((self.errand == Relay::Tls).then_some(unserved.alert()))
    }

    async fn tunnel(&mut self, mut reached: Reached<'_>, received: Vec<u8>) {
        self.ctx.shard.count(match self.errand {
            Relay::Tls => Counter::RelayedTls,
            Relay::Tcp(_) => Counter::RelayedTcp,
        });
        let Reached { node, policy, upstream, .. } = &mut reached;
        let timeouts = &policy.timeouts;
        let limits = TunnelLimits::new(timeouts.tunnel, timeouts.write_stall);
        let moved = TunnelBytes::default();
        let end = match send_first(&mut upstream.write, policy, received).await {
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

    /// A node that was asked in TLS and broke off without a byte has failed. One of raw TCP owes
    /// nobody an answer: that it could be connected to is all there is to know.
    fn judge_node(&self, node: &Node, policy: &Policy, end: TunnelEnd, answered: u64) {
        let was_asked = self.errand == Relay::Tls;
        if was_asked && answered == 0 && end == TunnelEnd::Second {
            self.ctx.shard.add(Counter::UpstreamFailures, 1);
            upstream::note_failure(node, policy.resilience.eject, &self.ctx.shard);
        } else if answered > 0 || !was_asked {
            node.load.note_success();
        }
    }
}

/// Sends what was read while the node was sought.
async fn send_first(write: &mut WriteHalf, policy: &Policy, received: Vec<u8>) -> io::Result<()> {
    if received.is_empty() {
        return Ok(());
    }
    write.watch().arm(Half::Write, policy.timeouts.write_stall);
    let (result, received) = write.write_all(received, 0).await;
    write.watch().disarm(Half::Write);
    buffer::give(Use::Head, received);
    result
}

/// Says why, and lets the client see it: closing over unread bytes would take it back.
async fn refuse(read: &mut ReadHalf, write: &mut WriteHalf, told: Vec<u8>) {
    write.watch().arm(Half::Write, LINGER);
    let (result, _) = write.write_all(told, 0).await;
    if result.is_err() || write.shutdown().await.is_err() {
        return;
    }
    read.watch().arm(Half::Read, LINGER);
    for _ in 0..LINGER_READS_MAX {
        let (result, unread) = read.read(buffer::take(Use::Reply), usize::MAX).await;
        buffer::give(Use::Reply, unread);
        if !matches!(result, Ok(received) if received > 0) {
            break;
        }
    }
}

/// Reads of what a refused client still sends.
const LINGER_READS_MAX: usize = 8;
