//! TLS passthrough: whom the first message leads to, and that nothing else is done to the bytes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::certs::{self, utf8};
use crate::harness::datagram;
use crate::harness::port::Port;
use crate::harness::process::Process;
use crate::harness::raw_node::RawNode;
use crate::harness::router::{BINARY, Setup, Subscribe};
use crate::harness::tls_node::TlsNode;
use crate::harness::tools::{self, Curl, curl};
use crate::harness::vassal::vassal;
use crate::harness::wait::{SOON, eventually_true};
use crate::harness::{Client, Origin, Router, get, require_tool};

/// What openssl sent first when asked for `app.example`.
const HELLO: &[u8] = include_bytes!("../../tls-wire/testdata/openssl_tls13.bin");
/// A record with the fatal alert `unrecognized_name`.
const UNRECOGNIZED_NAME: &[u8] = &[21, 3, 3, 0, 2, 2, 112];
const DECODE_ERROR: &[u8] = &[21, 3, 3, 0, 2, 2, 50];

/// A router that passes TLS through at the port.
fn passing(setup: Setup) -> (Setup, Port) {
    let port = Port::reserve();
    let address = port.1.to_string();
    (setup.args(["--tls-passthrough", &address]), port)
}

/// curl to `https://NAME/` at the port, with certificate check.
#[track_caller]
fn https(program: &Path, port: &Port, name: &str, more: &[&str]) -> Curl {
    let port = port.1.port();
    let resolve = format!("{name}:{port}:127.0.0.1");
    let (url, ca) = (format!("https://{name}:{port}/"), certs::ca());
    let mut arguments = vec!["--resolve", &resolve, "--cacert", utf8(&ca)];
    arguments.extend(more);
    if !more.iter().any(|argument| argument.starts_with("https:")) {
        arguments.push(&url);
    }
    curl(program, &arguments)
}

fn rejects(router: &Router, reason: &str) -> f64 {
    router.metrics().sum("suzerain_client_hello_rejects_total", &[("reason", reason)])
}

#[test]
fn the_name_in_the_hello_chooses_the_node_that_ends_tls() {
    let (curl_program, nginx) = (require_tool!("curl"), require_tool!("nginx"));
    let (setup, port) = passing(Router::setup());
    let nodes = ["one.test", "two.test"]
        .map(|name| TlsNode::start(&nginx, setup.folder(), name, "http2", ""));
    let setup = setup.route(nodes[0].route("one.test"));
    // The port is part of what a client of HTTPS would call the site.
    let router = setup.route(nodes[1].route(&format!("two.test:{}", port.1.port()))).start();
    for name in ["one.test", "two.test"] {
        for version in ["1.2", "1.3"] {
            let flag = format!("--tlsv{version}");
            let answer = https(&curl_program, &port, name, &[&flag, "--tls-max", version]);
            assert_eq!((answer.status, answer.exit), (200, 0), "{answer:?}");
            assert!(answer.body.starts_with(&format!("{name} TLSv{version}")), "{answer:?}");
        }
    }
    let answer = https(&curl_program, &port, "one.test", &["--http2"]);
    assert_eq!(answer.status, 200, "what is agreed on inside is theirs: {answer:?}");
    let kind = [("kind", "tls")];
    assert_eq!(router.metrics().sum("suzerain_relayed_connections_total", &kind), 5.0);
    eventually_true("every connection has a line", SOON, || {
        router.access_log().lines().count() == 5
    });
    for line in router.access_log().lines() {
        for part in ["method=- host=\"", "target=\"\" proto=TLS tls=1 status=0", "term=--"] {
            assert!(line.contains(part), "{part}: {line}");
        }
    }
    assert!(router.access_log().contains("key=one.test "), "{}", router.access_log());
}

#[test]
fn a_hello_in_single_bytes_and_in_many_records_arrives_as_it_was() {
    let node = RawNode::start(|mut stream| {
        let mut got = Vec::new();
        let mut chunk = [0; 4096];
        while !got.ends_with(b"!") {
            let count = stream.read(&mut chunk).expect("bytes");
            got.extend_from_slice(&chunk[..count]);
        }
        stream.write_all(&got).expect("the router takes them");
    });
    let (setup, port) = passing(Router::setup());
    let _router = setup.route(format!("app.example={},proto=tls", node.address())).start();
    let message = &HELLO[5..];
    let record = |part: &[u8]| [&[22, 3, 1, 0, part.len() as u8], part].concat();
    let in_records: Vec<u8> = message.chunks(7).flat_map(record).collect();
    for hello in [HELLO, &in_records] {
        let mut client = TcpStream::connect(port.1).expect("connect");
        client.set_nodelay(true).expect("no delay");
        for byte in hello.chunks(1) {
            client.write_all(byte).expect("the router takes it");
        }
        client.write_all(b"early data!").expect("the router takes it");
        client.set_read_timeout(Some(SOON)).expect("a deadline");
        let mut got = Vec::new();
        client.read_to_end(&mut got).expect("the node's answer");
        assert_eq!(got, [hello, b"early data!"].concat());
    }
}

#[test]
fn who_names_nobody_or_a_stranger_is_told_so_unless_there_is_a_fallback() {
    let (openssl, nginx) = (require_tool!("openssl"), require_tool!("nginx"));
    // The nodes outlive the routers of this test.
    let nodes = tempfile::tempdir().expect("a folder");
    let (setup, port) = passing(Router::setup());
    let node = TlsNode::start(&nginx, nodes.path(), "one.test", "", "");
    let s_client = |port: &Port, name: &[&str]| {
        let mut command = Command::new(&openssl);
        command.args(["s_client", "-connect", &port.1.to_string()]).args(name);
        let finished = tools::run(&mut command);
        finished.stdout + &finished.stderr
    };
    let router = setup.route(node.route("one.test")).start();
    for name in [&["-noservername"][..], &["-servername", "stranger.test"]] {
        let transcript = s_client(&port, name);
        assert!(transcript.contains("unrecognized name"), "{transcript}");
    }
    assert_eq!(rejects(&router, "no_name"), 1.0);
    let unknown = [("reason", "unknown_key")];
    assert_eq!(router.metrics().sum("suzerain_requests_unrouted_total", &unknown), 1.0);
    let mut client = Client::connect(port.1);
    client.send(HELLO);
    assert_eq!(client.read_to_end().expect("an alert"), UNRECOGNIZED_NAME);
    eventually_true("the log names whom", SOON, || {
        router.access_log().contains("host=\"app.example\"")
    });
    drop(router);

    let (setup, port) = passing(Router::setup());
    let setup = setup.route(node.route("one.test")).args(["--fallback-key", "one.test"]);
    let _router = setup.start();
    for name in [&["-noservername"][..], &["-servername", "stranger.test"]] {
        let transcript = s_client(&port, name);
        assert!(transcript.contains("one.test"), "{transcript}");
    }
}

#[test]
fn what_is_not_tls_or_malformed_is_closed_and_counted() {
    let (setup, port) = passing(Router::setup());
    let router = setup.start();
    let mut client = Client::connect(port.1);
    client.send("GET / HTTP/1.1\r\n\r\n");
    client.expect_closed();
    assert_eq!(rejects(&router, "not_tls"), 1.0);
    let mut twice = HELLO.to_vec();
    let at = twice.windows(11).position(|part| part == b"app.example").expect("the name");
    twice[at - 3] = 1;
    let long = [&[22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff][..], &[0; 100]].concat();
    for (bytes, reason) in [(&twice, "malformed"), (&long, "long")] {
        let mut client = Client::connect(port.1);
        client.send(bytes);
        assert_eq!(client.read_to_end().expect("an alert"), DECODE_ERROR);
        assert_eq!(rejects(&router, reason), 1.0, "{reason}");
    }
    let mut client = Client::connect(port.1);
    client.send(&HELLO[..50]);
    client.half_close();
    client.expect_closed();
    assert_eq!(rejects(&router, "cut"), 1.0);
    eventually_true("all four have a line", SOON, || {
        router.access_log().matches("term=CH").count() == 4
    });
}

#[test]
fn a_hello_that_does_not_come_is_not_waited_for() {
    let (setup, port) = passing(Router::setup());
    let router = setup.config("[timeouts]\nhead = \"1s\"\n").start();
    let mut client = Client::connect(port.1);
    client.send(&HELLO[..50]);
    client.expect_closed();
    assert_eq!(rejects(&router, "timeout"), 1.0);
    eventually_true("the log says so", SOON, || router.access_log().contains("term=cH"));
}

#[test]
fn requests_never_reach_a_node_of_tls_nor_tls_one_of_requests() {
    let curl_program = require_tool!("curl");
    let nginx = require_tool!("nginx");
    let origin = Origin::echo();
    let (setup, port) = passing(Router::setup());
    let raw = RawNode::start(|_stream| {});
    let node = TlsNode::start(&nginx, setup.folder(), "both.test", "", "");
    let setup = setup.route(format!("only.test={},proto=tls", raw.address()));
    let setup = setup.route(origin.route("web.test"));
    let router = setup.route(origin.route("both.test")).route(node.route("both.test")).start();
    assert_eq!(get(router.http(), "only.test", "/").status, 503);
    assert_eq!(https(&curl_program, &port, "web.test", &[]).exit, 35, "an alert");
    assert_eq!((raw.accepted(), origin.seen().len()), (0, 0));
    // A key with both serves both, each by its own.
    for _ in 0..4 {
        assert_eq!(get(router.http(), "both.test", "/").status, 200);
        assert_eq!(https(&curl_program, &port, "both.test", &[]).status, 200);
    }
    assert_eq!(origin.seen().len(), 4);
    let missing = [("reason", "no_node")];
    assert_eq!(router.metrics().sum("suzerain_requests_unrouted_total", &missing), 2.0);
}

#[test]
fn real_uwsgi_with_an_https_socket_announces_itself() {
    let (curl_program, uwsgi) = (require_tool!("curl"), require_tool!("uwsgi"));
    let (setup, port) = passing(Router::setup().subscribe(Subscribe::Udp));
    let router = setup.start();
    let folder = router.folder();
    let pair = certs::leaf(folder, "app.test");
    let at = Port::reserve();
    let https_socket = format!("{},{},{}", at.1, pair.crt.display(), pair.key.display());
    let reuse = ["--reuse-port", "--https-socket", &https_socket];
    let _vassal = vassal("secure").args(reuse).start(&uwsgi, folder);
    at.wait();
    let mut command = Command::new(BINARY);
    command.args(["announce", "--server", &router.subscribe_text(), "--key", "app.test"]);
    command.args(["--proto", "tls", "--address", &at.1.to_string()]);
    let _announcer = Process::start(&mut command, folder, "announce", Signal::SIGTERM);
    router.wait_for_nodes("app.test", 1);
    assert_eq!(router.nodes("app.test")[0]["proto"], "t", "uWSGI shows one letter");
    let answer = https(&curl_program, &port, "app.test", &[]);
    assert_eq!((answer.status, answer.exit), (200, 0), "{answer:?}");
    assert!(answer.body.contains("secure"), "{answer:?}");
}

#[test]
fn a_node_that_refuses_is_passed_over_and_one_that_dies_ends_its_clients() {
    let (curl_program, nginx) = (require_tool!("curl"), require_tool!("nginx"));
    // The nodes outlive the routers of this test.
    let nodes = tempfile::tempdir().expect("a folder");
    let (setup, port) = passing(Router::setup());
    let node = TlsNode::start(&nginx, nodes.path(), "one.test", "", "");
    let gone = setup.folder().join("gone.sock");
    let setup = setup.route(format!("one.test={},proto=tls", gone.display()));
    let router = setup.route(node.route("one.test")).start();
    for _ in 0..3 {
        assert_eq!(https(&curl_program, &port, "one.test", &[]).status, 200);
    }
    assert!(router.metrics().sum("suzerain_upstream_connect_failures_total", &[]) >= 1.0);
    let mut hello = HELLO.to_vec();
    let at = hello.windows(11).position(|part| part == b"app.example").expect("the name");
    hello[at..at + 11].copy_from_slice(b"app.one.tst");
    drop(router);
    let (setup, port) = passing(Router::setup());
    let router = setup.route(node.route("app.one.tst")).start();
    let mut client = Client::connect(port.1);
    client.send(&hello);
    client.take(100).expect("the node answers the hello");
    node.process.signal(Signal::SIGKILL);
    client.read_to_end().expect("the end");
    drop(client);
    eventually_true("the connection has ended", SOON, || !router.access_log().is_empty());
    let mut client = Client::connect(port.1);
    client.send(&hello);
    let alert = client.read_to_end().expect("an alert");
    assert_eq!(alert, [21, 3, 3, 0, 2, 2, 80], "internal error");
    eventually_true("and a line", SOON, || router.access_log().contains("term=UC"));
}

#[test]
fn clients_are_told_to_the_node_in_a_proxy_preface() {
    let (curl_program, nginx) = (require_tool!("curl"), require_tool!("nginx"));
    let (setup, port) = passing(Router::setup());
    let node = TlsNode::start(&nginx, setup.folder(), "one.test", "proxy_protocol", "");
    let route = node.route("one.test") + ",send-proxy=v2";
    let _router = setup.route(route).args(["--proxy-protocol", "127.0.0.9"]).start();
    let answer = https(&curl_program, &port, "one.test", &["--interface", "127.0.0.5"]);
    assert!(answer.body.contains(" 127.0.0.5:"), "{answer:?}");
    let from_proxy = ["--interface", "127.0.0.9", "--haproxy-protocol"];
    let answer = https(&curl_program, &port, "one.test", &from_proxy);
    assert!(answer.body.contains(" 127.0.0.9:"), "{answer:?}");
}

#[test]
fn a_full_node_is_waited_for() {
    let node = RawNode::start(|mut stream| {
        let mut byte = [0; 512];
        let _ = stream.read(&mut byte);
        let _ = stream.write_all(b"hello");
        let _ = stream.read(&mut byte);
    });
    let (setup, port) = passing(Router::setup());
    let setup = setup.route(format!("app.example={},proto=tls", node.address()));
    let router = setup.args(["--node-connections-max", "1"]).start();
    let mut first = Client::connect(port.1);
    first.send(HELLO);
    assert_eq!(first.take(5).expect("the node's"), b"hello");
    let mut second = Client::connect(port.1);
    second.send(HELLO);
    eventually_true("the second one waits", SOON, || {
        router.metrics().sum("suzerain_queue_waits_total", &[]) == 1.0
    });
    assert_eq!(node.accepted(), 1);
    drop(first);
    assert_eq!(second.take(5).expect("the node's"), b"hello");
}

#[test]
fn its_listeners_are_no_upstreams() {
    let (setup, port) = passing(Router::setup().subscribe(Subscribe::Udp));
    let raw = Port::reserve();
    let router = setup.args(["--tcp", &format!("{}=a.test", raw.1)]).start();
    for address in [port.1, raw.1] {
        let fields = [("key", "loop.test"), ("address", &*address.to_string()), ("proto", "tls")];
        datagram::send(router.subscribe(), &datagram::plain(0, &fields));
    }
    let refused = [("reason", "address_refused")];
    eventually_true("both are refused", SOON, || {
        router.metrics().sum("suzerain_subscription_rejects_total", &refused) == 2.0
    });
}

/// Goal: memory does not grow with what passes. Method: a few hundred megabytes each way through
/// real TLS, `SUZERAIN_TEST_RELAY_MB` for more.
#[test]
fn big_bodies_pass_both_ways_with_memory_flat() {
    let (curl_program, nginx) = (require_tool!("curl"), require_tool!("nginx"));
    let (setup, port) = passing(Router::setup());
    let bytes = super::raw_tcp::relay_bytes();
    let file = std::fs::File::create(setup.folder().join("big")).expect("a file");
    file.set_len(bytes).expect("a sparse file");
    let big = setup.folder().join("big");
    let rest =
        format!("root {};\nlocation = /in {{ return 200 taken; }}", setup.folder().display());
    let node = TlsNode::start(&nginx, setup.folder(), "one.test", "", &rest);
    let router = setup.route(node.route("one.test")).start();
    assert_eq!(https(&curl_program, &port, "one.test", &[]).status, 200);
    let before = router.process.resident_kib();
    let url = |target: &str| format!("https://one.test:{}/{target}", port.1.port());
    let down = https(&curl_program, &port, "one.test", &["-o", "/dev/null", &url("big")]);
    assert_eq!((down.status, down.exit), (200, 0), "{down:?}");
    let up = ["-H", "Expect:", "-T", utf8(&big), &url("in")];
    let up = https(&curl_program, &port, "one.test", &up);
    assert_eq!((up.status, up.exit), (200, 0), "{up:?}");
    let after = router.process.resident_kib();
    assert!(after < before + 8192, "{before} KiB before, {after} KiB after");
    eventually_true("all of it is counted", Duration::from_secs(5), || {
        let metrics = router.metrics();
        metrics.sum("suzerain_response_bytes_total", &[]) > bytes as f64
            && metrics.sum("suzerain_request_bytes_total", &[]) > bytes as f64
    });
}
