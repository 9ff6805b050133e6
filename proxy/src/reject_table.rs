//! `docs/REJECT_TABLE.md`: everything this router refuses, written from the lists in the code.
//!
//! Test code only. The codec's and the registry's refusals come from their own tables; what the
//! router itself refuses has its row here, and the test holds each row against the answers and
//! metrics that exist.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use http1_wire::{REJECTS, RefusedIn, RejectRow};
use http2_wire::{Flood, RequestRefusal};
use router_core::metrics::catalog::{COUNTERS, FAMILIES};
use router_core::termination::{Phase, Side, Termination};
use subscribe::Reject;

use crate::http::{rejects::HOST_SYNTAX, reply::wording};

/// An answer this router gives by its own rules.
struct OwnAnswer {
    status: u16,
    /// The letters of the access log.
    letters: &'static str,
    /// Metric that counts it besides `suzerain_exchange_ends_total`; empty for none.
    counter: &'static str,
    when: &'static str,
}

const HEAD_REJECTS: &str = "suzerain_head_rejects_total";
const HELLO_REJECTS: &str = "suzerain_client_hello_rejects_total";
const UNROUTED: &str = "suzerain_requests_unrouted_total";
const UPSTREAM_FAILURES: &str = "suzerain_upstream_failures_total";

const OWN_ANSWERS: &[OwnAnswer] = &[
    own(308, "--", "", "with `https-redirect`, or 301, 302, 307: plain HTTP, sent to HTTPS"),
    own(
        404,
        "RH",
        "suzerain_requests_unrouted_total{reason=\"unknown_key\"}",
        "no key for the Host",
    ),
    own(408, "cH", "", "a head that is not complete within `timeouts.head`"),
    own(408, "cQ", "", "a body that pauses for longer than `timeouts.body-idle`"),
    own(413, "RH", "", "a Content-Length above `body-bytes-max`"),
    own(413, "RH", "", "with `expect-bytes-max`: a Content-Length above it that waits for a 100"),
    own(413, "RQ", "", "a chunked body above `body-bytes-max`, or above 1 MiB for a uwsgi node"),
    own(413, "RH", "", "with `rtsp`: a first request with a body above 64 KiB"),
    own(
        421,
        "RH",
        "suzerain_requests_unrouted_total{reason=\"misdirected\"}",
        "over TLS: a Host that another certificate than this connection's is served for",
    ),
    own(431, "CH", "", "a head whose CGI variables do not fit the 65,535 bytes of a uwsgi packet"),
    own(502, "UQ", UPSTREAM_FAILURES, "the node closed while the request was sent"),
    own(
        502,
        "UW",
        UPSTREAM_FAILURES,
        "the node closed without an answer, or its answer is refused",
    ),
    own(502, "UW", UPSTREAM_FAILURES, "with `rtsp`: the node's first answer is not RTSP"),
    own(
        503,
        "UC",
        UPSTREAM_FAILURES,
        "every node that was tried, at most 4, refused the connection",
    ),
    own(
        503,
        "RH",
        "suzerain_requests_unrouted_total{reason=\"asleep\"}",
        "the key has vassals, and none of them an address",
    ),
    own(503, "RQ", "", "64 MiB of chunked bodies are already held for uwsgi nodes by this worker"),
    own(504, "uC", UPSTREAM_FAILURES, "a connect took longer than `timeouts.connect`"),
    own(504, "uQ", UPSTREAM_FAILURES, "the node took no bytes for `timeouts.write-stall`"),
    own(504, "uW", UPSTREAM_FAILURES, "no answer within `timeouts.first-byte`"),
    own(
        508,
        "RH",
        "suzerain_requests_unrouted_total{reason=\"loop\"}",
        "`Via` names this router more than three times",
    ),
];

const fn own(
    status: u16,
    letters: &'static str,
    counter: &'static str,
    when: &'static str,
) -> OwnAnswer {
    OwnAnswer { status, letters, counter, when }
}

fn markdown() -> String {
    let mut text = String::from(INTRODUCTION);
    let heads = REJECTS.iter().filter(|row| !is_of_body(row));
    request_table(&mut text, heads);
    let host = "a Host of legal characters that is no host, such as `a..b`";
    let _ = writeln!(text, "| 400 | `{HOST_SYNTAX}` | {host} |");
    text.push_str(HTTP2);
    for refusal in RequestRefusal::ALL {
        let _ = writeln!(text, "| {} | `{}` | {refusal} |", refusal.status(), refusal.label());
    }
    text.push_str(FLOODS);
    for (flood, what) in FLOOD_ROWS {
        let _ = writeln!(text, "| `{}` | {what} |", flood.label());
    }
    text.push_str(BODIES);
    request_table(&mut text, REJECTS.iter().filter(|row| is_of_body(row)));
    text.push_str(RESPONSES);
    for row in REJECTS.iter().filter(|row| row.refused_in != RefusedIn::Request) {
        let _ = writeln!(text, "| 502 | {} |", row.description);
    }
    text.push_str(OWN);
    for row in OWN_ANSWERS {
        let counter = if row.counter.is_empty() { "" } else { &format!("`{}`", row.counter) };
        let _ = writeln!(text, "| {} | `{}` | {counter} | {} |", row.status, row.letters, row.when);
    }
    text.push_str(HELLOS);
    for row in HELLO_ROWS {
        let [reason, letters, told, when] = row;
        let _ = writeln!(text, "| `{reason}` | `{letters}` | {told} | {when} |");
    }
    text.push_str(SUBSCRIPTIONS);
    for reject in Reject::ALL {
        let _ = writeln!(text, "| `{}` | {reject} |", reject.label());
    }
    text
}

fn request_table<'r>(text: &mut String, rows: impl Iterator<Item = &'r RejectRow>) {
    text.push_str("\n| status | reason | what is refused |\n|---|---|---|\n");
    for row in rows.filter(|row| row.refused_in != RefusedIn::Response) {
        let _ = writeln!(text, "| {} | `{}` | {} |", row.status, row.label, row.description);
    }
}

/// What each flood is made of.
const FLOOD_ROWS: [(Flood, &str); 8] = [
    (Flood::Reset, "streams opened and reset (Rapid Reset): 200 at once, or 100 each second"),
    (Flood::OwnReset, "streams we are made to reset (MadeYouReset), as many"),
    (Flood::Continuation, "a header block of more than 5 CONTINUATION frames"),
    (Flood::Settings, "SETTINGS: 40 at once, or 20 each second"),
    (Flood::Ping, "PING: 200 at once, or 100 each second"),
    (Flood::EmptyData, "DATA frames without data: 80 at once, or 40 each second"),
    (Flood::WindowUpdate, "WINDOW_UPDATE: more than two for each DATA frame sent, and 2000"),
    (Flood::Idle, "PRIORITY and unknown frames: 400 at once, or 200 each second"),
];

/// What a passthrough listener refuses: reason, letters, alert, what it is.
const HELLO_ROWS: [[&str; 4]; 6] = [
    ["not_tls", "CH", "", "the first bytes are not those of a TLS handshake"],
    [
        "malformed",
        "CH",
        "decode_error",
        "a ClientHello that is cut wrongly, names two hosts or none",
    ],
    ["long", "CH", "decode_error", "a ClientHello above 16 KiB, or spread over more than 32 KiB"],
    ["cut", "CH", "", "the client finished sending within the message"],
    ["timeout", "cH", "", "it was not complete within `timeouts.head`, or `heads-max` ended it"],
    ["no_name", "RH", "unrecognized_name", "no server name, and no fallback key"],
];

/// Chunks and trailers are met after the head was accepted.
fn is_of_body(row: &RejectRow) -> bool {
    row.label.starts_with("chunk_") || row.label.starts_with("trailer")
}

#[test]
fn document_lists_every_refusal() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/REJECT_TABLE.md");
    let expected = markdown();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, &expected).expect("the document can be written");
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == expected, "run this test with BLESS=1 and look at the difference");
}

#[test]
fn own_answers_name_what_exists() {
    let sides =
        [Side::Client, Side::ClientDeadline, Side::Upstream, Side::UpstreamDeadline, Side::Router];
    let phases = [
        Phase::RequestHead,
        Phase::Connect,
        Phase::RequestBody,
        Phase::ResponseHead,
        Phase::ResponseBody,
    ];
    let all = sides.iter().flat_map(|side| phases.map(|phase| Termination::new(*side, phase)));
    let all = all.chain([Termination::CLEAN]);
    let letters: BTreeSet<[u8; 2]> = all.map(Termination::letters).collect();
    let (fallback, _) = wording(500);
    for row in OWN_ANSWERS {
        assert_ne!(wording(row.status).0, fallback, "{} has words of its own", row.status);
        assert!(letters.iter().any(|pair| pair == row.letters.as_bytes()), "{}", row.letters);
        let name = row.counter.split('{').next().unwrap_or_default();
        let is_known = FAMILIES.iter().any(|family| family.name == name);
        assert!(name.is_empty() || is_known, "{name} is a metric");
    }
    let hellos = COUNTERS.iter().filter(|row| row.1.name == HELLO_REJECTS);
    assert_eq!(hellos.filter_map(|row| row.2).collect::<Vec<_>>(), HELLO_ROWS.map(|row| row[0]));
    for name in [HEAD_REJECTS, UNROUTED] {
        assert!(FAMILIES.iter().any(|family| family.name == name), "{name}");
    }
}

const INTRODUCTION: &str = "\
# What is refused

Written from `http1_wire::REJECTS`, `subscribe::Reject` and `proxy/src/reject_table.rs`; a test
compares. To rewrite it after a change there:
`BLESS=1 cargo test -p proxy --lib document_lists_every_refusal`.

Whatever two recipients of a message could read in two ways is refused and never repaired. A refused
client gets a short text that says what is wrong; the connection then closes, unless the request
was well-formed and had no body. Letters such as `CH` are those of the access log, see
[TERMINATION.md](TERMINATION.md).

## Requests: heads

`reason` is the label of `suzerain_head_rejects_total`; the access log says `CH`. The two `path_`
rows hold for requests to uwsgi nodes, whose PATH_INFO is decoded; they are requests like any other in
`suzerain_requests_total`. A path for an HTTP node goes through as it came.
";

const HTTP2: &str = "
## Requests: HTTP/2

A stream's head is written as an HTTP/1.1 head and judged by the rules above, after these. Beside them the
codec refuses what RFC 9113 calls malformed by resetting the stream or ending the connection, and answers a
header list of more than 64 KiB (32 bytes counted for each field) with 431: `suzerain_http2_refusals_total`.
Streams beyond 128 at once are refused.

| status | reason | what is refused |
|---|---|---|
";

const FLOODS: &str = "
## HTTP/2 floods

Each frame that costs more than it moves raises a score, which time and answered requests lower. Above its
bound the connection ends with GOAWAY `ENHANCE_YOUR_CALM`; `kind` is the label of
`suzerain_http2_floods_total`. What the codec itself ends, such as DATA in tiny pieces, is `codec`.

| kind | what it takes |
|---|---|
";

const BODIES: &str = "
## Requests: bodies

Met while the body is under way. The client gets the status if no byte of a response was sent yet;
otherwise the connection is cut. The access log says `CQ` and
`suzerain_exchange_ends_total{side=\"client\",phase=\"request_body\"}` counts them together with
clients that left; `suzerain_head_rejects_total` counts them by reason.
";

const RESPONSES: &str = "
## Responses of nodes

The client gets 502 if no byte of the response was passed on yet, otherwise a cut connection. The
reason is not told to visitors. The access log says `UW` for a head and `UD` for a body, and
`suzerain_upstream_failures_total` counts both. A 101 (switching protocols) is refused too: no
client's wish to upgrade is forwarded yet.

| status | what is refused |
|---|---|
";

const OWN: &str = "
## Answers by the router's own rules

`suzerain_exchange_ends_total` counts all of them by side and phase, the two letters in words.

| status | letters | counted in | when |
|---|---|---|---|
";

const HELLOS: &str = "
## TLS passthrough

A connection to a `tls-passthrough` listener is closed, after the alert if there is one; `reason` is the label
of `suzerain_client_hello_rejects_total`. Names without a key get `unrecognized_name`, too
(`suzerain_requests_unrouted_total{reason=\"unknown_key\"}`, `RH`); where no node can be had, or a limit of the
key is reached, `internal_error`.

| reason | letters | alert | what is refused |
|---|---|---|---|
";

const SUBSCRIPTIONS: &str = "
## Subscription datagrams

Nobody is answered: a refused datagram changes nothing, is counted in
`suzerain_subscription_rejects_total` by this reason, and is logged at most once a minute per
reason, without its contents. In the order of the checks.

| reason | what is wrong |
|---|---|
";
