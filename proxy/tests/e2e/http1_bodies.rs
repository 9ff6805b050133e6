//! Bodies: every framing in both directions, 100-continue, early answers, and memory that stays
//! bounded while one side is slow.

use std::io;
use std::time::Duration;

use crate::harness::wait::eventually_true;
use crate::harness::{After, Client, Origin, Router, get};

/// Body of the back-pressure tests: far more than any buffer on the way may hold.
const BIG: usize = 200 * 1024 * 1024;
/// Growth of the router's memory allowed while a big body waits: kernel buffers are not in it.
const GROWTH_KIB_MAX: u64 = 16 * 1024;
/// Long enough for an unbounded router to swallow much more than `GROWTH_KIB_MAX`.
const STALL: Duration = Duration::from_millis(1500);

fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
    framed.extend_from_slice(bytes);
    framed.extend_from_slice(b"\r\n");
    framed
}

#[test]
fn chunked_requests_reach_the_origin_whole() {
    let origin = Origin::echo();
    let router = Router::with_route(origin.route("site.test"));
    let mut client = Client::connect(router.http());
    client.send("POST / HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut expected = Vec::new();
    for size in [1, 15, 16, 4095, 4096, 4097, 65_536, 70_000] {
        let bytes: Vec<u8> = (0..size).map(|at| b'a' + (at % 26) as u8).collect();
        client.send(chunk(&bytes));
        expected.extend(bytes);
    }
    client.send("0\r\nX-Trailer: 1\r\n\r\n");
    assert_eq!(client.response().status, 200);
    let seen = origin.only_request();
    assert_eq!(seen.body, expected);
    let framings = seen.fields("transfer-encoding").len() + seen.fields("content-length").len();
    assert_eq!(framings, 1, "exactly one framing: {}", seen.head);
}

#[test]
fn chunk_extensions_and_upper_case_sizes_are_accepted() {
    let origin = Origin::echo();
    let router = Router::with_route(origin.route("site.test"));
    let mut client = Client::connect(router.http());
    client.send("POST / HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send("A;name=value\r\n0123456789\r\n0A\r\nabcdefghij\r\n0\r\n\r\n");
    assert_eq!(client.response().text(), "POST / HTTP/1.1 body=0123456789abcdefghij");
}

#[test]
fn chunked_responses_reach_the_client_whole_and_keep_both_connections() {
    let origin = Origin::start(|exchange| {
        let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for size in [1, 16, 4096, 70_000] {
            bytes.extend(chunk(&vec![b'z'; size]));
        }
        bytes.extend(b"0\r\n\r\n");
        exchange.write(bytes)?;
        Ok(After::KeepOpen)
    });
    let router = Router::setup().route(origin.route("site.test")).workers(1).start();
    let mut client = Client::connect(router.http());
    for _ in 0..3 {
        client.send("GET / HTTP/1.1\r\nHost: site.test\r\n\r\n");
        let response = client.response();
        assert_eq!(response.field_count("transfer-encoding"), 1, "{}", response.head);
        assert_eq!(response.body.len(), 1 + 16 + 4096 + 70_000);
        assert!(response.body.iter().all(|byte| *byte == b'z'));
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn expect_100_continue_is_answered_before_the_body_is_sent() {
    let origin = Origin::echo();
    let router = Router::with_route(origin.route("site.test"));
    let mut client = Client::connect(router.http());
    client.send(
        "PUT / HTTP/1.1\r\nHost: site.test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
    );
    assert_eq!(client.response().status, 100);
    client.send("body");
    assert_eq!(client.response().text(), "PUT / HTTP/1.1 body=body");
}

#[test]
fn expect_100_continue_for_an_unknown_key_is_refused_without_asking_for_the_body() {
    let router = Router::with_route("site.test=127.0.0.1:9,proto=http");
    let mut client = Client::connect(router.http());
    client.send(
        "PUT / HTTP/1.1\r\nHost: other.test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
    );
    assert_eq!(client.response().status, 404);
}

#[test]
fn an_early_response_reaches_the_client_while_it_still_sends() {
    // The origin refuses the upload from its head alone and reads nothing of it.
    let origin = Origin::start(|exchange| {
        exchange
            .write("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")?;
        // Stay open until the router has let go: a reset could overtake the answer.
        while exchange.read_some()? > 0 {}
        Ok(After::Close)
    });
    let router = Router::with_route(origin.route("site.test"));
    let mut client = Client::connect(router.http());
    client.send("POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: 50000000\r\n\r\n");
    client.send(vec![b'x'; 1000]);
    let response = client.response();
    assert_eq!((response.status, response.text().as_str()), (403, "no"));
    // The rest of the body was never read: the connection cannot carry another request.
    client.expect_closed();
}

#[test]
fn large_bodies_pass_in_both_directions() {
    let origin = Origin::start(|exchange| {
        let body = exchange.read_body()?;
        exchange.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()))?;
        exchange.write(body)?;
        Ok(After::KeepOpen)
    });
    let router = Router::with_route(origin.route("site.test"));
    let body: Vec<u8> = (0..8_000_000_u32).map(|at| (at % 251) as u8).collect();
    let mut client = Client::connect(router.http());
    let length = body.len();
    client.send(format!("POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: {length}\r\n\r\n"));
    client.send(&body);
    let response = client.response();
    assert_eq!(response.status, 200);
    assert!(response.body == body, "the body changed on the way");
}

#[test]
fn memory_stays_bounded_while_the_client_does_not_read() {
    let origin = Origin::start(|exchange| {
        exchange.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {BIG}\r\n\r\n"))?;
        let block = vec![b'd'; 1024 * 1024];
        for _ in 0..BIG / block.len() {
            exchange.write(&block)?;
        }
        Ok(After::KeepOpen)
    });
    let router = Router::with_route(origin.route("site.test"));
    let before = router.process.resident_kib();
    let mut client = Client::connect(router.http());
    client.send("GET / HTTP/1.1\r\nHost: site.test\r\n\r\n");
    client.try_head().expect("a head");
    std::thread::sleep(STALL);
    let grown = router.process.resident_kib().saturating_sub(before);
    assert!(grown < GROWTH_KIB_MAX, "{grown} KiB more while the client stalls");
    let mut left = BIG;
    while left > 0 {
        let step = left.min(1024 * 1024);
        client.take(step).expect("the rest of the body");
        left -= step;
    }
    let grown = router.process.resident_kib().saturating_sub(before);
    assert!(grown < GROWTH_KIB_MAX, "{grown} KiB more after a big download");
}

#[test]
fn memory_stays_bounded_while_the_origin_does_not_read() {
    let (go, stalled) = std::sync::mpsc::channel::<()>();
    let stalled = std::sync::Mutex::new(stalled);
    let origin = Origin::start(move |exchange| {
        stalled.lock().expect("no panic while held").recv().map_err(io::Error::other)?;
        let mut count = 0;
        while count < BIG {
            count += exchange.read_some()?;
        }
        exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        Ok(After::KeepOpen)
    });
    let router = Router::with_route(origin.route("site.test"));
    let before = router.process.resident_kib();
    let address = router.http();
    let sender = std::thread::spawn(move || {
        let mut client = Client::connect(address);
        client.send(format!("POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: {BIG}\r\n\r\n"));
        let block = vec![b'u'; 1024 * 1024];
        for _ in 0..BIG / block.len() {
            client.send(&block);
        }
        client.response().text()
    });
    eventually_true("the upload began", Duration::from_secs(5), || origin.seen().len() == 1);
    std::thread::sleep(STALL);
    let grown = router.process.resident_kib().saturating_sub(before);
    assert!(grown < GROWTH_KIB_MAX, "{grown} KiB more while the origin stalls");
    go.send(()).expect("the origin waits");
    assert_eq!(sender.join().expect("the upload ends"), "ok");
    let grown = router.process.resident_kib().saturating_sub(before);
    assert!(grown < GROWTH_KIB_MAX, "{grown} KiB more after a big upload");
}

#[test]
fn a_slow_client_does_not_hold_up_another() {
    let origin = Origin::start(|exchange| {
        if exchange.request.target() != "/big" {
            exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
            return Ok(After::KeepOpen);
        }
        exchange.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {BIG}\r\n\r\n"))?;
        let block = vec![b'd'; 1024 * 1024];
        for _ in 0..BIG / block.len() {
            exchange.write(&block)?;
        }
        Ok(After::KeepOpen)
    });
    let router = Router::setup().route(origin.route("site.test")).workers(1).start();
    let mut slow = Client::connect(router.http());
    slow.send("GET /big HTTP/1.1\r\nHost: site.test\r\n\r\n");
    slow.try_head().expect("a head");
    for _ in 0..20 {
        assert_eq!(get(router.http(), "site.test", "/").text(), "ok");
    }
}
