//! HTTP/1 as clients speak it: keep-alive, pipelining, old versions, pools, early ends.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::harness::wait::eventually_true;
use crate::harness::{After, Client, Origin, Router, get};

const REQUEST: &str = "GET /a HTTP/1.1\r\nHost: site.test\r\n\r\n";

#[test]
fn a_client_connection_serves_many_requests() {
    let origin = Origin::echo();
    let router = Router::with_route(origin.route("site.test"));
    let mut client = Client::connect(router.http());
    for number in 0..20 {
        client.send(format!("GET /{number} HTTP/1.1\r\nHost: site.test\r\n\r\n"));
        let response = client.response();
        assert_eq!(response.status, 200);
        assert!(response.text().starts_with(&format!("GET /{number} ")), "{}", response.text());
        assert_ne!(response.field("connection"), Some("close"));
    }
}

#[test]
fn connection_close_is_honoured_and_answered() {
    let origin = Origin::echo();
    let router = Router::with_route(origin.route("site.test"));
    let mut client = Client::connect(router.http());
    client.send("GET / HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n");
    let response = client.response();
    assert_eq!(response.status, 200);
    assert_eq!(response.field("connection"), Some("close"));
    client.expect_closed();
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    // The first request is the slowest to answer: order must come from the router, not from luck.
    let origin = Origin::start(|exchange| {
        let target = exchange.request.target().to_owned();
        if target == "/0" {
            std::thread::sleep(Duration::from_millis(300));
        }
        let length = target.len();
        exchange.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{target}"))?;
        Ok(After::KeepOpen)
    });
    let router = Router::with_route(origin.route("site.test"));
    let mut client = Client::connect(router.http());
    let one = |number| format!("GET /{number} HTTP/1.1\r\nHost: site.test\r\n\r\n");
    client.send((0..8).map(one).collect::<String>());
    for number in 0..8 {
        assert_eq!(client.response().text(), format!("/{number}"));
    }
}

#[test]
fn pipelined_bodies_do_not_bleed_into_the_next_request() {
    let origin = Origin::echo();
    let router = Router::with_route(origin.route("site.test"));
    let mut client = Client::connect(router.http());
    client.send(
        "POST /1 HTTP/1.1\r\nHost: site.test\r\nContent-Length: 3\r\n\r\nabc\
         POST /2 HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n\
         2\r\nde\r\n1\r\nf\r\n0\r\n\r\n\
         GET /3 HTTP/1.1\r\nHost: site.test\r\n\r\n",
    );
    for expected in ["POST /1 HTTP/1.1 body=abc", "POST /2 HTTP/1.1 body=def"] {
        assert_eq!(client.response().text(), expected);
    }
    assert_eq!(client.response().text(), "GET /3 HTTP/1.1 body=");
}

#[test]
fn a_request_in_single_bytes_is_understood() {
    let origin = Origin::echo();
    let router = Router::with_route(origin.route("site.test"));
    let mut client = Client::connect(router.http());
    for byte in "POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: 2\r\n\r\nhi".bytes() {
        client.send([byte]);
    }
    assert_eq!(client.response().text(), "POST / HTTP/1.1 body=hi");
}

#[test]
fn http_1_0_clients_get_an_answer_they_understand() {
    // The origin answers in chunks; an HTTP/1.0 client must not see them.
    let origin = Origin::start(|exchange| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        exchange.write(format!("{head}5\r\nhello\r\n0\r\n\r\n"))?;
        Ok(After::KeepOpen)
    });
    let router = Router::with_route(origin.route("site.test"));
    let mut client = Client::connect(router.http());
    client.send("GET / HTTP/1.0\r\nHost: site.test\r\n\r\n");
    let response = client.response();
    assert_eq!((response.status, response.text().as_str()), (200, "hello"));
    assert!(!response.is_chunked(), "{}", response.head);
    client.expect_closed();
}

#[test]
fn http_1_0_keep_alive_works_when_asked_for() {
    let origin = Origin::echo();
    let router = Router::with_route(origin.route("site.test"));
    let mut client = Client::connect(router.http());
    for _ in 0..2 {
        client.send("GET / HTTP/1.0\r\nHost: site.test\r\nConnection: keep-alive\r\n\r\n");
        let response = client.response();
        assert_eq!(response.status, 200);
        let connection = response.field("connection").unwrap_or_default().to_ascii_lowercase();
        if connection != "keep-alive" {
            // Closing is allowed; claiming to stay open and closing is not.
            client.expect_closed();
            return;
        }
    }
}

#[test]
fn head_has_the_length_and_no_body() {
    let origin = Origin::echo();
    let router = Router::with_route(origin.route("site.test"));
    let mut client = Client::connect(router.http());
    client.send("HEAD /h HTTP/1.1\r\nHost: site.test\r\n\r\n");
    let response = client.response_to_head();
    assert_eq!(response.status, 200);
    assert_eq!(response.content_length(), Some("HEAD /h HTTP/1.1 body=".len()));
    client.send(REQUEST);
    assert_eq!(client.response().text(), "GET /a HTTP/1.1 body=");
}

#[test]
fn bodiless_statuses_leave_the_connection_usable() {
    for status in ["204 No Content", "304 Not Modified"] {
        let origin = Origin::start(move |exchange| {
            exchange.write(format!("HTTP/1.1 {status}\r\nETag: \"x\"\r\n\r\n"))?;
            Ok(After::KeepOpen)
        });
        let router = Router::with_route(origin.route("site.test"));
        let mut client = Client::connect(router.http());
        for _ in 0..2 {
            client.send(REQUEST);
            let response = client.response();
            assert!(status.starts_with(&response.status.to_string()), "{}", response.head);
            assert_eq!(response.field("etag"), Some("\"x\""));
        }
    }
}

#[test]
fn upstream_connections_are_reused() {
    let origin = Origin::echo();
    let router = Router::setup().route(origin.route("site.test")).workers(1).start();
    let mut client = Client::connect(router.http());
    for _ in 0..50 {
        client.send(REQUEST);
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(origin.connections(), 1, "one client, one worker: one upstream connection");
    for _ in 0..10 {
        assert_eq!(get(router.http(), "site.test", "/").status, 200);
    }
    assert_eq!(origin.connections(), 1, "the pool outlives the client connection");
}

#[test]
fn an_upstream_that_closes_idle_connections_costs_no_error() {
    // The origin closes after each response without saying so: the pooled connection is dead.
    let origin = Origin::raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let router = Router::setup().route(origin.route("site.test")).workers(1).start();
    let mut client = Client::connect(router.http());
    for _ in 0..30 {
        client.send(REQUEST);
        let response = client.response();
        assert_eq!((response.status, response.text().as_str()), (200, "ok"));
    }
}

#[test]
fn a_non_idempotent_request_is_never_sent_twice() {
    // The origin takes the second request of a connection and closes without an answer.
    let turns = AtomicUsize::new(0);
    let origin = Origin::start(move |exchange| {
        exchange.read_body()?;
        if turns.fetch_add(1, Ordering::SeqCst) == 1 {
            return Ok(After::Close);
        }
        exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        Ok(After::KeepOpen)
    });
    let router = Router::setup().route(origin.route("site.test")).workers(1).start();
    let mut client = Client::connect(router.http());
    let post = "POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: 1\r\n\r\nx";
    client.send(post);
    assert_eq!(client.response().status, 200);
    client.send(post);
    assert_eq!(client.response().status, 502);
    assert_eq!(origin.seen().len(), 2, "{:#?}", origin.seen());
}

#[test]
fn a_response_until_close_is_delivered_whole() {
    let origin = Origin::raw(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end");
    let router = Router::with_route(origin.route("site.test"));
    let mut client = Client::connect(router.http());
    client.send(REQUEST);
    let response = client.response();
    assert_eq!((response.status, response.text().as_str()), (200, "until the end"));
}

#[test]
fn an_upstream_that_dies_within_a_body_is_not_passed_off_as_complete() {
    let truncated: [&[u8]; 2] = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n",
    ];
    for bytes in truncated {
        let origin = Origin::raw(bytes);
        let router = Router::with_route(origin.route("site.test"));
        let mut client = Client::connect(router.http());
        client.send(REQUEST);
        assert!(client.try_response("GET").is_err(), "a cut body looks complete");
        eventually_true("the access log names it", Duration::from_secs(5), || {
            !router.access_log().is_empty()
        });
    }
}

#[test]
fn a_client_that_half_closes_still_gets_its_response() {
    let origin = Origin::echo();
    let router = Router::with_route(origin.route("site.test"));
    let mut client = Client::connect(router.http());
    client.send(REQUEST);
    client.half_close();
    assert_eq!(client.response().status, 200);
    client.expect_closed();
}

#[test]
fn hop_by_hop_fields_stay_on_their_hop() {
    let origin = Origin::start(|exchange| {
        let fields = "Connection: X-Mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=1\r\nX-End: 2";
        exchange.write(format!("HTTP/1.1 200 OK\r\n{fields}\r\nContent-Length: 0\r\n\r\n"))?;
        Ok(After::KeepOpen)
    });
    let router = Router::with_route(origin.route("site.test"));
    let mut client = Client::connect(router.http());
    client.send(
        "GET / HTTP/1.1\r\nHost: site.test\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\n\
         Keep-Alive: 5\r\nProxy-Connection: keep-alive\r\nX-Stays: 2\r\n\r\n",
    );
    let response = client.response();
    let seen = origin.only_request();
    for name in ["X-Hop", "Keep-Alive", "Proxy-Connection"] {
        assert!(seen.fields(name).is_empty(), "{name} reached the origin: {}", seen.head);
    }
    assert_eq!(seen.fields("X-Stays"), ["2"]);
    for name in ["X-Mine", "Keep-Alive"] {
        assert_eq!(response.field(name), None, "{name} reached the client: {}", response.head);
    }
    assert_eq!(response.field("X-End"), Some("2"));
}

#[test]
fn open_connections_finish_their_exchange_when_the_router_is_told_to_end() {
    let origin = Origin::start(|exchange| {
        std::thread::sleep(Duration::from_millis(500));
        exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")?;
        Ok(After::KeepOpen)
    });
    let mut router = Router::with_route(origin.route("site.test"));
    let mut client = Client::connect(router.http());
    client.send(REQUEST);
    eventually_true("the request is under way", Duration::from_secs(5), || {
        origin.seen().len() == 1
    });
    router.process.signal(nix::sys::signal::Signal::SIGQUIT);
    assert_eq!(client.response().text(), "done");
    let status = router.process.status_within(Duration::from_secs(10));
    assert_eq!(status.code(), Some(0));
}
