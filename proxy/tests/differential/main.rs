//! One corpus of ambiguous and malformed messages, judged by the built `suzerain` and by those behind it.
//!
//! Every request of the corpus goes to four upstreams: a strict origin that records each byte we
//! forward, nginx, HAProxy and real uWSGI. All must see the same requests with the same bodies, and
//! nothing at all of what we refuse. Every response of the corpus comes from a scripted origin; a
//! client must never see more of it than its framing says. `docs/FRAMING_CORPUS.md` shows the outcome:
//! `BLESS=1 cargo test -p proxy --test differential` rewrites it.

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_suzerain");
/// The flag of its plain listener.
pub const LISTEN: &str = "--http";

mod answers;
mod corpus;
mod document;
#[expect(dead_code, reason = "shared with the end-to-end tests, which use all of it")]
mod harness;
mod lane;
mod peers;
mod recorder;
mod requests;
mod responses;
mod scripted;
mod text;
mod verdict;

use requests::Requests;
use responses::Responses;

/// Smallest corpus that may be called one.
const REQUESTS_MIN: usize = 190;
const RESPONSES_MIN: usize = 60;

/// What the requests came to; `None` where a peer is not installed.
fn requests() -> Option<&'static Requests> {
    static OUTCOME: std::sync::OnceLock<Option<Requests>> = std::sync::OnceLock::new();
    OUTCOME.get_or_init(Requests::run).as_ref()
}

/// What the responses came to.
fn responses() -> &'static Responses {
    static OUTCOME: std::sync::OnceLock<Responses> = std::sync::OnceLock::new();
    OUTCOME.get_or_init(Responses::run)
}

#[test]
fn every_peer_sees_exactly_the_requests_we_forwarded() {
    let Some(outcome) = requests() else { return };
    assert!(outcome.rows.len() >= REQUESTS_MIN, "{} requests", outcome.rows.len());
    let wrong = &outcome.wrong;
    assert!(wrong.is_empty(), "{} disagreements:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn no_client_sees_more_of_a_response_than_its_framing_says() {
    let outcome = responses();
    assert!(outcome.rows.len() >= RESPONSES_MIN, "{} responses", outcome.rows.len());
    let wrong = &outcome.wrong;
    assert!(wrong.is_empty(), "{} disagreements:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn names_in_the_corpus_occur_once() {
    let mut names: Vec<_> = corpus::requests().into_iter().map(|entry| entry.name).collect();
    names.extend(corpus::responses::all().into_iter().map(|entry| entry.name));
    names.sort();
    let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(twice.is_empty(), "{twice:#?}");
}

#[test]
fn document_shows_the_outcome() {
    let Some(requests) = requests() else { return };
    document::compare(requests, responses());
}
