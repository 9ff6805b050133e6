//! What a registry holds, as a naive map: the fuzz target `subscription_registry` compares with it.
//!
//! It judges nothing: the verdict of the registry is given to it, and it checks that the verdict
//! fits what the registry was known to hold.

use std::collections::{BTreeMap, BTreeSet};

use route_table::{Address, RouteKey};

use crate::{Command, Limits, Now, Registry, Reject, Subscription, Verdict};

/// One node: the key it serves and its address.
pub(super) type NodeName = (RouteKey, Address);

/// Nodes with the end of their lease in monotonic milliseconds; none for a configured one.
#[derive(Default)]
pub(super) struct Model {
    nodes: BTreeMap<NodeName, Option<u64>>,
}

impl Model {
    /// Takes over what a datagram did, and checks that it could do that.
    pub fn note(&mut self, now: Now, lease_ms: u64, datagram: &[u8], verdict: Verdict) {
        let Ok(read) = Subscription::decode(datagram) else {
            return assert!(matches!(verdict, Verdict::Rejected(_)), "{verdict:?}");
        };
        let key = RouteKey::parse(read.key).ok();
        let Some(name) = key.zip(Address::parse(read.address).ok()) else {
            return assert!(matches!(verdict, Verdict::Rejected(_)), "{verdict:?}");
        };
        let known = self.nodes.get(&name).copied();
        let leaves = read.clear || read.command == Command::Unsubscribe;
        match verdict {
            Verdict::Added => assert!(known.is_none() && !leaves),
            Verdict::Renewed | Verdict::Changed => {
                assert!(matches!(known, Some(Some(_))) && !leaves);
            }
            Verdict::Removed => assert!(matches!(known, Some(Some(_))) && leaves),
            Verdict::Rejected(Reject::StaticNode) => assert_eq!(known, Some(None)),
            Verdict::Rejected(Reject::UnknownNode) => assert!(known.is_none() && leaves),
            Verdict::Rejected(_) => {}
        }
        match verdict {
            Verdict::Added | Verdict::Renewed | Verdict::Changed => {
                self.nodes.insert(name, Some(now.mono_ms.saturating_add(lease_ms)));
            }
            Verdict::Removed => {
                self.nodes.remove(&name);
            }
            Verdict::Rejected(_) => {}
        }
    }

    /// A node of the configuration was added.
    pub fn note_static(&mut self, name: NodeName) {
        assert_eq!(self.nodes.insert(name, None), None, "a node is added once");
    }

    pub fn holds(&self, name: &NodeName) -> bool {
        self.nodes.contains_key(name)
    }

    /// Whether some node was brought by a datagram.
    pub fn has_subscribed(&self) -> bool {
        self.nodes.values().any(Option::is_some)
    }

    /// Ends the leases that ran out; returns how many.
    pub fn sweep(&mut self, now: Now) -> usize {
        let before = self.nodes.len();
        self.nodes.retain(|_, due_ms| due_ms.is_none_or(|due_ms| due_ms > now.mono_ms));
        before - self.nodes.len()
    }

    /// Ends every subscribed node; returns how many.
    pub fn revoke_subscribed(&mut self) -> usize {
        let before = self.nodes.len();
        self.nodes.retain(|_, due_ms| due_ms.is_none());
        before - self.nodes.len()
    }

    /// Whether the registry holds exactly these nodes, within its limits, and will wake in time.
    pub fn check(&self, registry: &Registry, limits: Limits) {
        let keys: BTreeSet<_> = self.nodes.keys().map(|(key, _)| key).collect();
        let stats = registry.stats();
        assert_eq!((stats.keys, stats.nodes), (keys.len(), self.nodes.len()));
        assert!(stats.keys <= limits.keys_max && stats.nodes <= limits.nodes_max);
        let held = registry.table_view();
        let held: BTreeSet<_> =
            held.map(|view| (view.key.clone(), view.node.facts.address.clone())).collect();
        assert!(held.iter().eq(self.nodes.keys()), "{held:?}");
        let next = self.nodes.values().filter_map(|due_ms| *due_ms).min();
        let sweep_due = registry.poll_timeout();
        assert!(next.is_none_or(|next| sweep_due.is_some_and(|due| due <= next)));
    }
}
