//! All nodes of one key, and the choice among them.
//!
//! A route is immutable but for its turn and its hits. A key whose nodes change gets a new route
//! made from the old one by [`Route::with_nodes`], which takes both along.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use crate::balance::{self, Algorithm, Ramp};
use crate::key::RouteKey;
use crate::key_load::KeyLoad;
use crate::limits::TRIED_NODES_MAX;
use crate::node::{Intake, Node, NodeId, Speech};

/// Nodes that can be picked. Most keys have one, which then needs no list of its own.
#[derive(Debug)]
enum Nodes {
    One([Arc<Node>; 1]),
    Any(Box<[Arc<Node>]>),
}

/// Nodes that cannot be picked. Hardly any key has one, so they are behind a pointer.
type Resting = Option<Box<Vec<Arc<Node>>>>;

/// The nodes that serve one key, in order of subscription.
#[derive(Debug)]
pub struct Route {
    key: RouteKey,
    nodes: Nodes,
    resting: Resting,
    hits: AtomicU64,
    turn: AtomicU32,
    algorithm: Algorithm,
    load: OnceLock<Arc<KeyLoad>>,
}

const _: () = assert!(size_of::<Route>() <= 80);

/// What a pick goes by besides the nodes. The default has no limit and no wish.
#[derive(Clone, Copy, Debug)]
pub struct PickRules {
    /// The moment of the pick.
    pub now_ms: u64,
    /// The client's address, if it is known.
    pub client: Option<IpAddr>,
    /// Exchanges a node may have in hand; nodes with room go first.
    pub in_flight_max: u32,
    /// How long a node that joins takes to its full weight; 0: none.
    pub slow_start_ms: u64,
    /// A node to prefer, if it is not out.
    pub wanted: Option<NodeId>,
    /// What the node will be given: one that speaks otherwise is none.
    pub speech: Speech,
}

impl Default for PickRules {
    fn default() -> Self {
        Self {
            now_ms: 0,
            client: None,
            in_flight_max: u32::MAX,
            slow_start_ms: 0,
            wanted: None,
            speech: Speech::default(),
        }
    }
}

impl Route {
    /// A route of a key seen for the first time. `nodes` stand in order of subscription.
    pub fn new(key: RouteKey, nodes: impl Into<Box<[Arc<Node>]>>, algorithm: Algorithm) -> Self {
        let (nodes, resting) = part(nodes.into().into_vec());
        Self {
            key,
            nodes,
            resting,
            hits: AtomicU64::new(0),
            turn: AtomicU32::new(0),
            algorithm,
            load: OnceLock::new(),
        }
    }

    /// The route of the same key with other nodes: key, algorithm, hits and turn stay.
    ///
    /// Hits counted on the old route after this are lost; that is a moment's worth.
    pub fn with_nodes(&self, nodes: impl Into<Box<[Arc<Node>]>>) -> Self {
        let (nodes, resting) = part(nodes.into().into_vec());
        Self {
            key: self.key.clone(),
            nodes,
            resting,
            hits: AtomicU64::new(self.hits()),
            turn: AtomicU32::new(self.turn.load(Relaxed)),
            algorithm: self.algorithm,
            load: self.load.clone(),
        }
    }

    /// The key this route serves.
    pub fn key(&self) -> &RouteKey {
        &self.key
    }

    /// The nodes that can be picked, in order of subscription.
    pub fn nodes(&self) -> &[Arc<Node>] {
        match &self.nodes {
            Nodes::One(node) => node,
            Nodes::Any(nodes) => nodes,
        }
    }

    /// The nodes that are never picked: drained, or without an address.
    pub fn resting(&self) -> &[Arc<Node>] {
        self.resting.as_deref().map_or(&[], Vec::as_slice)
    }

    /// Those of them whose vassals sleep and may be woken.
    pub fn asleep(&self) -> impl Iterator<Item = &Arc<Node>> + Clone {
        self.resting().iter().filter(|node| node.intake == Intake::Open)
    }

    /// Those of them that an operator drained.
    pub fn drained(&self) -> impl Iterator<Item = &Arc<Node>> + Clone {
        self.resting().iter().filter(|node| node.intake == Intake::Drained)
    }

    /// Every node: first those that can be picked.
    pub fn all_nodes(&self) -> impl Iterator<Item = &Arc<Node>> + Clone {
        self.nodes().iter().chain(self.resting())
    }

    /// How requests are spread over the nodes.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Requests this route was picked for; a retry is not another one.
    pub fn hits(&self) -> u64 {
        self.hits.load(Relaxed)
    }

    /// The counters of the key's limits, made at the first call.
    ///
    /// If that falls into the moment in which the key's nodes change, what was counted before the
    /// change stays with the old route; later counts meet in one place.
    pub fn load(&self) -> &Arc<KeyLoad> {
        self.load.get_or_init(|| Arc::new(KeyLoad::new()))
    }

    /// The counters of the key's limits, if any limit asked for them.
    pub fn load_if_used(&self) -> Option<&Arc<KeyLoad>> {
        self.load.get()
    }

    /// Picks the node for a request whose client address is not known; see [`Route::pick_by`].
    pub fn pick(&self, now_ms: u64, tried: &Tried) -> Option<Arc<Node>> {
        self.pick_by(&PickRules { now_ms, ..PickRules::default() }, tried)
    }

    /// Picks a node that was not tried yet: of the lowest backup level that has one not out, or,
    /// if all of them are out, of the lowest level there is. Within the level those with room go
    /// first; if none has room, one without is returned, since a backup is for nodes that are out
    /// and not for busy ones. None only if every node that speaks as asked was tried.
    ///
    /// A pick does not touch the node's counters: the caller begins and ends the exchange.
    /// Without a client address [`Algorithm::IpHash`] falls back to [`Algorithm::Wrr`].
    pub fn pick_by(&self, rules: &PickRules, tried: &Tried) -> Option<Arc<Node>> {
        if tried.is_first() {
            self.hits.fetch_add(1, Relaxed);
        }
        if tried.is_empty()
            && let [only] = self.nodes()
        {
            return rules.speech.suits(only.facts.proto).then(|| Arc::clone(only));
        }
        let untried =
            |node: &&Arc<Node>| rules.speech.suits(node.facts.proto) && !tried.contains(node.id);
        let eligible = |node: &&Arc<Node>| untried(node) && !node.load.is_out(rules.now_ms);
        if let Some(wanted) = rules.wanted
            && let Some(node) = self.nodes().iter().find(|node| node.id == wanted && eligible(node))
        {
            return Some(Arc::clone(node));
        }
        self.pick_among(eligible, rules).or_else(|| self.pick_among(untried, rules)).cloned()
    }

    fn pick_among(
        &self,
        may: impl Fn(&&Arc<Node>) -> bool + Copy,
        rules: &PickRules,
    ) -> Option<&Arc<Node>> {
        let level = self.nodes().iter().filter(may).map(|node| node.facts.backup).min()?;
        let nodes = self.nodes().iter().filter(|node| node.facts.backup == level && may(node));
        if rules.in_flight_max == u32::MAX {
            return self.next_of(nodes, rules);
        }
        let with_room = nodes.clone().filter(|node| node.load.in_flight() < rules.in_flight_max);
        self.next_of(with_room, rules).or_else(|| self.next_of(nodes, rules))
    }

    fn next_of<'n, I>(&self, nodes: I, rules: &PickRules) -> Option<&'n Arc<Node>>
    where
        I: Iterator<Item = &'n Arc<Node>> + Clone,
    {
        let ramp = Ramp { now_ms: rules.now_ms, ms: rules.slow_start_ms };
        match (self.algorithm, rules.client) {
            (Algorithm::Lrc, _) => balance::lrc(nodes),
            (Algorithm::Wlrc, _) => balance::wlrc(nodes, ramp),
            (Algorithm::IpHash, Some(client)) => balance::ip_hash(nodes, client),
            (Algorithm::P2c, _) => balance::p2c(nodes, self.turn.fetch_add(1, Relaxed), ramp),
            (Algorithm::Wrr | Algorithm::IpHash, _) => {
                balance::wrr(nodes, self.turn.fetch_add(1, Relaxed), ramp)
            }
        }
    }
}

/// Nodes that can be picked, and those that cannot.
fn part(nodes: Vec<Arc<Node>>) -> (Nodes, Resting) {
    let (awake, resting): (Vec<_>, Vec<_>) = nodes.into_iter().partition(|node| node.takes_part());
    let awake = match <[Arc<Node>; 1]>::try_from(awake) {
        Ok(one) => Nodes::One(one),
        Err(any) => Nodes::Any(any.into()),
    };
    (awake, (!resting.is_empty()).then(|| Box::new(resting)))
}

/// The nodes a request was already offered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tried {
    ids: [Option<NodeId>; TRIED_NODES_MAX],
    is_again: bool,
}

impl Tried {
    /// The request was counted already and is routed again without having failed.
    pub fn note_counted(&mut self) {
        self.is_again = true;
    }

    /// Whether the request is routed for the first time, so that it has to be counted.
    pub fn is_first(&self) -> bool {
        !self.is_again && self.is_empty()
    }

    /// Remembers a node. A node beyond [`TRIED_NODES_MAX`] takes the place of the oldest; callers
    /// stop retrying before that.
    pub fn push(&mut self, id: NodeId) {
        match self.ids.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => *slot = Some(id),
            None => {
                self.ids.rotate_left(1);
                self.ids[TRIED_NODES_MAX - 1] = Some(id);
            }
        }
    }

    /// Whether the node was tried.
    pub fn contains(&self, id: NodeId) -> bool {
        self.ids.contains(&Some(id))
    }

    /// How many nodes were tried.
    pub fn len(&self) -> usize {
        self.ids.iter().flatten().count()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.ids[0].is_none()
    }
}

#[cfg(test)]
mod tests;
