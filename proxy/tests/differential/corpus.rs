//! The corpus: requests in groups, and responses.
//!
//! `$H` stands for the host of the upstream that is asked.

mod chunks;
mod fields;
mod framing;
mod hosts;
mod octets;
mod pipelines;
pub mod responses;
mod start_lines;

use crate::peers::Kind;
use crate::verdict::Verdict;

/// One request, or several on one connection.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: String,
    pub bytes: Vec<u8>,
    pub verdict: Verdict,
    /// Verdict for a node that speaks uwsgi, where that is another.
    pub uwsgi: Option<Verdict>,
}

impl Entry {
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>, verdict: Verdict) -> Self {
        Self { name: name.into(), bytes: bytes.into(), verdict, uwsgi: None }
    }

    /// Says that a uwsgi node has another verdict.
    pub fn on_uwsgi(mut self, verdict: Verdict) -> Self {
        self.uwsgi = Some(verdict);
        self
    }

    /// Adds bytes at the end.
    fn with_body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.bytes.extend_from_slice(body.as_ref());
        self
    }

    /// The verdict that holds for an upstream.
    pub fn verdict_for(&self, kind: Kind) -> Verdict {
        self.uwsgi.filter(|_| kind == Kind::Uwsgi).unwrap_or(self.verdict)
    }
}

/// All requests.
pub fn requests() -> Vec<Entry> {
    let groups = [
        framing::all(),
        chunks::all(),
        fields::all(),
        hosts::all(),
        start_lines::all(),
        pipelines::all(),
        octets::all(),
    ];
    groups.into_iter().flatten().collect()
}

/// A GET with these field lines after Host.
fn get(name: impl Into<String>, fields: impl AsRef<[u8]>, verdict: Verdict) -> Entry {
    let bytes = [b"GET /a HTTP/1.1\r\nHost: $H\r\n", fields.as_ref(), b"\r\n"].concat();
    Entry::new(name, bytes, verdict)
}

/// A POST with these field lines after Host, and these bytes behind the head.
fn post(
    name: impl Into<String>,
    fields: impl AsRef<[u8]>,
    body: impl AsRef<[u8]>,
    verdict: Verdict,
) -> Entry {
    let (fields, body) = (fields.as_ref(), body.as_ref());
    let bytes = [b"POST /a HTTP/1.1\r\nHost: $H\r\n", fields, b"\r\n", body].concat();
    Entry::new(name, bytes, verdict)
}

/// A POST in chunked coding with these bytes behind the head.
fn chunked(name: impl Into<String>, body: impl AsRef<[u8]>, verdict: Verdict) -> Entry {
    post(name, "Transfer-Encoding: chunked\r\n", body, verdict)
}

/// A GET with this request line.
fn line(name: impl Into<String>, line: impl AsRef<[u8]>, verdict: Verdict) -> Entry {
    Entry::new(name, [line.as_ref(), b"\r\nHost: $H\r\n\r\n"].concat(), verdict)
}
