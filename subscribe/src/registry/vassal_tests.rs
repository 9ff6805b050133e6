//! Nodes known by the name of their vassal: moving, sleeping, waking, giving way.

use std::sync::Arc;

use route_table::{Node, TableHandle, TableWriter, Tried};

use super::*;
use crate::announce::{AnnounceFields, encode};
use crate::{Command, VassalNames};

const LEASE_MS: u64 = 17_000;
const INACTIVE_MS: u64 = 60_000;

struct NoFiles;

impl KeyFiles for NoFiles {
    fn read(&mut self, _file_name: &str) -> Option<Vec<u8>> {
        None
    }
}

/// A registry and its clock.
struct Rig {
    registry: Registry,
    table: TableHandle,
    mono_ms: u64,
}

fn rig(vassal_names: VassalNames) -> Rig {
    let (writer, table) = TableWriter::new();
    let config = RegistryConfig {
        vassal_names,
        inactive_lease_ms: INACTIVE_MS,
        ..RegistryConfig::default()
    };
    Rig { registry: Registry::new(config, writer), table, mono_ms: 0 }
}

impl Rig {
    fn apply(&mut self, datagram: &[u8]) -> Verdict {
        let now = Now { mono_ms: self.mono_ms, unix: 1_700_000_000 };
        let verdict = self.registry.apply(now, &Source::of(Peer::Unix), datagram, &mut NoFiles);
        self.registry.check();
        self.registry.publish();
        verdict
    }

    fn send(&mut self, command: Command, vassal: &str, address: &str) -> Verdict {
        let datagram = encode(&fields(vassal, address), command, None, None).expect("fits");
        self.apply(&datagram)
    }

    fn announce(&mut self, vassal: &str, address: &str) -> Verdict {
        self.send(Command::Subscribe, vassal, address)
    }

    fn clear(&mut self, vassal: &str, address: &str) -> Verdict {
        let mut datagram =
            encode(&fields(vassal, address), Command::Subscribe, None, None).expect("fits");
        datagram.extend(b"\x05\0clear\x01\x001");
        let body = u16::try_from(datagram.len() - 4).expect("short").to_le_bytes();
        datagram[1..3].copy_from_slice(&body);
        self.apply(&datagram)
    }

    fn sweep(&mut self, after_ms: u64) -> usize {
        self.mono_ms += after_ms;
        let now = Now { mono_ms: self.mono_ms, unix: 1_700_000_000 };
        let lapsed = self.registry.sweep(now);
        self.registry.check();
        self.registry.publish();
        lapsed
    }

    /// Addresses that can be picked, and how many sleep.
    fn standing(&self) -> (Vec<String>, usize) {
        let table = self.table.snapshot();
        let Some(route) = table.get("a.example") else { return (Vec::new(), 0) };
        let awake = route.nodes().iter().map(|node| node.facts.address.to_string());
        (awake.collect(), route.asleep().count())
    }

    fn only(&self) -> Arc<Node> {
        let mut all = self.registry.table_view().map(|view| Arc::clone(view.node));
        let only = all.next().expect("a node");
        assert!(all.next().is_none(), "one node");
        only
    }
}

fn fields(vassal: &str, address: &str) -> AnnounceFields {
    AnnounceFields {
        key: "a.example".to_owned(),
        address: address.to_owned(),
        vassal: (!vassal.is_empty()).then(|| vassal.to_owned()),
        ..Default::default()
    }
}

fn standing(awake: &[&str], asleep: usize) -> (Vec<String>, usize) {
    (awake.iter().map(|&address| address.to_owned()).collect(), asleep)
}

#[test]
fn a_vassal_that_moves_keeps_its_counters_and_gets_a_number_of_its_own() {
    let mut rig = rig(VassalNames::Optional);
    assert_eq!(rig.announce("foo.ini", "10.0.0.1:1"), Verdict::Added);
    let before = rig.only();
    before.load.begin();
    before.load.note_failure(0, route_table::EjectRules::at_once(60_000));
    assert_eq!(rig.announce("foo.ini", "10.0.0.2:2"), Verdict::Changed);
    let after = rig.only();
    assert!(std::ptr::eq(&*before.load as *const _, &*after.load), "counters stay");
    assert_ne!(before.id, after.id, "kept connections lead to the old address");
    assert!(!after.load.is_out(1), "the failure was the old address's");
    assert_eq!(rig.standing(), standing(&["10.0.0.2:2"], 0));
    let effects: Vec<_> = std::iter::from_fn(|| rig.registry.poll_effect()).collect();
    let moved = |effect: &Effect| matches!(effect, Effect::NodeMoved { from, .. } if &**from == "10.0.0.1:1");
    assert!(effects.iter().any(moved), "{effects:?}");
    // A lease of the old address ends nothing.
    assert_eq!(rig.sweep(LEASE_MS - 1), 0);
    assert_eq!(rig.announce("foo.ini", "10.0.0.2:2"), Verdict::Renewed);
    assert_eq!(rig.sweep(LEASE_MS - 1), 0);
    assert_eq!(rig.sweep(1), 1);
}

#[test]
fn a_late_unsubscribe_of_the_old_address_does_not_end_the_vassal() {
    let mut rig = rig(VassalNames::Optional);
    rig.announce("foo.ini", "10.0.0.1:1");
    rig.announce("foo.ini", "10.0.0.2:2");
    let unknown = Verdict::Rejected(Reject::UnknownNode);
    assert_eq!(rig.send(Command::Unsubscribe, "foo.ini", "10.0.0.1:1"), unknown);
    assert_eq!(rig.clear("foo.ini", "10.0.0.1:1"), unknown);
    assert_eq!(rig.standing(), standing(&["10.0.0.2:2"], 0));
    assert_eq!(rig.send(Command::Unsubscribe, "", "10.0.0.2:2"), Verdict::Removed);
}

#[test]
fn a_vassal_without_an_address_is_known_and_never_picked() {
    let mut rig = rig(VassalNames::Optional);
    assert_eq!(rig.announce("foo.ini", ""), Verdict::Added);
    assert_eq!(rig.announce("foo.ini", ""), Verdict::Renewed);
    assert_eq!(rig.standing(), standing(&[], 1));
    let table = rig.table.snapshot();
    let route = table.get("a.example").expect("the key is known");
    assert!(route.pick(0, &Tried::default()).is_none());
    // It wakes where it says, and its name alone changes nothing then.
    assert_eq!(rig.announce("foo.ini", "10.0.0.1:1"), Verdict::Changed);
    assert_eq!(rig.announce("foo.ini", ""), Verdict::Renewed);
    assert_eq!(rig.standing(), standing(&["10.0.0.1:1"], 0));
    assert_eq!(rig.sweep(LEASE_MS), 1, "a name does not prolong the lease of an address");
    assert_eq!(rig.announce("", ""), Verdict::Rejected(Reject::MissingAddress));
}

#[test]
fn clear_puts_a_vassal_to_sleep_for_the_time_of_the_inactive() {
    let mut rig = rig(VassalNames::Optional);
    rig.announce("foo.ini", "10.0.0.1:1");
    assert_eq!(rig.clear("foo.ini", "10.0.0.1:1"), Verdict::Changed);
    assert_eq!(rig.standing(), standing(&[], 1));
    assert_eq!(rig.only().facts.announced, "".into());
    assert_eq!(rig.sweep(LEASE_MS), 0);
    assert_eq!(rig.sweep(INACTIVE_MS - LEASE_MS), 1);
    // Without a name there is nothing to wake: it leaves.
    rig.announce("", "10.0.0.1:1");
    assert_eq!(rig.clear("", "10.0.0.1:1"), Verdict::Removed);
    assert_eq!(rig.standing(), standing(&[], 0));
    // Whoever unsubscribes a name ends what sleeps, and not what is awake.
    rig.announce("foo.ini", "");
    assert_eq!(rig.send(Command::Unsubscribe, "foo.ini", ""), Verdict::Removed);
    rig.announce("foo.ini", "10.0.0.1:1");
    let unknown = Verdict::Rejected(Reject::UnknownNode);
    assert_eq!(rig.send(Command::Unsubscribe, "foo.ini", ""), unknown);
}

#[test]
fn a_node_that_stands_where_a_vassal_moves_to_gives_way() {
    let mut rig = rig(VassalNames::Optional);
    rig.announce("foo.ini", "10.0.0.1:1");
    rig.announce("bar.ini", "10.0.0.2:2");
    rig.announce("", "10.0.0.3:3");
    assert_eq!(rig.announce("foo.ini", "10.0.0.2:2"), Verdict::Changed);
    assert_eq!(rig.standing().0.len(), 2);
    assert_eq!(rig.announce("foo.ini", "10.0.0.3:3"), Verdict::Changed);
    assert_eq!(rig.standing(), standing(&["10.0.0.3:3"], 0));
    // A node known by its address alone takes the name it is told, and keeps it.
    assert_eq!(rig.announce("", "10.0.0.4:4"), Verdict::Added);
    assert_eq!(rig.announce("bar.ini", "10.0.0.4:4"), Verdict::Changed);
    assert_eq!(rig.announce("", "10.0.0.4:4"), Verdict::Renewed);
    assert_eq!(rig.announce("bar.ini", "10.0.0.5:5"), Verdict::Changed);
    assert_eq!(rig.standing(), standing(&["10.0.0.3:3", "10.0.0.5:5"], 0));
}

#[test]
fn a_configured_node_gives_way_to_no_vassal() {
    let mut rig = rig(VassalNames::Optional);
    rig.announce("foo.ini", "10.0.0.1:1");
    let mut facts = rig.only().facts.clone();
    facts.announcer = None;
    facts.address = Address::parse(b"10.0.0.9:9").expect("legal");
    let key = RouteKey::parse(b"a.example").expect("legal");
    rig.registry.add_static(key, facts).expect("room");
    let refused = Verdict::Rejected(Reject::StaticNode);
    assert_eq!(rig.announce("foo.ini", "10.0.0.9:9"), refused);
    assert_eq!(rig.clear("foo.ini", "10.0.0.9:9"), refused);
    assert_eq!(rig.standing().0, ["10.0.0.1:1", "10.0.0.9:9"]);
}

#[test]
fn names_can_be_required_and_must_be_plain() {
    let mut rig = rig(VassalNames::Required);
    let missing = Verdict::Rejected(Reject::MissingVassal);
    assert_eq!(rig.announce("", "10.0.0.1:1"), missing);
    assert_eq!(rig.announce("foo.ini", "10.0.0.1:1"), Verdict::Added);
    assert_eq!(rig.send(Command::Unsubscribe, "", "10.0.0.1:1"), missing);
    let long = "v".repeat(256);
    for name in [long.as_str(), "a\nb"] {
        assert_eq!(rig.announce(name, "10.0.0.1:1"), Verdict::Rejected(Reject::BadVassal));
    }
}
