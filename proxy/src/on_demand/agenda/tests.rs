//! Who is asked for, and how often, under a clock of our own.

use std::sync::Arc;

use route_table::{
    Address, Algorithm, Announcer, NodeFacts, NodeId, NodeOrigin, Opening, Proto, RouteKey,
    TableWriter,
};

use super::*;

fn node(id: u64, vassal: &str, backup: u8, address: Address) -> Arc<Node> {
    let announcer = Announcer { vassal: Some(vassal.into()), ..Announcer::default() };
    let facts = NodeFacts {
        address,
        announced: "".into(),
        proto: Proto::Uwsgi,
        opening: Opening::default(),
        modifier1: 0,
        modifier2: 0,
        weight: 1,
        backup,
        origin: NodeOrigin::Subscribed,
        announcer: announcer.known(),
    };
    Arc::new(Node::new(NodeId(id), facts))
}

fn route(key: &str, nodes: impl Into<Box<[Arc<Node>]>>) -> Arc<Route> {
    let key = RouteKey::parse(key.as_bytes()).expect("legal");
    Arc::new(Route::new(key, nodes, Algorithm::Wrr))
}

fn asleep(key: &str, vassals: &[(&str, u8)]) -> Arc<Route> {
    let nodes =
        (0..).zip(vassals).map(|(id, &(name, backup))| node(id, name, backup, Address::Nowhere));
    route(key, nodes.collect::<Vec<_>>())
}

fn spawn(name: &str) -> Step {
    Step::Spawn(name.into())
}

#[test]
fn one_command_is_sent_while_a_vassal_starts_whatever_its_keys() {
    let mut agenda = Agenda::default();
    let (one, two) = (asleep("a", &[("v.ini", 0)]), asleep("b", &[("v.ini", 0)]));
    assert_eq!(agenda.step(&one, Speech::Requests, 0), spawn("v.ini"));
    for now_ms in [0, 1, AGAIN_MS - 1] {
        assert_eq!(agenda.step(&one, Speech::Requests, now_ms), Step::Wait);
        assert_eq!(agenda.step(&two, Speech::Requests, now_ms), Step::Wait);
    }
}

#[test]
fn commands_that_bring_nothing_become_rare() {
    let (mut agenda, route) = (Agenda::default(), asleep("a", &[("v.ini", 0)]));
    let sent = (0..600)
        .filter(|second| agenda.step(&route, Speech::Requests, second * 1_000) == spawn("v.ini"));
    assert_eq!(
        sent.collect::<Vec<_>>(),
        [0, 5, 15, 35, 75, 135, 195, 255, 315, 375, 435, 495, 555]
    );
}

#[test]
fn a_vassal_that_does_not_come_gives_way_to_the_next_of_its_level() {
    let mut agenda = Agenda::default();
    let route = asleep("a", &[("spare.ini", 1), ("one.ini", 0), ("two.ini", 0)]);
    let mut asked = Vec::new();
    for second in 0..30 {
        if let Step::Spawn(name) = agenda.step(&route, Speech::Requests, second * 1_000) {
            asked.push((second, name));
        }
    }
    let asked: Vec<_> = asked.iter().map(|(second, name)| (*second, &**name)).collect();
    assert_eq!(asked, [(0, "one.ini"), (5, "two.ini"), (10, "one.ini"), (20, "two.ini")]);
}

#[test]
fn a_command_that_could_not_be_sent_is_due_again_in_a_second() {
    for (why, meanwhile) in [(Unsent::Away, Step::Away), (Unsent::Busy, Step::Wait)] {
        let (mut agenda, route) = (Agenda::default(), asleep("a", &[("v.ini", 0)]));
        assert_eq!(agenda.step(&route, Speech::Requests, 0), spawn("v.ini"));
        agenda.note_unsent("v.ini", why, 0);
        assert_eq!(agenda.step(&route, Speech::Requests, UNSENT_MS - 1), meanwhile);
        assert_eq!(agenda.step(&route, Speech::Requests, UNSENT_MS), spawn("v.ini"));
        // It counts as the first one.
        assert_eq!(agenda.step(&route, Speech::Requests, UNSENT_MS + AGAIN_MS), spawn("v.ini"));
    }
}

#[test]
fn vassals_that_would_not_understand_what_they_get_are_let_sleep() {
    let (mut agenda, route) = (Agenda::default(), asleep("a", &[("v.ini", 0)]));
    assert_eq!(agenda.step(&route, Speech::Tls, 0), Step::Wait);
    assert!(agenda.is_empty());
}

#[test]
fn one_that_came_and_sleeps_again_is_asked_for_at_once() {
    let (mut agenda, sleeping) = (Agenda::default(), asleep("a", &[("v.ini", 0)]));
    let (mut writer, handle) = TableWriter::new();
    assert_eq!(agenda.step(&sleeping, Speech::Requests, 0), spawn("v.ini"));
    agenda.sweep(&handle.snapshot(), 100);
    assert!(!agenda.is_empty());
    let address = Address::parse(b"127.0.0.1:9").expect("legal");
    writer.stage_put(route("a", [node(7, "v.ini", 0, address)]));
    writer.publish();
    agenda.sweep(&handle.snapshot(), 200);
    assert!(agenda.is_empty());
    assert_eq!(agenda.step(&sleeping, Speech::Requests, 300), spawn("v.ini"));
}

#[test]
fn a_vassal_nobody_asks_for_is_forgotten() {
    let (mut agenda, route) = (Agenda::default(), asleep("a", &[("v.ini", 0)]));
    let (_writer, handle) = TableWriter::new();
    agenda.step(&route, Speech::Requests, 0);
    agenda.sweep(&handle.snapshot(), AGAIN_MS + FORGET_MS - 1);
    assert!(!agenda.is_empty());
    agenda.sweep(&handle.snapshot(), AGAIN_MS + FORGET_MS);
    assert!(agenda.is_empty());
}

#[test]
fn a_key_whose_node_is_of_no_use_is_no_served_one() {
    let (mut writer, handle) = TableWriter::new();
    let dead = node(7, "other.ini", 0, Address::parse(b"127.0.0.1:9").expect("legal"));
    let sleeper = node(8, "v.ini", 0, Address::Nowhere);
    let (mut agenda, half) = (Agenda::default(), route("a", [dead.clone(), sleeper]));
    writer.stage_put(half.clone());
    writer.publish();
    assert_eq!(agenda.step(&half, Speech::Requests, 0), spawn("v.ini"));
    agenda.sweep(&handle.snapshot(), 100);
    assert_eq!(agenda.step(&half, Speech::Requests, 200), Step::Wait);
    let awake = node(9, "v.ini", 0, Address::parse(b"127.0.0.1:10").expect("legal"));
    writer.stage_put(route("a", [dead, awake]));
    writer.publish();
    agenda.sweep(&handle.snapshot(), 300);
    assert!(agenda.is_empty());
}
