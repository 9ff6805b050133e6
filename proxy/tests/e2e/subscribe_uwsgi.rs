//! Real uWSGI applications that subscribe without a signature and are served over HTTP.

use std::path::Path;

use nix::sys::signal::Signal;

use crate::harness::router::Subscribe;
use crate::harness::tools::curl;
use crate::harness::uwsgi_origin::UwsgiOrigin;
use crate::harness::vassal::vassal;
use crate::harness::{Client, Router, get, require_tool};

/// A vassal named `a`, subscribed as `app.test` to a router's UDP socket.
fn subscribed_app(uwsgi: &Path, router: &Router) -> crate::harness::process::Process {
    let app = vassal("a")
        .subscribe_to(format!("{}:app.test", router.subscribe()))
        .start(uwsgi, router.folder());
    router.wait_for_nodes("app.test", 1);
    app
}

fn udp_router() -> Router {
    Router::setup().subscribe(Subscribe::Udp).start()
}

#[test]
fn a_plain_subscription_over_udp_is_served() {
    let uwsgi = require_tool!("uwsgi");
    let router = udp_router();
    assert_eq!(get(router.http(), "app.test", "/").status, 404, "nothing subscribed yet");
    let _app = subscribed_app(&uwsgi, &router);
    let answer = get(router.http(), "app.test", "/x?y=1").json();
    assert_eq!(answer["node"], "a");
    assert_eq!(answer["path"], "/x");
    assert_eq!(answer["qs"], "y=1");
    assert_eq!(answer["host"], "app.test");
    assert_eq!(get(router.http(), "other.test", "/").status, 404);
}

#[test]
fn the_long_form_subscribes_with_port_and_weight() {
    let uwsgi = require_tool!("uwsgi");
    let router = udp_router();
    let server = router.subscribe();
    let _app = vassal("a")
        .subscribe2(format!("server={server},key=app.test:18080,weight=3"))
        .start(&uwsgi, router.folder());
    router.wait_for_nodes("app.test:18080", 1);
    assert_eq!(router.nodes("app.test:18080")[0]["weight"], 3);
    assert_eq!(get(router.http(), "app.test:18080", "/").status, 200);
    assert_eq!(get(router.http(), "app.test", "/").status, 404, "the key names a port");
}

#[test]
fn a_unix_datagram_socket_and_a_unix_application_socket_work() {
    let uwsgi = require_tool!("uwsgi");
    let router = Router::setup().subscribe(Subscribe::Unix).start();
    let socket = router.folder().join("app.sock");
    let _app = vassal("a")
        .socket(socket.display().to_string())
        .subscribe2(format!("server={},key=ud.test", router.subscribe_text()))
        .start(&uwsgi, router.folder());
    router.wait_for_nodes("ud.test", 1);
    assert_eq!(get(router.http(), "ud.test", "/").json()["node"], "a");
}

#[test]
fn an_abstract_application_socket_works() {
    let uwsgi = require_tool!("uwsgi");
    let router = udp_router();
    let _app = vassal("a")
        .socket(format!("@suzerain-test-{}", router.process.pid()))
        .subscribe_to(format!("{}:abstract.test", router.subscribe()))
        .start(&uwsgi, router.folder());
    router.wait_for_nodes("abstract.test", 1);
    assert_eq!(get(router.http(), "abstract.test", "/").json()["node"], "a");
}

#[test]
fn bodies_with_a_length_reach_the_application() {
    let uwsgi = require_tool!("uwsgi");
    let router = udp_router();
    let _app = subscribed_app(&uwsgi, &router);
    let mut client = Client::connect(router.http());
    for length in [0, 1, 11, 4096, 300_000] {
        client.send(format!(
            "POST /p HTTP/1.1\r\nHost: app.test\r\nContent-Length: {length}\r\n\r\n"
        ));
        client.send("x".repeat(length));
        let response = client.response();
        assert_eq!(response.status, 200);
        assert_eq!(response.json()["body_len"], length);
    }
}

#[test]
fn chunked_bodies_reach_the_application() {
    let (uwsgi, curl_program) = (require_tool!("uwsgi"), require_tool!("curl"));
    let router = udp_router();
    let _app = subscribed_app(&uwsgi, &router);
    let file = router.folder().join("body");
    for length in [1, 5000, 300_000] {
        std::fs::write(&file, "x".repeat(length)).expect("write");
        let upload = format!("@{}", file.display());
        let url = format!("http://{}/p", router.http());
        let answer = curl(
            &curl_program,
            &[
                "-H",
                "Host: app.test",
                "-H",
                "Transfer-Encoding: chunked",
                "--data-binary",
                &upload,
                &url,
            ],
        );
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["body_len"], length);
    }
}

#[test]
fn percent_encoding_is_decoded_for_the_path_only() {
    let uwsgi = require_tool!("uwsgi");
    let router = udp_router();
    let _app = subscribed_app(&uwsgi, &router);
    let cases = [
        ("/n%20x?y=2", "/n x", "y=2"),
        ("/%C3%A9?q=%C3%A9", "/Ã©", "q=%C3%A9"), // WSGI shows bytes as Latin-1
        ("/a%2Fb", "/a/b", ""),
        ("/plus+sign?a+b", "/plus+sign", "a+b"),
        ("/q?a?b", "/q", "a?b"),
    ];
    for (target, path, query) in cases {
        let answer = get(router.http(), "app.test", target).json();
        assert_eq!(answer["path"], path, "{target}");
        assert_eq!(answer["qs"], query, "{target}");
    }
}

#[test]
fn keep_alive_clients_are_served_although_uwsgi_closes_each_time() {
    let uwsgi = require_tool!("uwsgi");
    let router = udp_router();
    let _app = subscribed_app(&uwsgi, &router);
    let mut client = Client::connect(router.http());
    for number in 0..10 {
        client.send(format!("GET /{number} HTTP/1.1\r\nHost: app.test\r\n\r\n"));
        assert_eq!(client.response().json()["path"], format!("/{number}"));
    }
}

#[test]
fn a_response_without_a_length_is_delivered_whole() {
    let uwsgi = require_tool!("uwsgi");
    let router = udp_router();
    let _app = subscribed_app(&uwsgi, &router);
    assert_eq!(get(router.http(), "app.test", "/close-nolen").text(), "part1part2");
}

#[test]
fn head_requests_get_no_body() {
    let uwsgi = require_tool!("uwsgi");
    let router = udp_router();
    let _app = subscribed_app(&uwsgi, &router);
    let mut client = Client::connect(router.http());
    client.send("HEAD / HTTP/1.1\r\nHost: app.test\r\n\r\n");
    assert_eq!(client.response_to_head().status, 200);
    client.send("GET /after HTTP/1.1\r\nHost: app.test\r\n\r\n");
    assert_eq!(client.response().json()["path"], "/after");
}

#[test]
fn a_vassal_that_dies_within_a_request_is_a_502() {
    let uwsgi = require_tool!("uwsgi");
    let router = udp_router();
    let app = subscribed_app(&uwsgi, &router);
    let mut client = Client::connect(router.http());
    client.send("GET /sleep?20 HTTP/1.1\r\nHost: app.test\r\n\r\n");
    crate::harness::eventually(
        "the request is with the vassal",
        std::time::Duration::from_secs(5),
        || {
            let in_flight = router.metrics().sum("suzerain_node_in_flight", &[("key", "app.test")]);
            (in_flight == 1.0).then_some(())
        },
    );
    app.signal_group(Signal::SIGKILL);
    assert_eq!(client.response().status, 502);
}

#[test]
fn the_variables_are_those_of_uwsgis_own_router() {
    let origin = UwsgiOrigin::ok();
    let router = Router::with_route(format!("vars.test={}", origin.address()));
    let mut client = Client::connect(router.http());
    client.send(
        "POST /p%20q?a=1%20b HTTP/1.1\r\nHost: vars.test\r\nContent-Type: text/x\r\n\
         Content-Length: 3\r\nX-Mine: one\r\nProxy: evil\r\nX_Under: 1\r\nCookie: a=1\r\n\
         X-Forwarded-For: 6.6.6.6\r\n\r\nabc",
    );
    assert_eq!(client.response().text(), "ok");
    let packet = origin.only_packet();
    assert_eq!((packet.modifier1, packet.modifier2), (0, 0));
    assert_eq!(packet.body, b"abc");
    let port = router.http().port().to_string();
    let expected = [
        ("REQUEST_METHOD", "POST"),
        ("REQUEST_URI", "/p%20q?a=1%20b"),
        ("PATH_INFO", "/p q"),
        ("QUERY_STRING", "a=1%20b"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("SCRIPT_NAME", ""),
        ("SERVER_PORT", port.as_str()),
        ("UWSGI_ROUTER", "http"),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("HTTP_HOST", "vars.test"),
        ("CONTENT_TYPE", "text/x"),
        ("CONTENT_LENGTH", "3"),
        ("HTTP_X_MINE", "one"),
        ("HTTP_COOKIE", "a=1"),
    ];
    for (name, value) in expected {
        assert_eq!(packet.var(name), Some(value), "{name} in {:#?}", packet.vars);
    }
    assert!(packet.var("SERVER_NAME").is_some_and(|name| !name.is_empty()));
    assert!(packet.var("REMOTE_PORT").is_some_and(|port| port.parse::<u16>().is_ok()));
    assert!(packet.vars.iter().all(|(_, value)| value != "6.6.6.6"), "{:#?}", packet.vars);
    for name in ["HTTPS", "HTTP_PROXY", "HTTP_X_UNDER"] {
        assert_eq!(packet.var(name), None, "{name}");
    }
}

#[test]
fn paths_that_do_not_decode_never_become_a_variable() {
    let origin = UwsgiOrigin::ok();
    let router = Router::with_route(format!("vars.test={}", origin.address()));
    for target in ["/a%zz", "/a%4", "/a%", "/a%00b", "/a%0ab"] {
        assert_eq!(get(router.http(), "vars.test", target).status, 400, "{target}");
    }
    assert!(origin.seen().is_empty(), "{:#?}", origin.seen());
}

#[test]
fn modifiers_and_encoded_dots_are_passed_and_tamed() {
    let origin = UwsgiOrigin::ok();
    let router = udp_router();
    let address = origin.address().to_string();
    let datagram = crate::harness::datagram::plain(
        0,
        &[("key", "mod.test"), ("address", &address), ("modifier1", "5"), ("modifier2", "7")],
    );
    crate::harness::datagram::send(router.subscribe(), &datagram);
    router.wait_for_nodes("mod.test", 1);
    let status = get(router.http(), "mod.test", "/%2e%2e/%2e%2e/etc/passwd").status;
    if status == 200 {
        let packet = origin.only_packet();
        assert_eq!((packet.modifier1, packet.modifier2), (5, 7));
        let path = packet.var("PATH_INFO").unwrap_or_default();
        assert!(!path.contains(".."), "an application could climb by {path:?}");
    } else {
        assert_eq!(status, 400);
        assert_eq!(get(router.http(), "mod.test", "/").status, 200);
        let packet = origin.only_packet();
        assert_eq!((packet.modifier1, packet.modifier2), (5, 7));
    }
}
