//! Who sent a datagram, as the kernel says, decides where the operator wants it to.

#[path = "support/signing.rs"]
#[expect(dead_code, reason = "the other forms of a key serve tests/signed.rs")]
mod signing;

use aws_lc_rs::rsa::KeySize;
use route_table::{Credentials, TableWriter};
use signing::Pair;
use subscribe::announce::{AnnounceFields, Signer, encode};
use subscribe::{
    Command, CredentialRules, Digest, KeyFiles, Now, Owner, OwnerCheck, Peer, Registry,
    RegistryConfig, Reject, Source, Verdict,
};

const NOW: Now = Now { mono_ms: 0, unix: 1_700_000_000 };

/// The directories: one key file, and owners of one entry.
struct Files {
    pem: Option<String>,
    entry: &'static str,
    owners: Vec<Owner>,
}

impl KeyFiles for Files {
    fn read(&mut self, _file_name: &str) -> Option<Vec<u8>> {
        self.pem.clone().map(String::into_bytes)
    }

    fn owners(&mut self, entry: &str) -> Vec<Owner> {
        if entry == self.entry { self.owners.clone() } else { Vec::new() }
    }
}

fn registry(sign: Option<Digest>, rules: CredentialRules) -> Registry {
    let config = RegistryConfig { sign, credentials: Some(rules), ..RegistryConfig::default() };
    Registry::new(config, TableWriter::new().0)
}

fn from(uid: u32, gid: u32) -> Source {
    Source { peer: Peer::Unix, credentials: Some(Credentials { pid: 7, uid, gid }) }
}

fn datagram(key: &str, command: Command, unix: Option<u64>, signer: Option<&Signer>) -> Vec<u8> {
    let fields =
        AnnounceFields { key: key.to_owned(), address: ":3031".to_owned(), ..Default::default() };
    encode(&fields, command, unix, signer).expect("fits")
}

fn owners(owners: &[(u32, u32)]) -> Files {
    let owners = owners.iter().map(|&(uid, gid)| Owner { uid, gid }).collect();
    Files { pem: None, entry: "shop.example_81", owners }
}

const REFUSED: Verdict = Verdict::Rejected(Reject::NotOwner);

#[test]
fn a_sender_the_kernel_does_not_vouch_for_is_refused_before_anything_is_read() {
    let mut registry = registry(None, CredentialRules::default());
    for bytes in [&datagram("a.example", Command::Subscribe, None, None)[..], b"junk"] {
        for peer in [Peer::Unix, Peer::Ip(([127, 0, 0, 1], 9).into())] {
            let verdict = registry.apply(NOW, &Source::of(peer), bytes, &mut owners(&[]));
            assert_eq!(verdict, Verdict::Rejected(Reject::MissingCredentials));
        }
    }
}

#[test]
fn the_sender_of_the_first_announcement_is_remembered() {
    let mut registry = registry(None, CredentialRules::default());
    let bytes = datagram("a.example", Command::Subscribe, None, None);
    assert_eq!(registry.apply(NOW, &from(33, 44), &bytes, &mut owners(&[])), Verdict::Added);
    assert_eq!(registry.apply(NOW, &from(34, 45), &bytes, &mut owners(&[])), Verdict::Renewed);
    let view = registry.table_view().next().expect("a node");
    let announcer = view.node.facts.announcer.as_deref().expect("known");
    assert_eq!(announcer.credentials, Some(Credentials { pid: 7, uid: 33, gid: 44 }));
}

#[test]
fn only_user_and_group_of_the_entry_may_come_and_go() {
    let rules = CredentialRules { owner_check: OwnerCheck::On, ..Default::default() };
    let mut registry = registry(None, rules);
    let mut files = owners(&[(5, 5), (33, 44)]);
    // The entry is named by the host; a mountpoint belongs to whom the host belongs to.
    for key in ["Shop.Example:81", "shop.example:81/cart"] {
        let come = datagram(key, Command::Subscribe, None, None);
        let go = datagram(key, Command::Unsubscribe, None, None);
        for (uid, gid) in [(33, 45), (34, 44), (0, 0), (5, 44)] {
            assert_eq!(registry.apply(NOW, &from(uid, gid), &come, &mut files), REFUSED);
        }
        assert_eq!(registry.apply(NOW, &from(33, 44), &come, &mut files), Verdict::Added);
        assert_eq!(registry.apply(NOW, &from(34, 44), &go, &mut files), REFUSED);
        assert_eq!(registry.apply(NOW, &from(5, 5), &go, &mut files), Verdict::Removed);
    }
    let other = datagram("other.example", Command::Subscribe, None, None);
    assert_eq!(registry.apply(NOW, &from(33, 44), &other, &mut files), REFUSED);
}

#[test]
fn a_trusted_user_needs_no_signature_and_root_is_not_trusted() {
    let pair = Pair::generate(KeySize::Rsa2048);
    let signer = Signer::from_pem(Digest::Sha256, &pair.pkcs8_pem).expect("a key");
    let rules = CredentialRules { sign_skip_uids: vec![0, 33], ..Default::default() };
    let mut registry = registry(Some(Digest::Sha256), rules);
    let mut files = Files { pem: Some(pair.public_pem.clone()), entry: "", owners: Vec::new() };
    let plain = |command| datagram("a.example", command, None, None);
    let come = plain(Command::Subscribe);
    for uid in [0, 34] {
        let verdict = registry.apply(NOW, &from(uid, uid), &come, &mut files);
        assert_eq!(verdict, Verdict::Rejected(Reject::Unsigned));
    }
    assert_eq!(registry.apply(NOW, &from(33, 1), &come, &mut files), Verdict::Added);
    // Anybody with the key may take it over, and is held to stamps as ever.
    let signed = datagram("a.example", Command::Subscribe, Some(NOW.unix), Some(&signer));
    assert_eq!(registry.apply(NOW, &from(34, 1), &signed, &mut files), Verdict::Renewed);
    let replayed = Verdict::Rejected(Reject::Replayed);
    assert_eq!(registry.apply(NOW, &from(34, 1), &signed, &mut files), replayed);
    assert_eq!(registry.apply(NOW, &from(33, 1), &signed, &mut files), Verdict::Renewed);
    let go = plain(Command::Unsubscribe);
    assert_eq!(registry.apply(NOW, &from(33, 1), &go, &mut files), Verdict::Removed);
    registry.check();
}
