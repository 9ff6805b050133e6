//! Datagrams of real vassals: they decode to their recorded items, signed ones verify and fail
//! when anything is changed, and the registry treats them as their senders meant.
//!
//! `testdata/README.md` says where they come from.

use std::collections::HashMap;
use std::path::PathBuf;

use route_table::{Proto, TableWriter};
use rsa::pkcs8::DecodePublicKey;
use rsa::{Pkcs1v15Sign, RsaPublicKey};
use serde_json::Value;
use sha1::{Digest as _, Sha1};
use sha2::{Sha256, Sha512};
use subscribe::announce::{AnnounceFields, encode};
use subscribe::{
    Command, Digest, KeyFiles, Now, Peer, PublicKey, Registry, RegistryConfig, Reject, Source,
    Subscription, Verdict,
};

/// One captured datagram with what was recorded of it.
struct Captured {
    id: String,
    bytes: Vec<u8>,
    command: u8,
    fields: Vec<(String, String)>,
    signature: Option<Recorded>,
}

struct Recorded {
    digest: Digest,
    scheme: String,
    public_pem: Vec<u8>,
}

impl Captured {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn number(&self, name: &str) -> u64 {
        self.field(name).map_or(0, |value| value.parse().expect("vassals write digits"))
    }
}

#[expect(clippy::disallowed_methods, reason = "test data is read from files")]
fn read(name: &str) -> Vec<u8> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/testdata");
    std::fs::read(root.join(name)).expect("test data is there")
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

fn captured() -> Vec<Captured> {
    let cases: Value = serde_json::from_slice(&read("subscription.json")).expect("JSON");
    let mut all = Vec::new();
    for case in cases.as_array().expect("a list") {
        for packet in case["packets"].as_array().expect("a list") {
            let fields = packet["fields"].as_array().expect("a list");
            let signature = packet.get("signature").map(|recorded| Recorded {
                digest: text(&recorded["digest"]).parse().expect("a digest"),
                scheme: text(&recorded["scheme"]),
                public_pem: read(&text(&recorded["public_key"])),
            });
            all.push(Captured {
                id: text(&packet["file"]),
                bytes: read(&text(&packet["file"])),
                command: u8::try_from(packet["modifier2"].as_u64().expect("a number")).expect("u8"),
                fields: fields.iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect(),
                signature,
            });
        }
    }
    all
}

fn signed() -> Vec<(Captured, Recorded)> {
    let all = captured().into_iter();
    all.filter_map(|mut one| one.signature.take().map(|recorded| (one, recorded))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_captured_datagram_decodes_to_its_recorded_items() {
    let all = captured();
    assert_eq!(all.len(), 159);
    for one in &all {
        let subscription = Subscription::decode(&one.bytes).unwrap();
        let id = &one.id;
        assert_eq!(subscription.command.byte(), one.command, "{id}");
        assert_eq!(Some(subscription.key), one.field("key").map(str::as_bytes), "{id}");
        assert_eq!(Some(subscription.address), one.field("address").map(str::as_bytes), "{id}");
        assert_eq!(u64::from(subscription.modifier1), one.number("modifier1"), "{id}");
        assert_eq!(u64::from(subscription.modifier2), one.number("modifier2"), "{id}");
        assert_eq!(u64::from(subscription.cores), one.number("cores"), "{id}");
        assert_eq!(u64::from(subscription.load), one.number("load"), "{id}");
        assert_eq!(u64::from(subscription.weight), one.number("weight").max(1), "{id}");
        assert_eq!(u64::from(subscription.backup), one.number("backup"), "{id}");
        let http = one.field("proto").is_some_and(|proto| proto.starts_with('h'));
        assert_eq!(subscription.proto == Proto::Http, http, "{id}");
        assert_eq!(subscription.algo.map(|algo| algo.as_str()), one.field("algo"), "{id}");
        assert_eq!(subscription.vassal, one.field("vassal"), "{id}");
        assert_eq!(subscription.sni_key, one.field("sni_key").map(str::as_bytes), "{id}");
        assert_eq!(subscription.sni_crt, one.field("sni_crt").map(str::as_bytes), "{id}");
        assert_eq!(subscription.sni_ca, one.field("sni_ca").map(str::as_bytes), "{id}");
        assert_eq!(subscription.clear, one.number("clear") != 0, "{id}");
        assert_eq!(subscription.stamp.is_some(), one.field("unix").is_some(), "{id}");
        assert_eq!(subscription.stamp.unwrap_or(0), one.number("unix"), "{id}");
        let signature = subscription.proof.map(|proof| hex(proof.signature));
        assert_eq!(signature.as_deref(), one.field("sign"), "{id}");
    }
}

#[test]
fn a_cut_datagram_is_refused_at_every_byte() {
    for one in captured() {
        for end in 0..one.bytes.len() {
            let cut = Subscription::decode(&one.bytes[..end]);
            assert_eq!(cut.unwrap_err(), Reject::BadPacket, "{} at {end}", one.id);
        }
    }
}

/// Why a stamp may count only once whatever the command (`replay.rs`): subscribe and unsubscribe of
/// one vassal differ in the command, which is not signed, and in the stamp, and in nothing else.
#[test]
fn subscribe_and_unsubscribe_of_a_vassal_differ_only_in_command_and_stamp() {
    let mut by_node: HashMap<_, [Option<Captured>; 2]> = HashMap::new();
    for one in captured().into_iter().filter(|one| one.field("clear").is_none()) {
        let case = one.id.rsplit_once("__").expect("case__number").0.to_owned();
        let node = (case, one.field("key").map(str::to_owned));
        let command = usize::from(one.command);
        by_node.entry(node).or_default()[command].get_or_insert(one);
    }
    let mut compared = 0;
    for (node, pair) in by_node {
        let [Some(subscribe), Some(unsubscribe)] = pair else { continue };
        let items = |one: &Captured| {
            let items = one.fields.iter().filter(|(key, _)| key != "unix" && key != "sign");
            items.cloned().collect::<Vec<_>>()
        };
        assert_eq!(items(&subscribe), items(&unsubscribe), "{node:?}");
        compared += 1;
    }
    assert!(compared > 60, "{compared}");
}

#[test]
fn every_signed_datagram_verifies_with_the_key_of_its_vassal() {
    let all = signed();
    assert_eq!(all.len(), 32);
    for (one, recorded) in &all {
        let key = PublicKey::from_pem(recorded.digest, &recorded.public_pem).unwrap();
        let proof = Subscription::decode(&one.bytes).unwrap().proof.unwrap();
        assert!(key.verifies(proof.signed, proof.signature), "{}", one.id);
        assert_eq!(proof.signed, &one.bytes[4..one.bytes.len() - 8 - proof.signature.len()]);
    }
}

#[test]
fn no_signature_verifies_with_one_byte_changed_or_the_header_included() {
    for (one, recorded) in &signed() {
        let key = PublicKey::from_pem(recorded.digest, &recorded.public_pem).unwrap();
        let proof = Subscription::decode(&one.bytes).unwrap().proof.unwrap();
        let with_header = &one.bytes[..4 + proof.signed.len()];
        assert!(!key.verifies(with_header, proof.signature), "{}", one.id);
        for offset in 0..proof.signed.len() {
            let mut signed = proof.signed.to_vec();
            signed[offset] ^= 1;
            assert!(!key.verifies(&signed, proof.signature), "{} byte {offset}", one.id);
        }
        for offset in 0..proof.signature.len() {
            let mut signature = proof.signature.to_vec();
            signature[offset] ^= 1;
            assert!(!key.verifies(proof.signed, &signature), "{} sign {offset}", one.id);
        }
        for end in [0, 1, proof.signature.len() - 1] {
            assert!(!key.verifies(proof.signed, &proof.signature[..end]), "{}", one.id);
        }
        assert!(!key.verifies(proof.signed, &[0; 2000]), "{}", one.id);
    }
}

#[test]
fn no_signature_verifies_with_another_key_or_another_digest() {
    let names = ["rsa2048_a", "rsa2048_b", "rsa2048_pkcs1", "rsa4096_a", "ecp256_a"];
    for (one, recorded) in &signed() {
        let proof = Subscription::decode(&one.bytes).unwrap().proof.unwrap();
        for name in names {
            for digest in [Digest::Sha1, Digest::Sha256, Digest::Sha512] {
                let pem = read(&format!("keys/{name}.pub.pem"));
                let right = pem == recorded.public_pem && digest == recorded.digest;
                let key = PublicKey::from_pem(digest, &pem).unwrap();
                let verifies = key.verifies(proof.signed, proof.signature);
                assert_eq!(verifies, right, "{} {name} {digest:?}", one.id);
            }
        }
    }
}

/// The `rsa` crate shares no code with aws-lc.
#[test]
fn a_second_implementation_agrees_on_every_rsa_signature() {
    let mut checked = 0;
    for (one, recorded) in &signed() {
        if recorded.scheme != "RSASSA-PKCS1-v1_5" {
            continue;
        }
        let pem = String::from_utf8(recorded.public_pem.clone()).unwrap();
        let key = RsaPublicKey::from_public_key_pem(&pem).unwrap();
        let proof = Subscription::decode(&one.bytes).unwrap().proof.unwrap();
        let verify = |signed: &[u8]| match recorded.digest {
            Digest::Sha1 => {
                key.verify(Pkcs1v15Sign::new::<Sha1>(), &Sha1::digest(signed), proof.signature)
            }
            Digest::Sha256 => {
                key.verify(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(signed), proof.signature)
            }
            Digest::Sha512 => {
                key.verify(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(signed), proof.signature)
            }
        };
        assert!(verify(proof.signed).is_ok(), "{}", one.id);
        assert!(verify(&proof.signed[1..]).is_err(), "{}", one.id);
        checked += 1;
    }
    assert_eq!(checked, 28);
}

/// Every file is this key: the captures were made with several keys for one name.
struct OneKey<'a>(&'a [u8]);

impl KeyFiles for OneKey<'_> {
    fn read(&mut self, _file_name: &str) -> Option<Vec<u8>> {
        Some(self.0.to_vec())
    }
}

/// Applies a captured datagram to `registry` in the second it was sent.
fn apply(registry: &mut Registry, one: &Captured, bytes: &[u8], pem: &[u8]) -> Verdict {
    let now = Now { mono_ms: 0, unix: one.number("unix") };
    registry.apply(now, &Source::of(Peer::Unix), bytes, &mut OneKey(pem))
}

fn registry(sign: Option<Digest>) -> Registry {
    Registry::new(RegistryConfig { sign, ..RegistryConfig::default() }, TableWriter::new().0)
}

#[test]
fn a_signed_vassal_subscribes_and_nothing_of_it_can_be_used_again() {
    for (one, recorded) in signed().iter().filter(|(one, _)| one.command == 0) {
        let mut registry = registry(Some(recorded.digest));
        let pem = &recorded.public_pem;
        let mut forged = one.bytes.clone();
        *forged.last_mut().unwrap() ^= 1;
        let bad = Verdict::Rejected(Reject::BadSignature);
        assert_eq!(apply(&mut registry, one, &forged, pem), bad, "{}", one.id);
        assert_eq!(apply(&mut registry, one, &one.bytes, pem), Verdict::Added, "{}", one.id);
        let replayed = Verdict::Rejected(Reject::Replayed);
        assert_eq!(apply(&mut registry, one, &one.bytes, pem), replayed, "{}", one.id);
        let mut flipped = one.bytes.clone();
        flipped[3] = 1;
        assert_eq!(apply(&mut registry, one, &flipped, pem), replayed, "{}", one.id);
        assert_eq!(registry.stats().nodes, 1);
    }
}

#[test]
fn a_signed_unsubscribe_ends_the_node_and_cannot_be_turned_into_a_subscribe() {
    let all = signed();
    for (one, recorded) in all.iter().filter(|(one, _)| one.command == 0) {
        let case = one.id.rsplit_once("__").unwrap().0;
        let same =
            |other: &&(Captured, Recorded)| other.0.command == 1 && other.0.id.starts_with(case);
        let Some((stop, _)) = all.iter().find(same) else { continue };
        let mut registry = registry(Some(recorded.digest));
        let pem = &recorded.public_pem;
        assert_eq!(apply(&mut registry, one, &one.bytes, pem), Verdict::Added, "{}", one.id);
        assert_eq!(apply(&mut registry, stop, &stop.bytes, pem), Verdict::Removed, "{}", one.id);
        let mut flipped = stop.bytes.clone();
        flipped[3] = 0;
        let replayed = Verdict::Rejected(Reject::Replayed);
        for bytes in [&one.bytes, &stop.bytes, &flipped] {
            assert_eq!(apply(&mut registry, stop, bytes, pem), replayed, "{}", one.id);
        }
    }
}

#[test]
fn unsigned_datagrams_are_refused_where_signatures_are_required() {
    let mut signing = registry(Some(Digest::Sha256));
    for one in captured().iter().filter(|one| one.signature.is_none()) {
        let verdict = apply(&mut signing, one, &one.bytes, b"");
        let relative = one.field("address") == Some("rel.sock");
        let reject = if relative { Reject::AddressRefused } else { Reject::Unsigned };
        assert_eq!(verdict, Verdict::Rejected(reject), "{}", one.id);
    }
}

#[test]
fn every_unsigned_vassal_is_believed_where_none_are_required() {
    let all = captured();
    for one in all.iter().filter(|one| one.command == 0 && one.number("clear") == 0) {
        let mut open = registry(None);
        let expected = match one.field("address") {
            Some("rel.sock") => Verdict::Rejected(Reject::AddressRefused),
            _ => Verdict::Added,
        };
        assert_eq!(apply(&mut open, one, &one.bytes, b""), expected, "{}", one.id);
    }
}

/// What a vassal of 2.1 sends with `subscription-clear-on-shutdown`: the node of its name stays, without an
/// address; and what it sends without that option ends the node.
#[test]
fn a_vassal_that_clears_its_address_sleeps_and_wakes() {
    let all = captured();
    let by_case = |case: &str| {
        let mut of_case = all.iter().filter(|one| one.id.contains(case));
        (of_case.next().expect("captured"), of_case.next().expect("captured"))
    };
    let mut open = registry(None);
    let (start, clear) = by_case("master-2.1-dev__s2_clear_on_shutdown__");
    for _ in 0..2 {
        let started = apply(&mut open, start, &start.bytes, b"");
        assert!(matches!(started, Verdict::Added | Verdict::Changed), "{started:?}");
        assert_eq!(apply(&mut open, clear, &clear.bytes, b""), Verdict::Changed);
        let view = open.table_view().next().expect("the name stays");
        assert_eq!((view.node.is_asleep(), view.node.facts.vassal()), (true, Some("foo.ini")));
    }
    let (start, stop) = by_case("master-2.1-dev__s2_full__");
    let mut open = registry(None);
    assert_eq!(apply(&mut open, start, &start.bytes, b""), Verdict::Added);
    assert_eq!(apply(&mut open, stop, &stop.bytes, b""), Verdict::Removed);
}

#[test]
fn our_announcements_are_byte_for_byte_those_of_uwsgi() {
    let ours = [
        "key",
        "address",
        "modifier1",
        "modifier2",
        "cores",
        "load",
        "weight",
        "sni_key",
        "sni_crt",
        "sni_ca",
        "unix",
        "sign",
    ];
    let mut compared = 0;
    for one in captured() {
        if one.fields.iter().any(|(key, _)| !ours.contains(&key.as_str())) {
            continue; // items of 2.1 that we send only when they say something
        }
        let command = if one.command == 0 { Command::Subscribe } else { Command::Unsubscribe };
        let number = |name| u32::try_from(one.number(name)).unwrap();
        let owned = |name| one.field(name).map(str::to_owned);
        let fields = AnnounceFields {
            key: owned("key").unwrap(),
            address: owned("address").unwrap(),
            modifier1: u8::try_from(number("modifier1")).unwrap(),
            modifier2: u8::try_from(number("modifier2")).unwrap(),
            cores: number("cores"),
            load: number("load"),
            weight: number("weight"),
            sni_key: owned("sni_key"),
            sni_crt: owned("sni_crt"),
            sni_ca: owned("sni_ca"),
            ..AnnounceFields::default()
        };
        let clock = one.field("unix").map(|_| one.number("unix") - u64::from(one.command));
        let bytes = encode(&fields, command, clock, None).unwrap();
        let golden = match Subscription::decode(&one.bytes).unwrap().proof {
            Some(proof) => proof.signed,
            None => &one.bytes[4..],
        };
        assert_eq!(&bytes[4..], golden, "{}", one.id);
        assert_eq!((bytes[0], bytes[3]), (one.bytes[0], one.bytes[3]), "{}", one.id);
        compared += 1;
    }
    assert!(compared > 100, "{compared}");
}
