//! Client certificates over time: sessions that are resumed, authorities that are replaced.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::client_certificates::{Site, setup, visit};
use crate::harness::certs::{Pair, ca, utf8};
use crate::harness::client_pki::{Authority, Validity};
use crate::harness::response::Response;
use crate::harness::tools;
use crate::harness::uwsgi_origin::UwsgiOrigin;
use crate::harness::wait::{SOON, eventually_true};
use crate::harness::{Router, require_tool};

/// One request through s_client: its transcript.
fn talk(router: &Router, name: &str, client: Option<&Pair>, more: &[&str]) -> String {
    let program = tools::find("openssl").expect("openssl is installed");
    let mut command = Command::new(program);
    command.args(["s_client", "-connect", &router.https().to_string(), "-ign_eof"]);
    command.args(["-servername", name]).args(more);
    if let Some(client) = client {
        command.args(["-cert", utf8(&client.crt), "-key", utf8(&client.key)]);
    }
    let request = format!("GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
    let finished = tools::run_with_input(&mut command, request.as_bytes());
    finished.stdout + &finished.stderr
}

fn is_served(transcript: &str) -> bool {
    transcript.contains("HTTP/1.1 200")
}

/// A ticket of `name`, gained with `client`.
#[track_caller]
fn ticket(router: &Router, file: &Path, name: &str, client: Option<&Pair>, version: &str) {
    let first = talk(router, name, client, &[version, "-sess_out", utf8(file)]);
    assert!(is_served(&first) && first.contains("New, TLSv1."), "{first}");
    assert!(file.exists(), "no ticket: {first}");
}

#[test]
fn a_resumed_session_is_the_client_that_was_verified() {
    let _openssl = require_tool!("openssl");
    let (origin, authority) = (UwsgiOrigin::ok(), Authority::new("ours"));
    let address = origin.address().to_string();
    let router = setup(&address, &[Site { name: "in.test", ca: Some((&authority, "!")) }]).start();
    let client = authority.client(router.folder(), "good", Validity::Current);
    for version in ["-tls1_2", "-tls1_3"] {
        let file = router.folder().join(format!("ticket{version}"));
        ticket(&router, &file, "in.test", Some(&client), version);
        let again = talk(&router, "in.test", None, &[version, "-sess_in", utf8(&file)]);
        assert!(again.contains("Reused, TLSv1.") && is_served(&again), "{again}");
    }
    let seen = origin.seen();
    assert_eq!(seen.len(), 4);
    assert!(seen.iter().all(|packet| packet.var("HTTPS_DN") == Some("/C=IT/O=Test/CN=good")));
}

/// Tickets of a name that asks nothing, of one that only asks, and of another authority.
#[test]
fn a_ticket_of_one_name_opens_no_other() {
    let _openssl = require_tool!("openssl");
    let (origin, ours, theirs) =
        (UwsgiOrigin::ok(), Authority::new("ours"), Authority::new("theirs"));
    let address = origin.address().to_string();
    let sites = [
        Site { name: "in.test", ca: Some((&ours, "!")) },
        Site { name: "open.test", ca: None },
        Site { name: "ask.test", ca: Some((&ours, "")) },
        Site { name: "too.test", ca: Some((&theirs, "!")) },
    ];
    let router = setup(&address, &sites).start();
    let alien = theirs.client(router.folder(), "alien", Validity::Current);
    let count = origin.seen().len();
    let mut served = 0;
    for version in ["-tls1_2", "-tls1_3"] {
        for (name, client) in [("open.test", None), ("ask.test", None), ("too.test", Some(&alien))]
        {
            let file = router.folder().join(format!("{name}{version}"));
            ticket(&router, &file, name, client, version);
            served += 1;
            let abused = talk(&router, "in.test", None, &[version, "-sess_in", utf8(&file)]);
            assert!(!is_served(&abused), "{name} opened in.test: {abused}");
            assert!(!abused.contains("Reused, TLSv1."), "{name}: {abused}");
        }
    }
    assert_eq!(origin.seen().len(), count + served);
}

/// A replaced authority counts for the next handshake, also for one with an old ticket, and a name
/// that begins to ask does not know its old tickets either.
#[test]
fn a_replaced_authority_counts_at_once() {
    let (_openssl, _curl) = (require_tool!("openssl"), require_tool!("curl"));
    let (origin, old, new) = (UwsgiOrigin::ok(), Authority::new("old"), Authority::new("new"));
    let address = origin.address().to_string();
    let sites =
        [Site { name: "swap.test", ca: Some((&old, "!")) }, Site { name: "later.test", ca: None }];
    let router = setup(&address, &sites).start();
    let before = old.client(router.folder(), "before", Validity::Current);
    let after = new.client(router.folder(), "after", Validity::Current);
    let versions = ["-tls1_2", "-tls1_3"];
    let file = |name: &str, version: &str| router.folder().join(format!("{name}{version}"));
    for version in versions {
        ticket(&router, &file("swap", version), "swap.test", Some(&before), version);
        ticket(&router, &file("later", version), "later.test", None, version);
    }
    assert_eq!(visit(&router, "swap.test", Some(&after), &[]).status, 0);

    let certs = router.folder().join("certs");
    new.install(&certs, "swap.test", "!");
    new.install(&certs, "later.test", "!");
    for name in ["swap.test", "later.test"] {
        eventually_true("the new authority counts", SOON, || {
            visit(&router, name, Some(&after), &[]).status == 200
                && visit(&router, name, Some(&before), &[]).status == 0
        });
    }
    for version in versions {
        for (name, host) in [("swap", "swap.test"), ("later", "later.test")] {
            let old = file(name, version);
            let abused = talk(&router, host, None, &[version, "-sess_in", utf8(&old)]);
            assert!(!is_served(&abused), "{host} {version}: {abused}");
        }
    }
}

/// Connections that were there before count for what they were: asked, or not asked.
#[test]
fn a_connection_from_before_the_change_is_sent_for_a_new_handshake() {
    let _curl = require_tool!("curl");
    let (origin, authority) = (UwsgiOrigin::ok(), Authority::new("ours"));
    let address = origin.address().to_string();
    let router = setup(&address, &[Site { name: "later.test", ca: None }]).start();
    let client = authority.client(router.folder(), "good", Validity::Current);
    let mut held = connect(&router, "later.test");
    assert_eq!(get(&mut held, "later.test"), 200);
    authority.install(&router.folder().join("certs"), "later.test", "!");
    eventually_true("clients are asked", SOON, || {
        visit(&router, "later.test", None, &[]).status == 0
            && visit(&router, "later.test", Some(&client), &[]).status == 200
    });
    assert_eq!(get(&mut held, "later.test"), 421);
    assert_eq!(held.read(&mut [0]).expect("a goodbye"), 0, "it ends with that answer");
}

type Held = rustls::StreamOwned<rustls::ClientConnection, TcpStream>;

/// A connection that is kept, without a client certificate.
fn connect(router: &Router, name: &'static str) -> Held {
    let stream = TcpStream::connect(router.https()).expect("connect");
    stream.set_read_timeout(Some(SOON)).expect("a timeout");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca()).expect("PEM")).expect("an anchor");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = name.try_into().expect("a name");
    let session = rustls::ClientConnection::new(Arc::new(config), name).expect("a session");
    rustls::StreamOwned::new(session, stream)
}

/// Status of the next answer; its body is read as well.
fn get(held: &mut Held, host: &str) -> u16 {
    write!(held, "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").expect("send");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        held.read_exact(&mut byte).expect("a head");
        head.extend(byte);
    }
    let head = Response::from_head(String::from_utf8_lossy(&head).trim_end());
    let mut body = vec![0; head.content_length().expect("a length")];
    held.read_exact(&mut body).expect("a body");
    head.status
}

#[test]
fn broken_authorities_neither_open_the_door_nor_evict_good_ones() {
    let _curl = require_tool!("curl");
    let (origin, authority) = (UwsgiOrigin::ok(), Authority::new("ours"));
    let address = origin.address().to_string();
    let sites = [
        Site { name: "in.test", ca: Some((&authority, "!")) },
        Site { name: "never.test", ca: Some((&authority, "!")) },
    ];
    let setup = setup(&address, &sites);
    let certs = setup.folder().join("certs");
    std::fs::write(certs.join("never.test.ca"), "!not an authority").expect("write");
    let router = setup.start();
    let client = authority.client(router.folder(), "good", Validity::Current);
    for who in [None, Some(&client)] {
        assert_eq!(visit(&router, "never.test", who, &["-k"]).status, 0, "sealed");
    }
    std::fs::write(certs.join("in.test.ca"), "!broken").expect("write");
    // Proof that the directory was read since: a change beside it is served.
    authority.install(&certs, "never.test", "!");
    eventually_true("the mended one is served", SOON, || {
        visit(&router, "never.test", Some(&client), &[]).status == 200
    });
    assert_eq!(visit(&router, "never.test", None, &[]).status, 0);
    assert_eq!(visit(&router, "in.test", Some(&client), &[]).status, 200);
    assert_eq!(visit(&router, "in.test", None, &[]).status, 0);
}
