//! Levels, cooling and retries of one route.

use super::*;
use crate::address::Address;
use crate::node::{NodeFacts, NodeOrigin, Proto};

/// Nodes A, B, C… at these backup levels.
fn route(levels: &[u8]) -> Route {
    let facts = |backup| NodeFacts {
        address: Address::parse(b"/run/app.sock").expect("legal"),
        announced: "/run/app.sock".into(),
        proto: Proto::Http,
        modifier1: 0,
        modifier2: 0,
        weight: 1,
        backup,
        origin: NodeOrigin::Static,
    };
    let nodes = (0..).zip(levels).map(|(id, &level)| Arc::new(Node::new(NodeId(id), facts(level))));
    let key = RouteKey::parse(b"example.com").expect("legal");
    Route::new(key, nodes.collect::<Vec<_>>(), Algorithm::Wrr)
}

/// Offers nodes until none is left.
fn offered(route: &Route, now_ms: u64) -> String {
    let mut tried = Tried::default();
    let mut letters = String::new();
    while let Some(node) = route.pick(now_ms, &tried) {
        letters.push(char::from(b'A' + node.id.0 as u8));
        tried.push(node.id);
    }
    letters
}

#[test]
fn retries_offer_every_node_once_then_none() {
    assert_eq!(offered(&route(&[0, 0, 0]), 0).len(), 3);
    assert_eq!(offered(&route(&[0]), 0), "A");
    assert_eq!(offered(&route(&[]), 0), "");
}

#[test]
fn a_backup_node_serves_only_when_no_lower_level_can() {
    let route = route(&[2, 0, 1]);
    assert_eq!(offered(&route, 0), "BCA");
    route.nodes()[1].load.note_failure(100, 50);
    assert_eq!(offered(&route, 149), "CAB");
    assert_eq!(offered(&route, 150), "BCA");
}

#[test]
fn a_cooling_node_is_skipped_until_its_time_or_its_success() {
    let route = route(&[0, 0]);
    route.nodes()[0].load.note_failure(1_000, 500);
    for _ in 0..4 {
        assert_eq!(route.pick(1_400, &Tried::default()).map(|node| node.id), Some(NodeId(1)));
    }
    route.nodes()[0].load.note_success();
    let ids: Vec<_> = (0..2).filter_map(|_| route.pick(1_400, &Tried::default())).collect();
    assert_ne!(ids[0].id, ids[1].id);
}

#[test]
fn when_all_nodes_cool_they_are_offered_all_the_same() {
    let route = route(&[1, 0]);
    for node in route.nodes() {
        node.load.note_failure(0, 1_000);
    }
    assert_eq!(offered(&route, 1), "BA");
}

#[test]
fn a_later_shorter_cooling_does_not_shorten_an_earlier_one() {
    let load = crate::NodeLoad::new();
    load.note_failure(0, 1_000);
    load.note_failure(10, 10);
    assert!(load.is_cooling(999) && !load.is_cooling(1_000));
    assert_eq!(load.snapshot().failures, 2);
}

#[test]
fn hits_count_requests_and_survive_a_change_of_nodes() {
    let route = route(&[0, 0]);
    offered(&route, 0);
    offered(&route, 0);
    assert_eq!(route.hits(), 2);
    let next = route.with_nodes(route.nodes()[..1].to_vec());
    assert_eq!((next.hits(), next.key(), next.nodes().len()), (2, route.key(), 1));
}

#[test]
fn tried_keeps_the_last_four() {
    let mut tried = Tried::default();
    assert!(tried.is_empty());
    for id in 0..5 {
        tried.push(NodeId(id));
    }
    assert_eq!(tried.len(), 4);
    assert!(!tried.contains(NodeId(0)) && tried.contains(NodeId(4)));
}
