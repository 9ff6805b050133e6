//! Clients that finish sending and listen, and clients that are gone: the first get their answer,
//! the second free their node.

use std::net::TcpStream;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::harness::router::Subscribe;
use crate::harness::vassal::vassal;
use crate::harness::wait::{SOON, eventually_true};
use crate::harness::{After, Client, Origin, Router, require_tool};

const REQUEST: &str = "GET /slow HTTP/1.1\r\nHost: site.test\r\n\r\n";
/// Longer than it takes to look whether a client is gone.
const SLOW: Duration = Duration::from_millis(2_500);

/// An origin that never answers, and tells when its connection ends.
fn silent_origin() -> (Origin, Receiver<Instant>) {
    let (told, ends) = channel();
    let told = std::sync::Mutex::new(told);
    let origin = Origin::start(move |exchange| {
        while exchange.read_some().is_ok_and(|bytes| bytes > 0) {}
        let _ = told.lock().expect("no panic while held").send(Instant::now());
        Ok(After::Close)
    });
    (origin, ends)
}

/// Sends a request and resets the connection once it reached the origin.
fn ask_and_reset(router: &Router, origin: &Origin) {
    let stream = TcpStream::connect(router.http()).expect("the router listens");
    std::io::Write::write_all(&mut &stream, REQUEST.as_bytes()).expect("it is sent");
    eventually_true("the request arrived", SOON, || origin.seen().len() == 1);
    let socket = socket2::Socket::from(stream);
    socket.set_linger(Some(Duration::ZERO)).expect("linger");
}

#[test]
fn a_client_that_resets_frees_its_node() {
    let (origin, ends) = silent_origin();
    let router = Router::with_route(origin.route("site.test"));
    ask_and_reset(&router, &origin);
    ends.recv_timeout(SOON).expect("the node's connection ends long before `first-byte`");
    eventually_true("the log says who", SOON, || router.access_log().contains("term=CW"));
    let metrics = router.metrics();
    assert_eq!(metrics.sum("suzerain_upstream_failures_total", &[]), 0.0, "not the node's fault");
    assert_eq!(metrics.sum("suzerain_upstream_retries_total", &[]), 0.0, "nobody to ask for");
    assert_eq!(origin.seen().len(), 1);
}

#[test]
fn a_client_that_finished_sending_gets_its_answer_however_long_it_takes() {
    let origin = Origin::start(|exchange| {
        std::thread::sleep(SLOW);
        exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")?;
        Ok(After::KeepOpen)
    });
    let router = Router::with_route(origin.route("site.test"));
    let mut client = Client::connect(router.http());
    client.send(REQUEST);
    client.half_close();
    assert_eq!(client.response().text(), "late");
    client.expect_closed();
}

#[test]
fn a_client_of_a_uwsgi_node_may_finish_sending_too() {
    let uwsgi = require_tool!("uwsgi");
    let router = Router::setup().subscribe(Subscribe::Udp).start();
    let _vassal = vassal("slow")
        .subscribe_to(format!("{}:site.test", router.subscribe()))
        .start(&uwsgi, router.folder());
    router.wait_for_nodes("site.test", 1);
    let mut client = Client::connect(router.http());
    let body = "POST /sleep?2.5 HTTP/1.1\r\nHost: site.test\r\nContent-Length: 4\r\n\r\nbody";
    client.send(body);
    client.half_close();
    assert_eq!(client.response().status, 200);
    client.expect_closed();
}

#[test]
fn with_abort_on_close_a_client_that_finished_sending_is_gone() {
    let (origin, ends) = silent_origin();
    let router =
        Router::setup().args(["--abort-on-close"]).route(origin.route("site.test")).start();
    let mut client = Client::connect(router.http());
    client.send(REQUEST);
    eventually_true("the request arrived", SOON, || origin.seen().len() == 1);
    drop(client);
    ends.recv_timeout(SOON).expect("the node's connection ends long before `first-byte`");
    eventually_true("the log says who", SOON, || router.access_log().contains("term=CW"));
}

/// The next request of a patient client is no sign that it left, whatever the rule.
#[test]
fn a_client_that_pipelines_while_it_waits_is_there() {
    let origin = Origin::start(|exchange| {
        if exchange.request.target() == "/slow" {
            std::thread::sleep(SLOW);
        }
        let target = exchange.request.target().to_owned();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", target.len());
        exchange.write(head + &target)?;
        Ok(After::KeepOpen)
    });
    let router =
        Router::setup().args(["--abort-on-close"]).route(origin.route("site.test")).start();
    let mut client = Client::connect(router.http());
    client.send(REQUEST);
    eventually_true("the request arrived", SOON, || origin.seen().len() == 1);
    client.send("GET /next HTTP/1.1\r\nHost: site.test\r\n\r\n");
    assert_eq!(client.response().text(), "/slow");
    assert_eq!(client.response().text(), "/next");
}

#[test]
fn a_client_that_ends_within_its_body_has_failed() {
    let (origin, ends) = silent_origin();
    let router = Router::with_route(origin.route("site.test"));
    for framing in ["Content-Length: 10", "Transfer-Encoding: chunked"] {
        let mut client = Client::connect(router.http());
        client.send(format!("POST / HTTP/1.1\r\nHost: site.test\r\n{framing}\r\n\r\n4\r\nb"));
        client.half_close();
        client.expect_closed();
        ends.recv_timeout(SOON).expect("the node learns that the body will never be complete");
    }
    eventually_true("the log says who", SOON, || {
        router.access_log().lines().filter(|line| line.contains("term=CQ")).count() == 2
    });
}
