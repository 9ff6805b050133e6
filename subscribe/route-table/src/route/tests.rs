//! Levels, cooling and retries of one route.

use super::*;
use crate::EjectRules;
use crate::address::Address;
use crate::node::{NodeFacts, NodeOrigin, Opening, Proto};

/// Nodes A, B, C… at these backup levels.
fn route(levels: &[u8]) -> Route {
    let facts = |backup| NodeFacts {
        address: Address::parse(b"/run/app.sock").expect("legal"),
        announced: "/run/app.sock".into(),
        proto: Proto::Http,
        opening: Opening::default(),
        modifier1: 0,
        modifier2: 0,
        weight: 1,
        backup,
        origin: NodeOrigin::Static,
        announcer: None,
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
    route.nodes()[1].load.note_failure(100, EjectRules::at_once(50));
    assert_eq!(offered(&route, 149), "CAB");
    assert_eq!(offered(&route, 150), "BCA");
}

#[test]
fn a_cooling_node_is_skipped_until_its_time_or_its_success() {
    let route = route(&[0, 0]);
    route.nodes()[0].load.note_failure(1_000, EjectRules::at_once(500));
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
        node.load.note_failure(0, EjectRules::at_once(1_000));
    }
    assert_eq!(offered(&route, 1), "BA");
}

#[test]
fn a_failure_while_cooling_neither_shortens_nor_prolongs_it() {
    let load = crate::NodeLoad::new();
    load.note_failure(0, EjectRules::at_once(1_000));
    load.note_failure(10, EjectRules::at_once(10));
    load.note_failure(20, EjectRules::at_once(5_000));
    assert!(load.is_out(999) && !load.is_out(1_000));
    let now = load.snapshot();
    assert_eq!((now.failures, now.ejections), (3, 1));
}

/// What is picked by these rules.
fn picked(route: &Route, rules: PickRules) -> Option<u64> {
    route.pick_by(&rules, &Tried::default()).map(|node| node.id.0)
}

#[test]
fn nodes_with_room_go_first_and_a_backup_is_not_for_busy_ones() {
    let route = route(&[0, 0, 1]);
    let rules = PickRules { in_flight_max: 1, ..PickRules::default() };
    route.nodes()[0].load.begin();
    for _ in 0..4 {
        assert_eq!(picked(&route, rules), Some(1));
    }
    route.nodes()[1].load.begin();
    assert!(picked(&route, rules).is_some_and(|id| id < 2), "a busy one, not the backup");
    let late = &route.nodes()[1].load;
    assert_eq!(late.begin_below(1), Err(crate::NodeBusy));
    late.end();
    assert_eq!(late.begin_below(1), Ok(()));
}

#[test]
fn a_wanted_node_is_picked_until_it_is_out() {
    let route = route(&[0, 0, 0]);
    let rules = PickRules { wanted: Some(NodeId(2)), ..PickRules::default() };
    for _ in 0..4 {
        assert_eq!(picked(&route, rules), Some(2));
    }
    route.nodes()[2].load.note_failure(0, EjectRules::at_once(1_000));
    assert_ne!(picked(&route, rules), Some(2));
    let gone = PickRules { wanted: Some(NodeId(9)), ..PickRules::default() };
    assert!(picked(&route, gone).is_some());
}

#[test]
fn a_node_that_failed_its_checks_is_skipped_unless_all_did() {
    let route = route(&[0, 0]);
    let rules = crate::CheckRules { rise: 1, fall: 1 };
    route.nodes()[0].load.note_check(crate::CheckFound::Bad, rules);
    assert_eq!(offered(&route, 0), "BA");
    route.nodes()[0].load.note_success();
    assert_eq!(offered(&route, 0), "BA", "a served request does not make a check good");
    route.nodes()[1].load.note_check(crate::CheckFound::Bad, rules);
    assert_eq!(offered(&route, 0).len(), 2);
    route.nodes()[0].load.note_check(crate::CheckFound::Good, rules);
    assert_eq!(offered(&route, 0), "AB");
}

#[test]
fn the_counters_of_a_key_survive_a_change_of_nodes() {
    let route = route(&[0]);
    assert!(route.load_if_used().is_none());
    assert!(route.load().begin_below(1));
    let next = route.with_nodes(route.nodes().to_vec());
    assert!(!next.load().begin_below(1));
    route.load().end();
    assert!(next.load().begin_below(1));
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

#[test]
fn a_node_is_never_given_what_it_does_not_understand() {
    let protos = [Proto::Uwsgi, Proto::Tls, Proto::Http, Proto::Tcp, Proto::H2c];
    let plain = route(&[0; 5]);
    let speaking = |(node, proto): (&Arc<Node>, Proto)| {
        Arc::new(node.with_facts(NodeFacts { proto, ..node.facts.clone() }))
    };
    let nodes: Vec<_> = plain.nodes().iter().zip(protos).map(speaking).collect();
    let mixed = plain.with_nodes(nodes.clone());
    assert_eq!(offered(&mixed, 0).len(), 3, "what takes requests");
    for (speech, own) in [(Speech::Tls, 1), (Speech::Tcp, 3)] {
        // Rather one that is out than one of the others; also if others are preferred.
        mixed.nodes()[own as usize].load.note_failure(0, EjectRules::at_once(1_000));
        let rules = PickRules { speech, wanted: Some(NodeId(0)), ..PickRules::default() };
        assert_eq!(picked(&mixed, rules), Some(own));
        let alone = plain.with_nodes(vec![nodes[2].clone()]);
        assert_eq!(picked(&alone, PickRules { speech, ..PickRules::default() }), None);
    }
    let packets = PickRules { speech: Speech::Packets, ..PickRules::default() };
    assert_eq!(picked(&mixed, packets), Some(0), "the only one of uwsgi");
    assert_eq!(picked(&plain.with_nodes(vec![nodes[2].clone()]), packets), None);
    assert_eq!(picked(&plain.with_nodes(vec![nodes[1].clone()]), PickRules::default()), None);
}
