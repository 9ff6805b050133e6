//! Nodes that refuse, stall or are not there, and requests that run into a limit.

use std::time::{Duration, Instant};

use crate::harness::origin::{Blackhole, Refusing};
use crate::harness::{After, Client, Origin, Router, get};

/// Timeouts short enough to test and long enough for a busy machine.
const SHORT: &str = "[timeouts]\nhead = \"1s\"\nbody-idle = \"1s\"\nconnect = \"500ms\"\n\
                     first-byte = \"1s\"\nresponse-idle = \"1s\"\nkeepalive = \"1s\"\n";

fn http_route(key: &str, address: std::net::SocketAddr) -> String {
    format!("{key}={address},proto=http")
}

#[test]
fn a_node_that_refuses_is_passed_over() {
    let (refusing, origin) = (Refusing::start(), Origin::echo());
    let router = Router::setup()
        .route(http_route("site.test", refusing.address()))
        .route(origin.route("site.test"))
        .start();
    for number in 0..20 {
        let response = get(router.http(), "site.test", &format!("/{number}"));
        assert_eq!(response.status, 200, "request {number}");
    }
    let metrics = router.metrics();
    let failures = metrics.sum("suzerain_upstream_connect_failures_total", &[]);
    assert!((1.0..=4.0).contains(&failures), "the node cools: {failures} failures in 20 requests");
}

#[test]
fn a_body_survives_the_change_of_node() {
    let (refusing, origin) = (Refusing::start(), Origin::echo());
    let router = Router::setup()
        .route(http_route("site.test", refusing.address()))
        .route(origin.route("site.test"))
        .start();
    for _ in 0..4 {
        let mut client = Client::connect(router.http());
        client.send("POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: 4\r\n\r\nbody");
        assert_eq!(client.response().text(), "POST / HTTP/1.1 body=body");
    }
}

#[test]
fn when_every_node_refuses_the_client_is_told() {
    let (one, other) = (Refusing::start(), Refusing::start());
    let router = Router::setup()
        .route(http_route("site.test", one.address()))
        .route(http_route("site.test", other.address()))
        .start();
    for _ in 0..5 {
        let response = get(router.http(), "site.test", "/");
        assert!(matches!(response.status, 502 | 503), "{}", response.head);
        assert!(!response.body.is_empty());
    }
}

#[test]
fn a_node_that_never_completes_the_connect_is_a_504() {
    let hole = Blackhole::start();
    let router =
        Router::setup().route(http_route("site.test", hole.address())).config(SHORT).start();
    let start = Instant::now();
    let response = get(router.http(), "site.test", "/");
    assert_eq!(response.status, 504, "{}", response.head);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn a_slow_connect_does_not_stop_the_next_node() {
    let (hole, origin) = (Blackhole::start(), Origin::echo());
    let router = Router::setup()
        .route(http_route("site.test", hole.address()))
        .route(origin.route("site.test"))
        .config(SHORT)
        .start();
    for _ in 0..4 {
        assert_eq!(get(router.http(), "site.test", "/").status, 200);
    }
}

#[test]
fn a_node_that_never_answers_is_a_504() {
    let origin = Origin::start(|exchange| {
        while exchange.read_some()? > 0 {}
        Ok(After::Close)
    });
    let router = Router::setup().route(origin.route("site.test")).config(SHORT).start();
    let start = Instant::now();
    assert_eq!(get(router.http(), "site.test", "/").status, 504);
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(900) && took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_response_that_stalls_is_cut() {
    let origin = Origin::start(|exchange| {
        exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")?;
        while exchange.read_some()? > 0 {}
        Ok(After::Close)
    });
    let router = Router::setup().route(origin.route("site.test")).config(SHORT).start();
    let mut client = Client::connect(router.http());
    client.send("GET / HTTP/1.1\r\nHost: site.test\r\n\r\n");
    assert_eq!(client.try_head().expect("a head").status, 200);
    let rest = client.read_to_end().unwrap_or_default();
    assert!(rest.len() <= 4, "{rest:?}");
}

#[test]
fn an_unknown_key_is_a_404_and_keeps_the_connection() {
    let origin = Origin::echo();
    let router = Router::with_route(origin.route("site.test"));
    let mut client = Client::connect(router.http());
    client.send("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n");
    let response = client.response();
    assert_eq!(response.status, 404);
    assert!(!response.body.is_empty());
    client.send("GET / HTTP/1.1\r\nHost: site.test\r\n\r\n");
    assert_eq!(client.response().status, 200);
}

#[test]
fn keys_match_whatever_the_case_the_dot_and_the_port() {
    let (plain, ported) = (Origin::echo(), Origin::echo());
    let router = Router::setup()
        .route(plain.route("site.test"))
        .route(ported.route("site.test:8443"))
        .start();
    for host in ["SITE.test", "site.test.", "site.test:80", "Site.Test.:1234"] {
        assert_eq!(get(router.http(), host, "/").status, 200, "{host}");
    }
    assert_eq!((plain.seen().len(), ported.seen().len()), (4, 0));
    assert_eq!(get(router.http(), "site.test:8443", "/").status, 200);
    assert_eq!(ported.seen().len(), 1, "the key with the port goes first");
}

#[test]
fn dotsplit_finds_the_wildcard_and_not_the_apex() {
    let (wild, exact) = (Origin::echo(), Origin::echo());
    let router = Router::setup()
        .route(wild.route(".site.test"))
        .route(exact.route("one.site.test"))
        .args(["--dotsplit"])
        .start();
    assert_eq!(get(router.http(), "two.site.test", "/").status, 200);
    assert_eq!(get(router.http(), "one.site.test", "/").status, 200);
    assert_eq!(get(router.http(), "site.test", "/").status, 404);
    assert_eq!((wild.seen().len(), exact.seen().len()), (1, 1));
}

#[test]
fn a_head_that_dribbles_is_a_408() {
    let router = Router::setup().route("site.test=127.0.0.1:9").config(SHORT).start();
    let mut client = Client::connect(router.http());
    let start = Instant::now();
    client.send("GET / HTTP/1.1\r\nHost: si");
    let response = client.response();
    assert_eq!(response.status, 408);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    client.expect_closed();
}

#[test]
fn a_head_that_keeps_dribbling_is_still_a_408() {
    // Each byte comes in time; the head as a whole does not.
    let router = Router::setup().route("site.test=127.0.0.1:9").config(SHORT).start();
    let mut client = Client::connect(router.http());
    let start = Instant::now();
    client.send("GET / HTTP/1.1\r\nX: ");
    while start.elapsed() < Duration::from_secs(3) && client.try_send("y").is_ok() {
        std::thread::sleep(Duration::from_millis(200));
        if start.elapsed() > Duration::from_millis(1500) {
            break;
        }
    }
    assert_eq!(client.response().status, 408);
}

#[test]
fn a_body_that_stalls_is_a_408() {
    let origin = Origin::echo();
    let router = Router::setup().route(origin.route("site.test")).config(SHORT).start();
    let mut client = Client::connect(router.http());
    client.send("POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: 10\r\n\r\nhalf");
    assert_eq!(client.response().status, 408);
    client.expect_closed();
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let origin = Origin::echo();
    let router = Router::setup().route(origin.route("site.test")).config(SHORT).start();
    let mut client = Client::connect(router.http());
    client.send("GET / HTTP/1.1\r\nHost: site.test\r\n\r\n");
    assert_eq!(client.response().status, 200);
    client.expect_closed();
}

#[test]
fn a_body_beyond_the_limit_is_a_413() {
    let origin = Origin::echo();
    let router = Router::setup()
        .route(origin.route("site.test"))
        .config("body-bytes-max = \"1KiB\"\n")
        .start();
    let mut client = Client::connect(router.http());
    client.send("POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: 1025\r\n\r\n");
    assert_eq!(client.response().status, 413);
    client.expect_closed();
    let mut client = Client::connect(router.http());
    client.send("POST / HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send(format!("401\r\n{}\r\n0\r\n\r\n", "x".repeat(1025)));
    assert_eq!(client.response().status, 413);
    client.expect_closed();
    let mut client = Client::connect(router.http());
    let body = "x".repeat(1024);
    client
        .send(format!("POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: 1024\r\n\r\n{body}"));
    assert_eq!(client.response().status, 200);
}

#[test]
fn a_node_is_used_again_after_it_comes_back() {
    // The node refuses first; then something listens on its address.
    let refusing = Refusing::start();
    let address = refusing.address();
    let router = Router::setup().route(http_route("site.test", address)).start();
    assert!(matches!(get(router.http(), "site.test", "/").status, 502 | 503));
    let origin = Origin::echo_at(refusing);
    // A node that cools is still tried when there is no other: the site is back at once.
    assert_eq!(get(router.http(), "site.test", "/").status, 200);
    drop(origin);
}
