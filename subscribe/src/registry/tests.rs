//! Verdicts, leases, limits and effects of an unsigned registry; proofs are in `tests/`.

use route_table::{NodeFacts, NodeOrigin, Proto, TableHandle};

use super::*;
use crate::Command;
use crate::announce::{AnnounceFields, encode};
use crate::limits::Limits;

const START: Now = Now { mono_ms: 1_000, unix: 1_700_000_000 };
const SOURCE: Source = Source::of(Peer::Unix);

struct NoFiles;

impl KeyFiles for NoFiles {
    fn read(&mut self, _file_name: &str) -> Option<Vec<u8>> {
        None
    }
}

fn registry(limits: Limits) -> (Registry, TableHandle) {
    let (writer, handle) = TableWriter::new();
    (Registry::new(RegistryConfig { limits, ..RegistryConfig::default() }, writer), handle)
}

fn fields(key: &str, address: &str) -> AnnounceFields {
    AnnounceFields { key: key.to_owned(), address: address.to_owned(), ..Default::default() }
}

fn after(ms: u64) -> Now {
    Now { mono_ms: START.mono_ms + ms, unix: START.unix + ms / 1000 }
}

fn send(registry: &mut Registry, now: Now, fields: &AnnounceFields, command: Command) -> Verdict {
    let datagram = encode(fields, command, None, None).expect("fits");
    let verdict = registry.apply(now, &SOURCE, &datagram, &mut NoFiles);
    registry.check();
    verdict
}

fn subscribe(registry: &mut Registry, now: Now, key: &str, address: &str) -> Verdict {
    send(registry, now, &fields(key, address), Command::Subscribe)
}

fn unsubscribe(registry: &mut Registry, now: Now, key: &str, address: &str) -> Verdict {
    send(registry, now, &fields(key, address), Command::Unsubscribe)
}

fn effects(registry: &mut Registry) -> Vec<Effect> {
    std::iter::from_fn(|| registry.poll_effect()).collect()
}

#[test]
fn renewal_changes_no_table() {
    let (mut registry, handle) = registry(Limits::default());
    assert_eq!(subscribe(&mut registry, START, "Shop.Example", ":3031"), Verdict::Added);
    let first = registry.publish();
    assert!(first.is_some());
    let load = fields("shop.example", "127.0.0.1:3031");
    let load = AnnounceFields { cores: 8, load: 5, ..load };
    let later = after(10_000);
    assert_eq!(send(&mut registry, later, &load, Command::Subscribe), Verdict::Renewed);
    assert_eq!(registry.publish(), None);
    let table = handle.snapshot();
    let node = &table.get("shop.example").unwrap().nodes()[0];
    let seen = node.load.snapshot();
    assert_eq!((seen.cores, seen.backlog, seen.last_seen_unix), (8, 5, later.unix));
    assert_eq!(&*node.facts.announced, ":3031");
}

#[test]
fn changed_facts_are_published_and_counters_stay() {
    let (mut registry, handle) = registry(Limits::default());
    subscribe(&mut registry, START, "h", ":1");
    registry.publish();
    let before = handle.snapshot().get("h").unwrap().nodes()[0].clone();
    before.load.begin();
    let base = fields("h", ":1");
    for changed in [
        AnnounceFields { weight: 3, ..base.clone() },
        AnnounceFields { modifier1: 5, ..base.clone() },
        AnnounceFields { modifier2: 5, ..base.clone() },
        AnnounceFields { backup: 1, ..base.clone() },
        AnnounceFields { proto: Proto::Http, ..base },
    ] {
        let command = Command::Subscribe;
        assert_eq!(send(&mut registry, START, &changed, command), Verdict::Changed, "{changed:?}");
        assert_eq!(send(&mut registry, START, &changed, command), Verdict::Renewed, "{changed:?}");
        assert!(registry.publish().is_some());
    }
    let after = handle.snapshot().get("h").unwrap().nodes()[0].clone();
    assert_eq!((after.id, after.facts.proto), (before.id, Proto::Http));
    assert_eq!(after.load.in_flight(), 1);
}

#[test]
fn lease_ends_by_the_timer_and_not_before() {
    let (mut registry, handle) = registry(Limits::default());
    subscribe(&mut registry, START, "h", ":1");
    subscribe(&mut registry, after(10_000), "h", ":1");
    subscribe(&mut registry, after(5_000), "h", ":2");
    registry.publish();
    assert_eq!(registry.sweep(after(21_999)), 0);
    assert_eq!(registry.sweep(after(22_000)), 1);
    assert_eq!(registry.poll_timeout(), Some(after(27_000).mono_ms));
    assert_eq!(registry.sweep(after(27_000)), 1);
    assert_eq!(registry.poll_timeout(), None);
    assert_eq!(handle.snapshot().len(), 1, "not published yet");
    registry.publish();
    assert!(handle.snapshot().is_empty());
}

#[test]
fn unsubscribe_removes_at_once_and_an_unknown_one_is_counted() {
    let (mut registry, handle) = registry(Limits::default());
    subscribe(&mut registry, START, "h", ":1");
    assert_eq!(unsubscribe(&mut registry, START, "h", "127.0.0.1:1"), Verdict::Removed);
    let unknown = Verdict::Rejected(Reject::UnknownNode);
    assert_eq!(unsubscribe(&mut registry, START, "h", ":1"), unknown);
    registry.publish();
    assert!(handle.snapshot().is_empty());
    let stats = registry.stats();
    assert_eq!((stats.added, stats.removed, stats.nodes, stats.keys), (1, 1, 0, 0));
    assert!(stats.rejects().any(|(label, count)| (label, count) == ("unknown_node", 1)));
}

/// uWSGI adds a node of `h/foo` to `h` if `h` exists (subscription spec 4.4).
#[test]
fn keys_are_exact_and_do_not_depend_on_order() {
    let (mut registry, handle) = registry(Limits::default());
    subscribe(&mut registry, START, "h", ":1");
    subscribe(&mut registry, START, "h/foo", ":2");
    subscribe(&mut registry, START, "h:80", ":3");
    registry.publish();
    let table = handle.snapshot();
    for (key, port) in [("h", ":1"), ("h/foo", ":2"), ("h:80", ":3")] {
        let nodes = table.get(key).unwrap().nodes();
        assert_eq!((nodes.len(), &*nodes[0].facts.announced), (1, port));
    }
}

#[test]
fn limits_refuse_the_newcomer_and_keep_the_rest() {
    let limits = Limits { keys_max: 2, nodes_per_key_max: 2, nodes_max: 3, ..Limits::default() };
    let (mut registry, _handle) = registry(limits);
    let mut send = |key, address| subscribe(&mut registry, START, key, address);
    assert_eq!(send("a", ":1"), Verdict::Added);
    assert_eq!(send("a", ":2"), Verdict::Added);
    assert_eq!(send("a", ":3"), Verdict::Rejected(Reject::TooManyNodesOfKey));
    assert_eq!(send("b", ":1"), Verdict::Added);
    assert_eq!(send("b", ":2"), Verdict::Rejected(Reject::TooManyNodes));
    assert_eq!(send("c", ":1"), Verdict::Rejected(Reject::TooManyKeys));
    assert_eq!(send("a", ":1"), Verdict::Renewed);
}

/// Who is there keeps its lease and may change, leave and come again under its name.
#[test]
fn without_memory_newcomers_are_refused_and_who_is_there_goes_on() {
    let (mut registry, _handle) = registry(Limits::default());
    assert_eq!(subscribe(&mut registry, START, "a", ":1"), Verdict::Added);
    registry.set_growth(Growth::Refused);
    for (key, address) in [("a", ":2"), ("b", ":1")] {
        let verdict = subscribe(&mut registry, START, key, address);
        assert_eq!(verdict, Verdict::Rejected(Reject::ShortOfMemory));
    }
    assert_eq!(subscribe(&mut registry, START, "a", ":1"), Verdict::Renewed);
    let heavier = AnnounceFields { weight: 7, ..fields("a", ":1") };
    assert_eq!(send(&mut registry, START, &heavier, Command::Subscribe), Verdict::Changed);
    registry.set_growth(Growth::Welcome);
    assert_eq!(subscribe(&mut registry, START, "b", ":1"), Verdict::Added);
}

#[test]
fn addresses_keys_and_modifiers_outside_the_rules_are_refused() {
    let (mut registry, _handle) = registry(Limits::default());
    let mut refused = |key: &str, address: &str, modifier1| {
        let fields = AnnounceFields { modifier1, ..fields(key, address) };
        match send(&mut registry, START, &fields, Command::Subscribe) {
            Verdict::Rejected(reject) => Some(reject),
            _ => None,
        }
    };
    assert_eq!(refused("h h", ":1", 0), Some(Reject::BadKey));
    assert_eq!(refused(&"x.".repeat(128), ":1", 0), Some(Reject::BadKey));
    assert_eq!(refused("h", "localhost:1", 0), Some(Reject::BadAddress));
    assert_eq!(refused("h", "169.254.169.254:80", 0), Some(Reject::AddressRefused));
    assert_eq!(refused("h", "relative.sock", 0), Some(Reject::AddressRefused));
    assert_eq!(refused("h", ":1", 22), Some(Reject::ModifierRefused));
    assert_eq!(refused("h", ":1", 5), None);
    assert_eq!(registry.stats().nodes, 1);
    let long = vec![0; crate::limits::DATAGRAM_BYTES_MAX + 1];
    let verdict = registry.apply(START, &SOURCE, &long, &mut NoFiles);
    assert_eq!(verdict, Verdict::Rejected(Reject::Oversize));
}

#[test]
fn static_nodes_outlive_leases_and_ignore_datagrams() {
    let (mut registry, handle) = registry(Limits::default());
    let facts = NodeFacts {
        address: Address::parse(b"8.8.8.8:80").unwrap(),
        announced: "8.8.8.8:80".into(),
        proto: Proto::Http,
        opening: route_table::Opening::default(),
        modifier1: 0,
        modifier2: 0,
        weight: 1,
        backup: 0,
        origin: NodeOrigin::Subscribed,
        announcer: None,
    };
    let near = NodeFacts { address: Address::parse(b":9").unwrap(), ..facts.clone() };
    let key = RouteKey::parse(b"h").unwrap();
    assert_eq!(registry.add_static(key.clone(), facts), Ok(()));
    assert_eq!(registry.add_static(key.clone(), near.clone()), Ok(()));
    assert_eq!(registry.add_static(key, near), Err(StaticNodeError::Duplicate));
    let refused = Verdict::Rejected(Reject::StaticNode);
    assert_eq!(subscribe(&mut registry, START, "h", ":9"), refused);
    assert_eq!(unsubscribe(&mut registry, START, "h", ":9"), refused);
    assert_eq!(subscribe(&mut registry, START, "h", ":1"), Verdict::Added);
    assert_eq!(registry.sweep(after(1_000_000_000)), 1);
    registry.publish();
    assert_eq!(handle.snapshot().get("h").unwrap().nodes().len(), 2);
    assert_eq!(registry.poll_timeout(), None);
}

#[test]
fn a_route_keeps_hits_and_the_algorithm_it_was_created_with() {
    let (mut registry, handle) = registry(Limits::default());
    let with = |algo| AnnounceFields { algo: Some(algo), ..fields("h", ":1") };
    send(&mut registry, START, &with(route_table::Algorithm::Lrc), Command::Subscribe);
    registry.publish();
    handle.snapshot().get("h").unwrap().pick(0, &route_table::Tried::default());
    let again = AnnounceFields { address: ":2".into(), ..with(route_table::Algorithm::Wrr) };
    send(&mut registry, START, &again, Command::Subscribe);
    registry.publish();
    let table = handle.snapshot();
    let route = table.get("h").unwrap();
    assert_eq!((route.algorithm(), route.hits()), (route_table::Algorithm::Lrc, 1));
}

#[test]
fn one_batch_is_one_publish_whatever_happened_in_it() {
    let (mut registry, handle) = registry(Limits::default());
    for port in 1..64 {
        subscribe(&mut registry, START, "h", &format!(":{port}"));
        subscribe(&mut registry, START, "gone", &format!(":{port}"));
        unsubscribe(&mut registry, START, "gone", &format!(":{port}"));
    }
    let generation = registry.publish();
    assert_eq!(generation, Some(handle.snapshot().generation()));
    assert_eq!(handle.snapshot().get("h").unwrap().nodes().len(), 63);
    assert!(handle.snapshot().get("gone").is_none());
    assert_eq!(registry.publish(), None);
}

#[test]
fn stopping_vassal_that_clears_its_address_leaves() {
    let (mut registry, _handle) = registry(Limits::default());
    subscribe(&mut registry, START, "h", ":1");
    let clear = b"\xe0\x1f\0\0\x03\0key\x01\0h\x07\0address\x02\0:1\x05\0clear\x01\x001";
    let verdict = registry.apply(START, &SOURCE, clear, &mut NoFiles);
    assert_eq!(verdict, Verdict::Removed);
}

#[test]
fn effects_tell_the_shell_of_certificates_nodes_and_acknowledgements() {
    let (mut registry, _handle) = registry(Limits::default());
    let with_cert = AnnounceFields {
        sni_key: Some("/k".into()),
        sni_crt: Some("/c".into()),
        notify: Some("/run/n".into()),
        ..fields("h:8443", ":1")
    };
    send(&mut registry, START, &with_cert, Command::Subscribe);
    let first = effects(&mut registry);
    let [
        Effect::Notify { text, .. },
        Effect::NodeAdded { .. },
        Effect::LoadCert { name, crt: CertText::Path(crt), ca: None, .. },
    ] = &first[..]
    else {
        panic!("{first:?}")
    };
    assert_eq!(text, "[subscription ack] h:8443 => new node: :1");
    assert_eq!((name.as_str(), crt.as_slice()), ("h", &b"/c"[..]));
    assert!(registry.table_view().all(|view| view.sni && view.key.as_str() == "h:8443"));

    send(&mut registry, START, &with_cert, Command::Subscribe);
    let renewal = effects(&mut registry);
    assert!(matches!(&renewal[..], [Effect::LookAtCert { name }] if name == "h"), "{renewal:?}");
    let renewed = AnnounceFields { sni_crt: Some("/c2".into()), ..with_cert };
    send(&mut registry, START, &renewed, Command::Subscribe);
    assert!(matches!(effects(&mut registry)[..], [Effect::LoadCert { .. }]));
    registry.sweep(after(17_000));
    let last = effects(&mut registry);
    assert!(matches!(
        &last[..],
        [Effect::DropCert { name }, Effect::NodeRemoved { why: Departure::Lapsed, .. }]
            if name == "h"
    ));
}

#[test]
fn acknowledgement_goes_only_where_upstreams_may_be() {
    let (mut registry, _handle) = registry(Limits::default());
    registry.rules.upstream_policy.deny.push(Address::Unix((*b"/run/admin.sock").into()));
    for (port, path) in ["/run/admin.sock", "/run/../x", "relative"].iter().enumerate() {
        let notify = Some((*path).to_owned());
        let fields = AnnounceFields { notify, ..fields("h", &format!(":{}", port + 1)) };
        assert_eq!(send(&mut registry, START, &fields, Command::Subscribe), Verdict::Added);
    }
    let notified = |effect: &Effect| matches!(effect, Effect::Notify { .. });
    assert!(!effects(&mut registry).iter().any(notified));
}

use crate::effect::CertText;

#[test]
fn who_announces_a_raw_listener_without_a_protocol_takes_bytes() {
    let (writer, handle) = TableWriter::new();
    let key = |text: &[u8]| RouteKey::parse(text).expect("a key");
    let raw_keys = [key(b"127.0.0.1:2525")].into();
    let mut registry = Registry::new(RegistryConfig { raw_keys, ..Default::default() }, writer);
    let http = AnnounceFields { proto: Proto::Http, ..fields("127.0.0.1:2525", ":2") };
    for announced in [fields("127.0.0.1:2525", ":1"), http, fields("other.example", ":1")] {
        let command = Command::Subscribe;
        assert_eq!(send(&mut registry, START, &announced, command), Verdict::Added);
        assert_eq!(send(&mut registry, START, &announced, command), Verdict::Renewed);
    }
    registry.publish();
    let table = handle.snapshot();
    let protos = |key| {
        table
            .get(key)
            .map(|route| route.nodes().iter().map(|node| node.facts.proto).collect::<Vec<_>>())
    };
    assert_eq!(protos("127.0.0.1:2525"), Some(vec![Proto::Tcp, Proto::Http]));
    assert_eq!(protos("other.example"), Some(vec![Proto::Uwsgi]));
}
