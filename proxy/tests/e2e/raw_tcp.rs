//! Raw TCP: one listener, one key, bytes as they come, whoever speaks first.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::certs::utf8;
use crate::harness::port::Port;
use crate::harness::process::Process;
use crate::harness::raw_node::RawNode;
use crate::harness::router::{Setup, Subscribe, suzerain};
use crate::harness::tools;
use crate::harness::vassal::vassal;
use crate::harness::wait::{SOON, eventually_true};
use crate::harness::{Client, Router, get, require_tool};

/// Bytes that pass each way in the tests of memory.
pub fn relay_bytes() -> u64 {
    let given = std::env::var("SUZERAIN_TEST_RELAY_MB").ok().and_then(|text| text.parse().ok());
    given.unwrap_or(200) << 20
}

/// A router with a raw listener for `raw.test`.
fn raw(setup: Setup) -> (Setup, Port) {
    let port = Port::reserve();
    let value = format!("{}=raw.test", port.1);
    (setup.args(["--tcp", &value]), port)
}

fn route(node: &RawNode) -> String {
    format!("raw.test={},proto=tcp", node.address())
}

/// A mail server's first word and its answer to anything.
fn greeter(name: &'static str) -> RawNode {
    RawNode::start(move |mut stream| {
        let _ = stream.write_all(format!("220 {name} ESMTP\r\n").as_bytes());
        let mut line = [0; 64];
        while matches!(stream.read(&mut line), Ok(count) if count > 0) {
            let _ = stream.write_all(b"250 ok\r\n");
        }
    })
}

#[test]
fn a_server_that_speaks_first_is_heard_and_nodes_take_turns() {
    let nodes = [greeter("one"), greeter("two")];
    let (setup, port) = raw(Router::setup().workers(1));
    let router = setup.route(route(&nodes[0])).route(route(&nodes[1])).start();
    let mut greetings: Vec<_> = (0..4)
        .map(|_| {
            let mut client = Client::connect(port.1);
            let greeting = client.take(15).expect("a greeting");
            client.send("HELO me\r\n");
            assert_eq!(client.take(8).expect("an answer"), b"250 ok\r\n");
            String::from_utf8(greeting).expect("text")
        })
        .collect();
    greetings.sort();
    greetings.dedup();
    assert_eq!(greetings, ["220 one ESMTP\r\n", "220 two ESMTP\r\n"]);
    eventually_true("each has a line", SOON, || router.access_log().lines().count() == 4);
    for part in ["proto=TCP tls=0 status=0", "key=raw.test", "in=9 out=23"] {
        assert_eq!(router.access_log().matches(part).count(), 4, "{}", router.access_log());
    }
}

#[test]
fn real_redis_is_reached() {
    let (server, cli) = (require_tool!("redis-server"), require_tool!("redis-cli"));
    let (setup, port) = raw(Router::setup());
    let socket = setup.folder().join("redis.sock");
    let mut command = Command::new(server);
    command.args(["--port", "0", "--save", "", "--unixsocket", utf8(&socket)]);
    command.current_dir(setup.folder());
    let redis = Process::start(&mut command, setup.folder(), "redis", Signal::SIGTERM);
    eventually_true("redis listens", SOON, || socket.exists());
    let router = setup.route(format!("raw.test={},proto=tcp", socket.display())).start();
    let ask = |arguments: &[&str]| {
        let mut command = Command::new(&cli);
        command.args(["-h", "127.0.0.1", "-p", &port.1.port().to_string()]).args(arguments);
        tools::run(&mut command).stdout
    };
    assert_eq!(ask(&["SET", "colour", "green"]), "OK\n");
    assert_eq!(ask(&["GET", "colour"]), "green\n");
    // A connection at work ends with its node.
    let mut client = Client::connect(port.1);
    client.send("PING\r\n");
    assert_eq!(client.take(7).expect("an answer"), b"+PONG\r\n");
    redis.signal(Signal::SIGKILL);
    client.expect_closed();
    drop(client);
    eventually_true("three lines", SOON, || router.access_log().lines().count() == 3);
}

#[test]
fn a_half_close_is_passed_on_and_answered() {
    let node = RawNode::start(|mut stream| {
        let mut got = Vec::new();
        let _ = stream.read_to_end(&mut got);
        let _ = stream.write_all(format!("{} bytes", got.len()).as_bytes());
    });
    let (setup, port) = raw(Router::setup());
    let _router = setup.route(route(&node)).start();
    let mut client = Client::connect(port.1);
    client.send([7; 100_000]);
    client.half_close();
    assert_eq!(client.read_to_end().expect("an answer"), b"100000 bytes");
}

#[test]
fn silence_ends_a_connection_after_its_time() {
    let node = greeter("quiet");
    let (setup, port) = raw(Router::setup());
    let router = setup.route(route(&node)).config("[timeouts]\ntunnel = \"1s\"\n").start();
    let start = Instant::now();
    let mut client = Client::connect(port.1);
    client.take(17).expect("the greeting");
    client.expect_closed();
    // The clock of deadlines is coarse.
    assert!((700..8000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    eventually_true("the log says so", SOON, || router.access_log().contains("term=cT"));
}

#[test]
fn nodes_that_refuse_are_passed_over_and_none_is_a_close() {
    let node = greeter("one");
    let (setup, port) = raw(Router::setup());
    let gone = Port::reserve();
    let setup = setup.route(format!("raw.test={},proto=tcp", gone.1));
    let router = setup.route(route(&node)).start();
    for _ in 0..4 {
        assert_eq!(Client::connect(port.1).take(7).expect("a greeting"), b"220 one");
    }
    let metrics = router.metrics();
    assert!(metrics.sum("suzerain_upstream_connect_failures_total", &[]) >= 1.0);
    assert!(metrics.sum("suzerain_upstream_retries_total", &[]) >= 1.0);
    drop(router);

    let (setup, port) = raw(Router::setup());
    let router = setup.route(format!("raw.test={},proto=tcp", gone.1)).start();
    Client::connect(port.1).expect_closed();
    eventually_true("the log says why", SOON, || router.access_log().contains("term=UC"));
}

#[test]
fn the_node_is_told_the_client_before_a_byte_of_it() {
    let node = RawNode::start(|mut stream| {
        let mut preface = [0; 28];
        let _ = stream.read_exact(&mut preface);
        let _ = stream.write_all(&preface);
    });
    let (setup, port) = raw(Router::setup());
    let _router = setup.route(route(&node) + ",send-proxy=v2").start();
    let mut stream = TcpStream::connect(port.1).expect("connect");
    let me = stream.local_addr().expect("an address").port().to_be_bytes();
    stream.set_read_timeout(Some(SOON)).expect("a deadline");
    let mut preface = Vec::new();
    stream.read_to_end(&mut preface).expect("what the node was told");
    assert!(preface.starts_with(b"\r\n\r\n\0\r\nQUIT\n\x21\x11"), "{preface:?}");
    assert_eq!(preface[16..26], [127, 0, 0, 1, 127, 0, 0, 1, me[0], me[1]], "{preface:?}");
}

/// uWSGI's rawrouter is subscribed to by its address, and no protocol can be said.
#[test]
fn real_uwsgi_announces_the_address_of_the_listener() {
    let uwsgi = require_tool!("uwsgi");
    let port = Port::reserve();
    let address = port.1.to_string();
    let router = Router::setup().subscribe(Subscribe::Udp).args(["--tcp", &address]).start();
    let at = Port::reserve();
    let http = ["--reuse-port", "--http-socket", &at.1.to_string()];
    let server = router.subscribe_text();
    let claim = format!("server={server},key={address},addr={}", at.1);
    let _vassal = vassal("raw").args(http).subscribe2(claim).start(&uwsgi, router.folder());
    router.wait_for_nodes(&address, 1);
    let answer = get(port.1, "whatever.test", "/");
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("raw"), "{}", answer.text());
    // And is safe from requests that name it.
    assert_eq!(get(router.http(), &address, "/").status, 503);
}

#[test]
fn an_address_that_is_no_key_needs_one() {
    let folder = tempfile::tempdir().expect("a folder");
    for (value, why) in [
        (":2525", "this address is no key: one after = is needed"),
        ("/run/a.sock", "no key"),
        ("127.0.0.1:0", "no key"),
        ("127.0.0.1:2525=", "the key"),
    ] {
        let finished = suzerain(folder.path(), &["run", "--tcp", value]);
        assert_ne!(finished.code, Some(0), "{value}");
        assert!(finished.stderr.contains(why), "{value}: {}", finished.stderr);
    }
    let taken = ["run", "--tcp", "127.0.0.1:2525=a", "--http", "127.0.0.1:2525"];
    let finished = suzerain(folder.path(), &taken);
    assert!(finished.stderr.contains("127.0.0.1:2525"), "{}", finished.stderr);
    assert_ne!(finished.code, Some(0));
}

/// Goal: memory does not grow with what passes, however slow a side is at first.
#[test]
fn streams_pass_both_ways_with_memory_flat() {
    let bytes = relay_bytes();
    let node = RawNode::start(move |mut stream| {
        let mut writer = stream.try_clone().expect("a second handle");
        let writing = std::thread::spawn(move || {
            let chunk = vec![7; 1 << 16];
            for _ in 0..bytes >> 16 {
                if writer.write_all(&chunk).is_err() {
                    break;
                }
            }
            let _ = writer.shutdown(Shutdown::Write);
        });
        // Nothing is read for a while, so that somebody has to hold back.
        std::thread::sleep(Duration::from_millis(300));
        let got = std::io::copy(&mut stream, &mut std::io::sink()).expect("all of it");
        assert_eq!(got, bytes);
        writing.join().expect("it wrote");
    });
    let (setup, port) = raw(Router::setup());
    let router = setup.route(route(&node)).start();
    let before = router.process.resident_kib();
    let mut client = TcpStream::connect(port.1).expect("connect");
    client.set_read_timeout(Some(SOON)).expect("a deadline");
    let mut writer = client.try_clone().expect("a second handle");
    let writing = std::thread::spawn(move || {
        let chunk = vec![9; 1 << 16];
        for _ in 0..bytes >> 16 {
            writer.write_all(&chunk).expect("the router takes it");
        }
        writer.shutdown(Shutdown::Write).expect("half-closed");
    });
    let got = std::io::copy(&mut client, &mut std::io::sink()).expect("all of it");
    assert_eq!(got, bytes);
    writing.join().expect("it wrote");
    let after = router.process.resident_kib();
    assert!(after < before + 8192, "{before} KiB before, {after} KiB after");
    eventually_true("the end was clean", SOON, || router.access_log().contains("term=--"));
    let counted = router.metrics().sum("suzerain_request_bytes_total", &[]);
    assert!(counted >= bytes as f64, "{counted}");
}
