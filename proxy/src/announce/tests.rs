//! Real programs, real sockets: a unix datagram socket stands in for the router.

use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};

use clap::Parser;
use route_table::TableWriter;
use subscribe::{Digest, KeyFiles, Now, Peer, Registry, RegistryConfig, Source, Verdict};
use tempfile::TempDir;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: AnnounceArgs,
}

fn arguments(line: &[&str]) -> AnnounceArgs {
    Line::try_parse_from(std::iter::once(&"announce").chain(line)).expect("a right line").arguments
}

struct Place {
    directory: TempDir,
    router: UnixDatagram,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let router = UnixDatagram::bind(directory.path().join("router")).expect("a socket");
        router.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        Self { directory, router }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn arguments(&self, more: &[&str]) -> AnnounceArgs {
        let (server, app) = (self.path("router"), self.path("app"));
        let mut line =
            vec!["--server", text(&server), "--key", "a.example", "--address", text(&app)];
        line.extend(more);
        arguments(&line)
    }

    /// Command byte, and the dictionary as text, of the next datagram.
    fn next(&self) -> (u8, String) {
        let mut buffer = [0; 4096];
        let count = self.router.recv(&mut buffer).expect("a datagram within ten seconds");
        assert_eq!(buffer[0], 224);
        (buffer[3], String::from_utf8_lossy(&buffer[4..count]).into_owned())
    }

    fn is_silent(&self) -> bool {
        self.router.set_nonblocking(true).expect("a socket");
        self.router.recv(&mut [0; 16]).is_err()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn code(code: ExitCode) -> String {
    format!("{code:?}")
}

fn refusal(more: &[&str]) -> String {
    let error = run(&Place::new().arguments(more)).expect_err("a wrong line");
    assert!(error.is_usage());
    error.to_string()
}

#[test]
fn a_program_is_subscribed_once_it_listens_and_unsubscribed_when_it_ends() {
    let place = Place::new();
    let listener = UnixListener::bind(place.path("app")).expect("a socket");
    let ended = run(&place.arguments(&["--proto", "http", "--", "sh", "-c", "sleep 0.2; exit 7"]));
    drop(listener);
    assert_eq!(code(ended.expect("a status")), code(ExitCode::from(7)));
    let (command, fields) = place.next();
    assert_eq!(command, 0);
    assert!(fields.contains("a.example") && fields.contains(text(&place.path("app"))), "{fields}");
    assert!(fields.contains("http"), "{fields}");
    assert_eq!(place.next().0, 1);
    assert!(place.is_silent());
}

#[test]
fn a_program_that_ends_before_it_listens_is_never_announced() {
    let place = Place::new();
    let ended = run(&place.arguments(&["--", "sh", "-c", "kill -KILL $$"])).expect("a status");
    assert_eq!(code(ended), code(ExitCode::from(128 + 9)));
    assert!(place.is_silent());
}

#[test]
fn a_program_that_never_listens_is_announced_when_the_patience_ends() {
    let place = Place::new();
    let line = ["--wait", "100ms", "--", "sleep", "0.4"];
    run(&place.arguments(&line)).expect("a status");
    assert_eq!(place.next().0, 0);
}

#[test]
fn every_key_is_announced() {
    let place = Place::new();
    let _listener = UnixListener::bind(place.path("app")).expect("a socket");
    run(&place.arguments(&["--key", "b.example", "--", "sleep", "0.2"])).expect("a status");
    let told: Vec<_> = (0..4).map(|_| place.next()).collect();
    let commands: Vec<_> = told.iter().map(|(command, _)| *command).collect();
    assert_eq!(commands, [0, 0, 1, 1]);
    assert!(told[0].1.contains("a.example") && told[1].1.contains("b.example"));
}

#[test]
fn a_missing_program_is_told_by_name() {
    let error = run(&Place::new().arguments(&["--", "/nonexistent/app"])).expect_err("no program");
    assert!(error.to_string().starts_with("/nonexistent/app does not start: No such file"));
}

#[test]
fn wrong_flags_are_told_with_what_is_allowed() {
    let cases: [(&[&str], &str); 6] = [
        (&["--key", "a b"], "--key \"a b\": "),
        (&["--every", "10ms"], "--every \"10ms\": too short; allowed: a duration from 1s to 1h"),
        (&["--every", "soon"], "--every \"soon\": not a duration; allowed: "),
        (
            &["--sign", "MD5:x"],
            "--sign \"MD5:x\": the digest \"MD5\" is unknown; allowed: DIGEST:FILE",
        ),
        (
            &["--sign", "SHA256:/nonexistent"],
            "--sign \"SHA256:/nonexistent\": /nonexistent: No such",
        ),
        (&["--server", "router:7171"], "--server \"router:7171\": not an IP address"),
    ];
    for (line, start) in cases {
        let told = refusal(line);
        assert!(told.starts_with(start), "{told}");
    }
}

#[test]
fn a_relative_socket_path_is_announced_whole() {
    let mut arguments = Place::new().arguments(&[]);
    arguments.address = "app.sock".to_owned();
    let plan = Plan::of(&arguments).expect("a right line");
    let whole = std::path::absolute("app.sock").expect("a working directory");
    assert_eq!(plan.address.to_string(), text(&whole));
}

/// What we send is what the router takes: the real registry is asked, with the public half.
#[test]
fn signed_announcements_are_taken_by_the_registry_and_withdrawn_in_the_same_second() {
    let place = Place::new();
    let pair = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)
        .expect("a key");
    let key = place.path("a.key.pem");
    std::fs::write(&key, pair.serialize_pem()).expect("a file");
    let sign = format!("SHA256:{}", text(&key));
    let mut voice = Plan::of(&place.arguments(&["--sign", &sign, "--proto", "http"]))
        .and_then(|plan| plan.voice())
        .expect("a right line");
    voice.subscribe();
    voice.subscribe();
    voice.unsubscribe();
    let (writer, _handle) = TableWriter::new();
    let config = RegistryConfig { sign: Some(Digest::Sha256), ..RegistryConfig::default() };
    let mut registry = Registry::new(config, writer);
    let mut keys = OneKey(pair.public_key_pem().into_bytes());
    let unix = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a clock after 1970")
        .as_secs();
    let source = Source::of(Peer::Unix);
    let mut verdicts = Vec::new();
    for _ in 0..3 {
        let mut buffer = [0; 4096];
        let count = place.router.recv(&mut buffer).expect("a datagram");
        let now = Now { mono_ms: 0, unix };
        verdicts.push(registry.apply(now, &source, &buffer[..count], &mut keys));
    }
    assert_eq!(verdicts, [Verdict::Added, Verdict::Renewed, Verdict::Removed]);
}

struct OneKey(Vec<u8>);

impl KeyFiles for OneKey {
    fn read(&mut self, file_name: &str) -> Option<Vec<u8>> {
        (file_name == "a.example.pem").then(|| self.0.clone())
    }
}

#[test]
fn the_name_of_a_vassal_that_sleeps_is_kept_without_an_address() {
    let place = Place::new();
    let server = place.path("router");
    let asleep = ["--server", text(&server), "--key", "a.example", "--address", "none"];
    let line = |more: &[&'static str]| {
        arguments(&asleep.iter().copied().chain(more.iter().copied()).collect::<Vec<_>>())
    };
    let plan = Plan::of(&line(&["--vassal", "foo.ini"])).expect("a name");
    plan.voice().expect("a socket").subscribe();
    let (command, said) = place.next();
    assert_eq!(command, 0);
    assert!(said.contains("address\0\0"), "{said:?}");
    assert!(said.contains("vassal\u{7}\0foo.ini"), "{said:?}");
    for wrong in [&[][..], &["--vassal", "foo.ini", "--", "sleep", "9"]] {
        assert!(Plan::of(&line(wrong)).is_err_and(|error| error.is_usage()), "{wrong:?}");
    }
}
