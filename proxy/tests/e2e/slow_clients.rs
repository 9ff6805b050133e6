//! Clients that are slow on purpose: bounded in number and memory, and nobody else's problem.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::wait::{SOON, eventually_true};
use crate::harness::{After, Client, Origin, Router, get, require_tool};

/// Memory a router may gain in any of these floods.
const GROWTH_BYTES_MAX: f64 = 48.0 * 1024.0 * 1024.0;
/// Longest another client may wait meanwhile, on a loaded machine.
const OTHERS_WAIT_MAX: Duration = Duration::from_secs(3);

/// Runs slowhttptest for a few seconds against a router whose other clients must not notice.
fn flood(router: &Router, slowhttptest: &std::path::Path, target: &str, arguments: &[&str]) {
    let resident = || router.metrics().sum("process_resident_memory_bytes", &[]);
    let before = resident();
    let mut command = Command::new(slowhttptest);
    command.args(arguments).args(["-u", &format!("http://{}{target}", router.http())]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).current_dir(router.folder());
    let mut child = command.spawn().expect("slowhttptest starts");
    let start = Instant::now();
    let mut asked = 0;
    while child.try_wait().expect("a child").is_none() && start.elapsed() < Duration::from_secs(20)
    {
        let since = Instant::now();
        assert_eq!(get(router.http(), "site.test", "/other").status, 200);
        assert!(since.elapsed() < OTHERS_WAIT_MAX, "others wait {:?}", since.elapsed());
        asked += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
    assert!(asked >= 10, "only {asked} other requests in {:?}", start.elapsed());
    let growth = resident() - before;
    assert!(growth < GROWTH_BYTES_MAX, "{growth} bytes more");
}

fn ends(router: &Router, phase: &str) -> f64 {
    let labels = [("side", "client_deadline"), ("phase", phase)];
    router.metrics().sum("suzerain_exchange_ends_total", &labels)
}

/// Goal: unfinished heads never exceed their bound. Method: 400 of them against room for 40; their
/// own deadline is far away.
#[test]
fn slow_heads_are_bounded_in_number() {
    let slowhttptest = require_tool!("slowhttptest");
    let origin = Origin::echo();
    let router = Router::setup()
        .route(origin.route("site.test"))
        .config("heads-max = 40\n[timeouts]\nhead = \"60s\"\n")
        .start();
    let arguments = ["-H", "-c", "400", "-r", "200", "-i", "1", "-l", "5", "-x", "24", "-p", "2"];
    flood(&router, &slowhttptest, "/", &arguments);
    let metrics = router.metrics();
    let ended = metrics.sum("suzerain_slow_clients_ended_total", &[("reason", "head")]);
    assert!(ended >= 300.0, "{ended} ended");
    eventually_true("they are gone", SOON, || {
        router.metrics().sum("suzerain_connections_open", &[]) < 10.0
    });
}

#[test]
fn silent_connections_count_as_unfinished_heads() {
    let origin = Origin::echo();
    let router = Router::setup()
        .route(origin.route("site.test"))
        .config("heads-max = 4\n[timeouts]\nhead = \"60s\"\n")
        .workers(1)
        .start();
    let mut silent: Vec<_> = (0..12).map(|_| Client::connect(router.http())).collect();
    for client in &mut silent[..8] {
        client.expect_closed();
    }
    // One that is served and then idle is not among them, however many come after it.
    let mut kept = silent.pop().expect("one of twelve");
    kept.send("GET / HTTP/1.1\r\nHost: site.test\r\n\r\n");
    assert_eq!(kept.response().status, 200);
    let _more: Vec<_> = (0..8).map(|_| Client::connect(router.http())).collect();
    eventually_true("the silent ones are ended", SOON, || {
        let reason = [("reason", "head")];
        router.metrics().sum("suzerain_slow_clients_ended_total", &reason) >= 15.0
    });
    kept.send("GET / HTTP/1.1\r\nHost: site.test\r\n\r\n");
    assert_eq!(kept.response().status, 200);
}

#[test]
fn slow_bodies_end_with_their_deadline() {
    let slowhttptest = require_tool!("slowhttptest");
    let origin = Origin::echo();
    let router = Router::setup()
        .route(origin.route("site.test"))
        .config("fallback-key = \"site.test\"\n[timeouts]\nbody-idle = \"1s\"\n")
        .start();
    let arguments =
        ["-B", "-c", "200", "-r", "100", "-i", "3", "-l", "5", "-s", "8192", "-x", "10", "-p", "2"];
    flood(&router, &slowhttptest, "/", &arguments);
    assert!(ends(&router, "request_body") >= 150.0, "{}", ends(&router, "request_body"));
}

#[test]
fn a_body_that_trickles_is_ended_though_each_byte_is_in_time() {
    let origin = Origin::start(|exchange| {
        exchange.read_body()?;
        Ok(After::Close)
    });
    let router = Router::with_route(origin.route("site.test"));
    let mut client = Client::connect(router.http());
    client.send("POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: 100000\r\n\r\n");
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(14) && client.try_send("y").is_ok() {
        std::thread::sleep(Duration::from_millis(250));
        let reason = [("reason", "body_rate")];
        if router.metrics().sum("suzerain_slow_clients_ended_total", &reason) > 0.0 {
            break;
        }
    }
    assert_eq!(client.response().status, 408);
    assert!(start.elapsed() > Duration::from_secs(9), "{:?}", start.elapsed());
}

#[test]
fn slow_readers_end_with_their_deadline() {
    let slowhttptest = require_tool!("slowhttptest");
    let origin = Origin::start(|exchange| {
        if exchange.request.target() == "/other" {
            exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
            return Ok(After::KeepOpen);
        }
        let body = vec![b'x'; 8 * 1024 * 1024];
        exchange.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()))?;
        exchange.write(body)?;
        Ok(After::KeepOpen)
    });
    let router = Router::setup()
        .route(origin.route("site.test"))
        .config("fallback-key = \"site.test\"\n[timeouts]\nwrite-stall = \"1s\"\n")
        .start();
    let arguments = [
        "-X", "-c", "60", "-r", "60", "-l", "6", "-w", "256", "-y", "512", "-n", "2", "-z", "8",
        "-k", "1", "-p", "2",
    ];
    flood(&router, &slowhttptest, "/large", &arguments);
    assert!(ends(&router, "response_body") >= 30.0, "{}", ends(&router, "response_body"));
}
