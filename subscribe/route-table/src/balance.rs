//! Which of a route's nodes serves next: pure picks over the nodes that may be offered.
//!
//! Every pick takes the nodes in their order of subscription, already filtered to one backup level
//! and to those eligible, and never allocates: it walks the iterator more than once instead.
//! Orders reproduce those observed on uWSGI (subscription spec 4.6).

use std::cmp::Ordering;
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
    /// Of two nodes drawn by chance, the one with fewer requests in flight per weight. Not an
    /// algorithm of uWSGI's.
    P2c,
}

impl Algorithm {
    /// The word of the wire, the configuration and the statistics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wrr => "wrr",
            Self::Lrc => "lrc",
            Self::Wlrc => "wlrc",
            Self::IpHash => "iphash",
            Self::P2c => "p2c",
        }
    }
}

impl FromStr for Algorithm {
    type Err = AlgorithmUnknown;

    fn from_str(word: &str) -> Result<Self, AlgorithmUnknown> {
        [Self::Wrr, Self::Lrc, Self::Wlrc, Self::IpHash, Self::P2c]
            .into_iter()
            .find(|algorithm| algorithm.as_str() == word)
            .ok_or(AlgorithmUnknown)
    }
}

/// A word that names no algorithm.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("algorithm is none of wrr, lrc, wlrc, iphash, p2c")]
pub struct AlgorithmUnknown;

/// Slow start: a node that joined less than `ms` ago has a part of its weight, growing with time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Ramp {
    pub now_ms: u64,
    /// How long a node takes to its full weight; 0: none.
    pub ms: u64,
}

/// Parts a weight grows in. Full weights are multiples of it, so that ratios of grown nodes are
/// those of their weights.
const RAMP_STEPS: u64 = 10;

impl Ramp {
    fn weight(self, node: &Node) -> u64 {
        let full = u64::from(node.facts.weight.max(1));
        if self.ms == 0 {
            return full;
        }
        let age = node.load.age_ms(self.now_ms).min(self.ms);
        full * (RAMP_STEPS * age / self.ms).max(1)
    }
}

/// Weighted round robin: the node whose turn it is at `turn`.
///
/// In a cycle each node is served `weight / smallest weight` times, rounded down. A cycle begins
/// with one turn of the last node and then serves the nodes in order: weights 1,1 give `B A`,
/// weights 2,3,5 give `C A B C`.
pub(crate) fn wrr<'n, I>(nodes: I, turn: u32, ramp: Ramp) -> Option<&'n Arc<Node>>
where
    I: Iterator<Item = &'n Arc<Node>> + Clone,
{
    let weight = |node: &Node| ramp.weight(node);
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
pub(crate) fn wlrc<'n, I>(nodes: I, ramp: Ramp) -> Option<&'n Arc<Node>>
where
    I: Iterator<Item = &'n Arc<Node>>,
{
    nodes.min_by(|left, right| by_load_per_weight(left, right, ramp))
}

/// Two choices: draws two different nodes by `turn` and takes the less loaded per weight. Near the
/// balance of looking at all nodes, without all workers running to the same one.
pub(crate) fn p2c<'n, I>(nodes: I, turn: u32, ramp: Ramp) -> Option<&'n Arc<Node>>
where
    I: Iterator<Item = &'n Arc<Node>> + Clone,
{
    let count = nodes.clone().count() as u64;
    let chance = scatter(u64::from(turn));
    let first = (chance >> 32).checked_rem(count)?;
    let Some(second) = (chance & 0xffff_ffff).checked_rem(count - 1) else {
        return nodes.clone().next();
    };
    // Shifted past the first, so that the two differ.
    let second = second + u64::from(second >= first);
    let at = |index: u64| nodes.clone().nth(index as usize);
    let (first, second) = (at(first)?, at(second)?);
    Some(if by_load_per_weight(second, first, ramp).is_lt() { second } else { first })
}

fn by_load_per_weight(left: &Node, right: &Node, ramp: Ramp) -> Ordering {
    let (of_left, of_right) = (u128::from(ramp.weight(left)), u128::from(ramp.weight(right)));
    // Fractions compare by cross-multiplication: x/w < y/v exactly when x*v < y*w.
    let across = |x: u32, y: u32| (u128::from(x) * of_right).cmp(&(u128::from(y) * of_left));
    across(left.load.in_flight(), right.load.in_flight())
        .then_with(|| across(left.load.requests_lately(), right.load.requests_lately()))
}

/// Spreads neighbouring numbers over all 64 bits (the finaliser of SplitMix64).
fn scatter(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
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

#[cfg(test)]
mod tests;
