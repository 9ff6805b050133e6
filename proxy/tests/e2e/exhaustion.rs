//! Resources that run out: new work is refused or waits, what is under way goes on, and when there is
//! room again everything works without a restart.

use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::harness::tools;
use crate::harness::uwsgi_origin::UwsgiOrigin;
use crate::harness::wait::{SOON, eventually, eventually_true};
use crate::harness::{Client, Origin, Router, get, require_tool};

/// Sets soft limits of a running router, in the words of prlimit: `nofile=64`.
#[track_caller]
pub fn limit(router: &Router, limit: &str) {
    let program = tools::find("prlimit").expect("prlimit is installed");
    let mut command = Command::new(program);
    // The colon keeps the hard limit, so that this one can be lifted again.
    command.args(["--pid", &router.process.pid().to_string(), &format!("--{limit}:")]);
    let finished = tools::run(&mut command);
    assert!(finished.stderr.is_empty(), "{}", finished.stderr);
}

/// A number out of a file of the router in `/proc`.
pub fn proc_number(router: &Router, file: &str, row: &str) -> u64 {
    let path = format!("/proc/{}/{file}", router.process.pid());
    let text = std::fs::read_to_string(path).expect("a process");
    let line = text.lines().find_map(|line| line.strip_prefix(row)).expect("a row");
    line.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number")
}

fn open_files(router: &Router) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", router.process.pid())).expect("a process").count()
}

/// An upload of which a half is sent.
fn half_an_upload(to: SocketAddr, host: &str) -> Client {
    let mut client = Client::connect(to);
    client.send(format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 8\r\n\r\nhalf"));
    client
}

/// Goal: with no descriptor left, connections wait in the kernel and nothing else happens to anybody.
#[test]
fn without_descriptors_connections_wait_and_are_served_when_there_are_some() {
    let _prlimit = require_tool!("prlimit");
    const SPARE: usize = 20;
    let origin = Origin::echo();
    let router = Router::setup().workers(1).route(origin.route("a.test")).start();
    let mut under_way = half_an_upload(router.http(), "a.test");
    eventually_true("the upload arrived", SOON, || origin.connections() == 1);
    let files = open_files(&router);
    limit(&router, &format!("nofile={}", files + SPARE));
    let idle: Vec<Client> = (0..2 * SPARE).map(|_| Client::connect(router.http())).collect();
    eventually_true("no descriptor is left", SOON, || open_files(&router) >= files + SPARE);
    let waiting: Vec<Client> = (0..SPARE)
        .map(|_| {
            let mut client = Client::connect(router.http());
            client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
            client
        })
        .collect();
    under_way.send("half");
    assert_eq!(under_way.response().status, 200, "what is under way goes on");
    drop(idle);
    // Each needs a second descriptor for the node, and not all may have one at once.
    let answers: Vec<u16> =
        waiting.into_iter().map(|mut client| client.response().status).collect();
    assert!(answers.iter().all(|status| [200, 503].contains(status)), "{answers:?}");
    assert!(answers.contains(&200), "{answers:?}");
    let failures = router.metrics().sum("suzerain_accept_failures_total", &[]);
    assert!(failures > 0.0, "{failures}");
    assert_eq!(get(router.http(), "a.test", "/").status, 200);
}

/// Goal: memory for request bodies is bounded, so that a router with room for its bounds never meets
/// the end of memory. Method: an address space that has that room and not much more, and three times
/// as many bodies as it holds. A cap below the bounds ends the process; no Rust program survives that.
#[test]
fn bodies_beyond_the_bound_of_memory_are_refused_and_the_cap_is_not_met() {
    let _prlimit = require_tool!("prlimit");
    const BODIES: usize = 192;
    const BOUND_BYTES: u64 = 64 << 20;
    let (held, plain) = (UwsgiOrigin::ok(), Origin::echo());
    let router = Router::setup()
        .workers(1)
        .route(format!("held.test={}", held.address()))
        .route(plain.route("plain.test"))
        .start();
    let mut under_way = half_an_upload(router.http(), "plain.test");
    eventually_true("the upload arrived", SOON, || plain.connections() == 1);
    // Buffers, stacks and what an allocator leaves between them.
    let cap = proc_number(&router, "status", "VmSize:") * 1024 + 2 * BOUND_BYTES;
    limit(&router, &format!("as={cap}"));

    // Chunked, so the node can be told a length only when the end has come.
    let chunk = [b"f0000\r\n".to_vec(), vec![b'x'; 0xf_0000], b"\r\n".to_vec()].concat();
    let mut bodies: Vec<Client> = Vec::new();
    for _ in 0..BODIES {
        let mut client = Client::connect(router.http());
        client.send("POST / HTTP/1.1\r\nHost: held.test\r\nTransfer-Encoding: chunked\r\n\r\n");
        // One that is refused may be closed before it has sent everything.
        let _ = client.try_send(&chunk);
        bodies.push(client);
    }
    under_way.send("half");
    assert_eq!(under_way.response().status, 200, "what is under way goes on");
    let (mut served, mut refused) = (0, 0);
    for mut client in bodies {
        let _ = client.try_send("0\r\n\r\n");
        match client.try_response("POST").map(|answer| answer.status) {
            Ok(200) => served += 1,
            Ok(503) => refused += 1,
            // Its answer was lost with the rest of what it sent.
            Err(_) => refused += 1,
            Ok(other) => panic!("{other}"),
        }
    }
    assert!(served >= 40 && refused >= 100, "{served} served, {refused} refused");
    assert_eq!(get(router.http(), "plain.test", "/").status, 200);
    assert_eq!(get(router.http(), "held.test", "/").status, 200);
}

/// Goal: logs that cannot grow cost their lines and nothing else. A limit of file size refuses
/// writes as a full disk does, and can be lifted.
#[test]
fn a_full_disk_costs_lines_of_the_log_and_no_request() {
    let _prlimit = require_tool!("prlimit");
    let origin = Origin::echo();
    let mut router = Router::setup().route(origin.route("a.test")).start();
    let address = router.http();
    let ask = |count: usize| {
        for _ in 0..count {
            assert_eq!(get(address, "a.test", "/").status, 200);
        }
    };
    let lost = || router.metrics().sum("suzerain_access_log_write_failures_total", &[]);
    ask(100);
    let length = || router.access_log().len();
    eventually_true("they are logged", SOON, || router.access_log().lines().count() == 100);
    assert!(router.process.stderr().len() < length(), "the limit is about the access log");
    limit(&router, &format!("fsize={}", length()));
    eventually("lines are lost", SOON, || {
        ask(10);
        (lost() > 0.0).then_some(())
    });
    let full = length();
    limit(&router, "fsize=unlimited");
    eventually("lines are written again", SOON, || {
        ask(10);
        (length() > full).then_some(())
    });
    let after = lost();
    ask(10);
    eventually_true("these are logged, too", SOON, || router.access_log().ends_with('\n'));
    assert_eq!(lost(), after);

    // The router's own lines, which a SIGHUP is sure to cause.
    limit(&router, &format!("fsize={}", router.process.stderr().len()));
    for _ in 0..3 {
        router.process.signal(Signal::SIGHUP);
        ask(5);
    }
    assert!(router.process.try_status().is_none(), "it runs still");
    limit(&router, "fsize=unlimited");
    let said = router.process.stderr().len();
    eventually("its lines are written again", SOON, || {
        router.process.signal(Signal::SIGHUP);
        ask(1);
        (router.process.stderr().len() > said).then_some(())
    });
}

/// Connections that are tried.
const ATTEMPTS: usize = 100_000;
/// Connections the router takes.
const CONNECTIONS_MAX: usize = 500;
/// Clients that try at once, each from addresses of its own.
const CLIENTS: usize = 4;

/// Goal: a flood of connections costs those that are there nothing.
#[test]
fn a_hundred_thousand_connections_are_refused_and_the_open_ones_are_served() {
    let origin = Origin::echo();
    let bound = format!("connections-max = {CONNECTIONS_MAX}\n");
    let router = Router::setup().route(origin.route("a.test")).config(bound).start();
    let address = router.http();
    let mut open = fill(&router);
    let refused = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let refused = &refused;
            scope.spawn(move || {
                for attempt in 0..ATTEMPTS / CLIENTS {
                    let source = Ipv4Addr::new(127, 0, 1 + client as u8, 1 + (attempt % 250) as u8);
                    if is_refused(source, address) {
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        // Meanwhile.
        for client in open.iter_mut().step_by(10) {
            assert_eq!(ask(client), 200);
        }
    });
    assert_eq!(refused.into_inner(), ATTEMPTS, "nobody is let in, nobody hangs");
    for client in &mut open {
        assert_eq!(ask(client), 200, "it is served still");
    }
    let counted = router.metrics().sum("suzerain_connections_refused_total", &[]);
    assert!(counted >= ATTEMPTS as f64, "{counted}");
    drop(open);
    eventually_true("there is room again", SOON, || {
        let mut client = Client::connect(address);
        let _ = client.try_send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        client.try_response("GET").is_ok_and(|answer| answer.status == 200)
    });
}

/// As many connections as the router takes, each with a request behind it. The kernel spreads them over
/// the workers, so one of these may be full before the other.
fn fill(router: &Router) -> Vec<Client> {
    let mut open = Vec::new();
    eventually("every worker is full", SOON, || {
        while open.len() < CONNECTIONS_MAX {
            let mut client = Client::connect(router.http());
            let sent = client.try_send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
            if sent.is_ok() && client.try_response("GET").is_ok_and(|answer| answer.status == 200) {
                open.push(client);
            }
        }
        Some(())
    });
    open
}

fn ask(client: &mut Client) -> u16 {
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    client.response().status
}

/// Connects from `source` and waits for the end.
fn is_refused(source: Ipv4Addr, to: SocketAddr) -> bool {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SockAddr::from(SocketAddr::from((source, 0)))).expect("bind");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    match socket.connect(&SockAddr::from(to)) {
        Ok(()) => {}
        Err(error) => return error.kind() == ErrorKind::ConnectionReset,
    }
    match TcpStream::from(socket).read(&mut [0]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}
