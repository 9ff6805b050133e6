//! RTSP tunnelled in HTTP: a GET and a POST of one cookie are one session with one node.

use std::time::Duration;

use crate::harness::datagram;
use crate::harness::router::{Setup, Subscribe};
use crate::harness::rtsp_server::{RtspServer, picture_width};
use crate::harness::wait::{SOON, eventually, eventually_true};
use crate::harness::{After, Client, Origin, Router, require_tool};

fn setup() -> Setup {
    Router::setup().args(["--rtsp"])
}

/// A server that agrees to every GET and tells what each POST brought.
fn tunnel_server(name: &'static str) -> Origin {
    Origin::start(move |exchange| {
        if exchange.request.request_line().starts_with("POST ") {
            while exchange.read_some().is_ok_and(|bytes| bytes > 0) {}
            return Ok(After::Close);
        }
        let kind = "Content-Type: application/x-rtsp-tunnelled";
        exchange.write(format!("HTTP/1.0 200 OK\r\n{kind}\r\n\r\n{name}"))?;
        while exchange.read_some().is_ok_and(|bytes| bytes > 0) {}
        Ok(After::Close)
    })
}

const COOKIE: &str = "x-sessioncookie: Zm9vYmFyYmF6cXV4MTIzNA";

fn get(router: &Router) -> Client {
    let mut client = Client::connect(router.http());
    client.send(format!("GET /live HTTP/1.1\r\nHost: cam.test\r\n{COOKIE}\r\n\r\n"));
    client
}

fn post(router: &Router, length: usize) -> Client {
    let mut client = Client::connect(router.http());
    client.send(format!(
        "POST /live HTTP/1.1\r\nHost: cam.test\r\n{COOKIE}\r\nContent-Length: {length}\r\n\r\n"
    ));
    client
}

#[test]
fn ffprobe_plays_from_each_of_two_servers() {
    let ffprobe = require_tool!("ffprobe");
    let setup = setup();
    let Some(narrow) = RtspServer::start(setup.folder(), 160) else { return };
    let Some(wide) = RtspServer::start(setup.folder(), 320) else { return };
    let route = |server: &RtspServer| format!("127.0.0.1={},proto=http", server.address);
    let router = setup.route(route(&narrow)).route(route(&wide)).start();
    let url = format!("rtsp://{}/live", router.http());
    let mut widths = [0; 4].map(|_| picture_width(&ffprobe, "http", &url));
    widths.sort_unstable();
    assert_eq!(widths, [160, 160, 320, 320]);
    assert_eq!((narrow.connections(), wide.connections()), (4, 4), "GET and POST met each time");
}

/// The stated length is custom, not truth: what comes behind it still belongs to the session.
#[test]
fn an_open_session_sends_past_its_stated_length() {
    let (one, two) = (tunnel_server("one"), tunnel_server("two"));
    let router = setup().route(one.route("cam.test")).route(two.route("cam.test")).start();
    for _ in 0..4 {
        let mut listening = get(&router);
        let head = listening.try_head().expect("a head");
        assert_eq!((head.status, head.is_chunked()), (200, false), "{}", head.head);
        let name = listening.take(3).expect("the server's side");
        let (server, other) = if name == b"one" { (&one, &two) } else { (&two, &one) };
        let before = (server.seen().len(), other.seen().len());
        let mut sending = post(&router, 8);
        sending.send("T1BUSU9OUw==and more, in base64 or not\r\n\r\n");
        eventually_true("the POST reached the same server", SOON, || {
            (server.seen().len(), other.seen().len()) == (before.0 + 1, before.1)
        });
        sending.send(vec![b'A'; 40_000]);
        sending.half_close();
        assert_eq!(sending.read_to_end().expect("no answer"), b"");
    }
}

/// A cookie alone opens nothing: behind the stated length the next request begins, judged by us.
#[test]
fn without_an_agreement_the_length_counts() {
    let origin = Origin::echo();
    let router = setup().route(origin.route("cam.test")).start();
    assert_eq!(get(&router).response().status, 200, "an ordinary answer");
    let mut client = post(&router, 4);
    client.send("bodyGET /next HTTP/1.1\r\nHost: cam.test\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n");
    assert_eq!(client.response().text(), "POST /live HTTP/1.1 body=body");
    assert_eq!(client.response().text(), "GET /next HTTP/1.1 body=");
    let last = origin.seen().pop().expect("three requests");
    assert_eq!(last.fields("x-forwarded-for"), ["127.0.0.1"]);
}

#[test]
fn a_session_is_forgotten_when_its_get_ends() {
    let origin = Origin::start(|exchange| {
        let is_post = exchange.request.request_line().starts_with("POST ");
        exchange.read_body()?;
        let kind = "Content-Type: application/x-rtsp-tunnelled";
        let length = if is_post { "\r\nContent-Length: 0" } else { "" };
        exchange.write(format!("HTTP/1.1 200 OK\r\n{kind}{length}\r\n\r\n"))?;
        Ok(if is_post { After::KeepOpen } else { After::Close })
    });
    let router = setup().route(origin.route("cam.test")).start();
    let mut listening = get(&router);
    assert_eq!(listening.try_head().expect("a head").status, 200);
    drop(listening);
    eventually_true("the GET is over", SOON, || router.access_log().contains("method=GET"));
    let mut client = post(&router, 4);
    client.send("bodyGET /next HTTP/1.1\r\nHost: nobody.test\r\n\r\n");
    assert_eq!(client.response().status, 200);
    assert_eq!(client.response().status, 404, "what follows is a request, judged by the router");
    assert_eq!(origin.seen().len(), 2);
}

#[test]
fn a_post_finds_its_node_after_that_unsubscribed() {
    let (one, two) = (tunnel_server("one"), tunnel_server("two"));
    let router = setup().subscribe(Subscribe::Udp).start();
    let announce = |command, origin: &Origin| {
        let address = origin.address().to_string();
        let fields = [("key", "cam.test"), ("address", address.as_str()), ("proto", "http")];
        datagram::send(router.subscribe(), &datagram::plain(command, &fields));
    };
    announce(0, &one);
    router.wait_for_nodes("cam.test", 1);
    let mut listening = get(&router);
    assert_eq!(listening.try_head().expect("a head").status, 200);
    announce(0, &two);
    router.wait_for_nodes("cam.test", 2);
    announce(1, &one);
    router.wait_for_nodes("cam.test", 1);
    let mut sending = post(&router, 32_767);
    sending.send("T1BUSU9OUw==");
    eventually("the POST reached the node of the GET", SOON, || {
        (one.seen().len() == 2).then_some(())
    });
    assert!(two.seen().is_empty());
}

/// Some clients open both at once; the POST waits until the GET was answered.
#[test]
fn a_post_that_comes_with_its_get_is_part_of_the_session() {
    let origin = Origin::start(|exchange| {
        if exchange.request.request_line().starts_with("POST ") {
            let received = exchange.take(12)?;
            exchange.write(received)?;
            return Ok(After::Close);
        }
        // Longer than the POST takes to arrive: the test sends it once this request was seen.
        std::thread::sleep(Duration::from_millis(300));
        exchange.write("HTTP/1.0 200 OK\r\nContent-Type: application/x-rtsp-tunnelled\r\n\r\n")?;
        while exchange.read_some().is_ok_and(|bytes| bytes > 0) {}
        Ok(After::Close)
    });
    let router = setup().route(origin.route("cam.test")).start();
    let mut listening = get(&router);
    eventually_true("the GET is there", SOON, || origin.seen().len() == 1);
    let mut sending = post(&router, 4);
    sending.send("past its end");
    assert_eq!(sending.take(12).expect("everything passed"), b"past its end");
    assert_eq!(listening.try_head().expect("a head").status, 200);
}
