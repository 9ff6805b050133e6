//! What is said of a request that ended: counters, and its line in the access log.

use proxy::{
    http::{conclude::unix_ms, record::micros},
    relay::Line,
};
use route_table::RouteKey;
use router_core::{
    access_log::AccessRecord,
    metrics::{Counter, Latency},
};

use crate::errand::PacketErrand;

/// Counts a request that ended and writes its line.
pub fn conclude(line: &Line<'_, PacketErrand>) {
    let (ctx, record, errand) = (line.ctx, &line.record, &line.errand);
    let duration_us = micros(record.started);
    ctx.shard.add(Counter::RequestBytes, record.bytes_in);
    ctx.shard.add(Counter::ResponseBytes, record.bytes_out);
    if record.status > 0 {
        ctx.shard.add(Counter::of_status(record.status), 1);
    }
    ctx.shard.count_end(record.termination);
    ctx.shard.observe_us(Latency::Request, duration_us);
    if !ctx.log.enabled() {
        return;
    }
    let text = |span| String::from_utf8_lossy(errand.text(span));
    let request = &errand.request;
    let client = request.client.map(|ip| match text(&request.client_port) {
        port if port.is_empty() => ip.to_string(),
        port if ip.is_ipv6() => format!("[{ip}]:{port}"),
        port => format!("{ip}:{port}"),
    });
    ctx.log.write(&AccessRecord {
        at: unix_ms().saturating_sub(duration_us / 1000),
        client: client.as_deref().unwrap_or(&line.conn.client),
        method: &text(&request.method),
        target: errand.text(&request.target),
        host: &text(&request.key),
        version: &text(&request.protocol),
        status: record.status,
        bytes_out: record.bytes_out,
        bytes_in: record.bytes_in,
        duration_us,
        connect_us: record.connect_us,
        key: line.key.as_ref().filter(|_| record.node.is_some()).map_or("", RouteKey::as_str),
        node: record.node.as_ref().map_or("", |node| &node.facts.announced),
        tls: request.is_tls,
        termination: record.termination,
        reused_upstream: false,
        request_id: b"",
        trace: b"",
    });
}
