//! Spans as OTLP has them: the messages of `opentelemetry.proto.trace.v1`, written field by field.
//!
//! A chunk of spans is a run of `spans` fields of one `ScopeSpans`; an [`Envelope`] puts before it
//! what makes it an `ExportTraceServiceRequest`. Numbers of fields are those of opentelemetry-proto 1.x,
//! which never change.

use std::borrow::Cow;

use http1_wire::{SpanId, TraceId};

use super::{
    limits::TEXT_BYTES_MAX,
    protobuf::{begin_bytes, bytes, field_bytes, fixed32, fixed64, message, number},
};

/// Who a span is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SpanKind {
    /// A request that was served.
    Server,
    /// A request that was made for it.
    Client,
}

/// Who sent the request of a span.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Parent {
    /// Nobody who traces.
    None,
    /// Another process.
    Remote(SpanId),
    /// This one.
    Local(SpanId),
}

/// How what a span is about ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SpanEnd {
    /// Well, or through no fault of the one it is about.
    Unset,
    /// It failed.
    Failed,
}

/// What every span has.
#[derive(Clone, Copy, Debug)]
pub struct SpanFacts<'a> {
    /// Its trace.
    pub trace: TraceId,
    /// Its own name there.
    pub span: SpanId,
    /// Whose child it is.
    pub parent: Parent,
    /// Which side of a request it is.
    pub kind: SpanKind,
    /// The method, and perhaps what was asked: the words of its name.
    pub name: (&'a str, &'a str),
    /// Begin and end, nanoseconds of Unix time.
    pub times_ns: (u64, u64),
    /// How it ended.
    pub end: SpanEnd,
}

/// Appends one span, of which `tell` says more.
pub fn write_span(
    out: &mut Vec<u8>,
    facts: &SpanFacts<'_>,
    tell: impl FnOnce(&mut Attributes<'_>),
) {
    message(out, 2, |out| {
        bytes(out, 1, &facts.trace.get().to_be_bytes());
        bytes(out, 2, &facts.span.get().to_be_bytes());
        let flags = match facts.parent {
            Parent::None => FLAG_SAMPLED,
            Parent::Local(_) => FLAG_SAMPLED | FLAG_IS_REMOTE_KNOWN,
            Parent::Remote(_) => FLAG_SAMPLED | FLAG_IS_REMOTE_KNOWN | FLAG_IS_REMOTE,
        };
        if let Parent::Local(span) | Parent::Remote(span) = facts.parent {
            bytes(out, 4, &span.get().to_be_bytes());
        }
        let (method, asked) = facts.name;
        message(out, 5, |out| {
            out.extend_from_slice(cut(method, TEXT_BYTES_MAX).as_bytes());
            if !asked.is_empty() {
                out.push(b' ');
                out.extend_from_slice(cut(asked, TEXT_BYTES_MAX).as_bytes());
            }
        });
        let kind = match facts.kind {
            SpanKind::Server => 2,
            SpanKind::Client => 3,
        };
        number(out, 6, kind);
        fixed64(out, 7, facts.times_ns.0);
        fixed64(out, 8, facts.times_ns.1);
        tell(&mut Attributes { out, field: 9 });
        if facts.end == SpanEnd::Failed {
            message(out, 15, |out| number(out, 3, STATUS_ERROR));
        }
        fixed32(out, 16, flags);
    });
}

/// Where attributes are said.
pub struct Attributes<'a> {
    out: &'a mut Vec<u8>,
    field: u32,
}

impl Attributes<'_> {
    /// A text, unless it is empty.
    pub fn text(&mut self, name: &str, value: &str) {
        self.text_up_to(TEXT_BYTES_MAX, name, value.as_bytes());
    }

    /// At most `bytes_max` bytes of a text, unless it is empty.
    pub fn text_up_to(&mut self, bytes_max: usize, name: &str, value: &[u8]) {
        let text = String::from_utf8_lossy(&value[..value.len().min(bytes_max)]);
        let text = match &text {
            Cow::Borrowed(text) => text,
            // What replaced octets may be longer than they were.
            Cow::Owned(text) => cut(text, bytes_max),
        };
        if !text.is_empty() {
            self.put(name, |out| bytes(out, 1, text.as_bytes()));
        }
    }

    /// A number.
    pub fn number(&mut self, name: &str, value: u64) {
        self.put(name, |out| number(out, 3, value));
    }

    /// True.
    pub fn set(&mut self, name: &str) {
        self.put(name, |out| number(out, 2, 1));
    }

    fn put(&mut self, name: &str, value: impl FnOnce(&mut Vec<u8>)) {
        message(self.out, self.field, |out| {
            bytes(out, 1, name.as_bytes());
            message(out, 2, value);
        });
    }
}

/// What stands before the spans of every request to the collector.
#[derive(Clone, Debug)]
pub struct Envelope {
    resource: Vec<u8>,
    scope: Vec<u8>,
}

impl Envelope {
    /// Of a process that is known by what `tell` says, whose spans are of version `version`.
    pub fn new(version: &str, tell: impl FnOnce(&mut Attributes<'_>)) -> Self {
        let (mut resource, mut scope) = (Vec::new(), Vec::new());
        message(&mut resource, 1, |out| tell(&mut Attributes { out, field: 1 }));
        message(&mut scope, 1, |out| {
            bytes(out, 1, SCOPE.as_bytes());
            bytes(out, 2, version.as_bytes());
        });
        Self { resource, scope }
    }

    /// The bytes before `spans_bytes` bytes of spans.
    pub fn before(&self, spans_bytes: usize) -> Vec<u8> {
        let of_scope = self.scope.len() + spans_bytes;
        let of_resource = self.resource.len() + field_bytes(2, of_scope);
        let mut out = Vec::with_capacity(ENVELOPE_BYTES);
        begin_bytes(&mut out, 1, of_resource);
        out.extend_from_slice(&self.resource);
        begin_bytes(&mut out, 2, of_scope);
        out.extend_from_slice(&self.scope);
        out
    }
}

/// At most `bytes_max` bytes of whole characters.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// The name of what makes the spans.
const SCOPE: &str = "suzerain";
const STATUS_ERROR: u64 = 2;
const FLAG_SAMPLED: u32 = 1;
/// It is known whether the parent is another process.
const FLAG_IS_REMOTE_KNOWN: u32 = 0x100;
const FLAG_IS_REMOTE: u32 = 0x200;
/// More than an envelope takes, so that one reservation is enough.
const ENVELOPE_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traces::limits::{PATH_BYTES_MAX, SPAN_BYTES_MAX, TEXTS_MAX};

    fn facts() -> SpanFacts<'static> {
        SpanFacts {
            trace: TraceId::MAX,
            span: SpanId::MIN,
            parent: Parent::Remote(SpanId::MAX),
            kind: SpanKind::Server,
            name: ("GET", "a.example"),
            times_ns: (1, u64::MAX),
            end: SpanEnd::Failed,
        }
    }

    #[test]
    fn the_longest_span_keeps_its_bound() {
        let text = "\u{ff}".repeat(SPAN_BYTES_MAX);
        let mut out = Vec::new();
        write_span(&mut out, &SpanFacts { name: (&text, &text), ..facts() }, |attributes| {
            attributes.text_up_to(PATH_BYTES_MAX, "url.path", &[0xff; SPAN_BYTES_MAX]);
            for _ in 2..TEXTS_MAX {
                attributes.text("a.name.of.usual.length", &text);
                attributes.number("a.name.of.usual.length", u64::MAX);
            }
        });
        assert!(out.len() <= SPAN_BYTES_MAX, "{}", out.len());
    }

    #[test]
    fn an_envelope_holds_the_spans_that_follow() {
        let envelope = Envelope::new("1.2", |attributes| attributes.text("service.name", "x"));
        let mut spans = Vec::new();
        write_span(&mut spans, &facts(), |attributes| attributes.set("a"));
        let before = envelope.before(spans.len());
        let all = [before.as_slice(), &spans].concat();
        // One field, whose length takes two bytes, holds all the rest.
        let mut one = Vec::new();
        message(&mut one, 1, |out| out.extend_from_slice(&all[3..]));
        assert_eq!(all, one);
        assert!(all.windows(12).any(|part| part == b"service.name"));
    }
}
