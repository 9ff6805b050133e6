//! Golden sequences of uWSGI's algorithms (subscription spec 4.6, observed on real builds).

use super::*;
use crate::address::Address;
use crate::node::{NodeFacts, NodeId, NodeOrigin, Opening, Proto};

const OFF: Ramp = Ramp { now_ms: 0, ms: 0 };

/// Nodes A, B, C… with these weights.
fn nodes(weights: &[u32]) -> Vec<Arc<Node>> {
    let facts = |weight| NodeFacts {
        address: Address::parse(b":3031").expect("legal"),
        announced: ":3031".into(),
        proto: Proto::Uwsgi,
        opening: Opening::default(),
        modifier1: 0,
        modifier2: 0,
        weight,
        backup: 0,
        origin: NodeOrigin::Subscribed,
        announcer: None,
    };
    let node = |(id, &weight)| Arc::new(Node::new(NodeId(id), facts(weight)));
    (0..).zip(weights).map(node).collect()
}

fn letter(node: Option<&Arc<Node>>) -> char {
    node.map_or('-', |node| char::from(b'A' + node.id.0 as u8))
}

fn turns(weights: &[u32], count: u32) -> String {
    let nodes = nodes(weights);
    (0..count).map(|turn| letter(wrr(nodes.iter(), turn, OFF))).collect()
}

#[test]
fn wrr_serves_in_the_order_observed_on_uwsgi() {
    assert_eq!(turns(&[1, 1], 12), "BABABABABABA");
    assert_eq!(turns(&[3, 1], 12), "BAAABAAABAAA");
    assert_eq!(turns(&[1, 3], 12), "BABBBABBBABB");
    assert_eq!(turns(&[2, 3, 5], 20), "CABCCABCCABCCABCCABC");
    assert_eq!(turns(&[7], 3), "AAA");
    assert_eq!(turns(&[0, 1], 4), "BABA");
    assert_eq!(turns(&[], 2), "--");
}

#[test]
fn wrr_stands_the_greatest_weights_and_the_last_turn() {
    let nodes = nodes(&[u32::MAX, u32::MAX, 1]);
    assert_eq!(letter(wrr(nodes.iter(), 0, OFF)), 'C');
    assert_eq!(letter(wrr(nodes.iter(), u32::MAX, OFF)), 'A');
}

/// Nine concurrent requests, then which node has how many.
fn nine(
    weights: &[u32],
    pick: impl for<'n> Fn(std::slice::Iter<'n, Arc<Node>>) -> Option<&'n Arc<Node>>,
) -> Vec<u32> {
    let nodes = nodes(weights);
    for _ in 0..9 {
        pick(nodes.iter()).expect("a node").load.begin();
    }
    nodes.iter().map(|node| node.load.in_flight()).collect()
}

#[test]
fn lrc_levels_requests_in_flight() {
    assert_eq!(nine(&[1, 1, 1], |nodes| lrc(nodes)), [3, 3, 3]);
}

#[test]
fn wlrc_levels_requests_in_flight_by_weight() {
    assert_eq!(nine(&[4, 2, 1], |nodes| wlrc(nodes, OFF)), [5, 3, 1]);
}

#[test]
fn lrc_alternates_between_idle_nodes() {
    let nodes = nodes(&[1, 1]);
    let serial: String = (0..6)
        .map(|_| {
            let node = lrc(nodes.iter()).expect("a node");
            node.load.begin();
            node.load.end();
            letter(Some(node))
        })
        .collect();
    assert_eq!(serial, "ABABAB");
}

#[test]
fn ip_hash_reads_the_address_as_uwsgi_does() {
    let nodes = nodes(&[1, 1]);
    let of = |ip: &str| letter(ip_hash(nodes.iter(), ip.parse().expect("an address")));
    assert_eq!(of("127.0.0.1"), 'B');
    assert_eq!(of("10.0.0.1"), 'A');
    assert_eq!(of("::ffff:127.0.0.1"), 'B');
    assert_eq!(letter(ip_hash([].iter(), IpAddr::from([127, 0, 0, 1]))), '-');
}

/// Indices computed apart from this code, by a few lines of Python that follow the rule of the
/// specification: `x = x * 33 % 2**32 ^ byte` from 5381 on, or the little-endian number.
#[test]
fn ip_hash_follows_the_rule_for_every_family_and_count() {
    for (ip, indices) in [
        ("127.0.0.1", [1, 2, 3]),
        ("10.0.0.1", [0, 2, 1]),
        ("192.0.2.7", [0, 0, 1]),
        ("::1", [0, 1, 3]),
        ("2001:db8::7", [0, 1, 1]),
        ("fe80::1", [0, 1, 2]),
    ] {
        for (count, index) in [2, 3, 5].into_iter().zip(indices) {
            let nodes = nodes(&vec![1; count]);
            let node = ip_hash(nodes.iter(), ip.parse().expect("an address")).expect("a node");
            assert_eq!(node.id, NodeId(index), "{ip} of {count}");
        }
    }
}

#[test]
fn algorithms_are_read_by_their_words() {
    for algorithm in [Algorithm::Wrr, Algorithm::Lrc, Algorithm::Wlrc, Algorithm::IpHash] {
        assert_eq!(algorithm.as_str().parse(), Ok(algorithm));
    }
    assert_eq!("WRR".parse::<Algorithm>(), Err(AlgorithmUnknown));
}

/// Goal: with two choices no node is left far behind nor ahead, whatever the weights.
#[test]
fn p2c_keeps_the_load_near_the_weights() {
    let weights = [1, 1, 2, 4];
    let nodes = nodes(&weights);
    for turn in 0..8_000 {
        p2c(nodes.iter(), turn, OFF).expect("a node").load.begin();
    }
    for (node, weight) in nodes.iter().zip(weights) {
        let fair = 1_000 * weight;
        let has = node.load.in_flight();
        assert!(has.abs_diff(fair) <= fair / 5, "weight {weight}: {has}, fair {fair}");
    }
}

#[test]
fn p2c_never_takes_the_busier_of_two_and_stands_one_or_none() {
    let two = nodes(&[1, 1]);
    two[0].load.begin();
    for turn in 0..64 {
        assert_eq!(letter(p2c(two.iter(), turn, OFF)), 'B');
    }
    assert_eq!(letter(p2c(nodes(&[1]).iter(), 7, OFF)), 'A');
    assert_eq!(letter(p2c(nodes(&[]).iter(), 7, OFF)), '-');
}

/// Goal: a node that joins gets a growing share. Method: A is long there, B is offered first at
/// 60 s; 1100 turns are counted at each step of a slow start of 10 s.
#[test]
fn a_node_that_joins_gets_its_share_step_by_step() {
    let nodes = nodes(&[1, 1]);
    assert_eq!(nodes[0].load.age_ms(1_000), 0);
    assert_eq!(nodes[1].load.age_ms(60_000), 0);
    let share = |now_ms| {
        let ramp = Ramp { now_ms, ms: 10_000 };
        (0..1_100).filter(|&turn| letter(wrr(nodes.iter(), turn, ramp)) == 'B').count()
    };
    assert_eq!([60_000, 62_500, 65_000, 70_000, 90_000].map(share), [100, 184, 367, 550, 550]);
}

#[test]
fn grown_nodes_are_served_in_the_golden_order() {
    let nodes = nodes(&[2, 3, 5]);
    wrr(nodes.iter(), 0, Ramp { now_ms: 0, ms: 1_000 });
    let ramp = Ramp { now_ms: 60_000, ms: 1_000 };
    let served: String = (0..8).map(|turn| letter(wrr(nodes.iter(), turn, ramp))).collect();
    assert_eq!(served, "CABCCABC");
}

#[test]
fn an_idle_newcomer_does_not_take_all_of_wlrc() {
    let nodes = nodes(&[1, 1]);
    nodes[0].load.age_ms(0);
    let ramp = Ramp { now_ms: 60_000, ms: 10_000 };
    for _ in 0..22 {
        wlrc(nodes.iter(), ramp).expect("a node").load.begin();
    }
    let loads: Vec<_> = nodes.iter().map(|node| node.load.in_flight()).collect();
    assert_eq!(loads, [20, 2]);
}

#[test]
fn a_node_that_was_ejected_starts_slowly_again() {
    let nodes = nodes(&[1]);
    let load = &nodes[0].load;
    load.age_ms(0);
    assert_eq!(load.age_ms(60_000), 60_000);
    load.note_failure(60_000, crate::EjectRules::at_once(1_000));
    assert_eq!((load.age_ms(61_000), load.age_ms(61_500)), (0, 500));
}
