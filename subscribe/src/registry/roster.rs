//! Routes, their nodes and their leases: the published table, and what of it is not published yet.
//!
//! The table that workers read is also the registry's memory: a key that did not change since the
//! last publish is held nowhere else, and a lease lies in its node's counters, so that a renewal
//! writes nothing but a number. What changed waits in a draft until the next publish, which builds
//! every drafted route once, however many datagrams of the batch changed it.
//!
//! Knows nothing of proofs: whoever calls has checked. Each living subscribed node has exactly one
//! entry in the lease queue.

use std::collections::HashMap;
use std::sync::Arc;

use route_table::{
    Address, Algorithm, Generation, Intake, Node, NodeFacts, NodeId, NodeOrigin, Route, RouteKey,
    TableWriter,
};

use super::identity::Known;
use crate::lease::{Lease, LeaseQueue};
use crate::limits::Limits;
use crate::reject::Reject;

/// All routes of the registry.
#[derive(Debug)]
pub(super) struct Roster {
    writer: TableWriter,
    /// The keys that are to be published otherwise than they are.
    drafts: HashMap<RouteKey, Draft>,
    leases: LeaseQueue,
    keys: usize,
    nodes: usize,
    next_id: u64,
    limits: Limits,
}

/// One key as the next table will have it; without nodes it will not have it.
#[derive(Debug)]
struct Draft {
    nodes: Vec<Arc<Node>>,
    algorithm: Algorithm,
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
            writer,
            drafts: HashMap::new(),
            leases: LeaseQueue::default(),
            keys: 0,
            nodes: 0,
            next_id: 0,
            limits,
        }
    }

    /// The nodes of a key that an address and a vassal's name belong to.
    pub fn recognise(&self, key: &RouteKey, address: &Address, vassal: Option<&str>) -> Known {
        let mut nodes = self.nodes_of(key);
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
        match self.nodes_of(key).count() {
            0 if self.keys >= self.limits.keys_max => return Err(Reject::TooManyKeys),
            nodes if nodes >= self.limits.nodes_per_key_max => {
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
        debug_assert!(
            self.recognise(&key, &facts.address, facts.vassal()).announced().is_none(),
            "a node is added once"
        );
        let node = Arc::new(Node::new(self.next_id(), facts));
        node.load.set_due_ms(due_ms);
        if due_ms != u64::MAX {
            self.leases.push(Lease { due_ms, id: node.id, key: key.clone() });
        }
        let draft = self.draft(&key);
        let is_new = draft.nodes.is_empty();
        if is_new {
            draft.algorithm = algorithm;
        }
        draft.nodes.push(Arc::clone(&node));
        self.keys += usize::from(is_new);
        self.nodes += 1;
        node
    }

    /// Prolongs the lease of a known node and gives it other facts, if there are any. Under another
    /// address it gets a number of its own.
    pub fn renew(
        &mut self,
        key: &RouteKey,
        node: &Arc<Node>,
        due_ms: u64,
        facts: Option<NodeFacts>,
    ) -> Arc<Node> {
        debug_assert_eq!(node.facts.origin, NodeOrigin::Subscribed);
        debug_assert!(self.nodes_of(key).any(|held| Arc::ptr_eq(held, node)), "it is held");
        node.load.set_due_ms(due_ms);
        let Some(facts) = facts else { return Arc::clone(node) };
        let after = if facts.address == node.facts.address {
            Arc::new(node.with_facts(facts))
        } else {
            let id = self.next_id();
            node.load.note_success(); // failures were those of the address
            self.leases.push(Lease { due_ms, id, key: key.clone() });
            Arc::new(node.moved(id, facts))
        };
        for held in &mut self.draft(key).nodes {
            if held.id == node.id {
                *held = Arc::clone(&after);
            }
        }
        after
    }

    /// Gives a node new requests or not; says whether that is a change. `None`: it is not there.
    pub fn set_intake(
        &mut self,
        key: &RouteKey,
        is_it: impl Fn(&Node) -> bool,
        intake: Intake,
    ) -> Option<bool> {
        let before = Arc::clone(self.nodes_of(key).find(|node| is_it(node))?);
        if before.intake == intake {
            return Some(false);
        }
        let after = Arc::new(before.with_intake(intake));
        for held in &mut self.draft(key).nodes {
            if held.id == after.id {
                *held = Arc::clone(&after);
            }
        }
        Some(true)
    }

    /// Takes out the node at this address, if an operator put it there.
    pub fn remove_operators(&mut self, key: &RouteKey, at: &Address) -> Option<Departed> {
        self.take_of(NodeOrigin::Operator, key, |node| node.facts.address == *at)
    }

    /// Takes out a subscribed node.
    pub fn remove(&mut self, key: &RouteKey, id: NodeId) -> Option<Departed> {
        self.take(key, |node| node.id == id)
    }

    /// Takes out any subscribed node of a key.
    pub fn remove_subscribed(&mut self, key: &RouteKey) -> Option<Departed> {
        self.take(key, |_| true)
    }

    /// Takes out the next node whose lease ended by `now_ms`, if it is among the next `leases_left`.
    pub fn remove_lapsed(&mut self, now_ms: u64, leases_left: &mut usize) -> Option<Departed> {
        let (drafts, writer) = (&self.drafts, &self.writer);
        let real_due_ms = |lease: &Lease| due_ms(drafts, writer, lease);
        let lease = self.leases.pop_lapsed(now_ms, leases_left, real_due_ms)?;
        self.take(&lease.key, |node| node.id == lease.id)
    }

    pub fn next_due_ms(&self) -> Option<u64> {
        self.leases.next_due_ms()
    }

    /// Builds and publishes the routes that changed.
    pub fn publish(&mut self) -> Option<Generation> {
        if self.drafts.is_empty() {
            self.writer.reclaim();
            return None;
        }
        let table = Arc::clone(self.writer.table());
        self.writer.reserve(self.drafts.len());
        for (key, Draft { nodes, algorithm }) in self.drafts.drain() {
            if nodes.is_empty() {
                self.writer.stage_remove(&key);
                continue;
            }
            let route = match table.get(key.as_str()) {
                Some(last) if last.algorithm() == algorithm => last.with_nodes(nodes),
                _ => Route::new(key, nodes, algorithm),
            };
            self.writer.stage_put(Arc::new(route));
        }
        drop(table);
        self.drafts.shrink_to(DRAFTS_KEPT);
        Some(self.writer.publish())
    }

    pub fn has_key(&self, key: &RouteKey) -> bool {
        self.nodes_of(key).next().is_some()
    }

    pub fn keys(&self) -> usize {
        self.keys
    }

    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// Every node with its key, in no order but that of one key's nodes.
    pub fn iter(&self) -> impl Iterator<Item = (&RouteKey, &Arc<Node>)> {
        self.rows().map(|(key, _, node)| (key, node))
    }

    /// Those of them that operators keep new requests from.
    pub fn drained(&self) -> impl Iterator<Item = (&RouteKey, &Arc<Node>)> {
        self.iter().filter(|(_, node)| node.intake == Intake::Drained)
    }

    /// Every node, with how the key spreads its requests.
    pub fn rows(&self) -> impl Iterator<Item = (&RouteKey, Algorithm, &Arc<Node>)> {
        let drafts = self.drafts.iter();
        let drafted = drafts.flat_map(|(key, draft)| {
            draft.nodes.iter().map(move |node| (key, draft.algorithm, node))
        });
        let settled = self.writer.table().iter().filter(|route| !self.is_drafted(route.key()));
        drafted.chain(
            settled.flat_map(|route| {
                route.all_nodes().map(|node| (route.key(), route.algorithm(), node))
            }),
        )
    }

    /// How a key spreads its requests.
    pub fn algorithm(&self, key: &RouteKey) -> Algorithm {
        match self.drafts.get(key) {
            Some(draft) => draft.algorithm,
            None => self
                .writer
                .table()
                .get(key.as_str())
                .map_or_else(Algorithm::default, |route| route.algorithm()),
        }
    }

    /// Makes room for so many keys that are to be added before the next publish.
    pub fn reserve(&mut self, keys: usize) {
        self.drafts.reserve(keys.min(self.limits.keys_max));
    }

    /// Whether a key has a node that a datagram brought.
    pub fn has_subscribed(&self, key: &RouteKey) -> bool {
        self.nodes_of(key).any(|node| node.facts.origin == NodeOrigin::Subscribed)
    }

    fn is_drafted(&self, key: &RouteKey) -> bool {
        !self.drafts.is_empty() && self.drafts.contains_key(key)
    }

    fn next_id(&mut self) -> NodeId {
        self.next_id += 1;
        NodeId(self.next_id - 1)
    }

    fn nodes_of(&self, key: &RouteKey) -> impl Iterator<Item = &Arc<Node>> + Clone {
        nodes_of(&self.drafts, &self.writer, key)
    }

    /// The key as it will be published, to be changed.
    fn draft(&mut self, key: &RouteKey) -> &mut Draft {
        let table = self.writer.table();
        self.drafts.entry(key.clone()).or_insert_with(|| match table.get(key.as_str()) {
            Some(route) => {
                Draft { nodes: route.all_nodes().cloned().collect(), algorithm: route.algorithm() }
            }
            None => Draft { nodes: Vec::with_capacity(1), algorithm: Algorithm::default() },
        })
    }

    /// Takes out a node of the configuration.
    pub fn remove_static(&mut self, key: &RouteKey, id: NodeId) {
        let it = |node: &Arc<Node>| node.id == id && node.facts.origin == NodeOrigin::Static;
        if !self.nodes_of(key).any(it) {
            return;
        }
        let nodes = &mut self.draft(key).nodes;
        nodes.retain(|node| !it(node));
        self.keys -= usize::from(nodes.is_empty());
        self.nodes -= 1;
    }

    fn take(&mut self, key: &RouteKey, is_it: impl Fn(&Node) -> bool) -> Option<Departed> {
        self.take_of(NodeOrigin::Subscribed, key, is_it)
    }

    fn take_of(
        &mut self,
        origin: NodeOrigin,
        key: &RouteKey,
        is_it: impl Fn(&Node) -> bool,
    ) -> Option<Departed> {
        let subscribed = |node: &Node| node.facts.origin == NodeOrigin::Subscribed;
        let it = |node: &Arc<Node>| node.facts.origin == origin && is_it(node);
        // Looked for first: a draft of a key that is not there would publish for nothing.
        self.nodes_of(key).find(|node| it(node))?;
        let nodes = &mut self.draft(key).nodes;
        let node = nodes.remove(nodes.iter().position(it)?);
        let subscribed_left = nodes.iter().filter(|node| subscribed(node)).count();
        self.keys -= usize::from(nodes.is_empty());
        self.nodes -= 1;
        let (drafts, writer) = (&self.drafts, &self.writer);
        self.leases.compact(self.nodes, |lease| due_ms(drafts, writer, lease));
        Some(Departed { key: key.clone(), node, subscribed_left })
    }

    /// Asserts what holds between any two calls; for tests and simulation.
    pub fn check(&self) {
        assert_eq!(self.nodes, self.iter().count(), "nodes are counted");
        assert!(self.keys <= self.limits.keys_max);
        assert!(self.nodes <= self.limits.nodes_max);
        let leased = self.iter().filter(|(_, node)| node.load.due_ms() != u64::MAX).count();
        assert!(self.leases.entries() >= leased, "each leased node waits in the queue");
        let next = self.leases.next_due_ms().unwrap_or(u64::MAX);
        let mut keys = std::collections::BTreeSet::new();
        for (key, node) in self.iter() {
            keys.insert(key);
            assert!(self.nodes_of(key).count() <= self.limits.nodes_per_key_max);
            assert!(node.load.due_ms() >= next, "no expiry is missed");
            let facts = &node.facts;
            let known = self.recognise(key, &facts.address, facts.vassal());
            let is_it = |found: Option<Arc<Node>>| found.is_none_or(|found| found.id == node.id);
            assert!(is_it(known.by_address), "no address twice");
            assert!(is_it(known.by_vassal), "no vassal twice");
            assert!(!node.is_asleep() || facts.vassal().is_some(), "only vassals sleep");
        }
        assert_eq!(self.keys, keys.len(), "keys with a node are counted");
    }
}

/// The nodes of a key, unpublished changes considered.
fn nodes_of<'r>(
    drafts: &'r HashMap<RouteKey, Draft>,
    writer: &'r TableWriter,
    key: &RouteKey,
) -> impl Iterator<Item = &'r Arc<Node>> + Clone {
    let draft = if drafts.is_empty() { None } else { drafts.get(key) };
    let route = if draft.is_some() { None } else { writer.table().get(key.as_str()) };
    let drafted = draft.into_iter().flat_map(|draft| &draft.nodes);
    drafted.chain(route.into_iter().flat_map(|route| route.all_nodes()))
}

/// When a lease really ends; nothing if its node left.
fn due_ms(drafts: &HashMap<RouteKey, Draft>, writer: &TableWriter, lease: &Lease) -> Option<u64> {
    let mut nodes = nodes_of(drafts, writer, &lease.key);
    nodes.find(|node| node.id == lease.id).map(|node| node.load.due_ms())
}

/// Room for drafts that is kept after a storm.
const DRAFTS_KEPT: usize = 1024;
