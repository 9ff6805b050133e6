//! Forwarded heads, written into the caller's buffer: the hot path of every exchange.
//!
//! End-to-end fields travel in their order with their octets. Whatever framed, routed or
//! connected the message is written anew from what was parsed, never copied from the sender.
//! Nothing is allocated but growth of `out`, which the caller reuses.

use crate::claims::Claims;
use crate::framing::{RequestFraming, ResponseFraming};
use crate::request::RequestHead;
use crate::response::ResponseHead;
use crate::trace_context::{TRACEPARENT, TraceFields};
use crate::upgrade::Upgrade;
use crate::via::write_via;
use crate::{Version, decimal};

/// Whether the upstream sees the client's `Expect: 100-continue`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ExpectRule {
    /// It does not: we answer 100 ourselves, once an upstream was found.
    #[default]
    Answer,
    /// It does, and its interim response is passed back.
    Forward,
    /// As `Forward`, also where the head announces no body: a source sends one all the same.
    Restate,
}

/// Whether the upstream sees the client's wish to change protocols.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum UpgradeRule {
    /// It does not: the request is forwarded as if it had not been asked.
    #[default]
    Drop,
    /// A WebSocket handshake is forwarded, anything else is dropped.
    WebSocket,
}

/// What we know about a request and the upstream does not. None of the texts may hold CR or LF.
#[derive(Clone, Copy, Debug)]
pub struct ForwardFacts<'a> {
    /// What is stated about the client: `X-Forwarded-*` and `Forwarded`.
    pub claims: Claims<'a>,
    /// Canonical `host[:port]`: `Host`. Empty = HTTP/1.0 without one.
    pub host: &'a str,
    /// Whole field lines, each with its CRLF, about the client's certificate; empty without one.
    pub client_cert: &'a str,
    /// Our name in `Via`; empty: the client's alone travels on.
    pub via: &'a str,
    /// `X-Request-ID`, in place of the client's; empty: the client's travels on.
    pub request_id: &'a [u8],
    /// The trace it belongs to, in place of what the client says; `None`: that travels on.
    pub trace: Option<TraceFields>,
    /// How the body goes on; usually the framing it came with.
    pub body: RequestFraming,
    /// Whether the upstream's connection is kept for another exchange.
    pub upstream_keep_alive: bool,
    /// Who answers `Expect`.
    pub expect: ExpectRule,
    /// What becomes of `Upgrade`.
    pub upgrade: UpgradeRule,
}

impl ForwardFacts<'_> {
    /// Whether we write this field ourselves.
    fn replaces(&self, name: &str) -> bool {
        (!self.request_id.is_empty() && name.eq_ignore_ascii_case(REQUEST_ID))
            || self.trace.is_some_and(|trace| trace.replaces(name))
    }
}

/// Appends the head of `head` for an HTTP upstream: always HTTP/1.1, in origin-form.
pub fn write_request_head(head: &RequestHead<'_, '_>, facts: &ForwardFacts<'_>, out: &mut Vec<u8>) {
    let claims = &facts.claims;
    let stated = 2 * (claims.prior.len() + claims.peer_ip.len() + claims.host.len());
    let added = stated + facts.host.len() + facts.via.len() + facts.request_id.len();
    out.reserve(head.head_bytes + added + OVERHEAD_BYTES);
    out.extend_from_slice(head.method.as_str().as_bytes());
    out.push(b' ');
    head.target.write_origin_form(out);
    out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
    out.extend_from_slice(facts.host.as_bytes());
    out.extend_from_slice(b"\r\n");
    let names = !facts.request_id.is_empty() || facts.trace.is_some();
    for (name, value) in head.forwarded_fields() {
        if names && facts.replaces(name) {
            continue;
        }
        write_field(name, value, out);
    }
    out.extend_from_slice(facts.client_cert.as_bytes());
    write_claims(claims, out);
    let before = out.len();
    out.extend_from_slice(b"Via: ");
    let empty = out.len();
    write_via(head, facts.via, out);
    match out.len() == empty {
        true => out.truncate(before),
        false => out.extend_from_slice(b"\r\n"),
    }
    if !facts.request_id.is_empty() {
        write_field(REQUEST_ID, facts.request_id, out);
    }
    if let Some(trace) = &facts.trace {
        write_field(TRACEPARENT, &trace.parent.text(), out);
    }
    match facts.body {
        RequestFraming::None => {}
        RequestFraming::Length(length) => write_length(length, out),
        RequestFraming::Chunked => out.extend_from_slice(CHUNKED),
    }
    let waits = match facts.expect {
        ExpectRule::Answer => false,
        ExpectRule::Forward => head.expect_continue,
        // Another expectation than 100-continue was refused.
        ExpectRule::Restate => head.fields.first("expect").is_some(),
    };
    if waits {
        out.extend_from_slice(b"Expect: 100-continue\r\n");
    }
    match (head.upgrade, facts.upgrade) {
        (Some(Upgrade::WebSocket), UpgradeRule::WebSocket) => {
            out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        }
        _ if facts.upstream_keep_alive => out.extend_from_slice(b"\r\n"),
        _ => out.extend_from_slice(b"Connection: close\r\n\r\n"),
    }
}

#[inline]
fn write_claims(claims: &Claims<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"X-Forwarded-For: ");
    claims.write_for(out);
    out.extend_from_slice(b"\r\nX-Forwarded-Proto: ");
    out.extend_from_slice(claims.proto.as_bytes());
    out.extend_from_slice(b"\r\nX-Forwarded-Host: ");
    out.extend_from_slice(claims.host.as_bytes());
    out.extend_from_slice(b"\r\nX-Forwarded-Port: ");
    out.extend_from_slice(claims.port.as_bytes());
    out.extend_from_slice(b"\r\nForwarded: ");
    claims.write_forwarded(out);
    out.extend_from_slice(b"\r\n");
}

/// How the body of a reply goes to the client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReplyBody {
    /// No body follows. `Content-Length` is then what the upstream stated, where RFC 9110 8.6
    /// allows one: with HEAD and 304, not with 1xx and 204.
    None,
    /// Exactly this many bytes.
    Length(u64),
    /// Chunked coding; only for an HTTP/1.1 client.
    Chunked,
    /// Everything until the connection closes.
    UntilClose,
}

impl ReplyBody {
    /// How a body framed `framing` by the upstream reaches a client of `version`: a body that
    /// ends at the connection's end becomes chunked where the client knows chunks, and vice versa.
    pub const fn relayed(framing: ResponseFraming, version: Version) -> Self {
        match (framing, version) {
            (ResponseFraming::None, _) => Self::None,
            (ResponseFraming::Length(length), _) => Self::Length(length),
            (_, Version::Http11) => Self::Chunked,
            (_, Version::Http10) => Self::UntilClose,
        }
    }
}

/// What is changed in the fields of a final response.
#[derive(Clone, Copy, Debug)]
pub struct ReplyEdit<'a> {
    /// Names of fields that do not travel on, in any case.
    pub dropped: &'a [&'a str],
    /// Fields of our own.
    pub added: &'a [(&'a str, &'a [u8])],
}

/// Every field travels on, and none is added.
pub const NO_EDIT: ReplyEdit<'static> = ReplyEdit { dropped: &[], added: &[] };

impl ReplyEdit<'_> {
    /// Whether a field of the upstream travels on.
    #[inline]
    pub fn keeps(&self, name: &str) -> bool {
        !self.dropped.iter().any(|dropped| dropped.eq_ignore_ascii_case(name))
    }
}

/// What decides the reply's hop-by-hop fields.
#[derive(Clone, Copy, Debug)]
pub struct ReplyFacts<'a> {
    /// Version of the request being answered.
    pub client_version: Version,
    /// How the body goes on.
    pub body: ReplyBody,
    /// Whether the client's connection is kept. Ignored with `UntilClose`, which ends it.
    pub keep_alive: bool,
    /// What is changed in the fields. Ignored in an interim response.
    pub edit: ReplyEdit<'a>,
}

/// Appends the head of `head` for the client: always HTTP/1.1, as RFC 9110 6.2 wants of a server
/// also towards HTTP/1.0 clients.
///
/// An interim head carries no framing and no `Connection`, except that a 101 names its protocol.
pub fn write_response_head(head: &ResponseHead<'_, '_>, facts: &ReplyFacts<'_>, out: &mut Vec<u8>) {
    debug_assert!(
        facts.body != ReplyBody::Chunked || facts.client_version == Version::Http11,
        "HTTP/1.0 knows no chunks"
    );
    out.reserve(head.head_bytes + OVERHEAD_BYTES);
    out.extend_from_slice(b"HTTP/1.1 ");
    let digit = |unit: u16| b'0' + (head.status / unit % 10) as u8;
    out.extend_from_slice(&[digit(100), digit(10), digit(1), b' ']);
    out.extend_from_slice(head.reason);
    out.extend_from_slice(b"\r\n");
    let edit = if head.is_interim() { &NO_EDIT } else { &facts.edit };
    for (name, value) in head.forwarded_fields().filter(|(name, _)| edit.keeps(name)) {
        write_field(name, value, out);
    }
    for (name, value) in edit.added {
        write_field(name, value, out);
    }
    if head.is_interim() {
        if let Some(protocol) = head.upgrade {
            out.extend_from_slice(b"Connection: Upgrade\r\n");
            write_field("Upgrade", protocol, out);
        }
        out.extend_from_slice(b"\r\n");
        return;
    }
    match (facts.body, head.stated_length) {
        (ReplyBody::Length(length), _) => write_length(length, out),
        (ReplyBody::Chunked, _) => out.extend_from_slice(CHUNKED),
        (ReplyBody::None, Some(length)) if head.status != 204 => write_length(length, out),
        (ReplyBody::None | ReplyBody::UntilClose, _) => {}
    }
    if !facts.keep_alive || facts.body == ReplyBody::UntilClose {
        out.extend_from_slice(b"Connection: close\r\n\r\n");
    } else if facts.client_version == Version::Http10 {
        out.extend_from_slice(b"Connection: keep-alive\r\n\r\n");
    } else {
        out.extend_from_slice(b"\r\n");
    }
}

#[inline]
fn write_field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn write_length(length: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Content-Length: ");
    decimal::write(length, out);
    out.extend_from_slice(b"\r\n");
}

/// The field that names one request across all that serve it.
const REQUEST_ID: &str = "X-Request-ID";
const CHUNKED: &[u8] = b"Transfer-Encoding: chunked\r\n";
/// More than the fixed texts above take together, so that one reservation is enough.
const OVERHEAD_BYTES: usize = 384;

#[cfg(test)]
mod tests;
