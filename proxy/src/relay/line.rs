//! One connection on its way to a node: chosen, let in, waited for and connected to.
//!
//! Until a byte goes on another node may be tried, afterwards never.

use std::{io::ErrorKind, net::IpAddr, rc::Rc, sync::Arc, time::Instant};

use route_table::{Node, Opening, Route, RouteKey, Speech, Table, Tried};
use router_core::{
    io::{self, ReadHalf, WriteHalf},
    metrics::{Counter, Latency},
    termination::{Phase, Side as FaultOf, Termination},
    upstream::{Checkout, Upstream, checkout, retry::ATTEMPTS_MAX},
};

use super::choice::{Unserved, choose};
use crate::{
    context::{ConnFacts, Context},
    http::{
        gate::Admitted,
        in_flight::InFlight,
        record::{Record, micros},
    },
    introduction,
    policy::Policy,
};

/// What is passed on, and how its key is found.
pub trait Errand {
    /// What the node has to understand.
    fn speech(&self) -> Speech;

    /// The route of the key; `None` if nobody has it.
    fn route(
        &self,
        ctx: &Context,
        conn: &ConnFacts,
        table: &Table,
        tried: &Tried,
    ) -> Option<Arc<Route>>;

    /// Who asks, as far as that decides over nodes and rates.
    fn client(&self, conn: &ConnFacts) -> Option<IpAddr> {
        conn.ip
    }

    /// What counts it if nobody has the key.
    fn unknown(&self, _conn: &ConnFacts) -> Counter {
        Counter::UnknownKey
    }
}

/// One connection.
pub struct Line<'a, E> {
    /// The worker's state.
    pub ctx: &'a Rc<Context>,
    /// Who connected.
    pub conn: ConnFacts,
    /// The receiving half.
    pub read: ReadHalf,
    /// The sending half.
    pub write: WriteHalf,
    /// What is passed on.
    pub errand: E,
    /// The key it was found under.
    pub key: Option<RouteKey>,
    /// What will be said of it.
    pub record: Record,
    pub(super) tried: Tried,
}

/// A node that is connected to. Counted among what it and its key have in hand until this is dropped.
pub struct Reached<'a> {
    /// The node.
    pub node: Arc<Node>,
    /// The rules of the key.
    pub policy: &'a Policy,
    /// The connection.
    pub upstream: Upstream,
    _in_flight: InFlight,
    _admitted: Admitted,
}

impl Reached<'_> {
    /// Ends the connection, on which nothing is under way.
    pub fn close(self) {
        io::close(self.upstream.read, self.upstream.write);
    }
}

impl<'a, E: Errand> Line<'a, E> {
    /// A connection that begins now.
    pub fn new(
        ctx: &'a Rc<Context>,
        conn: ConnFacts,
        (read, write): (ReadHalf, WriteHalf),
        errand: E,
    ) -> Self {
        let (record, tried) = (Record::begin(Instant::now(), 0), Tried::default());
        Self { ctx, conn, read, write, errand, key: None, record, tried }
    }

    /// Connects to a node of the key.
    ///
    /// # Errors
    /// [`Unserved`]; the record says whose fault it was.
    pub async fn reach(&mut self) -> Result<Reached<'a>, Unserved> {
        // Counted among the exchanges of its key for as long as it lasts.
        let mut admitted = Admitted::default();
        for _ in 0..ATTEMPTS_MAX {
            let mut chosen = match choose(self.ctx, &self.conn, &self.errand, &self.tried) {
                Ok(chosen) => chosen,
                // Boxed, so that connections with a node do not carry its state.
                Err(none) => Box::pin(self.wake(none)).await?,
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
                return Ok(Reached { node, policy, upstream, _in_flight, _admitted: admitted });
            }
            self.tried.push(node.id);
        }
        Err(self.unserved(Unserved::Unreachable))
    }

    /// Connects to a node that no table has, after none of those could be.
    ///
    /// # Errors
    /// [`Unserved`] if it cannot be reached either.
    pub async fn reach_spare(
        &mut self,
        node: &Arc<Node>,
        policy: &'a Policy,
    ) -> Result<Reached<'a>, Unserved> {
        let _in_flight = InFlight::begin(node);
        match self.connect(node, policy).await {
            Some(upstream) => {
                let _admitted = Admitted::default();
                Ok(Reached { node: node.clone(), policy, upstream, _in_flight, _admitted })
            }
            None => Err(self.unserved(Unserved::Unreachable)),
        }
    }

    /// What the last node did says more than that there is none left.
    pub(super) fn unserved(&mut self, unserved: Unserved) -> Unserved {
        if self.record.node.is_none() {
            self.record.termination = Termination::new(FaultOf::Router, unserved.phase());
            return unserved;
        }
        match self.record.termination.side {
            FaultOf::UpstreamDeadline => Unserved::Late,
            _ => Unserved::Unreachable,
        }
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
            Err(error) if error.kind() == ErrorKind::TimedOut => FaultOf::UpstreamDeadline,
            Err(_refused) => FaultOf::Upstream,
        };
        ctx.shard.add(Counter::UpstreamFailures, 1);
        self.record.termination = Termination::new(side, Phase::Connect);
        None
    }
}
