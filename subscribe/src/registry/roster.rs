//! Routes, their nodes and their leases, and what of them is not published yet.
//!
//! Knows nothing of proofs: whoever calls has checked. Each living subscribed node has exactly one
//! entry in the lease queue; each change marks its route, and a publish builds every marked route
//! once, however many datagrams of the batch changed it.

use std::collections::HashMap;
use std::sync::Arc;

use route_table::{
    Address, Algorithm, Generation, Node, NodeFacts, NodeId, NodeOrigin, Route, RouteKey,
    TableWriter,
};

use super::identity::Known;
use crate::lease::{Lease, LeaseQueue};
use crate::limits::Limits;
use crate::reject::Reject;

/// All routes of the registry.
#[derive(Debug)]
pub(super) struct Roster {
    routes: HashMap<RouteKey, RouteState>,
    leases: LeaseQueue,
    writer: TableWriter,
    unpublished: Vec<RouteKey>,
    nodes: usize,
    next_id: u64,
    limits: Limits,
}

/// One key with at least one node.
#[derive(Debug)]
struct RouteState {
    nodes: Vec<Held>,
    algorithm: Algorithm,
    is_unpublished: bool,
}

/// A node and when its lease ends, in monotonic milliseconds; `u64::MAX` for a static node.
#[derive(Debug)]
struct Held {
    node: Arc<Node>,
    due_ms: u64,
}

/// A node that was taken out.
#[derive(Debug)]
pub(super) struct Departed {
    pub key: RouteKey,
    pub node: Arc<Node>,
    /// Subscribed nodes its key still has.
    pub subscribed_left: usize,
}

impl Roster {
    pub fn new(limits: Limits, writer: TableWriter) -> Self {
        Self {
            routes: HashMap::new(),
            leases: LeaseQueue::default(),
            writer,
            unpublished: Vec::new(),
            nodes: 0,
            next_id: 0,
            limits,
        }
    }

    /// The nodes of a key that an address and a vassal's name belong to.
    pub fn recognise(&self, key: &RouteKey, address: &Address, vassal: Option<&str>) -> Known {
        let Some(route) = self.routes.get(key) else { return Known::default() };
        let mut nodes = route.nodes.iter().map(|held| &held.node);
        let at = |node: &&Arc<Node>| node.facts.address == *address;
        let is_address = *address != Address::Nowhere;
        Known {
            by_address: nodes.clone().find(|node| is_address && at(node)).cloned(),
            by_vassal: vassal
                .and_then(|name| nodes.find(|node| node.facts.vassal() == Some(name)))
                .cloned(),
        }
    }

    /// Whether one more node fits.
    pub fn check_room(&self, key: &RouteKey) -> Result<(), Reject> {
        match self.routes.get(key) {
            None if self.routes.len() >= self.limits.keys_max => return Err(Reject::TooManyKeys),
            Some(route) if route.nodes.len() >= self.limits.nodes_per_key_max => {
                return Err(Reject::TooManyNodesOfKey);
            }
            _ => {}
        }
        if self.nodes >= self.limits.nodes_max { Err(Reject::TooManyNodes) } else { Ok(()) }
    }

    /// Adds a node that [`Roster::recognise`] does not know and [`Roster::check_room`] has room for.
    /// `algorithm` counts only if the key is new.
    pub fn add(
        &mut self,
        key: RouteKey,
        facts: NodeFacts,
        algorithm: Algorithm,
        due_ms: u64,
    ) -> Arc<Node> {
        let known = self.recognise(&key, &facts.address, facts.vassal());
        debug_assert!(known.announced().is_none(), "a node is added once");
        let id = NodeId(self.next_id);
        self.next_id += 1;
        let node = Arc::new(Node::new(id, facts));
        if due_ms != u64::MAX {
            self.leases.push(Lease { due_ms, id, key: key.clone() });
        }
        let fresh =
            || RouteState { nodes: Vec::with_capacity(1), algorithm, is_unpublished: false };
        let route = self.routes.entry(key.clone()).or_insert_with(fresh);
        route.nodes.push(Held { node: Arc::clone(&node), due_ms });
        self.nodes += 1;
        self.mark(key);
        node
    }

    /// Prolongs the lease of a known node and gives it other facts, if there are any. Under another
    /// address it gets a number of its own.
    pub fn renew(
        &mut self,
        key: &RouteKey,
        id: NodeId,
        due_ms: u64,
        facts: Option<NodeFacts>,
    ) -> Option<Arc<Node>> {
        let nodes = &mut self.routes.get_mut(key)?.nodes;
        let held = nodes.iter_mut().find(|held| held.node.id == id)?;
        debug_assert_ne!(held.node.facts.origin, NodeOrigin::Static);
        held.due_ms = due_ms;
        let Some(facts) = facts else { return Some(Arc::clone(&held.node)) };
        if facts.address == held.node.facts.address {
            held.node = Arc::new(held.node.with_facts(facts));
        } else {
            let id = NodeId(self.next_id);
            self.next_id += 1;
            held.node = Arc::new(held.node.moved(id, facts));
            held.node.load.note_success(); // failures were those of the address
            self.leases.push(Lease { due_ms, id, key: key.clone() });
        }
        let node = Arc::clone(&held.node);
        self.mark(key.clone());
        Some(node)
    }

    /// Takes out a subscribed node.
    pub fn remove(&mut self, key: &RouteKey, id: NodeId) -> Option<Departed> {
        self.take(key, |node| node.id == id)
    }

    /// Takes out any subscribed node of a key.
    pub fn remove_subscribed(&mut self, key: &RouteKey) -> Option<Departed> {
        self.take(key, |_| true)
    }

    /// Takes out the next node whose lease ended by `now_ms`.
    pub fn remove_lapsed(&mut self, now_ms: u64) -> Option<Departed> {
        let routes = &self.routes;
        let lease = self.leases.pop_lapsed(now_ms, |lease| due_ms(routes, lease))?;
        self.take(&lease.key, |node| node.id == lease.id)
    }

    pub fn next_due_ms(&self) -> Option<u64> {
        self.leases.next_due_ms()
    }

    /// Builds and publishes the routes that changed.
    pub fn publish(&mut self) -> Option<Generation> {
        if self.unpublished.is_empty() {
            self.writer.reclaim();
            return None;
        }
        let table = self.writer.table();
        for key in self.unpublished.drain(..) {
            let Some(state) = self.routes.get_mut(&key) else {
                self.writer.stage_remove(&key);
                continue;
            };
            state.is_unpublished = false;
            let nodes: Vec<_> = state.nodes.iter().map(|held| Arc::clone(&held.node)).collect();
            let route = match table.get(key.as_str()) {
                Some(last) if last.algorithm() == state.algorithm => last.with_nodes(nodes),
                _ => Route::new(key, nodes, state.algorithm),
            };
            self.writer.stage_put(Arc::new(route));
        }
        drop(table);
        self.unpublished.shrink_to(UNPUBLISHED_KEPT);
        Some(self.writer.publish())
    }

    pub fn keys(&self) -> usize {
        self.routes.len()
    }

    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// Every node with its key, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&RouteKey, &Arc<Node>)> {
        let held = |(key, route)| nodes_of(key, route);
        self.routes.iter().flat_map(held)
    }

    fn take(&mut self, key: &RouteKey, is_it: impl Fn(&Node) -> bool) -> Option<Departed> {
        let route = self.routes.get_mut(key)?;
        let subscribed = |held: &&Held| held.node.facts.origin == NodeOrigin::Subscribed;
        let it = |held: &Held| subscribed(&held) && is_it(&held.node);
        let index = route.nodes.iter().position(it)?;
        let node = route.nodes.remove(index).node;
        let subscribed_left = route.nodes.iter().filter(subscribed).count();
        self.nodes -= 1;
        self.mark(key.clone());
        if self.routes.get(key).is_some_and(|route| route.nodes.is_empty()) {
            self.routes.remove(key);
        }
        let routes = &self.routes;
        self.leases.compact(self.nodes, |lease| due_ms(routes, lease));
        Some(Departed { key: key.clone(), node, subscribed_left })
    }

    /// The route must be built anew at the next publish.
    fn mark(&mut self, key: RouteKey) {
        if let Some(route) = self.routes.get_mut(&key)
            && !std::mem::replace(&mut route.is_unpublished, true)
        {
            self.unpublished.push(key);
        }
    }

    /// Asserts what holds between any two calls; for tests and simulation.
    pub fn check(&self) {
        let held = || self.routes.values().flat_map(|route| &route.nodes);
        assert_eq!(self.nodes, held().count(), "nodes are counted");
        assert!(self.routes.len() <= self.limits.keys_max);
        assert!(self.nodes <= self.limits.nodes_max);
        let leased = held().filter(|held| held.due_ms != u64::MAX).count();
        assert!(self.leases.entries() >= leased, "each leased node waits in the queue");
        let next = self.leases.next_due_ms().unwrap_or(u64::MAX);
        for (key, route) in &self.routes {
            assert!(!route.nodes.is_empty(), "a route has a node: {key}");
            assert!(route.nodes.len() <= self.limits.nodes_per_key_max);
            assert!(!route.is_unpublished || self.unpublished.contains(key));
            assert!(route.nodes.iter().all(|held| held.due_ms >= next), "no expiry is missed");
            for held in &route.nodes {
                let facts = &held.node.facts;
                let known = self.recognise(key, &facts.address, facts.vassal());
                let is_it = |node: Option<Arc<Node>>| node.is_none_or(|it| it.id == held.node.id);
                assert!(is_it(known.by_address), "no address twice");
                assert!(is_it(known.by_vassal), "no vassal twice");
                assert!(!held.node.is_asleep() || facts.vassal().is_some(), "only vassals sleep");
            }
        }
    }
}

fn nodes_of<'r>(
    key: &'r RouteKey,
    route: &'r RouteState,
) -> impl Iterator<Item = (&'r RouteKey, &'r Arc<Node>)> {
    route.nodes.iter().map(move |held| (key, &held.node))
}

/// When a lease really ends; nothing if its node left.
fn due_ms(routes: &HashMap<RouteKey, RouteState>, lease: &Lease) -> Option<u64> {
    let nodes = &routes.get(&lease.key)?.nodes;
    nodes.iter().find(|held| held.node.id == lease.id).map(|held| held.due_ms)
}

/// Room for unpublished keys that is kept after a storm.
const UNPUBLISHED_KEPT: usize = 1024;
