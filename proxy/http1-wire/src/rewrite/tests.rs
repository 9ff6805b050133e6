//! Forwarded heads as bytes, and read back by our own parser.

use super::{
    Claims, ExpectRule, ForwardFacts, NO_EDIT, ReplyBody, ReplyEdit, ReplyFacts, UpgradeRule,
    write_request_head, write_response_head,
};
use crate::tests::Dice;
use crate::{
    FieldSlots, Parsed, RequestFraming, ResponseFraming, ResponseTo, TraceFields, TraceParent,
    TraceState, Version, parse_request, parse_response,
};

const FACTS: ForwardFacts<'static> = ForwardFacts {
    claims: Claims { prior: b"", peer_ip: "192.0.2.7", proto: "https", host: "a.b", port: "443" },
    host: "a.b",
    client_cert: "",
    via: "",
    request_id: b"",
    trace: None,
    body: RequestFraming::None,
    upstream_keep_alive: true,
    expect: ExpectRule::Answer,
    upgrade: UpgradeRule::Drop,
};

const OURS: &str = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n\
                    X-Forwarded-Host: a.b\r\nX-Forwarded-Port: 443\r\n\
                    Forwarded: for=192.0.2.7;proto=https;host=a.b\r\n";

/// Parses `head`, takes its framing over and writes it.
fn forward(head: &str, facts: ForwardFacts<'_>) -> String {
    let mut slots = FieldSlots::new();
    let Ok(Parsed::Complete(parsed)) = parse_request(head.as_bytes(), &mut slots) else {
        panic!("{head}")
    };
    let mut out = Vec::new();
    write_request_head(&parsed, &ForwardFacts { body: parsed.framing, ..facts }, &mut out);
    String::from_utf8(out).unwrap()
}

fn reply(request: ResponseTo, head: &str, client_version: Version, keep_alive: bool) -> String {
    let mut slots = FieldSlots::new();
    let parsed = match parse_response(head.as_bytes(), &mut slots, request) {
        Ok(Parsed::Complete(parsed)) => parsed,
        other => panic!("{head:?} gave {other:?}"),
    };
    let body = ReplyBody::relayed(parsed.framing, client_version);
    let mut out = Vec::new();
    write_response_head(
        &parsed,
        &ReplyFacts { client_version, body, keep_alive, edit: NO_EDIT },
        &mut out,
    );
    String::from_utf8(out).unwrap()
}

fn reply11(head: &str) -> String {
    reply(ResponseTo::Other, head, Version::Http11, true)
}

#[test]
fn a_request_is_written_with_canonical_host_and_our_claims() {
    let head = "GET /p?q HTTP/1.1\r\nHost: A.B\r\nAccept:   */*  \r\nX-Forwarded-For: evil\r\n\
                Connection: close\r\nCookie: a\r\n\r\n";
    let expected =
        format!("GET /p?q HTTP/1.1\r\nHost: a.b\r\nAccept: */*\r\nCookie: a\r\n{OURS}\r\n");
    assert_eq!(forward(head, FACTS), expected);
}

#[test]
fn a_request_body_is_framed_from_what_was_parsed() {
    let head = "POST / HTTP/1.1\r\nHost: a.b\r\nContent-Length: 0007\r\n\r\n";
    assert!(forward(head, FACTS).ends_with("=a.b\r\nContent-Length: 7\r\n\r\n"));
    let head = "POST / HTTP/1.1\r\nHost: a.b\r\ntransfer-encoding: ChunkeD\r\n\r\n";
    assert!(forward(head, FACTS).ends_with("=a.b\r\nTransfer-Encoding: chunked\r\n\r\n"));
}

#[test]
fn an_absolute_target_becomes_origin_form() {
    let head = "GET http://a.b?x HTTP/1.1\r\nHost: A.b\r\n\r\n";
    assert!(forward(head, FACTS).starts_with("GET /?x HTTP/1.1\r\nHost: a.b\r\n"));
    let head = "OPTIONS * HTTP/1.0\r\n\r\n";
    assert!(forward(head, FACTS).starts_with("OPTIONS * HTTP/1.1\r\nHost: a.b\r\n"));
}

#[test]
fn an_upstream_connection_that_is_not_kept_is_told_so() {
    let facts = ForwardFacts { upstream_keep_alive: false, ..FACTS };
    let written = forward("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n", facts);
    assert!(written.ends_with("Connection: close\r\n\r\n"));
}

#[test]
fn an_expectation_is_ours_unless_it_is_forwarded() {
    let head = "PUT / HTTP/1.1\r\nHost: a.b\r\nContent-Length: 3\r\nexpect: 100-CONTINUE\r\n\r\n";
    assert!(!forward(head, FACTS).contains("xpect"));
    let facts = ForwardFacts { expect: ExpectRule::Forward, ..FACTS };
    assert!(forward(head, facts).contains("\r\nExpect: 100-continue\r\n"));
}

#[test]
fn only_a_websocket_handshake_is_forwarded_and_only_if_wanted() {
    let head = |protocol: &str| {
        format!("GET / HTTP/1.1\r\nHost: a.b\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n")
    };
    let facts = ForwardFacts { upgrade: UpgradeRule::WebSocket, ..FACTS };
    let tail = "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert!(forward(&head("WEBsocket"), facts).ends_with(tail));
    assert!(!forward(&head("h2c"), facts).contains("pgrade"));
    assert!(!forward(&head("websocket"), FACTS).contains("pgrade"));
}

#[test]
fn we_stand_last_in_via_and_our_request_id_replaces_the_clients() {
    let head =
        "GET / HTTP/1.1\r\nHost: a.b\r\nVia: 1.0 x\r\nx-request-id: forged\r\nvia: 1.1 y\r\n\r\n";
    let facts = ForwardFacts { via: "us", request_id: b"77", ..FACTS };
    let expected = format!(
        "GET / HTTP/1.1\r\nHost: a.b\r\n{OURS}Via: 1.0 x, 1.1 y, 1.1 us\r\nX-Request-ID: 77\r\n\r\n"
    );
    assert_eq!(forward(head, facts), expected);
    let without = forward(head, FACTS);
    assert!(without.contains("\r\nx-request-id: forged\r\n"), "{without}");
}

#[test]
fn the_trace_of_a_request_is_told_in_place_of_the_clients() {
    let head = "GET / HTTP/1.1\r\nHost: a.b\r\nTraceParent: forged\r\nTraceState: a=1\r\n\
                traceparent: again\r\ntracestate: b=2\r\n\r\n";
    let ours = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let parent = TraceParent::parse(ours.as_bytes()).unwrap();
    let told =
        |state| forward(head, ForwardFacts { trace: Some(TraceFields { parent, state }), ..FACTS });
    let start = "GET / HTTP/1.1\r\nHost: a.b\r\n";
    assert_eq!(
        told(TraceState::Kept),
        format!("{start}TraceState: a=1\r\ntracestate: b=2\r\n{OURS}traceparent: {ours}\r\n\r\n")
    );
    assert_eq!(told(TraceState::Dropped), format!("{start}{OURS}traceparent: {ours}\r\n\r\n"));
    assert!(forward(head, FACTS).contains("\r\nTraceParent: forged\r\nTraceState: a=1\r\n"));
}

#[test]
fn a_response_is_edited_as_told_unless_it_is_interim() {
    let edit = ReplyEdit { dropped: &["etag", "X-Gone"], added: &[("ETag", b"W/\"1\"")] };
    let written = |head: &str| {
        let mut slots = FieldSlots::new();
        let Ok(Parsed::Complete(parsed)) =
            parse_response(head.as_bytes(), &mut slots, ResponseTo::Other)
        else {
            panic!("{head}")
        };
        let facts = ReplyFacts {
            client_version: Version::Http11,
            body: ReplyBody::Chunked,
            keep_alive: true,
            edit,
        };
        let mut out = Vec::new();
        write_response_head(&parsed, &facts, &mut out);
        String::from_utf8(out).unwrap()
    };
    let fields = "ETag: \"1\"\r\nx-gone: 1\r\nA: b\r\n\r\n";
    assert_eq!(
        written(&format!("HTTP/1.1 200 OK\r\n{fields}")),
        "HTTP/1.1 200 OK\r\nA: b\r\nETag: W/\"1\"\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let interim = format!("HTTP/1.1 103 x\r\n{fields}");
    assert_eq!(written(&interim), interim);
}

#[test]
fn a_response_keeps_its_fields_and_gets_our_framing() {
    let head = "HTTP/1.0 404 Not \u{e9}\r\nServer:x\r\nConnection: close\r\nKeep-Alive: 5\r\n\
                Content-Length: 005\r\nSet-Cookie: a\r\n\r\n";
    let expected =
        "HTTP/1.1 404 Not \u{e9}\r\nServer: x\r\nSet-Cookie: a\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(reply11(head), expected);
    assert_eq!(
        reply11("HTTP/1.1 200\r\n\r\n"),
        "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n"
    );
}

#[test]
fn a_response_tells_an_old_client_what_it_understands() {
    let sized = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    let old = |head, keep| reply(ResponseTo::Other, head, Version::Http10, keep);
    assert!(old(sized, true).ends_with("Content-Length: 5\r\nConnection: keep-alive\r\n\r\n"));
    assert!(old(sized, false).ends_with("Content-Length: 5\r\nConnection: close\r\n\r\n"));
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(old(chunked, true), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
}

#[test]
fn a_client_connection_that_is_not_kept_is_told_so() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    let written = reply(ResponseTo::Other, head, Version::Http11, false);
    assert_eq!(written, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n");
}

#[test]
fn bodiless_responses_state_a_length_only_where_they_may() {
    let with = |status: &str| format!("HTTP/1.1 {status}\r\nContent-Length: 9\r\n\r\n");
    assert!(reply11(&with("304 x")).contains("Content-Length: 9"));
    assert!(!reply11(&with("204 x")).contains("Content-Length"));
    assert!(!reply11(&with("103 x")).contains("Content-Length"));
    let head = reply(ResponseTo::Head, &with("200 OK"), Version::Http11, true);
    assert_eq!(head, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let head = reply(ResponseTo::Head, chunked, Version::Http11, true);
    assert_eq!(head, "HTTP/1.1 200 OK\r\n\r\n");
}

#[test]
fn interim_responses_carry_neither_framing_nor_connection() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: x\r\nConnection: close\r\n\r\n";
    let written = reply(ResponseTo::Other, hints, Version::Http11, false);
    assert_eq!(written, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
    let switch = "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-A: b\r\n\r\n";
    let expected =
        "HTTP/1.1 101 x\r\nSec-A: b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(reply11(switch), expected);
}

/// Goal: what is written reads back as what was parsed. Method: random good requests, rewritten
/// and parsed again; method, target, framing and end-to-end fields are compared.
#[test]
fn a_rewritten_request_reads_back_the_same() {
    const METHODS: [&str; 5] = ["GET", "POST", "DELETE", "PATCH", "PROPFIND"];
    const TARGETS: [&str; 4] = ["/", "/a/b?c=d&e", "http://a.b/x", "//a%20b;c"];
    const LINES: [&str; 8] = [
        "Accept: */*",
        "cookie:a=b; c_d",
        "X-Empty:",
        "Connection: keep-alive, x-hop",
        "X-HOP: 1",
        "X-Forwarded-Proto: ftp",
        "X_Y: z",
        "X-Latin: \u{e9}\t\u{e9}",
    ];
    const BODIES: [&str; 3] = ["X-None: 1", "Content-Length: 42", "Transfer-Encoding: chunked"];
    let mut dice = Dice::new(42);
    for _ in 0..3000 {
        let mut head = METHODS[dice.below(5)].to_owned() + " " + TARGETS[dice.below(4)];
        head.push_str(" HTTP/1.1\r\nHost: a.b\r\n");
        for _ in 0..dice.below(20) {
            head.push_str(LINES[dice.below(8)]);
            head.push_str("\r\n");
        }
        head.push_str(BODIES[dice.below(3)]);
        head.push_str("\r\n\r\n");
        let written = forward(&head, FACTS);
        let (mut before, mut after) = (FieldSlots::new(), FieldSlots::new());
        let Ok(Parsed::Complete(before)) = parse_request(head.as_bytes(), &mut before) else {
            // More than CONNECTION_NAMES_MAX options cannot occur with 20 lines.
            panic!("{head}")
        };
        let Ok(Parsed::Complete(after)) = parse_request(written.as_bytes(), &mut after) else {
            panic!("{written}")
        };
        assert_eq!((before.method, before.framing), (after.method, after.framing));
        assert_eq!(before.target.path(), after.target.path());
        assert_eq!(before.target.query(), after.target.query());
        assert_eq!(after.head_bytes, written.len());
        assert!(before.forwarded_fields().eq(after.forwarded_fields()), "{head}\n{written}");
    }
}

#[test]
fn a_rewritten_response_reads_back_the_same() {
    for (lines, framing) in [
        ("A: b\r\nSet-Cookie: x\r\nContent-Length: 3", ResponseFraming::Length(3)),
        ("A: b\r\nTransfer-Encoding: chunked", ResponseFraming::Chunked),
        ("A: b\r\nConnection: a\r\nB: c", ResponseFraming::Chunked),
    ] {
        let head = format!("HTTP/1.1 201 Made\r\n{lines}\r\n\r\n");
        let written = reply11(&head);
        let (mut before, mut after) = (FieldSlots::new(), FieldSlots::new());
        let Ok(Parsed::Complete(before)) =
            parse_response(head.as_bytes(), &mut before, ResponseTo::Other)
        else {
            panic!("{head}")
        };
        let Ok(Parsed::Complete(after)) =
            parse_response(written.as_bytes(), &mut after, ResponseTo::Other)
        else {
            panic!("{written}")
        };
        assert_eq!((after.status, after.reason, after.framing), (201, before.reason, framing));
        assert!(before.forwarded_fields().eq(after.forwarded_fields()));
    }
}

#[test]
fn a_warm_buffer_is_not_grown() {
    let head = "GET /p HTTP/1.1\r\nHost: a.b\r\nAccept: */*\r\nCookie: a\r\n\r\n";
    let mut slots = FieldSlots::new();
    let Ok(Parsed::Complete(parsed)) = parse_request(head.as_bytes(), &mut slots) else {
        panic!("{head}")
    };
    let mut out = Vec::new();
    write_request_head(&parsed, &FACTS, &mut out);
    let reserved = out.capacity();
    out.clear();
    write_request_head(&parsed, &FACTS, &mut out);
    assert_eq!(out.capacity(), reserved);
}
