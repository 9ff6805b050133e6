//! Golden sequences of uWSGI's algorithms (subscription spec 4.6, observed on real builds).

use super::*;
use crate::address::Address;
use crate::node::{NodeFacts, NodeId, NodeOrigin, Proto};

/// Nodes A, B, C… with these weights.
fn nodes(weights: &[u32]) -> Vec<Arc<Node>> {
    let facts = |weight| NodeFacts {
        address: Address::parse(b":3031").expect("legal"),
        announced: ":3031".into(),
        proto: Proto::Uwsgi,
        modifier1: 0,
        modifier2: 0,
        weight,
        backup: 0,
        origin: NodeOrigin::Subscribed,
    };
    let node = |(id, &weight)| Arc::new(Node::new(NodeId(id), facts(weight)));
    (0..).zip(weights).map(node).collect()
}

fn letter(node: Option<&Arc<Node>>) -> char {
    node.map_or('-', |node| char::from(b'A' + node.id.0 as u8))
}

fn turns(weights: &[u32], count: u32) -> String {
    let nodes = nodes(weights);
    (0..count).map(|turn| letter(wrr(nodes.iter(), turn))).collect()
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
    assert_eq!(letter(wrr(nodes.iter(), 0)), 'C');
    assert_eq!(letter(wrr(nodes.iter(), u32::MAX)), 'A');
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
    assert_eq!(nine(&[4, 2, 1], |nodes| wlrc(nodes)), [5, 3, 1]);
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
        p2c(nodes.iter(), turn).expect("a node").load.begin();
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
        assert_eq!(letter(p2c(two.iter(), turn)), 'B');
    }
    assert_eq!(letter(p2c(nodes(&[1]).iter(), 7)), 'A');
    assert_eq!(letter(p2c(nodes(&[]).iter(), 7)), '-');
}
