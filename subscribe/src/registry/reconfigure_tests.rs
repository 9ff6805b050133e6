//! What stays and what goes when the configuration changes under a registry.

use route_table::{NodeFacts, NodeOrigin, Opening, Proto, RouteKey, TableHandle, TableWriter};

use super::*;
use crate::announce::{AnnounceFields, encode};
use crate::upstream_policy::AllowRule;
use crate::verify::Digest;
use crate::{Command, Reject};

const NOW: Now = Now { mono_ms: 1_000, unix: 1_700_000_000 };

struct NoFiles;

impl KeyFiles for NoFiles {
    fn read(&mut self, _file_name: &str) -> Option<Vec<u8>> {
        None
    }
}

fn registry() -> (Registry, TableHandle) {
    let (writer, handle) = TableWriter::new();
    (Registry::new(RegistryConfig::default(), writer), handle)
}

fn subscribe(registry: &mut Registry, key: &str, address: &str) -> Verdict {
    let fields =
        AnnounceFields { key: key.to_owned(), address: address.to_owned(), ..Default::default() };
    let datagram = encode(&fields, Command::Subscribe, None, None).expect("fits");
    let verdict = registry.apply(NOW, &Source::of(Peer::Unix), &datagram, &mut NoFiles);
    registry.check();
    verdict
}

fn written(key: &str, address: &str, weight: u32) -> (RouteKey, NodeFacts) {
    let facts = NodeFacts {
        address: Address::parse(address.as_bytes()).expect("an address"),
        announced: address.into(),
        proto: Proto::Http,
        opening: Opening::default(),
        modifier1: 0,
        modifier2: 0,
        weight,
        backup: 0,
        origin: NodeOrigin::Static,
        announcer: None,
    };
    (RouteKey::parse(key.as_bytes()).expect("a key"), facts)
}

/// The nodes of a key as published, by weight.
fn weights(registry: &mut Registry, table: &TableHandle, key: &str) -> Vec<u32> {
    registry.check();
    registry.publish();
    let table = table.snapshot();
    let route = table.get(key);
    route
        .map_or_else(Vec::new, |route| route.nodes().iter().map(|node| node.facts.weight).collect())
}

#[test]
fn nodes_of_the_configuration_are_added_changed_and_removed() {
    let (mut registry, table) = registry();
    let (a, b) = ("127.0.0.1:1", "127.0.0.1:2");
    registry.set_static(vec![written("h", a, 1), written("h", b, 1)]).unwrap();
    assert_eq!(weights(&mut registry, &table, "h"), [1, 1]);
    let node = |at: usize| table.snapshot().get("h").unwrap().nodes()[at].clone();
    let kept = [node(0), node(1)].into_iter().find(|node| &*node.facts.announced == a).unwrap();

    registry.set_static(vec![written("h", a, 1), written("h", b, 7)]).unwrap();
    let mut both = weights(&mut registry, &table, "h");
    both.sort_unstable();
    assert_eq!(both, [1, 7]);
    let still = [node(0), node(1)].into_iter().any(|node| node.id == kept.id);
    assert!(still, "what did not change is the same node");

    registry.set_static(Vec::new()).unwrap();
    assert!(table.snapshot().get("h").is_some());
    assert_eq!(weights(&mut registry, &table, "h"), [0; 0]);
}

#[test]
fn subscribed_nodes_stay_and_one_that_was_written_down_becomes_the_operators() {
    let (mut registry, table) = registry();
    assert_eq!(subscribe(&mut registry, "h", "127.0.0.1:1"), Verdict::Added);
    assert_eq!(subscribe(&mut registry, "h", "127.0.0.1:2"), Verdict::Added);
    registry.set_static(vec![written("h", "127.0.0.1:2", 9)]).unwrap();
    let mut both = weights(&mut registry, &table, "h");
    both.sort_unstable();
    assert_eq!(both, [1, 9]);
    let mine = subscribe(&mut registry, "h", "127.0.0.1:2");
    assert!(matches!(mine, Verdict::Rejected(_)), "{mine:?}");
}

#[test]
fn a_node_ends_when_its_address_is_not_allowed_any_more() {
    let (mut registry, table) = registry();
    subscribe(&mut registry, "own", "127.0.0.1:80");
    subscribe(&mut registry, "stays", "127.0.0.1:81");
    subscribe(&mut registry, "out", "127.0.0.2:81");
    let mut config = RegistryConfig::default();
    config.upstream_policy.deny = vec![Address::Tcp("127.0.0.1:80".parse().unwrap())];
    config.upstream_policy.allow = vec![AllowRule::Net("127.0.0.1/32".parse().unwrap())];
    registry.reconfigure(NOW, config);
    for (key, nodes) in [("own", 0), ("out", 0), ("stays", 1)] {
        assert_eq!(weights(&mut registry, &table, key).len(), nodes, "{key}");
    }
    let refused = subscribe(&mut registry, "own", "127.0.0.1:80");
    assert_eq!(refused, Verdict::Rejected(Reject::AddressRefused));
}

#[test]
fn signatures_can_be_demanded_and_what_was_announced_without_stays_for_its_lease() {
    let (mut registry, table) = registry();
    subscribe(&mut registry, "h", "127.0.0.1:1");
    let signed = RegistryConfig { sign: Some(Digest::Sha256), ..RegistryConfig::default() };
    registry.reconfigure(NOW, signed);
    assert_eq!(weights(&mut registry, &table, "h").len(), 1);
    let renewal = subscribe(&mut registry, "h", "127.0.0.1:1");
    assert_eq!(renewal, Verdict::Rejected(Reject::Unsigned));
    let lease_ms = RegistryConfig::default().lease_ms;
    registry.sweep(Now { mono_ms: NOW.mono_ms + lease_ms, ..NOW });
    assert_eq!(weights(&mut registry, &table, "h").len(), 0);
}
