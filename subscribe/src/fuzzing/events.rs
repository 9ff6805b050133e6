//! Events read from bytes, and the registry they are put to.
//!
//! The first byte chooses whether signatures are asked for. Each event is a byte for its kind and
//! what the kind needs; keys and addresses come from short lists, so that events meet.

use std::collections::BTreeSet;
use std::sync::Arc;

use route_table::{
    Address, NodeFacts, NodeOrigin, Opening, Proto, RouteKey, TableHandle, TableReader, TableWriter,
};
use uwsgi_wire::modifier::{COMMAND_SUBSCRIBE, SUBSCRIPTION};
use uwsgi_wire::{Packet, PacketWriter};

use super::model::Model;
use crate::limits::DATAGRAM_BYTES_MAX;
use crate::{
    Digest, KeyFiles, Limits, Now, Peer, Registry, RegistryConfig, Source, StaticNodeError,
    Subscription, Verdict,
};

/// Whatever is sent and whenever: the registry holds what a naive model holds, what was published
/// is what it holds, and without a signature nobody gets in where one is asked for.
pub fn registry(bytes: &[u8]) {
    let Some((mode, events)) = bytes.split_first() else { return };
    let mut events = Events { rest: events };
    let mut run = Run::new(mode & 1 != 0);
    for _ in 0..EVENTS_MAX {
        let Some(kind) = events.byte() else { break };
        run.step(kind, &mut events);
        run.registry.check();
        run.model.check(&run.registry, LIMITS);
        if run.signed && run.model.has_subscribed() {
            let mut watched = run.registry.watched_key_files();
            assert!(watched.any(|name| name == KEY_FILE), "a key that proved a node is watched");
        }
    }
    run.publish();
}

/// Bytes that are left to be read.
struct Events<'a> {
    rest: &'a [u8],
}

impl<'a> Events<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// One of `all`; the first when the bytes are used up.
    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.byte().unwrap_or_default()) % all.len()]
    }

    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        taken
    }
}

struct Run {
    registry: Registry,
    model: Model,
    table: TableHandle,
    /// A worker's view, which must follow the publishes.
    reader: TableReader,
    now: Now,
    signed: bool,
    /// Dictionaries that counted where signatures are asked for.
    counted: BTreeSet<Vec<u8>>,
    files: KeyDirectory,
}

impl Run {
    fn new(signed: bool) -> Self {
        let (writer, table) = TableWriter::new();
        let config = RegistryConfig {
            sign: signed.then_some(Digest::Sha256),
            lease_ms: LEASE_MS,
            inactive_lease_ms: INACTIVE_LEASE_MS,
            limits: LIMITS,
            ..RegistryConfig::default()
        };
        Self {
            registry: Registry::new(config, writer),
            model: Model::default(),
            reader: table.reader(),
            table,
            now: Now { mono_ms: 0, unix: CAPTURED_UNIX },
            signed,
            counted: BTreeSet::new(),
            files: KeyDirectory { has_key: true },
        }
    }

    fn step(&mut self, kind: u8, events: &mut Events<'_>) {
        match kind % 16 {
            0..=3 => {
                let datagram = announcement(events, Names::Addresses);
                self.apply(&datagram);
            }
            4 => {
                let datagram = announcement(events, Names::Vassals);
                self.apply(&datagram);
            }
            5 => {
                let count = usize::from(events.byte().unwrap_or_default());
                self.apply(events.bytes(count));
            }
            6 | 7 => {
                let mut datagram = events.pick(&CAPTURED).to_vec();
                let flips = events.byte().unwrap_or_default();
                if let Some(command) = datagram.get_mut(3) {
                    *command ^= flips & 1; // the header is not signed
                }
                if flips & 0xf0 == 0xf0 {
                    let at = usize::from(events.byte().unwrap_or_default()) % datagram.len();
                    datagram[at] ^= 1 << (flips >> 1 & 7);
                }
                self.apply(&datagram);
            }
            8 | 9 => {
                let step = u64::from(events.byte().unwrap_or_default());
                self.now.mono_ms += step * step;
            }
            10 => self.now.unix += u64::from(events.byte().unwrap_or_default() % 32),
            11 => {
                let back = u64::from(events.byte().unwrap_or_default());
                self.now.unix = self.now.unix.saturating_sub(back);
            }
            12 => assert_eq!(self.registry.sweep(self.now), self.model.sweep(self.now)),
            13 => self.change_key(events),
            14 => self.add_static(events),
            _ => self.publish(),
        }
    }

    fn apply(&mut self, datagram: &[u8]) {
        let source = Source::of(Peer::Unix);
        let verdict = self.registry.apply(self.now, &source, datagram, &mut self.files);
        self.model.note(self.now, datagram, verdict);
        if matches!(verdict, Verdict::Added | Verdict::Renewed | Verdict::Changed) {
            self.check_facts(datagram);
        }
        if datagram.len() > DATAGRAM_BYTES_MAX {
            assert!(matches!(verdict, Verdict::Rejected(_)));
        }
        if self.signed && !matches!(verdict, Verdict::Rejected(_)) {
            let body = Packet::whole(datagram).expect("it was accepted").body;
            let mut genuine = CAPTURED.iter().map(|captured| &captured[4..]);
            assert!(genuine.any(|captured| captured == body), "only what was signed counts");
            assert!(self.files.has_key, "a key that is gone proves nothing");
            assert!(self.counted.insert(body.to_vec()), "a signed dictionary counts once");
        }
    }

    /// A node is what its last datagram says.
    fn check_facts(&self, datagram: &[u8]) {
        let read = Subscription::decode(datagram).expect("it was accepted");
        if read.clear || read.address.is_empty() {
            return;
        }
        let address = Address::parse(read.address).expect("it was accepted");
        let key = RouteKey::parse(read.key).expect("it was accepted");
        let mut view = self.registry.table_view();
        let view = view.find(|view| *view.key == key && view.node.facts.address == address);
        let facts = &view.expect("an accepted node is held").node.facts;
        assert_eq!((facts.modifier1, facts.modifier2), (read.modifier1, read.modifier2));
        assert_eq!((facts.weight, facts.backup), (read.weight, read.backup));
        assert_eq!((facts.proto, facts.origin), (read.proto, NodeOrigin::Subscribed));
    }

    /// The key file vanishes or comes back.
    fn change_key(&mut self, events: &mut Events<'_>) {
        let name = events.pick(&[KEY_FILE, "other.example.pem"]);
        let pem = events.pick(&[None, Some(KEY)]);
        let had_key = self.files.has_key;
        if name == KEY_FILE {
            self.files.has_key = pem.is_some();
        }
        let left = self.registry.key_file_changed(self.now, name, pem);
        if self.signed && name == KEY_FILE && had_key && pem.is_none() {
            assert_eq!(left, self.model.revoke_subscribed(), "no proof, no node");
        } else {
            assert_eq!(left, 0);
        }
    }

    fn add_static(&mut self, events: &mut Events<'_>) {
        let key = RouteKey::parse(events.pick(&KEYS)).ok();
        let address = Address::parse(events.pick(&ADDRESSES)).ok();
        let Some((key, address)) = key.zip(address) else { return };
        let name = (key.clone(), address.clone());
        let facts = NodeFacts {
            announced: address.to_string().into(),
            address,
            proto: Proto::Http,
            opening: Opening::default(),
            modifier1: 0,
            modifier2: 0,
            weight: 1,
            backup: 0,
            origin: NodeOrigin::Static,
            announcer: None,
        };
        match self.registry.add_static(key, facts) {
            Ok(()) => self.model.note_static(name.0, name.1),
            Err(StaticNodeError::Duplicate) => assert!(self.model.holds(&name.0, &name.1)),
            Err(StaticNodeError::NoRoom(_)) => assert!(!self.model.holds(&name.0, &name.1)),
        }
    }

    /// After a publish, the table is what the registry holds.
    fn publish(&mut self) {
        self.registry.publish();
        assert_eq!(self.registry.publish(), None, "nothing is left to publish");
        let table = self.reader.load();
        assert_eq!(table.generation(), self.table.snapshot().generation());
        let routed: BTreeSet<_> = table
            .iter()
            .flat_map(|route| route.all_nodes().map(|node| (route.key(), Arc::as_ptr(node))))
            .collect();
        let held: BTreeSet<_> =
            self.registry.table_view().map(|view| (view.key, Arc::as_ptr(view.node))).collect();
        assert_eq!(routed, held);
        while self.registry.poll_effect().is_some() {}
    }
}

/// By what an announcement's node is known.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Names {
    Addresses,
    Vassals,
}

/// A datagram as vassals send them, from short lists of everything.
fn announcement(events: &mut Events<'_>, names: Names) -> Vec<u8> {
    let key = events.pick(&KEYS);
    let mut address = events.pick(&ADDRESSES);
    let mut vassal = None;
    if names == Names::Vassals {
        vassal = Some(events.pick(&[&b"v.ini"[..], b"w.ini"]));
        address = events.pick(&[b"", address]);
    }
    let traits = events.byte().unwrap_or_default();
    let command = COMMAND_SUBSCRIBE + u8::from(traits & 3 == 3);
    let mut items: Vec<(&[u8], &[u8])> = vec![(b"key", key), (b"address", address)];
    items.extend(vassal.map(|vassal| (&b"vassal"[..], vassal)));
    if traits & 4 != 0 {
        items.push((b"weight", events.pick(&[b"1", b"7", b"0", b"65535"])));
    }
    if traits & 8 != 0 {
        items.push((b"backup", events.pick(&[b"0", b"1"])));
    }
    if traits & 16 != 0 {
        items.push((b"modifier1", events.pick(&[&b"0"[..], b"5", b"22", b"64"])));
    }
    if traits & 32 != 0 {
        items.push((b"algo", events.pick(&[&b"lrc"[..], b"iphash", b"none"])));
    }
    if traits & 64 != 0 {
        items.extend([(&b"sni_key"[..], &b"/k"[..]), (b"sni_crt", b"/c"), (b"notify", b"/n")]);
    }
    if traits & 128 != 0 {
        items.push((b"clear", events.pick(&[b"0", b"1"])));
    }
    let mut datagram = Vec::new();
    let mut writer =
        PacketWriter::start(&mut datagram, SUBSCRIPTION, command).expect("a vector has room");
    for (name, value) in items {
        writer.pair(name, value).expect("the items are short");
    }
    writer.finish();
    debug_assert!(Subscription::decode(&datagram).is_ok());
    datagram
}

/// The directory of keys: it holds one, or nothing. The registry is told of each change.
struct KeyDirectory {
    has_key: bool,
}

impl KeyFiles for KeyDirectory {
    fn read(&mut self, file_name: &str) -> Option<Vec<u8>> {
        (self.has_key && file_name == KEY_FILE).then(|| KEY.to_vec())
    }
}

const KEYS: [&[u8]; 6] = [
    b"a.example",
    b"A.EXAMPLE.",
    b"b.example:80",
    b".c.example",
    b"d.example/m",
    b"signed.example.com",
];
const ADDRESSES: [&[u8]; 6] =
    [b"127.0.0.1:3031", b":3031", b"/run/a.sock", b"@a", b"10.0.0.1:80", b"8.8.8.8:80"];
/// Two datagrams of a real vassal, signed with SHA-256; provenance in `tests/testdata/README.md`.
const CAPTURED: [&[u8]; 2] = [
    include_bytes!("../../tests/testdata/subscription/pypi-2.0.31__s2_signed_sha256__0.bin"),
    include_bytes!("../../tests/testdata/subscription/pypi-2.0.31__s2_signed_sha256__1.bin"),
];
/// The public key that proves them, and the file the router looks for.
const KEY: &[u8] = include_bytes!("../../tests/testdata/keys/rsa2048_a.pub.pem");
const KEY_FILE: &str = "signed.example.com.pem";
/// When they were captured.
const CAPTURED_UNIX: u64 = 1_795_396_383;
pub(super) const LEASE_MS: u64 = 17_000;
pub(super) const INACTIVE_LEASE_MS: u64 = 40_000;
/// Small, so that they are reached.
const LIMITS: Limits =
    Limits { keys_max: 3, nodes_per_key_max: 3, nodes_max: 6, marks_max: 4, cached_keys_max: 2 };
/// Events of one run, to keep runs short.
const EVENTS_MAX: usize = 256;
