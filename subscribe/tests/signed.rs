//! Proof end to end with keys made here: announcing, verifying, revoking.

#[path = "support/signing.rs"]
mod signing;

use aws_lc_rs::rsa::KeySize;
use route_table::{TableHandle, TableWriter};
use rsa::Pkcs1v15Sign;
use sha1::{Digest as _, Sha1};
use sha2::{Sha256, Sha512};
use signing::{Directory, Pair};
use subscribe::announce::{AnnounceError, AnnounceFields, Signer, encode};
use subscribe::{
    Command, Departure, Digest, Effect, Now, Peer, PublicKey, Registry, RegistryConfig, Reject,
    Source, Subscription, Verdict,
};

const UNIX: u64 = 1_700_000_000;

/// A signing registry with the public keys it sees.
struct Server {
    registry: Registry,
    table: TableHandle,
    files: Directory,
}

impl Server {
    fn new(digest: Digest) -> Self {
        let (writer, table) = TableWriter::new();
        let config = RegistryConfig { sign: Some(digest), ..RegistryConfig::default() };
        Self { registry: Registry::new(config, writer), table, files: Directory::default() }
    }

    fn apply(&mut self, unix: u64, datagram: &[u8]) -> Verdict {
        let now = Now { mono_ms: unix * 1000, unix };
        let source = Source::of(Peer::Unix);
        let verdict = self.registry.apply(now, &source, datagram, &mut self.files);
        self.registry.check();
        verdict
    }
}

fn fields(key: &str, port: u16) -> AnnounceFields {
    AnnounceFields { key: key.into(), address: format!(":{port}"), ..AnnounceFields::default() }
}

fn signer(digest: Digest, pair: &Pair) -> Signer {
    Signer::from_pem(digest, &pair.pkcs8_pem).expect("a key of our own")
}

fn subscribe(signer: &Signer, fields: &AnnounceFields, unix: u64) -> Vec<u8> {
    encode(fields, Command::Subscribe, Some(unix), Some(signer)).expect("fits")
}

fn unsubscribe(signer: &Signer, fields: &AnnounceFields, unix: u64) -> Vec<u8> {
    encode(fields, Command::Unsubscribe, Some(unix), Some(signer)).expect("fits")
}

#[test]
fn what_we_sign_verifies_here_and_with_a_second_implementation() {
    let small = [Digest::Sha1, Digest::Sha256, Digest::Sha512];
    for (size, digests) in [(KeySize::Rsa2048, &small[..]), (KeySize::Rsa4096, &small[2..])] {
        let pair = Pair::generate(size);
        for &digest in digests {
            let datagram = subscribe(&signer(digest, &pair), &fields("h", 1), UNIX);
            let pkcs1 = Signer::from_pem(digest, &pair.pkcs1_pem).unwrap();
            assert_eq!(subscribe(&pkcs1, &fields("h", 1), UNIX), datagram, "one key, two files");
            let proof = Subscription::decode(&datagram).unwrap().proof.unwrap();
            let ours = PublicKey::from_pem(digest, pair.public_pem.as_bytes()).unwrap();
            assert!(ours.verifies(proof.signed, proof.signature));
            let (scheme, hashed) = match digest {
                Digest::Sha1 => (Pkcs1v15Sign::new::<Sha1>(), Sha1::digest(proof.signed).to_vec()),
                Digest::Sha256 => {
                    (Pkcs1v15Sign::new::<Sha256>(), Sha256::digest(proof.signed).to_vec())
                }
                Digest::Sha512 => {
                    (Pkcs1v15Sign::new::<Sha512>(), Sha512::digest(proof.signed).to_vec())
                }
            };
            assert!(pair.public.verify(scheme, &hashed, proof.signature).is_ok());
        }
    }
}

/// The reason for the replay rule, with our own bytes.
#[test]
fn an_unsubscribe_is_the_subscribe_of_the_next_second_but_for_its_command() {
    let signer = signer(Digest::Sha256, &Pair::generate(KeySize::Rsa2048));
    let mut stop = unsubscribe(&signer, &fields("h", 1), UNIX);
    stop[3] = 0;
    assert_eq!(stop, subscribe(&signer, &fields("h", 1), UNIX + 1));
}

#[test]
fn a_private_key_in_no_known_form_is_refused() {
    let bad = |pem| Signer::from_pem(Digest::Sha256, pem).unwrap_err();
    assert_eq!(bad(""), AnnounceError::BadKey);
    let pair = Pair::generate(KeySize::Rsa2048);
    assert_eq!(bad(&pair.public_pem), AnnounceError::BadKey);
    let signer = signer(Digest::Sha256, &pair);
    let unstamped = encode(&fields("h", 1), Command::Subscribe, None, Some(&signer));
    assert_eq!(unstamped, Err(AnnounceError::NoStamp));
    let long = AnnounceFields { sni_key: Some("x".repeat(4096)), ..fields("h", 1) };
    let too_long = encode(&long, Command::Subscribe, None, None);
    assert!(matches!(too_long, Err(AnnounceError::TooLong { .. })));
    assert!(!format!("{signer:?}").contains("key"));
}

#[test]
fn refusals_come_in_the_order_of_their_cost() {
    let (right, wrong) = (Pair::generate(KeySize::Rsa2048), Pair::generate(KeySize::Rsa2048));
    let mut server = Server::new(Digest::Sha256);
    let (right_signer, wrong_signer) =
        (signer(Digest::Sha256, &right), signer(Digest::Sha256, &wrong));
    let fields = fields("Shop.Example", 1);
    let good = subscribe(&right_signer, &fields, UNIX);
    let refused = |server: &mut Server, unix, bytes: &[u8]| match server.apply(unix, bytes) {
        Verdict::Rejected(reject) => reject,
        verdict => panic!("{verdict:?}"),
    };
    let unsigned = encode(&fields, Command::Subscribe, Some(UNIX), None).unwrap();
    assert_eq!(refused(&mut server, UNIX, &unsigned), Reject::Unsigned);
    assert_eq!(refused(&mut server, UNIX + 61, &good), Reject::Stale);
    assert_eq!(refused(&mut server, UNIX - 61, &good), Reject::Future);
    assert_eq!(refused(&mut server, UNIX, &good), Reject::NoKeyFile);
    server.files.put("shop.example.pem", "no key");
    assert_eq!(refused(&mut server, UNIX, &good), Reject::UnusableKeyFile);
    server.files.put("shop.example.pem", right.public_pem.as_str());
    let forged = subscribe(&wrong_signer, &fields, UNIX);
    assert_eq!(refused(&mut server, UNIX, &forged), Reject::BadSignature);
    let sha1 = subscribe(&signer(Digest::Sha1, &right), &fields, UNIX);
    assert_eq!(refused(&mut server, UNIX, &sha1), Reject::BadSignature);
    assert_eq!(server.apply(UNIX, &good), Verdict::Added, "no forgery burnt the stamp");
    assert_eq!(refused(&mut server, UNIX, &good), Reject::Replayed);
}

#[test]
fn a_replayed_datagram_neither_renews_a_lease_nor_revives_a_node() {
    let pair = Pair::generate(KeySize::Rsa2048);
    let mut server = Server::new(Digest::Sha256);
    server.files.put("h.pem", pair.public_pem.as_str());
    let signer = signer(Digest::Sha256, &pair);
    let first = subscribe(&signer, &fields("h", 1), UNIX);
    assert_eq!(server.apply(UNIX, &first), Verdict::Added);
    let replayed = Verdict::Rejected(Reject::Replayed);
    assert_eq!(server.apply(UNIX + 16, &first), replayed);
    let now = Now { mono_ms: (UNIX + 17) * 1000, unix: UNIX + 17 };
    assert_eq!(server.registry.sweep(now), 1);
    assert_eq!(server.apply(UNIX + 18, &first), replayed, "the mark outlives the node");
    let stale = Verdict::Rejected(Reject::Stale);
    assert_eq!(server.apply(UNIX + 61, &first), stale);
    assert_eq!(
        server.apply(UNIX + 1000, &subscribe(&signer, &fields("h", 1), UNIX + 1000)),
        Verdict::Added
    );
    assert_eq!(server.apply(UNIX, &first), replayed, "nor after the clock jumped back");
}

#[test]
fn an_unsubscribe_that_overtakes_its_subscribe_wins() {
    let pair = Pair::generate(KeySize::Rsa2048);
    let mut server = Server::new(Digest::Sha256);
    server.files.put("h.pem", pair.public_pem.as_str());
    let signer = signer(Digest::Sha256, &pair);
    let late = subscribe(&signer, &fields("h", 1), UNIX);
    let stop = unsubscribe(&signer, &fields("h", 1), UNIX + 5);
    assert_eq!(server.apply(UNIX + 5, &stop), Verdict::Rejected(Reject::UnknownNode));
    assert_eq!(server.apply(UNIX + 5, &late), Verdict::Rejected(Reject::Replayed));
}

#[test]
fn nodes_of_a_revoked_key_leave_at_once() {
    let (before, after) = (Pair::generate(KeySize::Rsa2048), Pair::generate(KeySize::Rsa2048));
    let mut server = Server::new(Digest::Sha256);
    let now = Now { mono_ms: UNIX * 1000, unix: UNIX };
    for name in ["h.pem", "other.pem"] {
        server.files.put(name, before.public_pem.as_str());
    }
    let signer_before = signer(Digest::Sha256, &before);
    for (key, port) in [("h", 1), ("h", 2), ("h/mount", 1), ("other", 1)] {
        let datagram = subscribe(&signer_before, &fields(key, port), UNIX);
        assert_eq!(server.apply(UNIX, &datagram), Verdict::Added);
    }
    let mut watched: Vec<_> = server.registry.watched_key_files().collect();
    watched.sort_unstable();
    watched.dedup();
    assert_eq!(watched, ["h.pem", "other.pem"]);
    let touched = format!("# touched\n{}", before.public_pem);
    let unchanged = server.registry.key_file_changed(now, "h.pem", Some(touched.as_bytes()));
    assert_eq!(unchanged, 0);

    server.files.put("h.pem", after.public_pem.as_str());
    let pem = after.public_pem.as_bytes();
    assert_eq!(server.registry.key_file_changed(now, "h.pem", Some(pem)), 3);
    assert_eq!(server.registry.key_file_changed(now, "other.pem", None), 1);
    server.registry.publish();
    assert!(server.table.snapshot().is_empty());
    let revoked =
        |effect: &Effect| matches!(effect, Effect::NodeRemoved { why: Departure::KeyRevoked, .. });
    let effects = std::iter::from_fn(|| server.registry.poll_effect());
    assert_eq!(effects.filter(revoked).count(), 4);

    let old = subscribe(&signer_before, &fields("h", 1), UNIX + 1);
    assert_eq!(server.apply(UNIX + 1, &old), Verdict::Rejected(Reject::BadSignature));
    let new = subscribe(&signer(Digest::Sha256, &after), &fields("h", 1), UNIX + 1);
    assert_eq!(server.apply(UNIX + 1, &new), Verdict::Added);
}

/// Goal: a rotation is noticed even if no one reports the file. Method: the key leaves the cache of
/// one entry, so the next proof reads the new file.
#[test]
fn a_key_replaced_without_notice_ends_the_nodes_of_the_old_one() {
    let (before, after) = (Pair::generate(KeySize::Rsa2048), Pair::generate(KeySize::Rsa2048));
    let limits = subscribe::Limits { cached_keys_max: 1, ..Default::default() };
    let sign = Some(Digest::Sha256);
    let config = RegistryConfig { sign, limits, ..RegistryConfig::default() };
    let (writer, table) = TableWriter::new();
    let registry = Registry::new(config, writer);
    let mut server = Server { registry, table, files: Directory::default() };
    for name in ["h.pem", "a.pem", "b.pem"] {
        server.files.put(name, before.public_pem.as_str());
    }
    let old = signer(Digest::Sha256, &before);
    for key in ["h", "h/mount", "a", "b"] {
        let datagram = subscribe(&old, &fields(key, 1), UNIX);
        assert_eq!(server.apply(UNIX, &datagram), Verdict::Added);
    }
    server.files.put("h.pem", after.public_pem.as_str());
    let new = subscribe(&signer(Digest::Sha256, &after), &fields("h", 2), UNIX);
    assert_eq!(server.apply(UNIX, &new), Verdict::Added);
    server.registry.publish();
    let table = server.table.snapshot();
    assert!(table.get("h/mount").is_none());
    let nodes = table.get("h").unwrap().nodes();
    assert_eq!((nodes.len(), &*nodes[0].facts.announced), (1, ":2"));
    assert_eq!(server.registry.key_file_changed(Now { mono_ms: 0, unix: 0 }, "h.pem", None), 1);
}

/// The bound of the settled questions: an honest restart is back in 1.5 s.
/// The node that brings the news was there before, proved by the old key: it is a new one now.
#[test]
fn a_node_that_comes_with_the_new_key_of_its_file_is_added_again() {
    let (before, after) = (Pair::generate(KeySize::Rsa2048), Pair::generate(KeySize::Rsa2048));
    let (old, new) = (signer(Digest::Sha256, &before), signer(Digest::Sha256, &after));
    let mut server = Server::new(Digest::Sha256);
    let limits = subscribe::Limits { cached_keys_max: 1, ..subscribe::Limits::default() };
    let config = RegistryConfig { sign: Some(Digest::Sha256), limits, ..RegistryConfig::default() };
    let (writer, table) = TableWriter::new();
    (server.registry, server.table) = (Registry::new(config, writer), table);
    for host in ["h", "x", "y"] {
        server.files.put(&format!("{host}.pem"), before.public_pem.clone());
        let datagram = subscribe(&old, &fields(host, 1), UNIX);
        assert_eq!(server.apply(UNIX, &datagram), Verdict::Added);
    }
    // Nobody tells of the change, and the old key of `h` is cached no more.
    server.files.put("h.pem", after.public_pem.clone());
    let datagram = subscribe(&new, &fields("h", 1), UNIX + 1);
    assert_eq!(server.apply(UNIX + 1, &datagram), Verdict::Added);
    server.registry.publish();
    assert_eq!(server.table.snapshot().get("h").map(|route| route.nodes().len()), Some(1));
}

#[test]
fn a_restart_within_one_second_is_back_in_service_at_once() {
    let pair = Pair::generate(KeySize::Rsa2048);
    let mut server = Server::new(Digest::Sha256);
    server.files.put("h.pem", pair.public_pem.as_str());
    let signer = signer(Digest::Sha256, &pair);
    let fields = fields("h", 1);
    assert_eq!(server.apply(UNIX, &subscribe(&signer, &fields, UNIX)), Verdict::Added);
    let stop = unsubscribe(&signer, &fields, UNIX + 3);
    assert_eq!(server.apply(UNIX + 3, &stop), Verdict::Removed);
    assert_eq!(server.apply(UNIX + 3, &subscribe(&signer, &fields, UNIX + 3)), Verdict::Added);
}

/// A datagram that was held up must not take a vassal back to where it was: the stamps of a vassal
/// rise wherever it is.
#[test]
fn a_delayed_datagram_does_not_move_a_vassal_back() {
    let pair = Pair::generate(KeySize::Rsa2048);
    let signer = signer(Digest::Sha256, &pair);
    let mut server = Server::new(Digest::Sha256);
    server.files.put("h.pem", pair.public_pem.clone().into_bytes());
    let at = |port| AnnounceFields { vassal: Some("v.ini".to_owned()), ..fields("h", port) };
    let delayed = subscribe(&signer, &at(1), UNIX + 10);
    let leaving = unsubscribe(&signer, &at(2), UNIX + 10);
    assert_eq!(server.apply(UNIX, &subscribe(&signer, &at(1), UNIX)), Verdict::Added);
    let moved = subscribe(&signer, &at(2), UNIX + 20);
    assert_eq!(server.apply(UNIX + 20, &moved), Verdict::Changed);
    let replayed = Verdict::Rejected(Reject::Replayed);
    for late in [&delayed, &leaving, &moved] {
        assert_eq!(server.apply(UNIX + 21, late), replayed);
    }
    let address = |view: subscribe::NodeView<'_>| view.node.facts.address.to_string();
    assert_eq!(server.registry.table_view().map(address).collect::<Vec<_>>(), ["127.0.0.1:2"]);
}
