//! Client certificates: who gets in, and what the node is told of whom.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

use crate::harness::certs::{self, Pair, utf8};
use crate::harness::client_pki::{Authority, Validity};
use crate::harness::process::Process;
use crate::harness::router::{Setup, Subscribe};
use crate::harness::tools::{Curl, curl};
use crate::harness::uwsgi_origin::{Packet, UwsgiOrigin};
use crate::harness::vassal::vassal;
use crate::harness::wait::{SOON, eventually_true};
use crate::harness::{Origin, Router, require_tool};

/// A name with a certificate, and the `NAME.ca` beside it: `!` makes it mandatory.
pub struct Site<'a> {
    pub name: &'a str,
    pub ca: Option<(&'a Authority, &'a str)>,
}

/// A router that serves `sites` from its certificate directory, all routed to `node`.
pub fn setup(node: &str, sites: &[Site<'_>]) -> Setup {
    let mut setup = Router::setup().https();
    let folder = setup.folder().join("certs");
    std::fs::create_dir(&folder).expect("a folder");
    for Site { name, ca } in sites {
        if let Some((authority, demand)) = ca {
            authority.install(&folder, name, demand);
        }
        certs::leaf(setup.folder(), name).install(&folder, name);
        setup = setup.route(format!("{}={node}", name.trim_start_matches('*')));
    }
    setup.args(["--cert-dir", utf8(&folder)])
}

/// curl to `https://NAME/`, perhaps with a client certificate.
#[track_caller]
pub fn visit(router: &Router, name: &str, client: Option<&Pair>, more: &[&str]) -> Curl {
    let program = crate::harness::tools::find("curl").expect("curl is installed");
    let port = router.https().port();
    let resolve = format!("{name}:{port}:127.0.0.1");
    let url = format!("https://{name}:{port}/");
    let ca = certs::ca();
    let mut arguments = vec!["--resolve", &resolve, "--cacert", utf8(&ca)];
    if let Some(client) = client {
        arguments.extend(["--cert", utf8(&client.crt), "--key", utf8(&client.key)]);
    }
    arguments.extend(more);
    arguments.push(&url);
    curl(&program, &arguments)
}

const VERSIONS: [[&str; 3]; 2] =
    [["--tlsv1.2", "--tls-max", "1.2"], ["--tlsv1.3", "--tls-max", "1.3"]];

#[test]
fn a_mandatory_authority_lets_in_only_whom_it_certified() {
    let _curl = require_tool!("curl");
    let (origin, ours, theirs) =
        (UwsgiOrigin::ok(), Authority::new("ours"), Authority::new("theirs"));
    let address = origin.address().to_string();
    let router = setup(&address, &[Site { name: "in.test", ca: Some((&ours, "!")) }]).start();
    let good = ours.client(router.folder(), "good", Validity::Current);
    let late = ours.client(router.folder(), "late", Validity::Over);
    let alien = theirs.client(router.folder(), "alien", Validity::Current);
    for version in VERSIONS {
        let answer = visit(&router, "in.test", Some(&good), &version);
        assert_eq!((answer.status, answer.exit), (200, 0), "{version:?} {answer:?}");
        for (who, pair) in [("nobody", None), ("late", Some(&late)), ("alien", Some(&alien))] {
            let answer = visit(&router, "in.test", pair, &version);
            assert_eq!(answer.status, 0, "{version:?} {who}: {answer:?}");
            // In the handshake, at the first write or read after it, or because of the certificate.
            assert!([35, 55, 56, 60, 98].contains(&answer.exit), "{version:?} {who}: {answer:?}");
        }
    }
    assert_eq!(origin.seen().len(), 2);
    eventually_true("each refusal is counted", SOON, || {
        router.metrics().sum("suzerain_tls_client_auth_refused_total", &[]) == 6.0
    });
}

/// Vars of a client certificate, as sent.
fn told(packet: &Packet) -> Vec<(String, Vec<u8>)> {
    let about = |name: &String| {
        ["HTTPS_CLIENT_CERTIFICATE", "HTTPS_DN", "HTTPS_CC"].contains(&name.as_str())
    };
    let named = packet.vars.iter().map(|(name, _)| name.clone());
    let raw = packet.raw.iter().map(|(_, value)| value.clone());
    named.zip(raw).filter(|(name, _)| about(name)).collect()
}

/// The same client over our router and over uWSGI's: what the node is told must be the same bytes.
#[test]
fn a_node_is_told_of_the_client_what_uwsgi_tells() {
    let (uwsgi, _curl) = (require_tool!("uwsgi"), require_tool!("curl"));
    let (origin, authority) = (UwsgiOrigin::ok(), Authority::new("ours"));
    let address = origin.address().to_string();
    let site = [Site { name: "told.test", ca: Some((&authority, "!")) }];
    let router = setup(&address, &site).args(["--https-export-cert"]).start();
    let folder = router.folder();
    let client = authority.client(folder, "a/b+c Zoë", Validity::Current);
    std::fs::write(folder.join("ca.pem"), &authority.pem).expect("write");
    let socket = folder.join("uwsgi.sock");
    let _uwsgi = uwsgi_router(&uwsgi, folder, &socket, &address);

    let mut from = Vec::new();
    let unix = ["--unix-socket", utf8(&socket)];
    for more in [&[][..], &unix] {
        let answer = visit(&router, "told.test", Some(&client), more);
        assert_eq!(answer.status, 200, "{more:?}: {answer:?}");
        from.push(told(origin.seen().last().expect("a request")));
    }
    let names: Vec<&str> = from[0].iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["HTTPS_CLIENT_CERTIFICATE", "HTTPS_DN", "HTTPS_CC"]);
    assert_eq!(from[0][1].1, br"/C=IT/O=Test/CN=a\/b\+c Zo\xC3\xAB");
    assert_eq!(from[0], from[1], "ours and uWSGI's");
    assert_eq!(from[0][2].1, std::fs::read(&client.crt).expect("a file"), "the PEM as it was");
    // Right behind HTTPS, as in the captured request (http_router.json).
    let packet = &origin.seen()[0];
    let at = |name| packet.vars.iter().position(|(known, _)| known == name).expect("a var");
    assert_eq!(at("HTTPS_CLIENT_CERTIFICATE"), at("HTTPS") + 1);
    assert_eq!(at("REMOTE_ADDR"), at("HTTPS_CC") + 1);
}

/// uWSGI's own router with the same demands, on a unix socket.
fn uwsgi_router(uwsgi: &Path, folder: &Path, socket: &Path, node: &str) -> Process {
    let mut command = Command::new(uwsgi);
    if Path::new("/usr/lib/uwsgi/plugins/http_plugin.so").exists() {
        command.args(["--plugins", "http"]);
    }
    let pair = |part: &str| folder.join(format!("certs/told.test.{part}")).display().to_string();
    let ca = folder.join("ca.pem").display().to_string();
    let listen = format!("{},{},{},HIGH,!{ca}", socket.display(), pair("crt"), pair("key"));
    command.args(["--master", "--https", &listen, "--https-export-cert", "--http-to", node]);
    let process = Process::start(&mut command, folder, "uwsgi-router", Signal::SIGINT);
    eventually_true("uWSGI's router listens", SOON, || {
        std::os::unix::net::UnixStream::connect(socket).is_ok()
    });
    process
}

#[test]
fn an_optional_authority_asks_and_does_not_insist() {
    let _curl = require_tool!("curl");
    let (origin, ours, theirs) = (Origin::echo(), Authority::new("ours"), Authority::new("theirs"));
    let node = format!("{},proto=http", origin.address());
    let router = setup(&node, &[Site { name: "ask.test", ca: Some((&ours, "")) }]).start();
    let good = ours.client(router.folder(), "good", Validity::Current);
    let alien = theirs.client(router.folder(), "alien", Validity::Current);
    let forged = [
        "-H",
        "Client-Cert: :AAAA:",
        "-H",
        "Client-Cert-Chain: :AAAA:",
        "-H",
        "X-Client-Cert-DN: /CN=root",
        "-H",
        "X-Client-Cert: x",
        "-H",
        "x-client-cert-verify: ok",
    ];
    for version in VERSIONS {
        let more: Vec<&str> = version.into_iter().chain(forged).collect();
        for (pair, lines) in [(Some(&good), 1), (None, 0)] {
            let answer = visit(&router, "ask.test", pair, &more);
            assert_eq!((answer.status, answer.exit), (200, 0), "{answer:?}");
            let seen = origin.seen().pop().expect("a request");
            assert_eq!(seen.fields("X-Client-Cert-DN"), vec!["/C=IT/O=Test/CN=good"; lines]);
            let expected = vec![format!(":{}:", base64_of(&good.crt)); lines];
            assert_eq!(seen.fields("Client-Cert"), expected);
            for name in ["Client-Cert-Chain", "X-Client-Cert", "X-Client-Cert-Verify"] {
                assert!(seen.fields(name).is_empty(), "{name} came from outside");
            }
        }
        // A wrong one is refused, as nobody shows it by accident.
        let answer = visit(&router, "ask.test", Some(&alien), &version);
        assert_eq!(answer.status, 0, "{answer:?}");
    }
}

/// The body of a PEM file without its line breaks.
fn base64_of(path: &PathBuf) -> String {
    let text = std::fs::read_to_string(path).expect("a file");
    text.lines().filter(|line| !line.starts_with("-----")).collect()
}

/// Every other way to the site of a mandatory authority: plain HTTP, another name's connection, no
/// server name, a parent key reached by a name of its own.
#[test]
fn there_is_no_way_round_a_mandatory_authority() {
    let curl_program = require_tool!("curl");
    let (origin, ours, theirs) = (Origin::echo(), Authority::new("a"), Authority::new("b"));
    let node = format!("{},proto=http", origin.address());
    let sites = [
        Site { name: "in.test", ca: Some((&ours, "!")) },
        Site { name: "too.test", ca: Some((&theirs, "!")) },
        Site { name: "open.test", ca: None },
        Site { name: "*.wild.test", ca: Some((&ours, "!")) },
    ];
    let router = setup(&node, &sites).args(["--dotsplit"]).start();
    let client = ours.client(router.folder(), "good", Validity::Current);
    let plain = format!("http://{}/", router.http());
    for (host, status) in
        [("in.test", 403), ("a.wild.test", 403), ("a.b.wild.test", 403), ("open.test", 200)]
    {
        let answer = curl(&curl_program, &["-H", &format!("Host: {host}"), &plain]);
        assert_eq!(answer.status, status, "plain {host}: {answer:?}");
    }
    for (sni, host, status) in [
        ("open.test", "in.test", 421),
        ("too.test", "in.test", 0),
        ("in.test", "too.test", 421),
        ("in.test", "open.test", 421),
        ("in.test", "in.test", 200),
        ("a.wild.test", "a.wild.test", 200),
        ("a.wild.test", "b.wild.test", 421),
    ] {
        let answer = visit(&router, sni, Some(&client), &["-k", "-H", &format!("Host: {host}")]);
        assert_eq!(answer.status, status, "{sni} for {host}: {answer:?}");
    }
    // Served by the default pair, which asks nobody; the key that routes it is the guarded one.
    let deep = visit(&router, "a.b.wild.test", Some(&client), &["-k"]);
    assert_eq!(deep.status, 403, "{deep:?}");
    let by_address = format!("https://{}/", router.https());
    let nameless = curl(&curl_program, &["-k", "-H", "Host: in.test", &by_address]);
    assert_eq!(nameless.status, 421, "{nameless:?}");
    assert_eq!(origin.seen().len(), 3);
    let reason = [("reason", "client_certificate")];
    eventually_true("refusals are counted", SOON, || {
        router.metrics().sum("suzerain_requests_unrouted_total", &reason) == 4.0
    });
}

#[test]
fn a_subscription_brings_its_client_authority() {
    let (uwsgi, _curl) = (require_tool!("uwsgi"), require_tool!("curl"));
    let authority = Authority::new("ours");
    for (demand, without) in [("!", 0), ("", 200)] {
        let setup = Router::setup().subscribe(Subscribe::Udp).https();
        let pair = certs::leaf(setup.folder(), "sub.test");
        let ca = setup.folder().join("clients.pem");
        std::fs::write(&ca, &authority.pem).expect("write");
        let client = authority.client(setup.folder(), "good", Validity::Current);
        let root = setup.folder().display().to_string();
        let router = setup.args(["--cert-root", &root]).start();
        let subscription = format!(
            "server={},key=sub.test,sni_key={},sni_crt={},sni_ca={demand}{}",
            router.subscribe(),
            pair.key.display(),
            pair.crt.display(),
            ca.display(),
        );
        let _app = vassal("a").subscribe2(subscription).start(&uwsgi, router.folder());
        router.wait_for_nodes("sub.test", 1);
        eventually_true("the certificate is served", SOON, || {
            visit(&router, "sub.test", Some(&client), &[]).status == 200
        });
        assert_eq!(visit(&router, "sub.test", None, &[]).status, without, "{demand:?}");
    }
}

#[test]
fn stats_and_explain_say_what_is_wanted_of_clients() {
    let (origin, authority) = (Origin::echo(), Authority::new("ours"));
    let sites = [
        Site { name: "in.test", ca: Some((&authority, "!")) },
        Site { name: "ask.test", ca: Some((&authority, "")) },
        Site { name: "open.test", ca: None },
    ];
    let router = setup(&format!("{},proto=http", origin.address()), &sites).start();
    let stats = router.stats();
    let certificates = stats["suzerain"]["certificates"].as_array().expect("a list").clone();
    let port = router.https().port();
    for (name, auth) in
        [("in.test", Some("required")), ("ask.test", Some("optional")), ("open.test", None)]
    {
        let listed = certificates.iter().find(|cert| cert["name"] == name).expect("is listed");
        assert_eq!(listed["client_auth"].as_str(), auth, "{listed}");
        let told = router.admin(&format!("/explain?url=https://{name}:{port}/")).json();
        assert_eq!(told["certificate"]["client_auth"].as_str(), auth, "{told}");
    }
}

/// `--default-cert CRT,KEY,!CA`: for names without a pair, and for clients that name nothing.
#[test]
fn the_default_pair_can_demand_certificates_too() {
    let curl_program = require_tool!("curl");
    let (origin, authority) = (Origin::echo(), Authority::new("ours"));
    let setup = Router::setup().https().route(origin.route("any.test"));
    let setup = setup.route(origin.route("127.0.0.1"));
    let pair = certs::leaf(setup.folder(), "any.test");
    let ca = setup.folder().join("clients.pem");
    std::fs::write(&ca, &authority.pem).expect("write");
    let client = authority.client(setup.folder(), "good", Validity::Current);
    let value = format!("{},{},!{}", pair.crt.display(), pair.key.display(), ca.display());
    let router = setup.args(["--default-cert", &value]).start();
    assert_eq!(visit(&router, "any.test", None, &[]).status, 0);
    assert_eq!(visit(&router, "any.test", Some(&client), &[]).status, 200);
    let by_address = format!("https://127.0.0.1:{}/", router.https().port());
    let (crt, key) = (utf8(&client.crt), utf8(&client.key));
    assert_eq!(curl(&curl_program, &["-k", &by_address]).status, 0);
    let answer = curl(&curl_program, &["-k", "--cert", crt, "--key", key, &by_address]);
    assert_eq!(answer.status, 200, "{answer:?}");
}
