//! The store as rustls asks it: real handshakes in memory, nothing on a wire.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

use super::tests::{entry, entry_of, name};
use super::{
    CertChange, CertEntry, CertId, CertSource, CertStore, ClientAuth, ClientCa, Layer, Seat,
};

fn server(store: &CertStore) -> ServerConnection {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(store.clone()));
    ServerConnection::new(Arc::new(config)).expect("a session")
}

/// A client that trusts only `trusted` and asks for `host`.
fn client(trusted: &CertEntry, host: &str) -> ClientConnection {
    client_of(rustls::crypto::aws_lc_rs::default_provider(), trusted, host)
}

fn client_of(provider: CryptoProvider, trusted: &CertEntry, host: &str) -> ClientConnection {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.certified.cert[0].clone()).expect("an anchor");
    let provider = Arc::new(provider);
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let host = ServerName::try_from(host.to_owned()).expect("a name");
    ClientConnection::new(Arc::new(config), host).expect("a session")
}

/// The leaf the client accepted, or `None` if either side gave up.
fn shake_hands(
    mut client: ClientConnection,
    mut server: ServerConnection,
) -> Option<CertificateDer<'static>> {
    let mut wire = Vec::new();
    while client.is_handshaking() || server.is_handshaking() {
        wire.clear();
        client.write_tls(&mut wire).ok()?;
        feed(&wire, |rest| server.read_tls(rest))?;
        server.process_new_packets().ok()?;
        wire.clear();
        server.write_tls(&mut wire).ok()?;
        feed(&wire, |rest| client.read_tls(rest))?;
        client.process_new_packets().ok()?;
    }
    client.peer_certificates().map(|chain| chain[0].clone())
}

fn feed(wire: &[u8], mut read: impl FnMut(&mut &[u8]) -> std::io::Result<usize>) -> Option<()> {
    let mut rest = wire;
    while !rest.is_empty() {
        read(&mut rest).ok()?;
    }
    Some(())
}

#[test]
fn a_handshake_gets_the_certificate_of_its_server_name_and_the_next_one_its_successor() {
    let default = entry(&["default.example"], CertSource::DefaultPair);
    let old = entry(&["shop.example"], CertSource::Subscription);
    let new = entry(&["shop.example"], CertSource::Subscription);
    let store = CertStore::empty();
    let put = |entry: &Arc<CertEntry>| {
        CertChange::Put(Layer::Subscribed, name("shop.example"), Seat::PLAIN, Arc::clone(entry))
    };
    store.publish([CertChange::Default(Seat::PLAIN, Arc::clone(&default)), put(&old)]);
    let under_way = server(&store);
    let leaf = |entry: &CertEntry| Some(entry.certified.cert[0].clone());
    assert_eq!(shake_hands(client(&old, "shop.example"), server(&store)), leaf(&old));
    assert_eq!(shake_hands(client(&default, "default.example"), server(&store)), leaf(&default));
    assert_eq!(shake_hands(client(&old, "other.example"), server(&store)), None);

    store.publish([put(&new)]);
    assert_eq!(shake_hands(client(&new, "shop.example"), under_way), leaf(&new));
}

/// Clients that verify ECDSA or RSA alone, by the suites and schemes they offer.
#[test]
fn of_two_pairs_each_client_gets_the_one_it_can_verify() {
    let ecdsa = entry(&["both.example"], CertSource::Directory);
    let rsa = entry_of(&rcgen::PKCS_RSA_SHA256, &["both.example"], CertSource::Directory);
    let store = CertStore::empty();
    let put = |seat, entry: &Arc<CertEntry>| {
        CertChange::Put(Layer::Operator, name("both.example"), seat, Arc::clone(entry))
    };
    // The order of their coming does not matter.
    store.publish([put(Seat::RSA, &rsa), put(Seat::ECDSA, &ecdsa)]);
    assert_eq!(store.len(), 1, "one name");
    assert_eq!(store.list().len(), 2);
    let leaf = |entry: &CertEntry| Some(entry.certified.cert[0].clone());
    let all = rustls::crypto::aws_lc_rs::default_provider;
    let with_suites = |word: &str| {
        let mut provider = all();
        provider.cipher_suites.retain(|suite| format!("{:?}", suite.suite()).contains(word));
        provider
    };
    let wanted = [
        (all(), &ecdsa),
        (with_suites("TLS13"), &ecdsa),
        (with_suites("ECDHE_RSA"), &rsa),
        (with_suites("ECDHE_ECDSA"), &ecdsa),
    ];
    for (provider, expected) in wanted {
        let client = client_of(provider, expected, "both.example");
        assert_eq!(shake_hands(client, server(&store)), leaf(expected), "{expected:?}");
    }
    // Either certificate vouches for the name, one that was replaced does too, others do not.
    for held in [&ecdsa, &rsa] {
        let held = CertId(Arc::clone(held));
        assert!(store.vouches(&held, Some("both.example"), "both.example"));
        assert!(store.vouches(&held, Some("x.example"), "both.example"), "the same certificate");
        assert!(!store.vouches(&held, Some("both.example"), "x.example"));
    }
    store.publish([CertChange::Remove(Layer::Operator, name("both.example"), Seat::ECDSA)]);
    let client = client_of(all(), &rsa, "both.example");
    assert_eq!(shake_hands(client, server(&store)), leaf(&rsa));
    store.publish([CertChange::Remove(Layer::Operator, name("both.example"), Seat::RSA)]);
    assert_eq!(store.cert_id_for(Some("both.example")), None);
}

/// Serving without asking would open what the subscription wanted closed.
#[test]
fn a_pair_with_client_authorities_is_not_served_by_a_configuration_that_does_not_ask() {
    let plain = entry(&["mtls.example"], CertSource::Subscription);
    for auth in [ClientAuth::Requested, ClientAuth::Required] {
        let store = CertStore::empty();
        let entry = guarded(&plain, auth, &plain);
        let change = CertChange::Put(
            Layer::Subscribed,
            name("mtls.example"),
            Seat::PLAIN,
            Arc::clone(&entry),
        );
        store.publish([change]);
        assert_eq!(shake_hands(client(&plain, "mtls.example"), server(&store)), None, "{auth:?}");
        assert_eq!(store.cert_id_for(Some("mtls.example")), Some(CertId(entry)));
    }
}

/// `plain` with `authority` in front of it.
fn guarded(plain: &Arc<CertEntry>, auth: ClientAuth, authority: &CertEntry) -> Arc<CertEntry> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let authorities = vec![authority.certified.cert[0].clone()];
    let client_ca = Some(ClientCa::new(authorities, auth, &provider).expect("an authority"));
    let certified = Arc::clone(&plain.certified);
    let names = plain.names.clone();
    Arc::new(CertEntry { certified, names, client_ca, ..**plain })
}

/// What a connection may ask for, by what it and the host it asks for want of clients. All names
/// share one certificate, so that it is the clients alone that matter.
#[test]
fn a_connection_vouches_only_for_what_it_was_asked() {
    let open = entry(&["*.example"], CertSource::Directory);
    let other = entry(&["other"], CertSource::Directory);
    let [a, same_as_a, optional, foreign] = [
        (ClientAuth::Required, &open),
        (ClientAuth::Required, &open),
        (ClientAuth::Requested, &open),
        (ClientAuth::Required, &other),
    ]
    .map(|(auth, authority)| guarded(&open, auth, authority));
    let store = CertStore::empty();
    let put = |host: &str, entry: &Arc<CertEntry>| {
        CertChange::Put(Layer::Operator, name(host), Seat::PLAIN, Arc::clone(entry))
    };
    let named = [
        ("a.example", &a),
        ("twin.example", &same_as_a),
        ("optional.example", &optional),
        ("foreign.example", &foreign),
        ("open.example", &open),
        ("open-too.example", &open),
    ];
    store.publish(named.map(|(host, entry)| put(host, entry)));
    for (sni, held) in named {
        let held = CertId(Arc::clone(held));
        for (host, _) in named {
            let both_open = sni.starts_with("open") && host.starts_with("open");
            let expected = sni == host || both_open;
            assert_eq!(store.vouches(&held, Some(sni), host), expected, "{sni} for {host}");
        }
    }
    // Other demands since the handshake; the same ones under a renewed pair.
    let held = CertId(Arc::clone(&a));
    let renewed =
        guarded(&entry(&["a.example"], CertSource::Directory), ClientAuth::Required, &open);
    for (now, expected) in
        [(&renewed, true), (&foreign, false), (&optional, false), (&open, false), (&a, true)]
    {
        store.publish([put("a.example", now)]);
        assert_eq!(store.vouches(&held, Some("a.example"), "a.example"), expected, "{now:?}");
    }
    // Also when it was the last one that asked.
    let rest = named.map(|(host, _)| CertChange::Remove(Layer::Operator, name(host), Seat::PLAIN));
    store.publish(rest.into_iter().chain([put("a.example", &open)]));
    assert!(!store.is_guarding());
    assert!(!store.vouches(&held, Some("a.example"), "a.example"));
}
