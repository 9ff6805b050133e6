//! HTTPS: which certificate is served, when it changes, and what a connection may ask for.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::harness::certs::{self, Pair, place, utf8};
use crate::harness::tools::{self, Curl, curl};
use crate::harness::wait::{SOON, eventually_true};
use crate::harness::{Client, Origin, Router, require_tool};

/// Runs `openssl s_client` against the HTTPS listener, says nothing and leaves.
#[track_caller]
pub fn s_client(router: &Router, arguments: &[&str]) -> String {
    let program = tools::find("openssl").expect("openssl is installed");
    let mut command = Command::new(program);
    command.args(["s_client", "-connect", &router.https().to_string()]).args(arguments);
    let finished = tools::run(&mut command);
    finished.stdout + &finished.stderr
}

/// Subject line of the certificate served for `name`.
#[track_caller]
pub fn served_subject(router: &Router, name: &str) -> String {
    let transcript = s_client(router, &["-servername", name]);
    let line = transcript.lines().find(|line| line.starts_with("subject="));
    line.unwrap_or_else(|| panic!("no certificate: {transcript}")).to_owned()
}

/// The leaf certificate served for `name`, as PEM.
#[track_caller]
pub fn served_certificate(router: &Router, name: &str) -> String {
    let transcript = s_client(router, &["-servername", name]);
    let begin = transcript.find("-----BEGIN CERTIFICATE").expect("a certificate");
    let end = transcript.find("-----END CERTIFICATE").expect("its end");
    transcript[begin..end].to_owned()
}

/// A router with a certificate directory for these names, all routed to `origin`.
fn router_with_certs(origin: &Origin, names: &[&str]) -> Router {
    let mut setup = Router::setup().https();
    let folder = setup.folder().join("certs");
    std::fs::create_dir(&folder).expect("a folder");
    for name in names {
        certs::leaf(setup.folder(), name).install(&folder, name);
        setup = setup.route(origin.route(name));
    }
    setup.args(["--cert-dir", utf8(&folder)]).start()
}

/// curl to `https://SNI/` with certificate check and perhaps another Host.
#[track_caller]
fn https(program: &Path, router: &Router, name: &str, more: &[&str]) -> Curl {
    let port = router.https().port();
    let resolve = format!("{name}:{port}:127.0.0.1");
    let (url, ca) = (format!("https://{name}:{port}/"), certs::ca());
    let mut arguments = vec!["--resolve", &resolve, "--cacert", utf8(&ca)];
    arguments.extend(more);
    arguments.push(&url);
    curl(program, &arguments)
}

#[test]
fn the_certificate_is_chosen_by_server_name() {
    let curl_program = require_tool!("curl");
    let origin = Origin::echo();
    let router = router_with_certs(&origin, &["one.test", "two.test"]);
    for name in ["one.test", "two.test"] {
        assert!(served_subject(&router, name).contains(name));
        let answer = https(&curl_program, &router, name, &[]);
        assert_eq!((answer.status, answer.exit), (200, 0), "{answer:?}");
    }
    assert!(served_subject(&router, "ONE.test").contains("one.test"), "case does not matter");
    assert_eq!(origin.seen()[0].fields("X-Forwarded-Proto"), ["https"]);
}

#[test]
fn names_without_a_certificate_get_the_default() {
    let _openssl = require_tool!("openssl");
    let origin = Origin::echo();
    let router = router_with_certs(&origin, &["one.test"]);
    let default = served_certificate(&router, "stranger.test");
    assert_ne!(default, served_certificate(&router, "one.test"));
    let nameless = s_client(&router, &["-noservername"]);
    assert!(nameless.contains(&default), "no server name, no default: {nameless}");
}

#[test]
fn a_given_default_certificate_is_used() {
    let _openssl = require_tool!("openssl");
    let setup = Router::setup().https().route("one.test=127.0.0.1:9");
    let pair = certs::leaf(setup.folder(), "default.test");
    let value = format!("{},{}", pair.crt.display(), pair.key.display());
    let router = setup.args(["--default-cert", &value]).start();
    assert!(served_subject(&router, "anything.test").contains("default.test"));
}

#[test]
fn tls_1_2_and_1_3_are_spoken_and_older_ones_are_not() {
    let curl_program = require_tool!("curl");
    let origin = Origin::echo();
    let router = router_with_certs(&origin, &["one.test"]);
    for version in ["1.2", "1.3"] {
        let (min, max) = (format!("--tlsv{version}"), ["--tls-max", version]);
        let answer = https(&curl_program, &router, "one.test", &[&min, max[0], max[1]]);
        assert_eq!((answer.status, answer.exit), (200, 0), "TLS {version}: {answer:?}");
    }
    let old = ["--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"];
    let answer = https(&curl_program, &router, "one.test", &old);
    assert_eq!((answer.status, answer.exit), (0, 35), "TLS 1.1: {answer:?}");
}

#[test]
fn a_renewed_certificate_goes_to_the_next_handshake() {
    let _openssl = require_tool!("openssl");
    let origin = Origin::echo();
    let router = router_with_certs(&origin, &["one.test", "two.test"]);
    let folder = router.folder().join("certs");
    let first = served_certificate(&router, "one.test");
    certs::leaf(router.folder(), "one.test").install(&folder, "one.test");
    eventually_true("the renewed certificate is served", SOON, || {
        served_certificate(&router, "one.test") != first
    });
    // A name that was not there before.
    certs::leaf(router.folder(), "new.test").install(&folder, "new.test");
    eventually_true("a new certificate is served", SOON, || {
        served_subject(&router, "new.test").contains("new.test")
    });
    assert!(served_subject(&router, "two.test").contains("two.test"));
}

#[test]
fn a_broken_certificate_never_evicts_a_good_one() {
    let curl_program = require_tool!("curl");
    let origin = Origin::echo();
    let router = router_with_certs(&origin, &["one.test", "two.test"]);
    let folder = router.folder().join("certs");
    let good = served_certificate(&router, "one.test");
    let breakages: [&dyn Fn(); 3] = [
        &|| std::fs::write(folder.join("one.test.crt"), "garbage").expect("write"),
        &|| std::fs::write(folder.join("one.test.key"), "").expect("write"),
        // A certificate with somebody else's key.
        &|| {
            let stranger = certs::leaf(router.folder(), "stranger.test");
            let own = certs::leaf(router.folder(), "one.test");
            Pair { crt: own.crt, key: stranger.key }.install(&folder, "one.test");
        },
    ];
    for (number, break_it) in breakages.iter().enumerate() {
        break_it();
        // Proof that the directory was read since: a change beside it is served.
        let marker = format!("marker-{number}.test");
        certs::leaf(router.folder(), &marker).install(&folder, &marker);
        eventually_true("the directory was read again", SOON, || {
            served_subject(&router, &marker).contains(&marker)
        });
        assert_eq!(served_certificate(&router, "one.test"), good, "breakage {number}");
    }
    assert_eq!(https(&curl_program, &router, "one.test", &[]).status, 200);
    // Mended, the new one is taken.
    certs::leaf(router.folder(), "one.test").install(&folder, "one.test");
    eventually_true("the mended certificate is served", SOON, || {
        served_certificate(&router, "one.test") != good
    });
    place(&folder.join("two.test.crt"), &router.folder().join("kept.crt"));
}

#[test]
fn sessions_resume_on_every_worker() {
    let program = require_tool!("openssl");
    let origin = Origin::echo();
    let router = router_with_certs(&origin, &["one.test"]);
    for version in ["-tls1_2", "-tls1_3"] {
        let file = router.folder().join(format!("session{version}"));
        let connect = |arguments: &[&str]| {
            let mut command = Command::new(&program);
            command.args(["s_client", "-connect", &router.https().to_string(), "-ign_eof"]);
            command.args(["-servername", "one.test", version]).args(arguments);
            talk(&mut command)
        };
        let first = connect(&["-sess_out", utf8(&file)]);
        assert!(first.contains("New, TLSv1."), "{first}");
        for attempt in 0..6 {
            let again = connect(&["-sess_in", utf8(&file)]);
            assert!(again.contains("Reused, TLSv1."), "{version} attempt {attempt}: {again}");
        }
    }
    eventually_true("all are counted", SOON, || {
        router.metrics().sum("suzerain_tls_resumptions_total", &[]) >= 12.0
    });
}

/// Sends one request through s_client and returns its transcript.
fn talk(command: &mut Command) -> String {
    let request = b"GET / HTTP/1.1\r\nHost: one.test\r\nConnection: close\r\n\r\n";
    tools::run_with_input(command, request).stdout
}

#[test]
fn a_host_of_another_certificate_is_misdirected() {
    let curl_program = require_tool!("curl");
    let origin = Origin::echo();
    let router = router_with_certs(&origin, &["one.test", "two.test"]);
    let answer = https(&curl_program, &router, "one.test", &["-H", "Host: two.test"]);
    assert_eq!(answer.status, 421, "{answer:?}");
    // Without a server name the default certificate was shown: it vouches for nobody else.
    let by_address = format!("https://{}/", router.https());
    let answer = curl(&curl_program, &["-k", "-H", "Host: one.test", &by_address]);
    assert_eq!(answer.status, 421, "{answer:?}");
    assert!(origin.seen().is_empty(), "{:#?}", origin.seen());
    let answer = https(&curl_program, &router, "one.test", &["-H", "Host: ONE.test:443"]);
    assert_eq!(answer.status, 200, "{answer:?}");
    let misdirected = [("reason", "misdirected")];
    eventually_true("both are counted", SOON, || {
        router.metrics().sum("suzerain_requests_unrouted_total", &misdirected) == 2.0
    });
}

#[test]
fn big_bodies_pass_through_tls_in_both_directions() {
    let curl_program = require_tool!("curl");
    let origin = Origin::start(|exchange| {
        let body = exchange.read_body()?;
        exchange.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()))?;
        exchange.write(body)?;
        Ok(crate::harness::After::KeepOpen)
    });
    let router = router_with_certs(&origin, &["one.test"]);
    let file = router.folder().join("body");
    std::fs::write(&file, "0123456789abcdef".repeat(256 * 1024)).expect("write");
    let upload = format!("@{}", file.display());
    let answer = https(&curl_program, &router, "one.test", &["--data-binary", &upload]);
    assert_eq!((answer.status, answer.exit), (200, 0), "{}", answer.stderr);
    assert_eq!(answer.body.len(), 4 * 1024 * 1024);
}

#[test]
fn nonsense_on_the_tls_port_ends_that_connection_only() {
    let curl_program = require_tool!("curl");
    let origin = Origin::echo();
    let router = router_with_certs(&origin, &["one.test"]);
    for bytes in
        [&b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n"[..], &[0x16, 3, 1, 0xff, 0xff], &[0; 64]]
    {
        let mut client = Client::connect(router.https());
        client.send(bytes);
        client.half_close();
        let _ = client.read_to_end();
    }
    assert_eq!(https(&curl_program, &router, "one.test", &[]).status, 200);
}

#[test]
fn a_handshake_that_stalls_is_ended() {
    let origin = Origin::echo();
    let router = Router::setup()
        .https()
        .route(origin.route("one.test"))
        .config("[timeouts]\ntls-handshake = \"1s\"\n")
        .start();
    let mut client = Client::connect(router.https());
    client.send([0x16, 3, 1]);
    let start = std::time::Instant::now();
    let _ = client.read_to_end();
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
}
