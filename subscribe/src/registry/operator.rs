//! Nodes that no datagram brought, and what an operator decides about any node.
//!
//! Such nodes have no lease, and datagrams can neither change nor remove them. The upstream policy is
//! not asked: whoever may configure or control the router wrote them.

use route_table::{Address, Intake, NodeFacts, NodeOrigin, RouteKey};

use super::Registry;
use crate::effect::Departure;
use crate::reject::Reject;

/// Why a node cannot be added.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StaticNodeError {
    /// The key has that address already.
    #[error("the key has a node of this address already")]
    Duplicate,
    /// One of the `Limits`.
    #[error("{0}")]
    NoRoom(Reject),
}

impl Registry {
    /// Adds a node of the configuration.
    ///
    /// # Errors
    /// [`StaticNodeError`].
    pub fn add_static(&mut self, key: RouteKey, facts: NodeFacts) -> Result<(), StaticNodeError> {
        self.add_leaseless(key, NodeFacts { origin: NodeOrigin::Static, ..facts })
    }

    /// Adds a node of an operator, who also deletes it.
    ///
    /// # Errors
    /// [`StaticNodeError`].
    pub fn add_operators(
        &mut self,
        key: RouteKey,
        facts: NodeFacts,
    ) -> Result<(), StaticNodeError> {
        self.add_leaseless(key, NodeFacts { origin: NodeOrigin::Operator, ..facts })
    }

    /// Deletes the node that an operator added at this address; says whether there was one.
    pub fn remove_operators(&mut self, key: &RouteKey, at: &Address) -> bool {
        let Some(departed) = self.roster.remove_operators(key, at) else { return false };
        self.depart(departed, Departure::Deleted);
        true
    }

    /// Gives the node at this address new requests or not, and says whether that is a change;
    /// `None` if the key has no such node. It holds until it is taken back or the node leaves.
    pub fn set_intake(&mut self, key: &RouteKey, at: &Address, intake: Intake) -> Option<bool> {
        let has_changed = self.roster.set_intake(key, |node| node.facts.address == *at, intake)?;
        if has_changed && let Some(node) = self.roster.recognise(key, at, None).by_address {
            self.changes.intake(key, &node);
        }
        Some(has_changed)
    }

    fn add_leaseless(&mut self, key: RouteKey, facts: NodeFacts) -> Result<(), StaticNodeError> {
        if self.roster.recognise(&key, &facts.address, None).by_address.is_some() {
            return Err(StaticNodeError::Duplicate);
        }
        self.roster.check_room(&key).map_err(StaticNodeError::NoRoom)?;
        let node = self.roster.add(key.clone(), facts, self.rules.algorithm, u64::MAX);
        if node.facts.origin == NodeOrigin::Operator {
            self.note_operators(&key, &node);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use route_table::{Opening, Proto, TableWriter};

    use super::*;
    use crate::{KeyFiles, Now, Peer, RegistryConfig, Source, Verdict};

    const LEASE_MS: u64 = 17_000;

    struct NoKeys;

    impl KeyFiles for NoKeys {
        fn read(&mut self, _: &str) -> Option<Vec<u8>> {
            None
        }
    }

    fn key() -> RouteKey {
        RouteKey::parse(b"a.test").unwrap()
    }

    fn at(text: &str) -> Address {
        Address::parse(text.as_bytes()).unwrap()
    }

    fn facts(text: &str) -> NodeFacts {
        NodeFacts {
            address: at(text),
            announced: text.into(),
            proto: Proto::Http,
            opening: Opening::default(),
            modifier1: 0,
            modifier2: 0,
            weight: 1,
            backup: 0,
            origin: NodeOrigin::Subscribed,
            announcer: None,
        }
    }

    fn announce(registry: &mut Registry, mono_ms: u64, weight: &str) -> Verdict {
        let fields = [("key", "a.test"), ("address", "127.0.0.1:1"), ("weight", weight)];
        let mut datagram = vec![224, 0, 0, 0];
        for text in fields.iter().flat_map(|(name, value)| [name, value]) {
            datagram.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
            datagram.extend(text.as_bytes());
        }
        let body = u16::try_from(datagram.len() - 4).unwrap().to_le_bytes();
        datagram[1..3].copy_from_slice(&body);
        let from = Source::of(Peer::Ip(SocketAddr::from(([127, 0, 0, 1], 9))));
        let verdict = registry.apply(Now { mono_ms, unix: 1 }, &from, &datagram, &mut NoKeys);
        registry.check();
        verdict
    }

    #[test]
    fn a_drained_node_is_not_picked_and_stays_drained_however_it_is_announced() {
        let (writer, table) = TableWriter::new();
        let mut registry = Registry::new(RegistryConfig::default(), writer);
        announce(&mut registry, 0, "1");
        let node = at("127.0.0.1:1");
        assert_eq!(registry.set_intake(&key(), &at("127.0.0.1:2"), Intake::Drained), None);
        assert_eq!(registry.set_intake(&key(), &node, Intake::Drained), Some(true));
        assert_eq!(registry.set_intake(&key(), &node, Intake::Drained), Some(false));
        assert_eq!(announce(&mut registry, 1000, "1"), Verdict::Renewed);
        assert_eq!(announce(&mut registry, 2000, "7"), Verdict::Changed);
        registry.publish();
        let picked = |expected: usize| {
            let table = table.snapshot();
            let route = table.get("a.test").expect("the key");
            assert_eq!((route.nodes().len(), route.drained().count()), (expected, 1 - expected));
        };
        picked(0);
        assert_eq!(registry.sweep(Now { mono_ms: LEASE_MS + 1000, unix: 1 }), 0, "it has a lease");
        registry.set_intake(&key(), &node, Intake::Open);
        registry.publish();
        picked(1);
        registry.set_intake(&key(), &node, Intake::Drained);
        assert_eq!(registry.sweep(Now { mono_ms: 2 * LEASE_MS, unix: 1 }), 1);
        announce(&mut registry, 3 * LEASE_MS, "1");
        registry.publish();
        picked(1);
    }

    #[test]
    fn a_successor_knows_what_operators_decided() {
        let registry = || Registry::new(RegistryConfig::default(), TableWriter::new().0);
        let (mut old, mut new) = (registry(), registry());
        announce(&mut old, 0, "1");
        let added = NodeFacts { opening: Opening::ProxyV2, weight: 3, ..facts("127.0.0.1:2") };
        old.add_operators(key(), added).unwrap();
        for registry in [&mut old, &mut new] {
            registry.add_static(key(), facts("127.0.0.1:3")).unwrap();
        }
        for drained in ["127.0.0.1:1", "127.0.0.1:3"] {
            old.set_intake(&key(), &at(drained), Intake::Drained);
        }
        let now = Now { mono_ms: 0, unix: 1 };
        let restored =
            new.restore(now, crate::Carried::HandedOver, &old.export(now), &mut NoKeys).unwrap();
        assert_eq!((restored.nodes, restored.refused), (2, 0));
        let nodes = |registry: &Registry| {
            let rows = registry.table_view().map(|view| {
                let due_ms = view.node.load.due_ms();
                format!("{:?} {:?} {due_ms}", view.node.facts, view.node.intake)
            });
            rows.collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(nodes(&old), nodes(&new));
        new.check();
    }

    #[test]
    fn what_an_operator_added_only_an_operator_removes() {
        let (writer, table) = TableWriter::new();
        let mut registry = Registry::new(RegistryConfig::default(), writer);
        registry.add_operators(key(), facts("127.0.0.1:1")).unwrap();
        let again = registry.add_operators(key(), facts("127.0.0.1:1"));
        assert_eq!(again, Err(StaticNodeError::Duplicate));
        assert_eq!(announce(&mut registry, 0, "1"), Verdict::Rejected(Reject::StaticNode));
        registry.add_static(key(), facts("127.0.0.1:2")).unwrap();
        registry.check();
        assert!(!registry.remove_operators(&key(), &at("127.0.0.1:2")), "it is configured");
        assert!(registry.remove_operators(&key(), &at("127.0.0.1:1")));
        assert!(!registry.remove_operators(&key(), &at("127.0.0.1:1")));
        registry.check();
        registry.publish();
        assert_eq!(table.snapshot().get("a.test").expect("the key").nodes().len(), 1);
    }
}
