//! The bodies of this crate's fuzz targets, and of the replay of their corpora.
//!
//! They assert properties of the codec over any bytes and panic where one does not hold; nothing
//! else calls them. Two recur: where the input is cut never matters, and what we forward reads to
//! the next parser as it read to us.

mod naive;
mod rtsp;

use std::net::{IpAddr, SocketAddr};

use self::naive::{Naive, is_dots, naive_chunked, naive_path, naive_unescape};
pub use self::rtsp::rtsp_request;
use crate::limits::{FIELDS_MAX, HEAD_BYTES_MAX, HOST_BYTES_MAX, PREFACE_V2_BYTES_MAX};
use crate::{
    Announcement, CHUNK_END, ChunkScanner, ChunkState, Claims, ExpectRule, FieldSlots, Fields,
    ForwardFacts, HeadEnd, LAST_CHUNK, NO_EDIT, Parsed, Preface, PrefaceEnds, ReplyBody,
    ReplyFacts, RequestFraming, RequestHead, ResponseFraming, ResponseHead, ResponseTo, SpanId,
    TraceFields, TraceId, TraceParent, TraceState, Upgrade, UpgradeRule, Version, decode_path,
    head_end, parse_preface, parse_request, parse_response, trailer_fields, write_chunk_size_line,
    write_last_chunk, write_preface, write_request_head, write_response_head,
};

/// A request head means the same however it is cut, and what is forwarded reads as it was meant.
pub fn request(bytes: &[u8]) {
    check_cuts(bytes, |bytes| {
        let mut slots = FieldSlots::new();
        verdict(parse_request(bytes, &mut slots), |head| head.head_bytes)
    });
    let mut slots = FieldSlots::new();
    let Ok(Parsed::Complete(head)) = parse_request(bytes, &mut slots) else { return };
    assert!(head.host.len() <= HOST_BYTES_MAX && head.host.is_ascii());
    let connection = head.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("connection"));
    for option in connection.flat_map(|(_, value)| value.split(|octet| *octet == b',')) {
        let framing = ["host", "content-length", "transfer-encoding"];
        let named = |name: &&str| option.trim_ascii().eq_ignore_ascii_case(name.as_bytes());
        assert!(!framing.iter().any(named), "what framed or routed is never nominated");
    }
    let authority = head.target.authority();
    assert!(authority.is_none_or(|authority| authority.eq_ignore_ascii_case(head.host)));
    check_framing_fields(head.fields);
    let bodies = [head.framing, RequestFraming::None, RequestFraming::Chunked];
    for body in bodies {
        let dropping = (ExpectRule::Answer, UpgradeRule::Drop, false, b"".as_slice(), None);
        let trace = Some(told_trace(&head));
        let passing = (ExpectRule::Forward, UpgradeRule::WebSocket, true, b"7".as_slice(), trace);
        for (expect, upgrade, upstream_keep_alive, request_id, trace) in [dropping, passing] {
            let host = std::str::from_utf8(head.host).expect("a host is ASCII");
            check_forwarded(
                &head,
                &ForwardFacts {
                    claims: Claims {
                        prior: b"2001:db8::1, x",
                        peer_ip: "192.0.2.1",
                        proto: "https",
                        host: "public.example",
                        port: "443",
                    },
                    host: if host.is_empty() { "fallback.example" } else { host },
                    client_cert: "",
                    via: "us",
                    request_id,
                    trace,
                    body,
                    upstream_keep_alive,
                    expect,
                    upgrade,
                },
            );
        }
    }
}

/// What a router would tell of the trace of this request.
fn told_trace(head: &RequestHead<'_, '_>) -> TraceFields {
    let made = TraceParent { trace: TraceId::MAX, span: SpanId::MAX, sampled: true };
    let parent = TraceParent::of(head.fields).unwrap_or(made);
    assert_eq!(TraceParent::parse(&parent.text()), Some(parent));
    TraceFields { parent, state: TraceState::of(head.fields) }
}

/// A head that was accepted says in one field at most where its body ends.
fn check_framing_fields(fields: Fields<'_, '_>) {
    let framing = ["content-length", "transfer-encoding"];
    let frames = |name: &str| framing.iter().any(|framing| name.eq_ignore_ascii_case(framing));
    assert!(fields.iter().filter(|(name, _)| frames(name)).count() <= 1);
}

/// The forwarded head holds what the client sent and nothing the client must not decide.
fn check_forwarded(head: &RequestHead<'_, '_>, facts: &ForwardFacts<'_>) {
    let mut out = Vec::new();
    write_request_head(head, facts, &mut out);
    if head.fields.len() + FIELDS_ADDED > FIELDS_MAX || out.len() > HEAD_BYTES_MAX {
        return; // too much for the next parser, if it is like this one
    }
    let mut slots = FieldSlots::new();
    let parsed = parse_request(&out, &mut slots);
    let Ok(Parsed::Complete(next)) = parsed else { panic!("forwarded head: {parsed:?}") };
    assert_eq!(next.head_bytes, out.len(), "one head is one head");
    assert_eq!((next.method, next.version), (head.method, Version::Http11));
    assert_eq!(next.target.path(), head.target.path());
    assert_eq!(next.target.query(), head.target.query());
    assert_eq!(next.target.authority(), None);
    assert_eq!(next.host, facts.host.as_bytes());
    assert_eq!(next.framing, facts.body);
    let is_ours = |name: &str| {
        (!facts.request_id.is_empty() && name.eq_ignore_ascii_case("x-request-id"))
            || facts.trace.is_some_and(|trace| trace.replaces(name))
    };
    let sent = next.forwarded_fields().filter(|(name, _)| !is_ours(name));
    let received = head.forwarded_fields().filter(|(name, _)| !is_ours(name));
    assert!(sent.eq(received), "fields travel unchanged");
    let websocket = head.upgrade == Some(Upgrade::WebSocket);
    let tunnels = websocket && facts.upgrade == UpgradeRule::WebSocket;
    assert_eq!(next.keep_alive, facts.upstream_keep_alive || tunnels);
    assert_eq!(next.upgrade.is_some(), tunnels);
    if facts.body == head.framing {
        let waits = head.expect_continue && facts.expect == ExpectRule::Forward;
        assert_eq!(next.expect_continue, waits);
    }
    let count = |name: &str| {
        next.fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name)).count()
    };
    for claim in
        ["host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "via"]
    {
        assert_eq!(count(claim), 1, "{claim} is ours alone to state");
    }
    for withheld in ["te", "trailer", "keep-alive", "proxy", "proxy-connection"] {
        assert_eq!(count(withheld), 0, "{withheld} ends here");
    }
    let framed = usize::from(facts.body != RequestFraming::None);
    assert_eq!(count("content-length") + count("transfer-encoding"), framed);
    assert!(!next.fields.iter().any(|(name, _)| name.contains('_')));
}

/// A response head means the same however it is cut, and what is forwarded reads as it was meant.
pub fn response(bytes: &[u8]) {
    for request in [ResponseTo::Head, ResponseTo::Other] {
        check_cuts(bytes, |bytes| {
            let mut slots = FieldSlots::new();
            verdict(parse_response(bytes, &mut slots, request), |head| head.head_bytes)
        });
        let mut slots = FieldSlots::new();
        let Ok(Parsed::Complete(head)) = parse_response(bytes, &mut slots, request) else {
            continue;
        };
        assert!((100..=999).contains(&head.status));
        check_framing_fields(head.fields);
        if head.framing == ResponseFraming::UntilClose {
            assert!(!head.keep_alive, "the end of the connection ends one body");
        }
        for client_version in [Version::Http10, Version::Http11] {
            for keep_alive in [false, true] {
                let body = ReplyBody::relayed(head.framing, client_version);
                let facts = ReplyFacts { client_version, body, keep_alive, edit: NO_EDIT };
                check_reply(&head, request, &facts);
            }
        }
    }
}

/// The forwarded reply reads as what the upstream said, framed as the facts want it.
fn check_reply(head: &ResponseHead<'_, '_>, request: ResponseTo, facts: &ReplyFacts<'_>) {
    let mut out = Vec::new();
    write_response_head(head, facts, &mut out);
    if head.fields.len() + FIELDS_ADDED > FIELDS_MAX || out.len() > HEAD_BYTES_MAX {
        return;
    }
    let mut slots = FieldSlots::new();
    let parsed = parse_response(&out, &mut slots, request);
    let Ok(Parsed::Complete(next)) = parsed else { panic!("forwarded head: {parsed:?}") };
    assert_eq!(next.head_bytes, out.len(), "one head is one head");
    assert_eq!((next.status, next.reason), (head.status, head.reason));
    assert_eq!(next.version, Version::Http11);
    assert!(next.forwarded_fields().eq(head.forwarded_fields()), "fields travel unchanged");
    let framing = match facts.body {
        ReplyBody::None => ResponseFraming::None,
        ReplyBody::Length(length) => ResponseFraming::Length(length),
        ReplyBody::Chunked => ResponseFraming::Chunked,
        ReplyBody::UntilClose => ResponseFraming::UntilClose,
    };
    assert_eq!(next.framing, framing);
    assert_eq!(next.upgrade, head.upgrade);
    if head.is_interim() {
        assert_eq!(next.stated_length, None);
        assert!(next.keep_alive, "an interim head closes nothing");
    } else {
        assert_eq!(next.keep_alive, facts.keep_alive && facts.body != ReplyBody::UntilClose);
        let stated = head.stated_length.filter(|_| head.status != 204);
        assert_eq!(next.stated_length, stated, "a length is passed on or not needed");
    }
}

/// What a parser says of a buffer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum HeadVerdict {
    Partial,
    Complete { head_bytes: usize },
    Refused,
}

fn verdict<T, E>(parsed: Result<Parsed<T>, E>, head_bytes: fn(&T) -> usize) -> HeadVerdict {
    match parsed {
        Ok(Parsed::Complete(head)) => HeadVerdict::Complete { head_bytes: head_bytes(&head) },
        Ok(Parsed::Partial) => HeadVerdict::Partial,
        Err(_) => HeadVerdict::Refused,
    }
}

/// A verdict on some bytes holds whatever follows them, and agrees with `head_end`.
fn check_cuts(bytes: &[u8], parse: impl Fn(&[u8]) -> HeadVerdict) {
    let whole = parse(bytes);
    match (whole, head_end(bytes, 0)) {
        (HeadVerdict::Complete { head_bytes }, end) => {
            assert_eq!(end, Ok(HeadEnd::At(head_bytes)));
            assert_eq!(parse(&bytes[..head_bytes]), whole, "the head ends itself");
            assert_eq!(parse(&bytes[..head_bytes - 1]), HeadVerdict::Partial);
        }
        (HeadVerdict::Partial, end) => assert!(matches!(end, Ok(HeadEnd::Partial(_)))),
        (HeadVerdict::Refused, _) => {}
    }
    let stride = bytes.len() / CUTS_MAX + 1;
    let mut from = 0;
    for cut in (0..bytes.len()).step_by(stride) {
        let prefix = &bytes[..cut];
        match parse(prefix) {
            HeadVerdict::Partial => {}
            early => assert_eq!(early, whole, "decided after {cut} bytes"),
        }
        let resumed = head_end(prefix, from);
        assert_eq!(resumed, head_end(prefix, 0), "a scan may be resumed");
        let Ok(HeadEnd::Partial(next)) = resumed else { return };
        from = next;
    }
}

/// A chunked body is read the same however it is cut, and as a naive decoder reads it.
///
/// The first byte is the length of the pieces; the body follows.
pub fn chunked(bytes: &[u8]) {
    let Some((piece, body)) = bytes.split_first() else { return };
    let whole = scan(body, body.len());
    for piece in [1, 2, usize::from(*piece)] {
        assert_eq!(scan(body, piece.max(1)), whole, "in pieces of {piece}");
    }
    match (&whole, naive_chunked(body)) {
        (Scanned::End { payload, consumed }, Naive::End { payload: expected, consumed: at }) => {
            assert_eq!((payload, *consumed), (&expected, at));
            check_written(payload, usize::from(*piece).max(1));
        }
        (Scanned::Cut { payload }, Naive::Cut { payload: expected }) => {
            assert_eq!(payload, &expected);
        }
        // The scanner need not wait for the end of a line to refuse it.
        (Scanned::Refused, Naive::Refused | Naive::Cut { .. }) => {}
        (scanned, naive) => panic!("scanner: {scanned:?}, naive decoder: {naive:?}"),
    }
}

/// Payload that is written in chunks is read back.
fn check_written(payload: &[u8], piece: usize) {
    let mut body = Vec::new();
    for chunk in payload.chunks(piece) {
        write_chunk_size_line(chunk.len() as u64, &mut body);
        body.extend_from_slice(chunk);
        body.extend_from_slice(CHUNK_END);
    }
    body.extend_from_slice(LAST_CHUNK);
    let consumed = body.len();
    assert_eq!(scan(&body, consumed), Scanned::End { payload: payload.to_vec(), consumed });
}

/// Trailers that travel on are read back, and none of them is one that must not.
fn check_trailers(lines: &[u8]) {
    let mut end = Vec::new();
    write_last_chunk(trailer_fields(lines), &mut end);
    let step = ChunkScanner::new().next(&end).expect("a last chunk");
    assert_eq!((step.consumed, step.state), (end.len(), ChunkState::End));
    let mut before = trailer_fields(lines);
    let same = trailer_fields(&end[step.trailer]).all(|field| before.next() == Some(field));
    assert!(same, "they come out as they went in, as far as the bounds let them");
    for name in ["content-length", "transfer-encoding", "host", "x-forwarded-for", "cookie"] {
        assert!(trailer_fields(lines).all(|(known, _)| !known.eq_ignore_ascii_case(name)));
    }
}

/// What the scanner made of a body.
#[derive(Debug, Eq, PartialEq)]
enum Scanned {
    Cut { payload: Vec<u8> },
    End { payload: Vec<u8>, consumed: usize },
    Refused,
}

fn scan(body: &[u8], piece: usize) -> Scanned {
    let mut scanner = ChunkScanner::new();
    let (mut payload, mut lines) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < body.len() {
        let end = (at + piece).min(body.len());
        while at < end {
            let input = &body[at..end];
            let Ok(step) = scanner.next(input) else { return Scanned::Refused };
            assert!(step.consumed > 0 && step.consumed <= input.len(), "it gets on");
            assert!(step.data.end <= step.consumed);
            payload.extend_from_slice(&input[step.data]);
            lines.extend_from_slice(&input[step.trailer]);
            at += step.consumed;
            if step.state == ChunkState::End {
                check_trailers(&lines);
                return Scanned::End { payload, consumed: at };
            }
        }
    }
    Scanned::Cut { payload }
}

/// A preface is read the same however it is cut, and what it announces can be announced again.
pub fn preface(bytes: &[u8]) {
    let outcome = |bytes: &[u8]| match parse_preface(bytes) {
        Ok(Parsed::Partial) => None,
        Ok(Parsed::Complete(preface)) => Some(Ok(preface)),
        Err(error) => Some(Err(error)),
    };
    let whole = outcome(bytes);
    for cut in 0..bytes.len().min(PREFACE_V2_BYTES_MAX) {
        let early = outcome(&bytes[..cut]);
        assert!(
            early.is_none() || early == whole,
            "{early:?} after {cut} bytes, {whole:?} after all"
        );
    }
    let Some(Ok(preface)) = whole else { return };
    assert!(preface.bytes <= PREFACE_V2_BYTES_MAX);
    assert_eq!(outcome(&bytes[..preface.bytes]), whole, "nothing behind it is looked at");
    assert_eq!(outcome(&bytes[..preface.bytes - 1]), None, "it ends where it says");
    if let PrefaceEnds::Relayed { source, destination } = preface.ends {
        for again in [preface_v1(source, destination), preface_v2(source, destination)] {
            let same = Preface { bytes: again.len(), ends: preface.ends };
            assert_eq!(outcome(&again), Some(Ok(same)));
        }
    }
    // What came behind it stands for names of any content.
    let (alpn, authority) = bytes[preface.bytes..].split_at((bytes.len() - preface.bytes) / 2);
    let mut again = Vec::new();
    write_preface(&Announcement { ends: preface.ends, alpn, authority }, &mut again);
    let same = Preface { bytes: again.len(), ends: preface.ends };
    assert_eq!(outcome(&again), Some(Ok(same)));
}

fn preface_v1(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.ip(), destination.ip());
    format!("PROXY {family} {from} {to} {} {}\r\n", source.port(), destination.port()).into()
}

fn preface_v2(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let octets = |ip| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let ports = [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat();
    let block = [octets(source.ip()), octets(destination.ip()), ports].concat();
    let family = if source.is_ipv4() { 0x11 } else { 0x21 };
    [b"\r\n\r\n\0\r\nQUIT\n\x21", &[family, 0, block.len() as u8][..], &block].concat()
}

/// A decoded path never climbs, holds no control, and is what a naive decoder makes of it.
pub fn path(bytes: &[u8]) {
    let mut out = b"kept".to_vec();
    if decode_path(bytes, &mut out).is_err() {
        assert_eq!(out, b"kept", "a refused path leaves nothing behind");
        assert!(naive_unescape(bytes).is_none());
        return;
    }
    let decoded = out.strip_prefix(b"kept").expect("what was there before stays");
    let unescaped = naive_unescape(bytes).expect("both decoders agree on what an escape is");
    if !bytes.starts_with(b"/") {
        return; // `*`, or a target that a request cannot have
    }
    let segments = |path: &[u8]| path.split(|octet| *octet == b'/').any(is_dots);
    assert!(decoded.starts_with(b"/") && !segments(decoded), "a path never climbs");
    assert_eq!(decoded, naive_path(&unescaped));
    if bytes.iter().all(u8::is_ascii_graphic) {
        assert!(!decoded.iter().any(u8::is_ascii_control));
    }
    if !decoded.contains(&b'%') {
        let mut again = Vec::new();
        assert_eq!(decode_path(decoded, &mut again), Ok(()));
        assert_eq!(again, decoded, "decoding is done once");
    }
}

/// Cuts tried per head.
const CUTS_MAX: usize = 128;
/// More fields than rewriting adds.
const FIELDS_ADDED: usize = 12;
