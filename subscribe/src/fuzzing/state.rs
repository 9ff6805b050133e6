//! States of any bytes, and the registry they are put to.

use std::collections::BTreeSet;

use route_table::TableWriter;

use crate::limits::DATAGRAM_BYTES_MAX;
use crate::state::frame;
use crate::state::record::RecordWriter;
use crate::{Carried, KeyFiles, Limits, Now, Registry, RegistryConfig};

/// Whatever a state holds: it is refused whole, or the registry is sound and within its limits, and
/// a state of it brings the same nodes again.
pub fn state(bytes: &[u8]) {
    check(bytes);
    check(&framed(bytes));
}

/// The same bytes with frames around them that are right, which chance never makes: each begins
/// with its length.
fn framed(mut bytes: &[u8]) -> Vec<u8> {
    let mut state = RecordWriter::start().finish();
    // The end, which `finish` wrote, comes after the records.
    let mut rest = &state[..];
    let head = frame::take(&mut rest).expect("just written").expect("a head");
    state.truncate(frame::HEADER_BYTES + head.len());
    let mut records = 0_u8;
    while let Some((&len, after)) = bytes.split_first() {
        let (body, after) = after.split_at(usize::from(len).min(after.len()));
        frame::push(&mut state, body);
        bytes = after;
        records = records.saturating_add(1);
    }
    frame::push(&mut state, &[END, records]);
    state
}

fn check(state: &[u8]) {
    let now = Now { mono_ms: 1_000_000, unix: 1_700_000_000 };
    let before = registry();
    let (mut registry, mut keys) = (registry(), NoFiles);
    let Ok(restored) = registry.restore(now, Carried::HandedOver, state, &mut keys) else {
        assert_eq!(registry.stats(), before.stats(), "nothing of a bad state counts");
        return;
    };
    registry.check();
    assert_eq!(registry.stats().nodes, restored.nodes);
    registry.publish();
    let again = registry.export(now);
    let mut successor = self::registry();
    let second = successor
        .restore(now, Carried::HandedOver, &again, &mut keys)
        .expect("it was just written");
    assert_eq!((second.nodes, second.refused), (restored.nodes, 0));
    assert_eq!(nodes(&registry), nodes(&successor));
    assert!(again.len() <= 2 * state.len() + DATAGRAM_BYTES_MAX, "no blow-up");
}

fn nodes(registry: &Registry) -> BTreeSet<String> {
    let line = |view: crate::NodeView<'_>| {
        let (facts, intake) = (&view.node.facts, view.node.intake);
        format!("{} {facts:?} {intake:?} {} {}", view.key, view.node.load.due_ms(), view.sni)
    };
    registry.table_view().map(line).collect()
}

fn registry() -> Registry {
    let limits = Limits { keys_max: 3, nodes_per_key_max: 3, nodes_max: 6, ..Limits::default() };
    Registry::new(RegistryConfig { limits, ..RegistryConfig::default() }, TableWriter::new().0)
}

/// No directory of keys: this registry asks for no signatures.
struct NoFiles;

impl KeyFiles for NoFiles {
    fn read(&mut self, _file_name: &str) -> Option<Vec<u8>> {
        None
    }
}

/// Place of `Record::End` among the records.
const END: u8 = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::announce::{AnnounceFields, Command, encode};
    use crate::{Peer, Source};

    /// The bodies of the frames of a state, each after its length, as the fuzzer holds them.
    fn unframed(state: &[u8]) -> Vec<u8> {
        let (mut rest, mut bodies) = (state, Vec::new());
        while let Some(body) = frame::take(&mut rest).expect("whole") {
            bodies.push([&[body.len() as u8], body].concat());
        }
        bodies[1..bodies.len() - 1].concat()
    }

    fn exported() -> Vec<u8> {
        let mut registry = registry();
        let now = Now { mono_ms: 0, unix: 1_700_000_000 };
        let announce = |fields: &AnnounceFields| {
            encode(fields, Command::Subscribe, None, None).expect("it fits a datagram")
        };
        let node = |key: &str, address: &str| AnnounceFields {
            key: key.into(),
            address: address.into(),
            ..AnnounceFields::default()
        };
        let with_cert = AnnounceFields {
            sni_key: Some("/k".into()),
            sni_crt: Some("/c".into()),
            sni_ca: Some("!/a".into()),
            ..node("b.example", "/run/b.sock")
        };
        let asleep = AnnounceFields { vassal: Some("v.ini".into()), ..node("c.example", "") };
        let awake = AnnounceFields { vassal: Some("w.ini".into()), ..node("c.example", "@c") };
        for fields in [node("a.example", ":3031"), with_cert, asleep, awake] {
            let source = Source::of(Peer::Unix);
            registry.apply(now, &source, &announce(&fields), &mut NoFiles);
        }
        let key = route_table::RouteKey::parse(b"c.example").expect("a key");
        let added = registry.table_view().next().map(|view| view.node.facts.clone());
        let address = route_table::Address::parse(b"127.0.0.1:4").expect("an address");
        let added = added.map(|facts| route_table::NodeFacts {
            address: address.clone(),
            announced: "127.0.0.1:4".into(),
            announcer: None,
            ..facts
        });
        registry.add_operators(key.clone(), added.expect("a node")).expect("room");
        registry.set_intake(&key, &address, route_table::Intake::Drained);
        assert_eq!(registry.stats().nodes, 5);
        registry.export(now)
    }

    #[test]
    fn a_state_cut_anywhere_or_with_any_byte_changed_leaves_the_registry_sound() {
        let exported = exported();
        check(&exported);
        (0..exported.len()).for_each(|end| check(&exported[..end]));
        let bodies = unframed(&exported);
        for at in 0..bodies.len() {
            for byte in [0, 1, 5, 0x7f, 0x80, 0xff, bodies[at] ^ 1] {
                let mut changed = bodies.clone();
                changed[at] = byte;
                check(&framed(&changed));
            }
        }
    }
}
