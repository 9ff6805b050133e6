//! All nodes of one key, and the choice among them.
//!
//! A route is immutable but for its turn and its hits. A key whose nodes change gets a new route
//! made from the old one by [`Route::with_nodes`], which takes both along.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::balance::{self, Algorithm};
use crate::key::RouteKey;
use crate::limits::TRIED_NODES_MAX;
use crate::node::{Node, NodeId};

/// The nodes that serve one key, in order of subscription.
#[derive(Debug)]
pub struct Route {
    key: RouteKey,
    nodes: Box<[Arc<Node>]>,
    hits: AtomicU64,
    turn: AtomicU32,
    algorithm: Algorithm,
}

impl Route {
    /// A route of a key seen for the first time. `nodes` stand in order of subscription.
    pub fn new(key: RouteKey, nodes: impl Into<Box<[Arc<Node>]>>, algorithm: Algorithm) -> Self {
        Self {
            key,
            nodes: nodes.into(),
            hits: AtomicU64::new(0),
            turn: AtomicU32::new(0),
            algorithm,
        }
    }

    /// The route of the same key with other nodes: key, algorithm, hits and turn stay.
    ///
    /// Hits counted on the old route after this are lost; that is a moment's worth.
    pub fn with_nodes(&self, nodes: impl Into<Box<[Arc<Node>]>>) -> Self {
        Self {
            key: self.key.clone(),
            nodes: nodes.into(),
            hits: AtomicU64::new(self.hits()),
            turn: AtomicU32::new(self.turn.load(Relaxed)),
            algorithm: self.algorithm,
        }
    }

    /// The key this route serves.
    pub fn key(&self) -> &RouteKey {
        &self.key
    }

    /// The nodes in order of subscription.
    pub fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    /// How requests are spread over the nodes.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Requests this route was picked for; a retry is not another one.
    pub fn hits(&self) -> u64 {
        self.hits.load(Relaxed)
    }

    /// Picks the node for a request whose client address is not known; see [`Route::pick_for`].
    pub fn pick(&self, now_ms: u64, tried: &Tried) -> Option<Arc<Node>> {
        self.pick_for(now_ms, tried, None)
    }

    /// Picks a node that was not tried yet: of the lowest backup level that has one not cooling
    /// at `now_ms`, or, if all of them cool, of the lowest level there is. None only if every node
    /// was tried.
    ///
    /// A pick does not touch the node's counters: the caller begins and ends the exchange.
    /// Without a `client` address [`Algorithm::IpHash`] falls back to [`Algorithm::Wrr`].
    pub fn pick_for(
        &self,
        now_ms: u64,
        tried: &Tried,
        client: Option<IpAddr>,
    ) -> Option<Arc<Node>> {
        if tried.is_empty() {
            self.hits.fetch_add(1, Relaxed);
            if let [only] = &*self.nodes {
                return Some(Arc::clone(only));
            }
        }
        let untried = |node: &&Arc<Node>| !tried.contains(node.id);
        let eligible = |node: &&Arc<Node>| untried(node) && !node.load.is_cooling(now_ms);
        self.pick_among(eligible, client).or_else(|| self.pick_among(untried, client)).cloned()
    }

    fn pick_among(
        &self,
        may: impl Fn(&&Arc<Node>) -> bool + Copy,
        client: Option<IpAddr>,
    ) -> Option<&Arc<Node>> {
        let level = self.nodes.iter().filter(may).map(|node| node.facts.backup).min()?;
        let nodes = self.nodes.iter().filter(|node| node.facts.backup == level && may(node));
        match (self.algorithm, client) {
            (Algorithm::Lrc, _) => balance::lrc(nodes),
            (Algorithm::Wlrc, _) => balance::wlrc(nodes),
            (Algorithm::IpHash, Some(client)) => balance::ip_hash(nodes, client),
            (Algorithm::P2c, _) => balance::p2c(nodes, self.turn.fetch_add(1, Relaxed)),
            (Algorithm::Wrr | Algorithm::IpHash, _) => {
                balance::wrr(nodes, self.turn.fetch_add(1, Relaxed))
            }
        }
    }
}

/// The nodes a request was already offered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tried {
    ids: [Option<NodeId>; TRIED_NODES_MAX],
}

impl Tried {
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
