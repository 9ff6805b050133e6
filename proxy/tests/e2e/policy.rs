//! Rules of one key: `[key."NAME"]` tables of the configuration file.

use std::time::{Duration, Instant};

use crate::harness::origin::Blackhole;
use crate::harness::{After, Client, Origin, Router, get};

fn silent() -> Origin {
    Origin::start(|exchange| {
        while exchange.read_some()? > 0 {}
        Ok(After::Close)
    })
}

#[test]
fn a_key_with_a_shorter_first_byte_is_given_up_sooner() {
    let origin = silent();
    let router = Router::setup()
        .route(origin.route("quick.test"))
        .route(origin.route("patient.test"))
        .config(
            "[timeouts]\nfirst-byte = \"3s\"\n\
             [key.\"quick.test\".timeouts]\nfirst-byte = \"300ms\"\n",
        )
        .start();
    let start = Instant::now();
    let mut patient = Client::connect(router.http());
    patient.send("GET / HTTP/1.1\r\nHost: patient.test\r\n\r\n");
    assert_eq!(get(router.http(), "quick.test", "/").status, 504);
    let quick = start.elapsed();
    assert_eq!(patient.response().status, 504);
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(2900) && quick < took, "{quick:?} and {took:?}");
}

#[test]
fn a_key_has_its_own_connect_deadline() {
    let hole = Blackhole::start();
    let router = Router::setup()
        .route(format!("a.test={},proto=http", hole.address()))
        .config("[timeouts]\nconnect = \"1m\"\n[key.\"a.test\".timeouts]\nconnect = \"200ms\"\n")
        .start();
    let start = Instant::now();
    assert_eq!(get(router.http(), "a.test", "/").status, 504);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

/// The bound holds for stated lengths and for chunks, and only for its key; a wildcard's table is for
/// what the wildcard routes.
#[test]
fn a_key_has_its_own_largest_body() {
    let origin = Origin::echo();
    let router = Router::setup()
        .route(origin.route("small.test"))
        .route(origin.route(".wild.test"))
        .route(origin.route("own.wild.test"))
        .args(["--dotsplit"])
        .config(
            "body-bytes-max = 8\n[key.\"small.test\"]\nbody-bytes-max = 4\n\
             [key.\".wild.test\"]\nbody-bytes-max = \"none\"\n",
        )
        .start();
    for (host, bytes, status) in [
        ("small.test", 4, 200),
        ("small.test", 5, 413),
        ("a.wild.test", 5000, 200),
        ("own.wild.test", 8, 200),
        ("own.wild.test", 9, 413),
    ] {
        let body = "x".repeat(bytes);
        let mut stated = Client::connect(router.http());
        stated.send(format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: {bytes}\r\n\r\n"));
        let _ = stated.try_send(&body);
        assert_eq!(stated.response().status, status, "{host} {bytes}");
        let mut chunked = Client::connect(router.http());
        chunked
            .send(format!("POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n"));
        let _ = chunked.try_send(format!("{bytes:x}\r\n{body}\r\n0\r\n\r\n"));
        assert_eq!(chunked.response().status, status, "{host} {bytes} in chunks");
    }
}

#[test]
fn a_key_has_its_own_idle_time_between_requests() {
    let origin = Origin::echo();
    let router = Router::setup()
        .route(origin.route("brief.test"))
        .route(origin.route("long.test"))
        .config("[key.\"brief.test\".timeouts]\nkeepalive = \"300ms\"\n")
        .start();
    let mut long = Client::connect(router.http());
    long.send("GET / HTTP/1.1\r\nHost: long.test\r\n\r\n");
    assert_eq!(long.response().status, 200);
    let mut brief = Client::connect(router.http());
    brief.send("GET / HTTP/1.1\r\nHost: brief.test\r\n\r\n");
    assert_eq!(brief.response().status, 200);
    let start = Instant::now();
    brief.expect_closed();
    assert!(start.elapsed() >= Duration::from_millis(200), "{:?}", start.elapsed());
    long.send("GET / HTTP/1.1\r\nHost: long.test\r\n\r\n");
    assert_eq!(long.response().status, 200);
}
