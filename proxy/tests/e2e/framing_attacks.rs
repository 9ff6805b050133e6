//! Requests and responses two recipients could read differently: refused, never repaired.
//!
//! Each row sends its bytes on a connection of its own, expects the one status, the end of the
//! connection, and an origin that saw nothing. A good request after all rows proves that the
//! origin was reachable the whole time.

use crate::harness::{Client, Origin, Router, get};

/// A request and the status it must get.
type Row = (&'static str, &'static str, u16);

const FRAMING: &[Row] = &[
    (
        "length and coding",
        "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n\
         0\r\n\r\n",
        400,
    ),
    (
        "coding and length",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n\
         0\r\n\r\n",
        400,
    ),
    (
        "two lengths",
        "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        400,
    ),
    (
        "two equal lengths",
        "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        400,
    ),
    ("a list of lengths", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1, 1\r\n\r\na", 400),
    ("a signed length", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: +1\r\n\r\na", 400),
    ("a negative length", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: -1\r\n\r\n", 400),
    ("a hex length", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0x1\r\n\r\na", 400),
    ("an empty length", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length:\r\n\r\n", 400),
    ("a worded length", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: abc\r\n\r\n", 400),
    (
        "an endless length",
        "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 99999999999999999999\r\n\r\n",
        400,
    ),
    (
        "a coding list",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "an unknown coding",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: identity\r\n\r\n",
        400,
    ),
    (
        "chunked twice in a list",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "chunked in two fields",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\
         Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "a disguised coding",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "a quoted coding",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "a coding in HTTP/1.0",
        "POST / HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
];

const FIELDS: &[Row] = &[
    ("a folded field", "GET / HTTP/1.1\r\nHost: a.test\r\nX: 1\r\n 2\r\n\r\n", 400),
    ("a folded first field", "GET / HTTP/1.1\r\n Host: a.test\r\n\r\n", 400),
    ("bare LF after a field", "GET / HTTP/1.1\r\nHost: a.test\nX: 1\r\n\r\n", 400),
    ("bare LF everywhere", "GET / HTTP/1.1\nHost: a.test\n\n", 400),
    ("bare CR in a value", "GET / HTTP/1.1\r\nHost: a.test\r\nX: 1\r2\r\n\r\n", 400),
    ("bare CR in the request line", "GET /\r HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
    ("NUL in a value", "GET / HTTP/1.1\r\nHost: a.test\r\nX: 1\x002\r\n\r\n", 400),
    ("NUL in a name", "GET / HTTP/1.1\r\nHost: a.test\r\nX\x00Y: 1\r\n\r\n", 400),
    ("a control in a value", "GET / HTTP/1.1\r\nHost: a.test\r\nX: \x01\r\n\r\n", 400),
    ("DEL in a value", "GET / HTTP/1.1\r\nHost: a.test\r\nX: \x7f\r\n\r\n", 400),
    ("space before the colon", "GET / HTTP/1.1\r\nHost: a.test\r\nX : 1\r\n\r\n", 400),
    (
        "space before a length's colon",
        "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length : 1\r\n\r\na",
        400,
    ),
    ("tab before the colon", "GET / HTTP/1.1\r\nHost: a.test\r\nX\t: 1\r\n\r\n", 400),
    ("a line without a colon", "GET / HTTP/1.1\r\nHost: a.test\r\nnothing\r\n\r\n", 400),
    ("an empty name", "GET / HTTP/1.1\r\nHost: a.test\r\n: 1\r\n\r\n", 400),
    (
        "Connection that names the framing",
        "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: Content-Length\r\nContent-Length: 1\r\n\r\n\
         a",
        400,
    ),
    ("an unknown expectation", "GET / HTTP/1.1\r\nHost: a.test\r\nExpect: 200-ok\r\n\r\n", 417),
    ("a name in brackets", "GET / HTTP/1.1\r\nHost: a.test\r\n[X]: 1\r\n\r\n", 400),
];

const HOSTS: &[Row] = &[
    ("no Host", "GET / HTTP/1.1\r\nX: 1\r\n\r\n", 400),
    ("an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    ("two Hosts", "GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n", 400),
    ("two equal Hosts", "GET / HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n", 400),
    ("a list of Hosts", "GET / HTTP/1.1\r\nHost: a.test, b.test\r\n\r\n", 400),
    ("a Host with a path", "GET / HTTP/1.1\r\nHost: a.test/x\r\n\r\n", 400),
    ("a Host with user info", "GET / HTTP/1.1\r\nHost: me@a.test\r\n\r\n", 400),
    ("a Host with a bad port", "GET / HTTP/1.1\r\nHost: a.test:99999\r\n\r\n", 400),
    ("a Host with a worded port", "GET / HTTP/1.1\r\nHost: a.test:http\r\n\r\n", 400),
    ("a Host with a blank", "GET / HTTP/1.1\r\nHost: a. test\r\n\r\n", 400),
    ("a target that disagrees", "GET http://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
    (
        "a target whose port disagrees",
        "GET http://a.test:81/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
        400,
    ),
    ("a target with user info", "GET http://x@a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
];

const START_LINES: &[Row] = &[
    ("HTTP/2.0 in text", "GET / HTTP/2.0\r\nHost: a.test\r\n\r\n", 505),
    ("HTTP/1.2", "GET / HTTP/1.2\r\nHost: a.test\r\n\r\n", 505),
    ("HTTP/0.9", "GET /\r\n\r\n", 400),
    ("an unknown protocol", "GET / FOO/9.9\r\nHost: a.test\r\n\r\n", 400),
    ("a lower-case protocol", "GET / http/1.1\r\nHost: a.test\r\n\r\n", 400),
    ("CONNECT", "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n", 501),
    ("two blanks", "GET  / HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
    ("a blank in the target", "GET /a b HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
    ("a tab as blank", "GET\t/ HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
    ("a target without a slash", "GET a HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
    ("a fragment", "GET /#x HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
    ("a method with controls", "G\x01T / HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
    ("an asterisk with GET", "GET * HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
    ("an empty line first", "\r\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
    ("binary garbage", "\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
];

/// Sends every row and collects what went wrong, so that one run shows all of it.
#[track_caller]
fn expect_refused(rows: &[Row]) {
    let origin = Origin::echo();
    let router = Router::with_route(origin.route("a.test"));
    let mut wrong = Vec::new();
    for (what, bytes, status) in rows {
        let mut client = Client::connect(router.http());
        // A refusal may come, with the close, before the last byte left.
        let _ = client.try_send(bytes);
        match client.try_response("GET") {
            Ok(response) if response.status == *status => {
                client.expect_closed();
                assert!(!response.body.is_empty(), "{what}: a refusal says something readable");
            }
            Ok(response) => wrong.push(format!("{what}: {} not {status}", response.status)),
            Err(error) => wrong.push(format!("{what}: {error}")),
        }
    }
    assert_eq!(get(router.http(), "a.test", "/last").status, 200);
    let seen = origin.seen();
    let leaked = seen.iter().filter(|request| request.target() != "/last");
    wrong.extend(leaked.map(|request| format!("reached the origin: {:?}", request.head)));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn ambiguous_framing_is_refused() {
    expect_refused(FRAMING);
}

#[test]
fn malformed_fields_are_refused() {
    expect_refused(FIELDS);
}

#[test]
fn a_doubtful_host_is_refused() {
    expect_refused(HOSTS);
}

#[test]
fn unknown_start_lines_are_refused() {
    expect_refused(START_LINES);
}

#[test]
fn heads_beyond_the_limits_are_refused() {
    let fields =
        |count: usize| -> String { (0..count).map(|at| format!("X-{at}: 1\r\n")).collect() };
    let head = |more: &str| format!("GET / HTTP/1.1\r\nHost: a.test\r\n{more}\r\n");
    let many = head(&fields(128)).leak();
    let long = head(&format!("X: {}\r\n", "x".repeat(64 * 1024))).leak();
    let wide = head(&format!("{}: 1\r\n", "x".repeat(66 * 1024))).leak();
    let target = format!("GET /{} HTTP/1.1\r\nHost: a.test\r\n\r\n", "t".repeat(16 * 1024)).leak();
    let method = format!("{} / HTTP/1.1\r\nHost: a.test\r\n\r\n", "M".repeat(33)).leak();
    expect_refused(&[
        ("129 fields", many, 431),
        ("a head of more than 64 KiB", long, 431),
        ("a name of more than 64 KiB", wide, 431),
        ("a target of more than 16 KiB", target, 414),
        ("a method of more than 32 bytes", method, 501),
    ]);
}

#[test]
fn heads_at_the_limits_pass() {
    let origin = Origin::echo();
    let router = Router::with_route(origin.route("a.test"));
    let fields: String = (0..126).map(|at| format!("X-{at}: 1\r\n")).collect();
    let mut client = Client::connect(router.http());
    client.send(format!("GET /many HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n"));
    assert_eq!(client.response().status, 200);
    let value = "v".repeat(60 * 1024);
    client.send(format!("GET /long HTTP/1.1\r\nHost: a.test\r\nX: {value}\r\n\r\n"));
    assert_eq!(client.response().status, 200);
}

#[test]
fn malformed_chunks_are_refused_and_never_complete_a_request() {
    const HEAD: &str = "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    let bodies = [
        ("no digits", "\r\n\r\n"),
        ("a signed size", "+1\r\na\r\n0\r\n\r\n"),
        ("a prefixed size", "0x1\r\na\r\n0\r\n\r\n"),
        ("a blank before the size", " 1\r\na\r\n0\r\n\r\n"),
        ("a size too large", "ffffffffffffffff1\r\na\r\n0\r\n\r\n"),
        ("bare LF after the size", "1\na\r\n0\r\n\r\n"),
        ("more bytes than announced", "1\r\nab\r\n0\r\n\r\n"),
        ("bare LF after the bytes", "1\r\na\n0\r\n\r\n"),
        ("a folded trailer", "1\r\na\r\n0\r\nX: 1\r\n 2\r\n\r\n"),
        ("a trailer with a bare LF", "1\r\na\r\n0\r\nX: 1\n\r\n"),
    ];
    for (what, body) in bodies {
        // The script records the body only when it ended properly.
        let origin = Origin::echo();
        let router = Router::with_route(origin.route("a.test"));
        let mut client = Client::connect(router.http());
        let _ = client.try_send(format!("{HEAD}{body}"));
        let response = client.try_response("GET").unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(response.status, 400, "{what}");
        client.expect_closed();
        assert!(origin.seen().iter().all(|seen| seen.body.is_empty()), "{what}: completed");
    }
}

#[test]
fn malformed_responses_become_502() {
    let responses: [(&str, &[u8]); 17] = [
        ("no status line", b"hello\r\n\r\n"),
        ("an unknown version", b"HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("a two-digit status", b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"),
        ("a worded status", b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n"),
        ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        ("a length list", b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\na"),
        ("a worded length", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"),
        (
            "length and coding",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "an unknown coding",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        ),
        ("a coding in HTTP/1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("a folded field", b"HTTP/1.1 200 OK\r\nX: 1\r\n 2\r\nContent-Length: 0\r\n\r\n"),
        ("a bare CR", b"HTTP/1.1 200 OK\r\nX: 1\r2\r\nContent-Length: 0\r\n\r\n"),
        ("NUL in a value", b"HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 0\r\n\r\n"),
        ("space before a colon", b"HTTP/1.1 200 OK\r\nX : 1\r\nContent-Length: 0\r\n\r\n"),
        ("a field without a colon", b"HTTP/1.1 200 OK\r\nnothing\r\nContent-Length: 0\r\n\r\n"),
        ("an end within the head", b"HTTP/1.1 200 OK\r\nContent-Le"),
        ("nothing at all", b""),
    ];
    for (what, bytes) in responses {
        let origin = Origin::raw(bytes);
        let router = Router::with_route(origin.route("a.test"));
        let response = get(router.http(), "a.test", "/");
        assert_eq!(response.status, 502, "{what}");
        let leaked = String::from_utf8_lossy(bytes);
        assert!(leaked.is_empty() || !response.text().contains(&*leaked), "{what}: passed on");
    }
}

#[test]
fn bytes_after_a_response_never_become_another_ones() {
    let origin = Origin::raw(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\
        Content-Length: 6\r\n\r\npoison",
    );
    let router = Router::setup().route(origin.route("a.test")).workers(1).start();
    let mut client = Client::connect(router.http());
    for _ in 0..5 {
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let response = client.response();
        assert_eq!((response.status, response.text().as_str()), (200, "ok"));
    }
}

#[test]
fn names_that_could_forge_variables_are_dropped() {
    let origin = Origin::echo();
    let router = Router::with_route(origin.route("a.test"));
    let mut client = Client::connect(router.http());
    client.send(
        "GET / HTTP/1.1\r\nHost: a.test\r\nX_Under: 1\r\nX-Forwarded_Proto: https\r\n\
         Proxy: http://evil.test/\r\nX-Dash: 2\r\n\r\n",
    );
    assert_eq!(client.response().status, 200);
    let seen = origin.only_request();
    for name in ["X_Under", "X-Forwarded_Proto", "Proxy"] {
        assert!(seen.fields(name).is_empty(), "{name} reached the origin: {}", seen.head);
    }
    assert_eq!(seen.fields("X-Dash"), ["2"]);
}

#[test]
fn forwarded_fields_from_outside_are_replaced_by_ours() {
    let origin = Origin::echo();
    let router = Router::with_route(origin.route("a.test"));
    let mut client = Client::connect(router.http());
    client.send(
        "GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 6.6.6.6\r\n\
         X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.test\r\n\
         X-Forwarded-Port: 666\r\nForwarded: for=6.6.6.6\r\n\r\n",
    );
    assert_eq!(client.response().status, 200);
    let seen = origin.only_request();
    assert_eq!(seen.fields("X-Forwarded-For"), ["127.0.0.1"]);
    assert_eq!(seen.fields("X-Forwarded-Proto"), ["http"]);
    assert!(!seen.head.contains("evil.test") && !seen.head.contains("6.6.6.6"), "{}", seen.head);
    assert!(!seen.fields("X-Forwarded-Port").contains(&"666"), "{}", seen.head);
    assert_eq!(seen.fields("Host"), ["a.test"]);
}
