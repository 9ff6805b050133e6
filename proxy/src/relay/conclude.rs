//! What is said of a connection that was passed on and ended: counters, and its line in the access log.

use route_table::RouteKey;
use router_core::{access_log::AccessRecord, metrics::Counter};

use crate::{
    context::{ConnFacts, Context, Relay, Scheme},
    http::{
        conclude::unix_ms,
        record::{Record, micros},
    },
};

/// Counts a connection that ended and writes its line.
pub fn conclude(
    ctx: &Context,
    conn: &ConnFacts,
    relay: Relay,
    key: Option<&RouteKey>,
    record: &Record,
) {
    ctx.shard.add(Counter::RequestBytes, record.bytes_in);
    ctx.shard.add(Counter::ResponseBytes, record.bytes_out);
    ctx.shard.count_end(record.termination);
    if !ctx.log.enabled() {
        return;
    }
    let duration_us = micros(record.started);
    ctx.log.write(&AccessRecord {
        at: unix_ms().saturating_sub(duration_us / 1000),
        client: &conn.client,
        method: "",
        target: b"",
        host: conn.sni.as_deref().unwrap_or(""),
        version: if relay == Relay::Tls { "TLS" } else { "TCP" },
        status: 0,
        bytes_out: record.bytes_out,
        bytes_in: record.bytes_in,
        duration_us,
        connect_us: record.connect_us,
        key: key.filter(|_| record.node.is_some()).map_or("", RouteKey::as_str),
        node: record.node.as_ref().map_or("", |node| &node.facts.announced),
        tls: conn.scheme == Scheme::Https,
        termination: record.termination,
        reused_upstream: false,
        request_id: b"",
        trace: b"",
    });
}
