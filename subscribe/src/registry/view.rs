//! What the registry tells of itself: counters, and one line per node.

use std::sync::Arc;

use route_table::{Node, NodeLoadSnapshot, RouteKey};

use super::{Registry, Verdict};
use crate::reject::Reject;

/// Datagrams by what became of them.
#[derive(Debug, Default)]
pub(super) struct Counts {
    added: u64,
    renewed: u64,
    changed: u64,
    removed: u64,
    rejected: [u64; Reject::ALL.len()],
}

impl Counts {
    pub fn note(&mut self, verdict: Verdict) {
        *match verdict {
            Verdict::Added => &mut self.added,
            Verdict::Renewed => &mut self.renewed,
            Verdict::Changed => &mut self.changed,
            Verdict::Removed => &mut self.removed,
            Verdict::Rejected(reject) => &mut self.rejected[reject as usize],
        } += 1;
    }
}

/// The registry's numbers as of one moment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RegistryStats {
    /// Keys with at least one node.
    pub keys: usize,
    /// Nodes of all keys, configured ones included.
    pub nodes: usize,
    /// Replay marks held.
    pub replay_marks: usize,
    /// Stamps up to this are refused from nodes without a mark.
    pub replay_floor: u64,
    /// Highest stamp accepted: what a successor should raise its replay floor to.
    pub highest_stamp: u64,
    /// Public keys held in memory.
    pub cached_keys: usize,
    /// Effects that wait for the shell.
    pub effects_pending: usize,
    /// Datagrams that added a node.
    pub added: u64,
    /// Datagrams that renewed a node and changed nothing.
    pub renewed: u64,
    /// Datagrams that changed a node.
    pub changed: u64,
    /// Datagrams that removed a node.
    pub removed: u64,
    /// Datagrams refused, by reason, in the order of [`Reject::ALL`].
    pub rejected: [u64; Reject::ALL.len()],
}

impl RegistryStats {
    /// Refused datagrams with the label of their reason.
    pub fn rejects(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Reject::ALL.into_iter().map(Reject::label).zip(self.rejected)
    }
}

/// One node as the statistics show it.
#[derive(Clone, Debug)]
pub struct NodeView<'r> {
    /// The key it serves.
    pub key: &'r RouteKey,
    /// Its facts: `node.facts`.
    pub node: &'r Arc<Node>,
    /// Its counters, read now.
    pub load: NodeLoadSnapshot,
    /// Whether its key brought a certificate.
    pub sni: bool,
}

impl Registry {
    /// The numbers of now.
    #[must_use]
    pub fn stats(&self) -> RegistryStats {
        let replay = self.proofs.as_ref().map(|proofs| &proofs.replay);
        let keyring = self.proofs.as_ref().map(|proofs| &proofs.keyring);
        RegistryStats {
            keys: self.roster.keys(),
            nodes: self.roster.nodes(),
            replay_marks: replay.map_or(0, |replay| replay.marks()),
            replay_floor: replay.map_or(0, |replay| replay.floor()),
            highest_stamp: replay.map_or(0, |replay| replay.highest()),
            cached_keys: keyring.map_or(0, |keyring| keyring.cached_keys()),
            effects_pending: self.effects.len(),
            added: self.counts.added,
            renewed: self.counts.renewed,
            changed: self.counts.changed,
            removed: self.counts.removed,
            rejected: self.counts.rejected,
        }
    }

    /// Whether a key has a node, unpublished changes considered.
    #[must_use]
    pub fn has_key(&self, key: &RouteKey) -> bool {
        self.roster.has_key(key)
    }

    /// Every node, in no order. Unpublished changes show already.
    pub fn table_view(&self) -> impl Iterator<Item = NodeView<'_>> {
        self.roster.iter().map(|(key, node)| NodeView {
            key,
            node,
            load: node.load.snapshot(),
            sni: self.certs.has(key),
        })
    }

    /// Asserts the invariants of the whole registry; for tests, simulation and fuzzing.
    #[doc(hidden)]
    pub fn check(&self) {
        self.roster.check();
        assert!(self.effects.len() <= crate::limits::EFFECTS_PENDING_MAX + 2 * self.roster.keys());
    }
}
