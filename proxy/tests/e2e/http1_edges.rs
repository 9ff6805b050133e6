//! Rare but legal HTTP/1, clients that vanish, and what must not leak.

use std::time::Duration;

use crate::harness::wait::{SOON, eventually, eventually_true};
use crate::harness::{After, Client, Origin, Router, get};

const REQUEST: &str = "GET /a HTTP/1.1\r\nHost: site.test\r\n\r\n";

#[test]
fn absolute_targets_reach_the_origin_as_paths() {
    let origin = Origin::echo();
    let router = Router::with_route(origin.route("site.test"));
    let mut client = Client::connect(router.http());
    client.send("GET http://site.test/p?q=1 HTTP/1.1\r\nHost: site.test\r\n\r\n");
    assert_eq!(client.response().text(), "GET /p?q=1 HTTP/1.1 body=");
    client.send("GET http://site.test HTTP/1.1\r\nHost: site.test\r\n\r\n");
    assert_eq!(client.response().text(), "GET / HTTP/1.1 body=");
    assert_eq!(origin.seen()[0].fields("Host"), ["site.test"]);
}

#[test]
fn options_may_ask_for_the_server_itself() {
    let origin = Origin::echo();
    let router = Router::with_route(origin.route("site.test"));
    let mut client = Client::connect(router.http());
    client.send("OPTIONS * HTTP/1.1\r\nHost: site.test\r\n\r\n");
    assert_eq!(client.response().text(), "OPTIONS * HTTP/1.1 body=");
}

#[test]
fn interim_responses_do_not_disturb_the_final_one() {
    let origin = Origin::start(|exchange| {
        exchange.write("HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\n")?;
        exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        Ok(After::KeepOpen)
    });
    let router = Router::with_route(origin.route("site.test"));
    let mut client = Client::connect(router.http());
    for _ in 0..2 {
        client.send(REQUEST);
        let mut response = client.response();
        while response.status < 200 {
            assert_eq!(response.status, 103, "{}", response.head);
            response = client.response();
        }
        assert_eq!((response.status, response.text().as_str()), (200, "ok"));
    }
}

#[test]
fn interim_responses_are_kept_from_http_1_0_clients() {
    let origin = Origin::raw(
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let router = Router::with_route(origin.route("site.test"));
    let mut client = Client::connect(router.http());
    client.send("GET / HTTP/1.0\r\nHost: site.test\r\n\r\n");
    let response = client.response();
    assert_eq!((response.status, response.text().as_str()), (200, "ok"));
}

#[test]
fn a_switch_of_protocols_nobody_asked_for_is_a_502() {
    let origin = Origin::raw(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    );
    let router = Router::with_route(origin.route("site.test"));
    assert_eq!(get(router.http(), "site.test", "/").status, 502);
}

#[test]
fn a_body_behind_a_head_response_is_not_taken_for_the_next_one() {
    let origin = Origin::start(|exchange| {
        exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")?;
        Ok(After::KeepOpen)
    });
    let router = Router::setup().route(origin.route("site.test")).workers(1).start();
    let mut client = Client::connect(router.http());
    for _ in 0..3 {
        client.send("HEAD / HTTP/1.1\r\nHost: site.test\r\n\r\n");
        assert_eq!(client.response_to_head().status, 200);
        client.send(REQUEST);
        let response = client.response();
        assert_eq!((response.status, response.text().as_str()), (200, "poison"));
    }
}

#[test]
fn a_request_behind_a_refused_one_is_never_served() {
    let origin = Origin::echo();
    let router = Router::with_route(origin.route("site.test"));
    let mut client = Client::connect(router.http());
    let _ = client.try_send(format!("GET / HTTP/1.1\r\nHost: site.test\r\nX : 1\r\n\r\n{REQUEST}"));
    assert_eq!(client.response().status, 400);
    client.expect_closed();
    assert!(origin.seen().is_empty(), "{:#?}", origin.seen());
}

#[test]
fn trailers_do_not_become_fields_of_the_request() {
    let origin = Origin::echo();
    let router = Router::with_route(origin.route("site.test"));
    let mut client = Client::connect(router.http());
    client.send(
        "POST / HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n\
         1\r\na\r\n0\r\nX-Forwarded-For: 6.6.6.6\r\nContent-Length: 5\r\n\r\n",
    );
    let status = client.response().status;
    assert!(matches!(status, 200 | 400), "{status}");
    for seen in origin.seen() {
        assert!(!seen.head.contains("6.6.6.6"), "{}", seen.head);
        assert!(seen.fields("Content-Length").is_empty(), "{}", seen.head);
    }
}

#[test]
fn a_client_that_vanishes_takes_the_upstream_connection_along() {
    // The origin sends without an end and learns from a failed write that nobody listens.
    let (told, learnt) = std::sync::mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let origin = Origin::start(move |exchange| {
        exchange.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        while exchange.write("5\r\nhello\r\n").is_ok() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = told.lock().expect("no panic while held").send(());
        Ok(After::Close)
    });
    let router = Router::with_route(origin.route("site.test"));
    let mut client = Client::connect(router.http());
    client.send(REQUEST);
    client.try_head().expect("a head");
    drop(client);
    learnt.recv_timeout(SOON).expect("the origin is told");
    eventually_true("nothing is in flight", SOON, || {
        router.metrics().sum("suzerain_node_in_flight", &[]) == 0.0
    });
}

#[test]
fn a_client_that_vanishes_before_the_answer_frees_the_exchange_in_time() {
    // Its end looks like the half-close of a client that still listens: the deadline decides.
    let origin = Origin::start(|exchange| {
        while exchange.read_some()? > 0 {}
        Ok(After::Close)
    });
    let router = Router::setup()
        .route(origin.route("site.test"))
        .config("[timeouts]\nfirst-byte = \"1s\"\n")
        .start();
    for _ in 0..5 {
        let mut client = Client::connect(router.http());
        client.send(REQUEST);
    }
    eventually_true("the requests arrived", SOON, || origin.seen().len() == 5);
    eventually_true("nothing is in flight", SOON, || {
        router.metrics().sum("suzerain_node_in_flight", &[]) == 0.0
    });
}

/// Every way a connection can end, many times: file descriptors and memory must come back.
#[test]
fn connections_leak_nothing() {
    let origin = Origin::echo();
    let router = Router::setup()
        .https()
        .route(origin.route("site.test"))
        .config("[timeouts]\nhead = \"1s\"\ntls-handshake = \"1s\"\n")
        .start();
    let open = || {
        let folder = format!("/proc/{}/fd", router.process.pid());
        std::fs::read_dir(folder).expect("a live process").count()
    };
    let ends = || {
        get(router.http(), "site.test", "/");
        get(router.http(), "other.test", "/");
        drop(Client::connect(router.http()));
        for bytes in [
            "GET / HT",
            "nonsense\r\n\r\n",
            REQUEST,
            "POST / HTTP/1.1\r\nHost: site.test\r\n\
            Content-Length: 9\r\n\r\nhalf",
        ] {
            Client::connect(router.http()).send(bytes);
        }
        let _ = Client::connect(router.https()).try_send([0x16, 3, 1, 0, 50]);
    };
    ends();
    std::thread::sleep(Duration::from_millis(200));
    let (fds, kib) = (open(), router.process.resident_kib());
    for _ in 0..100 {
        ends();
    }
    let left = eventually("descriptors come back", Duration::from_secs(15), || {
        let now = open();
        (now <= fds + 8).then_some(now)
    });
    let grown = router.process.resident_kib().saturating_sub(kib);
    assert!(grown < 16 * 1024, "{grown} KiB more, {left} descriptors");
    eventually_true("the counters agree", SOON, || {
        router.metrics().sum("suzerain_connections_open", &[]) == 0.0
    });
}

#[test]
fn connections_beyond_the_cap_are_closed_and_counted() {
    let origin = Origin::echo();
    let router = Router::setup()
        .route(origin.route("site.test"))
        .config("connections-max = 4\n")
        .workers(1)
        .start();
    let mut held: Vec<_> = (0..4).map(|_| Client::connect(router.http())).collect();
    for client in &mut held {
        client.send(REQUEST);
        assert_eq!(client.response().status, 200);
    }
    let mut refused = Client::connect(router.http());
    let _ = refused.try_send(REQUEST);
    assert!(refused.try_response("GET").is_err(), "a fifth connection was served");
    let metrics = router.metrics();
    assert!(metrics.sum("suzerain_connections_refused_total", &[]) >= 1.0);
    drop(held);
    eventually_true("there is room again", SOON, || {
        crate::harness::client::try_get(router.http(), "site.test", "/").is_ok()
    });
}
