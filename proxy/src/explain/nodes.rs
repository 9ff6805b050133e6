//! The standing of a key's nodes at this moment: who is offered the next request.

use std::sync::Arc;

use route_table::{Node, NodeOrigin, Speech};
use serde::{Deserialize, Serialize};

use super::Sources;

/// What a node may expect of the next request.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// One of those the next request is offered to.
    Candidate,
    /// Waits until no node of a lower backup level is left.
    Backup,
    /// Skipped after failures.
    Cooling,
    /// Skipped because its health checks failed.
    Unhealthy,
    /// Has no address: its vassal sleeps.
    Asleep,
    /// An operator keeps new requests from it.
    Drained,
    /// Speaks TLS or raw TCP, and is for listeners that pass that on.
    Foreign,
}

/// One node of the key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct NodeStanding {
    /// The address as announced.
    pub node: String,
    /// What is spoken there.
    pub proto: String,
    /// Share of the requests.
    pub weight: u32,
    /// Backup level, 0 first.
    pub backup: u8,
    /// Whether it is offered the next request.
    pub standing: Standing,
    /// Milliseconds until it is no longer skipped; 0 if it is not.
    pub cooling_ms: u64,
    /// Whether its health checks failed.
    pub unhealthy: bool,
    /// Exchanges open with it.
    pub in_flight: u32,
    /// Exchanges given to it.
    pub requests: u64,
    /// Failures noted.
    pub failures: u64,
    /// Seconds since it last announced itself; `None` for a configured node.
    pub announced_s_ago: Option<u64>,
}

impl NodeStanding {
    /// Whether failures or health checks keep it out.
    pub fn is_out(&self) -> bool {
        self.unhealthy || self.cooling_ms > 0
    }
}

/// Every node that takes requests with its standing, by the rule of `Route::pick` for a request not yet tried anywhere.
pub(super) fn standings(nodes: &[Arc<Node>], now_ms: u64, now_unix: u64) -> Vec<NodeStanding> {
    let takers = nodes.iter().filter(|node| takes_requests(node));
    let mut told: Vec<_> = takers.map(|node| describe(node, now_ms, now_unix)).collect();
    let lowest = |told: &[NodeStanding], may: fn(&NodeStanding) -> bool| {
        told.iter().filter(|node| may(node)).map(|node| node.backup).min()
    };
    let warm = lowest(&told, |node| !node.is_out());
    // With nobody warm the pick fails open, so the cooling ones of the lowest level are candidates.
    let level = warm.or_else(|| lowest(&told, |_| true));
    for node in &mut told {
        node.standing = match (Some(node.backup) == level, node.is_out()) {
            (true, out) if !out || warm.is_none() => Standing::Candidate,
            (_, true) if node.unhealthy => Standing::Unhealthy,
            (_, true) => Standing::Cooling,
            (_, false) => Standing::Backup,
        };
    }
    told
}

/// The nodes no request is offered to, because they would not understand it.
pub(super) fn foreign(nodes: &[Arc<Node>], sources: &Sources<'_>) -> Vec<NodeStanding> {
    let told = nodes.iter().filter(|node| !takes_requests(node)).map(|node| NodeStanding {
        standing: Standing::Foreign,
        ..describe(node, sources.now_ms, sources.now_unix)
    });
    told.collect()
}

fn takes_requests(node: &Node) -> bool {
    Speech::Requests.suits(node.facts.proto)
}

/// The nodes no request is offered to, because nothing connects to them. A name stands for an address.
pub(super) fn asleep<'n>(
    nodes: impl Iterator<Item = &'n Arc<Node>>,
    sources: &Sources<'_>,
) -> Vec<NodeStanding> {
    let told = nodes.map(|node| NodeStanding {
        node: format!("vassal {}", node.facts.vassal().unwrap_or_default()),
        standing: Standing::Asleep,
        ..describe(node, sources.now_ms, sources.now_unix)
    });
    told.collect()
}

/// The nodes no request is offered to, because an operator does not want that.
pub(super) fn drained<'n>(
    nodes: impl Iterator<Item = &'n Arc<Node>>,
    sources: &Sources<'_>,
) -> Vec<NodeStanding> {
    let told = nodes.map(|node| NodeStanding {
        standing: Standing::Drained,
        ..describe(node, sources.now_ms, sources.now_unix)
    });
    told.collect()
}

fn describe(node: &Node, now_ms: u64, now_unix: u64) -> NodeStanding {
    let (facts, load) = (&node.facts, node.load.snapshot());
    NodeStanding {
        node: facts.announced.to_string(),
        proto: facts.proto.as_str().to_owned(),
        weight: facts.weight,
        backup: facts.backup,
        standing: Standing::Candidate,
        cooling_ms: load.cooling_until_ms.saturating_sub(now_ms),
        unhealthy: load.is_unhealthy,
        in_flight: load.in_flight,
        requests: load.requests,
        failures: load.failures,
        announced_s_ago: match facts.origin {
            NodeOrigin::Subscribed => Some(now_unix.saturating_sub(load.last_seen_unix)),
            NodeOrigin::Static | NodeOrigin::Operator => None,
        },
    }
}
