//! Choice by name, swap and shape of names; pairs are made by `self_signed` and `rcgen`.

use super::*;
use crate::tls::cert_load::pair::{PairBytes, parse_pair};
use crate::tls::limits::STORE_SHARDS;

pub(super) fn entry(sans: &[&str], source: CertSource) -> Arc<CertEntry> {
    entry_of(&rcgen::PKCS_ECDSA_P256_SHA256, sans, source)
}

pub(super) fn entry_of(
    kind: &'static rcgen::SignatureAlgorithm,
    sans: &[&str],
    source: CertSource,
) -> Arc<CertEntry> {
    let key = rcgen::KeyPair::generate_for(kind).expect("a key");
    let sans: Vec<String> = sans.iter().map(ToString::to_string).collect();
    let crt = rcgen::CertificateParams::new(sans).expect("names").self_signed(&key).expect("signs");
    let pair = PairBytes { crt: crt.pem().into(), key: key.serialize_pem().into(), ca: None };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Arc::new(parse_pair(&pair, source, &provider).expect("a good pair"))
}

pub(super) fn name(text: &str) -> ServedName {
    ServedName::parse(text).expect("a name")
}

fn put(layer: Layer, text: &str, entry: &Arc<CertEntry>) -> CertChange {
    CertChange::Put(layer, name(text), Seat::PLAIN, Arc::clone(entry))
}

fn served(store: &CertStore, sni: Option<&str>) -> CertId {
    store.cert_id_for(sni).expect("something is served")
}

#[test]
fn the_more_specific_name_wins_and_between_equals_the_operator() {
    let [default, operator, subscribed, wild, subscribed_wild] =
        [["d"], ["o"], ["s"], ["w"], ["sw"]].map(|san| entry(&san, CertSource::Directory));
    let store = CertStore::empty();
    assert_eq!(store.cert_id_for(None), None);
    store.publish([
        CertChange::Default(Seat::PLAIN, Arc::clone(&default)),
        put(Layer::Operator, "both.example.com", &operator),
        put(Layer::Subscribed, "both.example.com", &subscribed),
        put(Layer::Subscribed, "own.example.com", &subscribed),
        put(Layer::Operator, "*.example.com", &wild),
        put(Layer::Subscribed, ".example.com", &subscribed_wild),
        put(Layer::Subscribed, ".example.net", &subscribed_wild),
    ]);
    let is = |sni, entry: &Arc<CertEntry>| served(&store, sni) == CertId(Arc::clone(entry));
    assert!(is(Some("both.example.com"), &operator));
    assert!(is(Some("own.example.com"), &subscribed), "exact before wildcard");
    assert!(is(Some("other.example.com"), &wild));
    assert!(is(Some("other.example.net"), &subscribed_wild));
    for sni in [None, Some("a.b.example.com"), Some("example.com"), Some("unknown"), Some("")] {
        assert!(is(sni, &default), "{sni:?}");
    }
    let long = "x".repeat(300);
    assert!(is(Some(&long), &default));

    store.publish([CertChange::Remove(Layer::Operator, name("both.example.com"), Seat::PLAIN)]);
    assert_eq!(served(&store, Some("both.example.com")), CertId(subscribed));
    assert_eq!(store.len(), 5);
    assert_eq!(store.counters().publishes.load(Ordering::Relaxed), 2);
}

#[test]
fn case_and_a_trailing_dot_do_not_change_the_choice() {
    let (default, shop) =
        (entry(&["d"], CertSource::SelfSigned), entry(&["s"], CertSource::Directory));
    let store = CertStore::empty();
    store.publish([
        CertChange::Default(Seat::PLAIN, default),
        put(Layer::Operator, "Shop.Example.", &shop),
    ]);
    for sni in ["shop.example", "SHOP.example", "shop.example."] {
        assert_eq!(served(&store, Some(sni)), CertId(Arc::clone(&shop)), "{sni}");
    }
}

/// A session keeps what it authenticated: the id of a replaced certificate still answers.
#[test]
fn an_id_outlives_the_swap_of_its_certificate() {
    let (old, new) = (
        entry(&["a.example", "*.b.example", "10.0.0.1", "::1"], CertSource::Subscription),
        entry(&["a.example"], CertSource::Subscription),
    );
    let store = CertStore::empty();
    store.publish([CertChange::Default(Seat::PLAIN, Arc::clone(&old))]);
    let held = served(&store, None);
    store.publish([CertChange::Default(Seat::PLAIN, new)]);
    assert_ne!(served(&store, None), held);
    for host in ["a.example", "A.Example", "x.b.example", "10.0.0.1", "[::1]", "::1"] {
        assert!(store.covers(&held, host), "{host}");
    }
    for host in ["b.example", "x.y.b.example", "10.0.0.2", "[::2]", "", "."] {
        assert!(!store.covers(&held, host), "{host:?}");
    }
}

#[test]
fn a_publish_without_changes_is_none() {
    let store = CertStore::empty();
    store.publish([]);
    assert_eq!(store.counters().publishes.load(Ordering::Relaxed), 0);
    assert!(store.is_empty());
}

#[test]
fn the_list_tells_who_gave_what() {
    let store = CertStore::empty();
    store.publish([
        CertChange::Default(Seat::PLAIN, entry(&["localhost"], CertSource::SelfSigned)),
        put(Layer::Operator, "*.z.example", &entry(&["*.z.example"], CertSource::Directory)),
        put(Layer::Subscribed, "a.example", &entry(&["a.example"], CertSource::Subscription)),
    ]);
    let list = store.list();
    let brief: Vec<_> =
        list.iter().map(|cert| (cert.name.as_deref(), cert.source, &cert.sans[0][..])).collect();
    assert_eq!(
        brief,
        [
            (None, CertSource::SelfSigned, "localhost"),
            (Some("*.z.example"), CertSource::Directory, "*.z.example"),
            (Some("a.example"), CertSource::Subscription, "a.example"),
        ]
    );
    assert!(list.iter().all(|cert| cert.fingerprint.len() == 64));
}

#[test]
fn names_no_host_has_are_no_names() {
    for text in
        ["", ".", "..", "*.", "*", "a b", "a/b", "../x", "a\0", "*.*.x", "[::1]", "ä.example"]
    {
        assert_eq!(ServedName::parse(text), None, "{text:?}");
    }
    assert_eq!(name("*.A.example").to_string(), "*.a.example");
    assert_eq!(ServedName::parse(&"x".repeat(254)), None);
}

/// Many names: one change must not copy them all.
#[test]
fn a_change_among_many_names_leaves_other_shards_shared() {
    let pair = entry(&["many"], CertSource::Subscription);
    let store = CertStore::empty();
    store.publish((0..20_000).map(|n| put(Layer::Subscribed, &format!("h{n}.example"), &pair)));
    let before = store.map.load_full();
    store.publish([put(Layer::Subscribed, "one-more.example", &pair)]);
    let after = store.map.load_full();
    assert_eq!(before.subscribed.shared_with(&after.subscribed), STORE_SHARDS - 1);
    assert_eq!(store.len(), 20_001);
}

/// A sealed name must not fall back on a less specific pair, and opens with its first pair.
#[test]
fn a_sealed_name_is_served_to_nobody_until_its_pair_comes() {
    let (default, pair) =
        (entry(&["d"], CertSource::SelfSigned), entry(&["m.example"], CertSource::Subscription));
    let store = CertStore::empty();
    store.publish([
        CertChange::Default(Seat::PLAIN, Arc::clone(&default)),
        put(Layer::Operator, "*.example", &default),
    ]);
    assert!(!store.is_guarding());
    store.seal("m.example");
    assert_eq!(store.cert_id_for(Some("m.example")), None);
    assert_eq!(store.guard_of("m.example"), Guard::Sealed);
    assert!(store.is_guarding());
    assert_eq!(store.list().len(), 2);
    store.publish([put(Layer::Subscribed, "m.example", &pair)]);
    assert_eq!(served(&store, Some("m.example")), CertId(Arc::clone(&pair)));
    assert!(!store.is_guarding());
    store.seal("m.example");
    assert_eq!(served(&store, Some("m.example")), CertId(pair), "what is served stays");
    store.publish([CertChange::Remove(Layer::Subscribed, name("m.example"), Seat::PLAIN)]);
    assert_eq!(served(&store, Some("m.example")), CertId(default));
}
