//! What connections that rest cost, and that they are served when they wake.

use std::io::{Read, Write};
use std::net::TcpStream;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio_tungstenite::tungstenite::{Message, WebSocket};

use crate::harness::Router;
use crate::harness::client::READ_TIMEOUT;
use crate::harness::origin::{After, Origin};
use crate::websocket;

/// Kept connections, if this machine allows as many open files.
const CONNECTIONS: usize = 10_000;
/// WebSockets: each has a thread in the test's own server.
const WEBSOCKETS: usize = 1_000;
/// Files for all else.
const FILES_SPARED: u64 = 500;

/// Memory of a kept connection, in bytes.
const CONNECTION_BYTES_MAX: u64 = 1_536;
/// Memory of a WebSocket: both its connections, and a share of what a thousand have in common.
const WEBSOCKET_BYTES_MAX: u64 = 3_584;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: idle.test\r\n\r\n";

/// Allows this process and its children as many files as it may; says how many.
pub fn allow_files() -> u64 {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("up to the hard limit");
    hard
}

/// So many connections.
fn connections() -> usize {
    CONNECTIONS.min(allow_files().saturating_sub(FILES_SPARED) as usize)
}

fn router(route: String) -> Router {
    let most = (2 * CONNECTIONS).to_string();
    Router::setup().workers(1).route(route).args(["--connections-max", &most]).start()
}

fn dial(router: &Router) -> TcpStream {
    let stream = TcpStream::connect(router.http()).expect("the router listens");
    stream.set_read_timeout(Some(READ_TIMEOUT)).expect("a timeout");
    stream
}

fn ask(stream: &mut TcpStream) {
    stream.write_all(REQUEST).expect("it is sent");
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok") {
        let mut piece = [0; 1024];
        let count = stream.read(&mut piece).expect("an answer");
        assert!(count > 0, "closed within {:?}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&piece[..count]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{:?}", String::from_utf8_lossy(&answer));
}

/// Bytes that each of `count` costs a router that had `before` KiB.
fn bytes_each(router: &Router, before: u64, count: usize) -> u64 {
    (router.process.resident_kib() - before) * 1024 / count as u64
}

/// Each is served three times: at first, when it was silent, and soon after, for which it waits in
/// another way.
#[test]
fn ten_thousand_connections_that_rest_cost_little_and_are_served_again() {
    let count = connections();
    let origin = Origin::start(|exchange| {
        exchange.read_body()?;
        exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        Ok(After::KeepOpen)
    });
    let router = router(origin.route("idle.test"));
    ask(&mut dial(&router));
    let before = router.process.resident_kib();
    // One after the other: those that have not asked yet are bounded in number.
    let served = || {
        let mut stream = dial(&router);
        ask(&mut stream);
        stream
    };
    let mut streams: Vec<_> = (0..count).map(|_| served()).collect();
    let each = bytes_each(&router, before, count);
    for _ in 0..2 {
        streams.iter_mut().for_each(ask);
    }
    assert!(each <= CONNECTION_BYTES_MAX, "{each} bytes for each of {count} connections");
}

#[test]
fn a_thousand_websockets_that_rest_cost_little_and_go_on() {
    connections();
    let router = router(format!("idle.test={},proto=http", websocket::echo_server()));
    let open = || websocket::open(dial(&router), "ws", "idle.test");
    let say = |socket: &mut WebSocket<TcpStream>| {
        websocket::exchange(socket, Message::text("and back"));
    };
    say(&mut open());
    let before = router.process.resident_kib();
    let mut sockets: Vec<_> = (0..WEBSOCKETS).map(|_| open()).collect();
    sockets.iter_mut().for_each(say);
    let each = bytes_each(&router, before, WEBSOCKETS);
    for _ in 0..2 {
        sockets.iter_mut().for_each(say);
    }
    assert!(each <= WEBSOCKET_BYTES_MAX, "{each} bytes for each of {WEBSOCKETS} WebSockets");
}
