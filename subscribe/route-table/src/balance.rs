//! Which of a route's nodes serves next: pure picks over the nodes that may be offered.
//!
//! Every pick takes the nodes in their order of subscription, already filtered to one backup level
//! and to those eligible, and never allocates: it walks the iterator more than once instead.
//! Orders reproduce those observed on uWSGI (subscription spec 4.6).

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use crate::node::Node;

/// How a route spreads requests over its nodes.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Algorithm {
    /// By weight, in turn.
    #[default]
    Wrr,
    /// Fewest requests in flight.
    Lrc,
    /// Fewest requests in flight per weight.
    Wlrc,
    /// By the client's address.
    IpHash,
}

impl Algorithm {
    /// The word of the wire, the configuration and the statistics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wrr => "wrr",
            Self::Lrc => "lrc",
            Self::Wlrc => "wlrc",
            Self::IpHash => "iphash",
        }
    }
}

impl FromStr for Algorithm {
    type Err = AlgorithmUnknown;

    fn from_str(word: &str) -> Result<Self, AlgorithmUnknown> {
        [Self::Wrr, Self::Lrc, Self::Wlrc, Self::IpHash]
            .into_iter()
            .find(|algorithm| algorithm.as_str() == word)
            .ok_or(AlgorithmUnknown)
    }
}

/// A word that names no algorithm.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("algorithm is none of wrr, lrc, wlrc, iphash")]
pub struct AlgorithmUnknown;

/// Weighted round robin: the node whose turn it is at `turn`.
///
/// In a cycle each node is served `weight / smallest weight` times, rounded down. A cycle begins
/// with one turn of the last node and then serves the nodes in order: weights 1,1 give `B A`,
/// weights 2,3,5 give `C A B C`.
pub(crate) fn wrr<'n, I>(nodes: I, turn: u32) -> Option<&'n Arc<Node>>
where
    I: Iterator<Item = &'n Arc<Node>> + Clone,
{
    let least = nodes.clone().map(|node| weight(node)).min()?;
    let cycle: u64 = nodes.clone().map(|node| weight(node) / least).sum();
    let Some(mut place) = (u64::from(turn) % cycle).checked_sub(1) else {
        return nodes.last();
    };
    nodes.into_iter().find(|node| {
        let share = weight(node) / least;
        let found = place < share;
        place = place.saturating_sub(share);
        found
    })
}

/// Least requests in flight; among equals the one with fewest since its last announcement.
pub(crate) fn lrc<'n, I>(nodes: I) -> Option<&'n Arc<Node>>
where
    I: Iterator<Item = &'n Arc<Node>>,
{
    nodes.min_by_key(|node| (node.load.in_flight(), node.load.requests_lately()))
}

/// Least requests in flight per weight; among equals the fewest since the last announcement,
/// per weight too.
pub(crate) fn wlrc<'n, I>(nodes: I) -> Option<&'n Arc<Node>>
where
    I: Iterator<Item = &'n Arc<Node>>,
{
    // Fractions compare by cross-multiplication: x/w < y/v exactly when x*v < y*w.
    nodes.min_by(|left, right| {
        let across =
            |x: u32, y: u32| (u64::from(x) * weight(right)).cmp(&(u64::from(y) * weight(left)));
        across(left.load.in_flight(), right.load.in_flight())
            .then_with(|| across(left.load.requests_lately(), right.load.requests_lately()))
    })
}

/// The node a client's address always leads to while the eligible nodes stay the same.
///
/// uWSGI's rule: the four bytes of an IPv4 address as a little-endian number, or the DJB33-XOR of
/// the sixteen of an IPv6 address, modulo the number of nodes.
pub(crate) fn ip_hash<'n, I>(mut nodes: I, client: IpAddr) -> Option<&'n Arc<Node>>
where
    I: Iterator<Item = &'n Arc<Node>> + Clone,
{
    let number = match client.to_canonical() {
        IpAddr::V4(v4) => u32::from_le_bytes(v4.octets()),
        IpAddr::V6(v6) => v6
            .octets()
            .iter()
            .fold(5381, |hash: u32, byte| hash.wrapping_mul(33) ^ u32::from(*byte)),
    };
    let count = nodes.clone().count();
    let index = (number as usize).checked_rem(count)?;
    nodes.nth(index)
}

fn weight(node: &Node) -> u64 {
    u64::from(node.facts.weight.max(1))
}

#[cfg(test)]
mod tests;
