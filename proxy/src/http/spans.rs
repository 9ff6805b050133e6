//! The spans of an exchange that ended: one for the request as it was served, one for each node that was
//! asked. Their attributes are those of OpenTelemetry's semantic conventions for HTTP (1.23 and later),
//! and `suzerain.*`.
//!
//! The query of a target stays out: what applications put there is often secret, and a collector is a
//! place where many look.

use std::time::{Duration, Instant};

use http1_wire::{Method, RequestHead};
use route_table::{Address, CanonicalHost, Proto};
use router_core::termination::{Side, Termination};

use super::record::Record;
use crate::{
    context::ConnFacts,
    traces::{
        SpanSink, Trace,
        context::NodeSpan,
        limits::PATH_BYTES_MAX,
        otlp::{Attributes, Parent, SpanEnd, SpanFacts, SpanKind},
    },
};

/// What is known of an exchange that ended.
pub struct Ended<'a> {
    /// Its trace.
    pub trace: &'a Trace,
    /// The client's connection.
    pub conn: &'a ConnFacts,
    /// The head of the request.
    pub head: &'a RequestHead<'a, 'a>,
    /// Whom it was for, if that is legal.
    pub host: Option<&'a CanonicalHost<'a>>,
    /// The client's address, as far as it is known.
    pub client: &'a str,
    /// The key that routed it; empty if none did.
    pub key: &'a str,
    /// The version, as the access log has it.
    pub version: &'a str,
    /// What became of it.
    pub record: &'a Record,
}

/// Writes all spans of an exchange that ends now.
pub fn write(sink: &SpanSink, ended: &Ended<'_>) {
    let (now, now_ns) = (Instant::now(), unix_ns());
    let ns_at = |at: Instant| now_ns.saturating_sub(nanos(now.saturating_duration_since(at)));
    let (trace, record) = (ended.trace, ended.record);
    let method = method(ended.head);
    let facts = SpanFacts {
        trace: trace.id,
        span: trace.span(),
        parent: trace.parent.map_or(Parent::None, Parent::Remote),
        kind: SpanKind::Server,
        name: (name_of(method), ended.key),
        times_ns: (ns_at(record.started), now_ns),
        end: if server_failed(record) { SpanEnd::Failed } else { SpanEnd::Unset },
    };
    sink.write(&facts, |attributes| ended.tell_served(attributes));
    for (index, asked) in trace.attempts.iter().enumerate() {
        let (status, cause) = match &asked.failed {
            Some(failed) => (failed.status, Some(failed.termination)),
            None => (record.status, of_node(record.termination)),
        };
        let end = asked.failed.as_ref().map_or(now_ns, |failed| ns_at(failed.at));
        let facts = SpanFacts {
            span: trace.attempt_span(index),
            parent: Parent::Local(trace.span()),
            kind: SpanKind::Client,
            name: (name_of(method), ""),
            times_ns: (ns_at(asked.began), end),
            end: if status >= 400 || cause.is_some() { SpanEnd::Failed } else { SpanEnd::Unset },
            ..facts
        };
        sink.write(&facts, |attributes| {
            ended.tell_asked(asked, index, attributes);
            tell_end(attributes, status, if status >= 400 { status } else { 0 }, cause);
        });
    }
}

impl Ended<'_> {
    fn tell_served(&self, attributes: &mut Attributes<'_>) {
        let Self { trace, conn, head, record, .. } = self;
        tell_method(attributes, head);
        attributes.text("url.scheme", conn.scheme.name());
        attributes.text_up_to(PATH_BYTES_MAX, "url.path", head.target.path());
        if let Some(host) = self.host {
            attributes.text("server.address", host.host());
            if let Some(port) = host.port() {
                attributes.number("server.port", u64::from(port));
            }
        }
        attributes.text("client.address", self.client);
        attributes.text("network.peer.address", conn.client_ip());
        attributes.number("network.peer.port", u64::from(conn.client_port));
        attributes.text("network.protocol.version", protocol_version(self.version));
        attributes.number("http.request.size", record.bytes_in);
        attributes.number("http.response.size", record.bytes_out);
        attributes.text("suzerain.key", self.key);
        attributes.number("suzerain.queue_us", trace.queued_us);
        attributes.text_up_to(2, "suzerain.termination", &record.termination.letters());
        let failure = if record.status >= 500 { record.status } else { 0 };
        let cause = Some(record.termination).filter(|end| *end != Termination::CLEAN);
        tell_end(attributes, record.status, failure, cause);
    }

    fn tell_asked(&self, asked: &NodeSpan, index: usize, attributes: &mut Attributes<'_>) {
        let facts = &asked.node.facts;
        tell_method(attributes, self.head);
        match &facts.address {
            Address::Tcp(at) => {
                let ip = at.ip().to_string();
                attributes.text("server.address", &ip);
                attributes.number("server.port", u64::from(at.port()));
                attributes.text("network.peer.address", &ip);
                attributes.number("network.peer.port", u64::from(at.port()));
            }
            _ => attributes.text("server.address", &facts.announced),
        }
        let protocol = match facts.proto {
            Proto::Http => "1.1",
            Proto::H2c => "2",
            _ => "",
        };
        if protocol.is_empty() {
            attributes.text("network.protocol.name", "uwsgi");
        }
        attributes.text("network.protocol.version", protocol);
        if index > 0 {
            attributes.number("http.request.resend_count", index as u64);
        }
        attributes.text("suzerain.node", &facts.announced);
        attributes.number("suzerain.connect_us", asked.connect_us);
        attributes.number("suzerain.first_byte_us", asked.first_byte_us);
    }
}

fn tell_method(attributes: &mut Attributes<'_>, head: &RequestHead<'_, '_>) {
    match method(head) {
        "" => {
            attributes.text("http.request.method", "_OTHER");
            attributes.text("http.request.method_original", head.method.as_str());
        }
        known => attributes.text("http.request.method", known),
    }
}

/// A method the conventions know; empty for any other, so that clients cannot make up names.
fn method<'b>(head: &RequestHead<'_, 'b>) -> &'b str {
    match head.method {
        Method::Other(_) => "",
        known => known.as_str(),
    }
}

fn name_of(method: &str) -> &str {
    if method.is_empty() { "HTTP" } else { method }
}

/// The status, and what makes it a failure: the status itself, or who ended it during what.
fn tell_end(
    attributes: &mut Attributes<'_>,
    status: u16,
    failure: u16,
    cause: Option<Termination>,
) {
    if status > 0 {
        attributes.number("http.response.status_code", u64::from(status));
    }
    if failure > 0 {
        attributes.text("error.type", itoa::Buffer::new().format(failure));
    } else if let Some(cause) = cause.filter(|_| status < 400) {
        attributes.text_up_to(2, "error.type", &cause.letters());
    }
}

/// What a server must answer for: not what clients did.
fn server_failed(record: &Record) -> bool {
    record.status >= 500 || of_node(record.termination).is_some()
}

fn of_node(end: Termination) -> Option<Termination> {
    matches!(end.side, Side::Upstream | Side::UpstreamDeadline).then_some(end)
}

fn protocol_version(version: &str) -> &str {
    match version.strip_prefix("HTTP/") {
        Some("2.0") => "2",
        version => version.unwrap_or_default(),
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn unix_ns() -> u64 {
    std::time::UNIX_EPOCH.elapsed().map_or(0, nanos)
}
