//! What nodes are told about clients, by whom, and under which name: `X-Forwarded-*`, `Forwarded`,
//! `Via` and `X-Request-ID`.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::uwsgi_origin::{Packet, UwsgiOrigin};
use crate::harness::wait::{SOON, eventually};
use crate::harness::{After, Client, Origin, Router, get, origin::Seen};

const LOCAL_AS_PROXY: [&str; 2] = ["--trusted-proxy", "127.0.0.0/8"];

/// What a client that wants to be somebody else sends.
const FORGED: &str = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n\
                      X-Forwarded-Host: evil.test\r\nX-Forwarded-Port: 1\r\n\
                      Forwarded: for=6.6.6.6\r\nX-Request-ID: forged\r\n";

struct Pair {
    http: Origin,
    uwsgi: UwsgiOrigin,
    router: Router,
}

impl Pair {
    fn start<const N: usize>(arguments: [&str; N]) -> Self {
        let (http, uwsgi) = (Origin::echo(), UwsgiOrigin::ok());
        let router = Router::setup()
            .route(http.route("http.test"))
            .route(format!("uwsgi.test={}", uwsgi.address()))
            .args(arguments)
            .start();
        Self { http, uwsgi, router }
    }

    fn ask(&self, fields: &str) -> (Seen, Packet) {
        for host in ["http.test", "uwsgi.test"] {
            let mut client = Client::connect(self.router.http());
            client.send(format!("GET /p HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"));
            assert_eq!(client.response().status, 200);
        }
        (self.http.only_request(), self.uwsgi.only_packet())
    }

    fn port(&self) -> String {
        self.router.http().port().to_string()
    }
}

#[test]
fn what_a_client_says_about_itself_reaches_no_node() {
    let pair = Pair::start(["--request-id"]);
    let port = pair.port();
    let (seen, packet) = pair.ask(FORGED);
    let id = seen.fields("x-request-id")[0];
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert_eq!(seen.fields("x-request-id").len(), 1);
    for (name, value) in [
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Host", "http.test"),
        ("X-Forwarded-Port", &port),
        ("Forwarded", "for=127.0.0.1;proto=http;host=http.test"),
    ] {
        assert_eq!(seen.fields(name), [value], "{name}");
        let var = format!("HTTP_{}", name.to_uppercase().replace('-', "_"));
        let value = value.replace("http.test", "uwsgi.test");
        assert_eq!(packet.var(&var), Some(&*value), "{var}");
    }
    assert_eq!(packet.var("REMOTE_ADDR"), Some("127.0.0.1"));
    assert_eq!(packet.var("HTTPS"), None);
    let of_packet = packet.var("HTTP_X_REQUEST_ID").expect("a name");
    assert!(of_packet.len() == 32 && of_packet != id, "{of_packet}");
    let log = eventually("both are logged", SOON, || {
        let log = pair.router.access_log();
        (log.lines().count() == 2).then_some(log)
    });
    for (key, id) in [("http.test", id), ("uwsgi.test", of_packet)] {
        let mut lines = log.lines().filter(|line| line.contains(&format!(" key={key} ")));
        assert!(lines.all(|line| line.ends_with(&format!(" id={id}"))), "{log}");
    }
    assert_eq!(log.matches(" client=127.0.0.1:").count(), 2, "{log}");
}

#[test]
fn what_a_trusted_proxy_says_is_believed_from_the_right() {
    let pair = Pair::start([LOCAL_AS_PROXY[0], LOCAL_AS_PROXY[1], "--request-id"]);
    let (seen, packet) = pair.ask(
        "X-Forwarded-For: 6.6.6.6, 2001:db8::5\r\nX-Forwarded-For: 127.0.0.9\r\n\
         X-Forwarded-Proto: https\r\nX-Forwarded-Host: Shop.Test\r\nForwarded: for=evil\r\n\
         X-Request-ID: lb-7f3/2\r\n",
    );
    for (name, value) in [
        ("X-Forwarded-For", "6.6.6.6, 2001:db8::5, 127.0.0.9, 127.0.0.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "shop.test"),
        ("X-Forwarded-Port", "443"),
        (
            "Forwarded",
            "for=6.6.6.6;proto=https;host=shop.test, for=\"[2001:db8::5]\", for=127.0.0.9, \
             for=127.0.0.1",
        ),
        ("X-Request-ID", "lb-7f3/2"),
    ] {
        assert_eq!(seen.fields(name), [value], "{name}");
        let var = format!("HTTP_{}", name.to_uppercase().replace('-', "_"));
        assert_eq!(packet.var(&var), Some(value), "{var}");
    }
    assert_eq!(packet.var("REMOTE_ADDR"), Some("2001:db8::5"));
    assert_eq!(packet.var("REMOTE_PORT"), Some("0"));
    assert_eq!(packet.var("HTTPS"), Some("on"));
    assert_eq!(seen.fields("host"), ["http.test"]);
    let log = eventually("both are logged", SOON, || {
        let log = pair.router.access_log();
        (log.lines().count() == 2).then_some(log)
    });
    for line in log.lines() {
        assert!(line.contains(" client=2001:db8::5 ") && line.ends_with(" id=lb-7f3/2"), "{line}");
    }
}

#[test]
fn without_the_option_a_request_id_travels_like_any_other_field() {
    let pair = Pair::start([]);
    let (seen, packet) = pair.ask("X-Request-ID: mine\r\n");
    assert_eq!(seen.fields("x-request-id"), ["mine"]);
    assert_eq!(packet.var("HTTP_X_REQUEST_ID"), Some("mine"));
    eventually("it is logged", SOON, || pair.router.access_log().contains(" id=-\n").then_some(()));
}

/// Goal: a retry is the same request to whoever reads the logs. Method: the node takes the second
/// request off a kept connection and closes, so that it is sent again.
#[test]
fn a_request_keeps_its_name_when_it_is_sent_again() {
    let requests = AtomicUsize::new(0);
    let origin = Origin::start(move |exchange| {
        if requests.fetch_add(1, Ordering::SeqCst) == 1 {
            return Ok(After::Close);
        }
        exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        Ok(After::KeepOpen)
    });
    let router =
        Router::setup().route(origin.route("a.test")).args(["--request-id"]).workers(1).start();
    let mut client = Client::connect(router.http());
    for _ in 0..2 {
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        assert_eq!(client.response().status, 200);
    }
    let seen = origin.seen();
    let names: Vec<_> = seen.iter().flat_map(|seen| seen.fields("x-request-id")).collect();
    assert_eq!(names.len(), 3, "{seen:#?}");
    assert!(names[0] != names[1] && names[1] == names[2], "{names:?}");
}

#[test]
fn nodes_see_us_in_via_behind_everybody_else() {
    let pair = Pair::start(["--via", "edge-1"]);
    let (seen, packet) = pair.ask("Via: 1.0 a\r\nvia: 1.1 b (x)\r\n");
    assert_eq!(seen.fields("via"), ["1.0 a, 1.1 b (x), 1.1 edge-1"]);
    assert_eq!(packet.var("HTTP_VIA"), Some("1.0 a, 1.1 b (x), 1.1 edge-1"));
}

#[test]
fn a_router_without_a_name_leaves_via_alone() {
    let pair = Pair::start(["--via", "off"]);
    let (seen, packet) = pair.ask("Via: 1.0 a\r\n");
    assert_eq!(seen.fields("via"), ["1.0 a"]);
    assert_eq!(packet.var("HTTP_VIA"), Some("1.0 a"));
}

/// Goal: a node that is this router itself does no harm. Method: the key's node is the router's own
/// second listener, so every request comes back until it is refused.
#[test]
fn a_request_that_goes_in_circles_is_stopped() {
    let folder = tempfile::tempdir().expect("a folder");
    let inner = folder.path().join("inner.sock");
    let router = Router::setup()
        .route(format!("loop.test={},proto=http", inner.display()))
        .args(["--http", &inner.display().to_string()])
        .start();
    let response = get(router.http(), "loop.test", "/");
    assert_eq!(response.status, 508, "{}", response.head);
    let looped = router.metrics().sum("suzerain_requests_unrouted_total", &[("reason", "loop")]);
    assert_eq!(looped, 1.0);
    assert_eq!(router.metrics().sum("suzerain_requests_total", &[]), 5.0);
}
