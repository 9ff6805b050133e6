//! Keys over time and between processes, and tickets as whole handshakes use them.

use std::sync::Arc;

use rustls::HandshakeKind;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

use super::*;
use crate::tls::limits::TICKET_BYTES_MAX;

const START: u64 = 1_800_000_000;
const STATE: &[u8] = b"a session";
const OPEN: &TicketScope = &TicketScope::OPEN;

fn keys(now_unix: u64) -> TicketKeys {
    let keys = TicketKeys::default();
    keys.turn(now_unix);
    keys
}

fn names(keys: &TicketKeys) -> Vec<[u8; 16]> {
    keys.ring.load().0.iter().map(|key| *key.name()).collect()
}

#[test]
fn a_ticket_opens_for_one_to_two_periods_and_never_longer() {
    let keys = keys(START);
    let first = keys.seal(OPEN, STATE, START).expect("a key");
    let last_second = START + TICKET_KEY_PERIOD_S - 1;
    keys.turn(last_second);
    assert_eq!(names(&keys).len(), 1, "not due");
    let last = keys.seal(OPEN, STATE, last_second).expect("still seals");
    // Nobody turned the keys: the old one seals no more, and opens until its time is over.
    assert_eq!(keys.seal(OPEN, STATE, last_second + 1), None);
    keys.turn(last_second + 1);
    let under_second = keys.seal(OPEN, STATE, last_second + 1).expect("the next key");
    assert_ne!(first[..16], under_second[..16], "another key");
    let end = START + 2 * TICKET_KEY_PERIOD_S;
    for ticket in [&first, &last, &under_second] {
        assert_eq!(keys.open(OPEN, ticket, end - 1).as_deref(), Some(STATE));
    }
    for ticket in [&first, &last] {
        assert_eq!(keys.open(OPEN, ticket, end), None, "also while nobody turned the keys");
    }
    keys.turn(end);
    assert_eq!(keys.open(OPEN, &first, START), None, "the key is gone, whatever the clock says");
    assert_eq!(keys.open(OPEN, &under_second, end).as_deref(), Some(STATE));
    assert_eq!(names(&keys).len(), 2);
}

#[test]
fn a_clock_that_is_set_back_far_ends_a_key_too() {
    let keys = keys(START);
    let before = names(&keys);
    keys.turn(START - 5);
    assert_eq!(names(&keys), before, "a correction changes nothing");
    keys.turn(START - 10 * TICKET_KEY_PERIOD_S);
    assert!(!names(&keys).contains(&before[0]));
    assert_eq!(names(&keys).len(), 1);
}

#[test]
fn forged_cut_and_foreign_tickets_open_nothing() {
    let keys = keys(START);
    let ticket = keys.seal(OPEN, STATE, START).expect("a key");
    for at in 0..ticket.len() {
        for bit in [1, 0x80] {
            let mut forged = ticket.clone();
            forged[at] ^= bit;
            assert_eq!(keys.open(OPEN, &forged, START), None, "byte {at}");
        }
        assert_eq!(keys.open(OPEN, &ticket[..at], START), None, "cut at {at}");
        assert_eq!(keys.open(OPEN, &ticket[at + 1..], START), None, "begun after {at}");
    }
    for more in [1, TICKET_BYTES_MAX] {
        let longer = [&ticket[..], &vec![0; more]].concat();
        assert_eq!(keys.open(OPEN, &longer, START), None, "{more} more");
    }
    assert_eq!(self::keys(START).open(OPEN, &ticket, START), None, "another process");
    assert_eq!(keys.open(OPEN, &ticket, START).as_deref(), Some(STATE));
    assert_eq!(keys.seal(OPEN, &vec![0; TICKET_BYTES_MAX], START), None, "too long for a client");
}

#[test]
fn a_ticket_is_of_use_in_its_scope_only() {
    let keys = keys(START);
    let scopes = [
        TicketScope::OPEN,
        TicketScope::of(&[b"pair", b"authority"]),
        TicketScope::of(&[b"pair", b"other authority"]),
        TicketScope::of(&[b"pai", b"rauthority"]),
        TicketScope::of(&[]),
    ];
    for sealed in &scopes {
        let ticket = keys.seal(sealed, STATE, START).expect("a key");
        for opened in &scopes {
            let state = keys.open(opened, &ticket, START);
            assert_eq!(state.is_some(), sealed == opened, "{sealed:?} {opened:?}");
        }
    }
}

/// Equal states must not make equal tickets: an observer would link the visits of a client.
#[test]
fn no_two_tickets_are_alike() {
    let keys = keys(START);
    let mut seen = std::collections::HashSet::new();
    for _ in 0..10_000 {
        assert!(seen.insert(keys.seal(OPEN, STATE, START).expect("a key")));
    }
}

#[test]
fn an_upgrade_hands_on_all_keys_and_their_ages() {
    let old = keys(START);
    let early = old.seal(OPEN, STATE, START).expect("a key");
    let later = START + TICKET_KEY_PERIOD_S;
    old.turn(later);
    let late = old.seal(OPEN, STATE, later).expect("a key");

    // The new process may have issued tickets already.
    let new = keys(later);
    let own = new.seal(OPEN, STATE, later).expect("a key");
    assert_eq!(new.import(&old.export(), later + 10), Ok(2));
    for ticket in [&early, &late, &own] {
        assert_eq!(new.open(OPEN, ticket, later + 10).as_deref(), Some(STATE));
    }
    let of_new = new.seal(OPEN, STATE, later + 10).expect("a key");
    assert_eq!(old.open(OPEN, &of_new, later + 10).as_deref(), Some(STATE), "while both serve");
    assert_eq!(new.import(&old.export(), later + 20), Ok(2), "again");
    assert_eq!(names(&new).len(), 3, "no key twice");

    // Ages came along: the keys end when they would have ended.
    let end = START + 2 * TICKET_KEY_PERIOD_S;
    new.turn(end);
    assert_eq!(new.open(OPEN, &early, end), None);
    assert_eq!(new.open(OPEN, &late, end).as_deref(), Some(STATE));
}

#[test]
fn keys_that_came_too_late_are_not_taken_over() {
    let old = keys(START);
    let new = keys(START + 9 * TICKET_KEY_PERIOD_S);
    let own = names(&new);
    assert_eq!(new.import(&old.export(), START + 9 * TICKET_KEY_PERIOD_S), Ok(0));
    assert_eq!(names(&new), own);
    // One that is past sealing, but still opens, must not keep this process from issuing tickets.
    let late = START + TICKET_KEY_PERIOD_S + 1;
    let new = TicketKeys::default();
    assert_eq!(new.import(&old.export(), late), Ok(1));
    assert_eq!(new.seal(OPEN, STATE, late), None);
    new.turn(late);
    assert!(new.seal(OPEN, STATE, late).is_some());
    assert_eq!(names(&new).len(), 2);
}

#[test]
fn bytes_that_are_no_export_change_nothing() {
    let good = keys(START).export();
    let keys = keys(START);
    let before = names(&keys);
    let mut other_version = good.clone();
    other_version[0] += 1;
    let mut many = good.clone();
    many[1] = 200;
    let long = [&good[..], b"x"].concat();
    for (bytes, error) in [
        (&[][..], TicketKeysError::Length),
        (&good[..1], TicketKeysError::Length),
        (&good[..good.len() - 1], TicketKeysError::Length),
        (&long, TicketKeysError::Length),
        (&other_version, TicketKeysError::Version),
        (&many, TicketKeysError::Count { count: 200 }),
    ] {
        assert_eq!(keys.import(bytes, START), Err(error));
    }
    assert_eq!(names(&keys), before);
    assert_eq!(TicketKeys::default().export(), [1, 0], "no keys yet");
}

#[test]
fn keys_show_in_no_log() {
    let keys = Arc::new(keys(START));
    let shown = format!("{keys:?} {:?}", keys.ticketer(TicketScope::OPEN));
    assert_eq!(shown.matches("TicketKeys { keys: 1 }").count(), 2, "{shown}");
}

/// A server with a self-signed pair and these keys, and a client that trusts it and keeps tickets.
struct Rig {
    client: Arc<ClientConfig>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    version: &'static rustls::SupportedProtocolVersion,
}

impl Rig {
    fn new(version: &'static rustls::SupportedProtocolVersion) -> Self {
        let made = rcgen::generate_simple_self_signed(["t.test".to_owned()]).expect("signs");
        let chain = vec![made.cert.der().clone()];
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let mut roots = RootCertStore::empty();
        roots.add(chain[0].clone()).expect("an anchor");
        let client = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .expect("a version")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { client: Arc::new(client), chain, key, version }
    }

    fn server(&self, ticketer: Arc<dyn ProducesTickets>) -> Arc<ServerConfig> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[self.version])
            .expect("a version")
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .expect("a pair");
        config.ticketer = ticketer;
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        Arc::new(config)
    }

    /// Shakes hands, and lets the client read the tickets that come after.
    fn kind(&self, server: &Arc<ServerConfig>) -> HandshakeKind {
        let name = ServerName::try_from("t.test").expect("a name");
        let mut client = ClientConnection::new(self.client.clone(), name).expect("a client");
        let mut server = ServerConnection::new(server.clone()).expect("a server");
        for _ in 0..4 {
            let mut wire = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut wire).expect("memory");
            }
            let mut rest = &wire[..];
            while !rest.is_empty() {
                server.read_tls(&mut rest).expect("memory");
            }
            server.process_new_packets().expect("a good client");
            wire.clear();
            while server.wants_write() {
                server.write_tls(&mut wire).expect("memory");
            }
            let mut rest = &wire[..];
            while !rest.is_empty() {
                client.read_tls(&mut rest).expect("memory");
            }
            client.process_new_packets().expect("a good server");
        }
        assert!(!server.is_handshaking());
        server.handshake_kind().expect("a complete handshake")
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

#[test]
fn sessions_resume_across_a_new_key_and_across_an_upgrade() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let rig = Rig::new(version);
        let now = UnixTime::now().as_secs();
        let keys = Arc::new(TicketKeys::default());
        // Half a period old, so that it is due within the test.
        keys.turn(now - TICKET_KEY_PERIOD_S + 1000);
        let server = rig.server(keys.ticketer(TicketScope::OPEN));
        assert_eq!(rig.kind(&server), HandshakeKind::Full);
        assert_eq!(rig.kind(&server), HandshakeKind::Resumed, "{version:?}");
        keys.turn(now + 1001);
        assert_eq!(names(&keys).len(), 2);
        assert_eq!(rig.kind(&server), HandshakeKind::Resumed, "{version:?} with the key before");

        let new = Arc::new(TicketKeys::default());
        let server = rig.server(new.ticketer(TicketScope::OPEN));
        new.import(&keys.export(), now).expect("an export");
        assert_eq!(rig.kind(&server), HandshakeKind::Resumed, "{version:?} in the next process");
        let elsewhere = rig.server(new.ticketer(TicketScope::of(&[b"elsewhere"])));
        assert_eq!(rig.kind(&elsewhere), HandshakeKind::Full, "{version:?} elsewhere");
    }
}

#[test]
fn without_keys_handshakes_work_and_issue_no_tickets() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let rig = Rig::new(version);
        let server = rig.server(Arc::new(TicketKeys::default()).ticketer(TicketScope::OPEN));
        assert_eq!(rig.kind(&server), HandshakeKind::Full);
        assert_eq!(rig.kind(&server), HandshakeKind::Full, "{version:?}");
    }
}

/// Compares the tickets of rustls with ours: `cargo test … --ignored --nocapture`, optimised.
#[test]
#[ignore = "a measurement, for quiet machines"]
fn what_a_ticket_costs() {
    let keys = Arc::new(TicketKeys::default());
    keys.turn(UnixTime::now().as_secs());
    let theirs = rustls::crypto::aws_lc_rs::Ticketer::new().expect("randomness");
    let state = [7; 160];
    for (name, ticketer) in [("ours", keys.ticketer(TicketScope::OPEN)), ("rustls", theirs)] {
        let begun = std::time::Instant::now();
        for _ in 0..100_000 {
            let ticket = ticketer.encrypt(&state).expect("a ticket");
            assert!(ticketer.decrypt(&ticket).is_some());
        }
        let ns = begun.elapsed().as_nanos() / 100_000;
        eprintln!("{name}: {ns} ns to seal and open");
    }
}
