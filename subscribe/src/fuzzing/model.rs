//! What a registry holds, as a naive list: the fuzz target `subscription_registry` compares with it.
//!
//! It judges nothing: the verdict of the registry is given to it, and it checks that the verdict
//! fits what the registry was known to hold.

use std::collections::BTreeSet;

use route_table::{Address, RouteKey};

use super::events::{INACTIVE_LEASE_MS, LEASE_MS};
use crate::{Command, Limits, Now, Registry, Reject, Subscription, Verdict};

/// One node.
#[derive(Clone, Debug)]
struct Held {
    key: RouteKey,
    /// None while its vassal sleeps.
    address: Option<Address>,
    vassal: Option<String>,
    /// The end of its lease in monotonic milliseconds; none for a configured one.
    due_ms: Option<u64>,
}

/// All nodes.
#[derive(Default)]
pub(super) struct Model {
    nodes: Vec<Held>,
}

/// A datagram that can be about a node.
struct Read {
    key: RouteKey,
    address: Option<Address>,
    vassal: Option<String>,
    unsubscribes: bool,
    clears: bool,
}

impl Read {
    fn of(datagram: &[u8]) -> Option<Self> {
        let read = Subscription::decode(datagram).ok()?;
        let address = match read.address {
            [] => None,
            text => Some(Address::parse(text).ok()?),
        };
        Some(Self {
            key: RouteKey::parse(read.key).ok()?,
            address,
            vassal: read.vassal.map(str::to_owned),
            unsubscribes: read.command == Command::Unsubscribe
                || read.clear && read.vassal.is_none(),
            clears: read.clear,
        })
    }
}

impl Model {
    /// Takes over what a datagram did, and checks that it could do that.
    pub fn note(&mut self, now: Now, datagram: &[u8], verdict: Verdict) {
        let Some(read) = Read::of(datagram) else {
            return assert!(matches!(verdict, Verdict::Rejected(_)), "{verdict:?}");
        };
        let there = self.at(&read.key, read.address.as_ref());
        let mine = self.of_vassal(&read.key, read.vassal.as_deref());
        let is_static = there.is_some_and(|index| self.nodes[index].due_ms.is_none());
        match verdict {
            Verdict::Rejected(Reject::StaticNode) => return assert!(is_static),
            Verdict::Rejected(Reject::UnknownNode) => {
                return assert!(read.unsubscribes || read.clears);
            }
            Verdict::Rejected(_) => return,
            _ => assert!(!is_static, "a configured node stays as it is"),
        }
        if read.unsubscribes {
            assert_eq!(verdict, Verdict::Removed);
            let asleep = mine.filter(|&index| self.nodes[index].address.is_none());
            let gone = if read.address.is_some() { there } else { asleep };
            self.nodes.remove(gone.expect("it was there"));
        } else if read.clears {
            self.sleep(now, read.vassal, there.or(mine), mine, verdict);
        } else {
            self.serve(now, read, there, mine, verdict);
        }
    }

    fn sleep(
        &mut self,
        now: Now,
        vassal: Option<String>,
        index: Option<usize>,
        mine: Option<usize>,
        verdict: Verdict,
    ) {
        let index = index.expect("it was there");
        let node = &mut self.nodes[index];
        if mine.is_some_and(|mine| mine != index) {
            // The address belonged to nobody by name, and the vassal has a node already.
            assert_eq!((verdict, node.vassal.as_ref()), (Verdict::Removed, None));
            self.nodes.remove(index);
            return;
        }
        assert!(matches!(verdict, Verdict::Changed | Verdict::Renewed));
        node.address = None;
        node.vassal = vassal;
        node.due_ms = Some(now.mono_ms.saturating_add(INACTIVE_LEASE_MS));
    }

    fn serve(
        &mut self,
        now: Now,
        read: Read,
        there: Option<usize>,
        mine: Option<usize>,
        verdict: Verdict,
    ) {
        let lease_ms = if read.address.is_some() { LEASE_MS } else { INACTIVE_LEASE_MS };
        let due_ms = Some(now.mono_ms.saturating_add(lease_ms));
        let Read { key, address, vassal, .. } = read;
        let Some(index) = mine.or(there) else {
            assert_eq!(verdict, Verdict::Added);
            return self.nodes.push(Held { key, address, vassal, due_ms });
        };
        assert!(matches!(verdict, Verdict::Changed | Verdict::Renewed), "{verdict:?}");
        let node = &mut self.nodes[index];
        if address.is_none() && node.address.is_some() {
            return assert_eq!(verdict, Verdict::Renewed, "a name alone wakes nobody");
        }
        if node.address != address {
            assert_eq!(verdict, Verdict::Changed);
        }
        node.address = address;
        node.vassal = vassal.or(node.vassal.take());
        node.due_ms = due_ms;
        if let Some(there) = there.filter(|&there| there != index) {
            self.nodes.remove(there);
        }
    }

    fn at(&self, key: &RouteKey, address: Option<&Address>) -> Option<usize> {
        let address = address?;
        self.nodes
            .iter()
            .position(|node| node.key == *key && node.address.as_ref() == Some(address))
    }

    fn of_vassal(&self, key: &RouteKey, vassal: Option<&str>) -> Option<usize> {
        let vassal = vassal?;
        self.nodes
            .iter()
            .position(|node| node.key == *key && node.vassal.as_deref() == Some(vassal))
    }

    /// A node of the configuration was added.
    pub fn note_static(&mut self, key: RouteKey, address: Address) {
        assert!(!self.holds(&key, &address), "a node is added once");
        self.nodes.push(Held { key, address: Some(address), vassal: None, due_ms: None });
    }

    pub fn holds(&self, key: &RouteKey, address: &Address) -> bool {
        self.at(key, Some(address)).is_some()
    }

    /// Whether some node was brought by a datagram.
    pub fn has_subscribed(&self) -> bool {
        self.nodes.iter().any(|node| node.due_ms.is_some())
    }

    /// Ends the leases that ran out; returns how many.
    pub fn sweep(&mut self, now: Now) -> usize {
        let before = self.nodes.len();
        self.nodes.retain(|node| node.due_ms.is_none_or(|due_ms| due_ms > now.mono_ms));
        before - self.nodes.len()
    }

    /// Ends every subscribed node; returns how many.
    pub fn revoke_subscribed(&mut self) -> usize {
        let before = self.nodes.len();
        self.nodes.retain(|node| node.due_ms.is_none());
        before - self.nodes.len()
    }

    /// Whether the registry holds exactly these nodes, within its limits, and will wake in time.
    pub fn check(&self, registry: &Registry, limits: Limits) {
        let keys: BTreeSet<_> = self.nodes.iter().map(|node| &node.key).collect();
        let stats = registry.stats();
        assert_eq!((stats.keys, stats.nodes), (keys.len(), self.nodes.len()));
        assert!(stats.keys <= limits.keys_max && stats.nodes <= limits.nodes_max);
        let line = |key: &RouteKey, address: Option<&Address>, vassal: Option<&str>| {
            (key.clone(), address.cloned(), vassal.map(str::to_owned))
        };
        let held: BTreeSet<_> = registry
            .table_view()
            .map(|view| {
                let facts = &view.node.facts;
                let address = (!view.node.is_asleep()).then_some(&facts.address);
                line(view.key, address, facts.vassal())
            })
            .collect();
        let mine = self.nodes.iter();
        let mine: BTreeSet<_> = mine
            .map(|node| line(&node.key, node.address.as_ref(), node.vassal.as_deref()))
            .collect();
        assert_eq!(held, mine);
        let next = self.nodes.iter().filter_map(|node| node.due_ms).min();
        let sweep_due = registry.poll_timeout();
        assert!(next.is_none_or(|next| sweep_due.is_some_and(|due| due <= next)));
    }
}
