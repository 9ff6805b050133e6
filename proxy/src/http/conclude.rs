//! What is said of an exchange that ended: counters, its line in the access log, its spans.

use http1_wire::{FieldSlots, Parsed, Version, parse_request, trace_hex};
use route_table::HostBuf;
use router_core::{
    access_log::AccessRecord,
    metrics::{Counter, Latency},
    termination::{Phase, Side, Termination},
};

use super::{
    judge::{Refusal, request_host, route_of},
    provenance,
    record::{Record, micros},
    request_id::{self, RequestId, RequestIds},
    rtsp,
    spans::{self, Ended},
};
use crate::context::{ConnFacts, Context, Dialect, Scheme, Trust};

/// Counts an exchange that ended and writes its line; `head` is its head, if it had a sound one.
pub fn conclude(ctx: &Context, conn: &ConnFacts, head: &[u8], record: &Record) {
    let shard = &ctx.shard;
    let duration_us = micros(record.started);
    shard.add(Counter::RequestBytes, record.bytes_in);
    shard.add(Counter::ResponseBytes, record.bytes_out);
    if record.status > 0 {
        shard.add(Counter::of_status(record.status), 1);
    }
    shard.count_end(record.termination);
    shard.observe_us(Latency::Request, duration_us);
    if ctx.log.enabled() || record.trace.recorded().is_some() {
        tell(ctx, conn, head, record, duration_us);
    }
}

/// Writes the line of the access log and the spans, as far as either is wanted.
fn tell(ctx: &Context, conn: &ConnFacts, head: &[u8], record: &Record, duration_us: u64) {
    if log_rtsp(ctx, conn, head, record, duration_us) {
        return;
    }
    let mut slots = FieldSlots::new();
    let head = match parse_request(head, &mut slots) {
        Ok(Parsed::Complete(head)) => Some(head),
        _ => None,
    };
    let mut buf = HostBuf::new();
    let host = head.as_ref().and_then(|head| request_host(ctx, conn, head, &mut buf).ok());
    let mut table = ctx.table.borrow_mut();
    let routed = host.as_ref().zip(head.as_ref()).filter(|_| record.node.is_some());
    let key = routed.and_then(|(host, head)| {
        let route = route_of(table.load(), head, host, ctx.shared.dotsplit)?;
        Some(route.key().as_str())
    });
    // Whom a trusted proxy told of, and what it called the request.
    let told = head.as_ref().filter(|_| conn.trust == Trust::Proxy);
    let rules = &ctx.shared.headers;
    let client = told.and_then(|head| provenance::told_client(&rules.trusted, head));
    let client = client.map(|ip| ip.to_string());
    let kept = told.filter(|_| rules.request_ids == RequestIds::On);
    let kept = kept.and_then(|head| request_id::kept(conn, head));
    let version = match (conn.dialect, head.as_ref().map(|head| head.version)) {
        (_, None) => "",
        (Dialect::Http2, _) => "HTTP/2.0",
        (Dialect::Http1, Some(Version::Http10)) => "HTTP/1.0",
        (Dialect::Http1, Some(Version::Http11)) => "HTTP/1.1",
    };
    let key = key.unwrap_or("");
    if let (Some(traces), Some(trace), Some(head)) = (&ctx.traces, record.trace.recorded(), &head) {
        let (client, host) = (client.as_deref().unwrap_or(conn.client_ip()), host.as_ref());
        let ended = Ended { trace, conn, head, host, client, key, version, record };
        spans::write(&traces.sink, &ended);
    }
    if !ctx.log.enabled() {
        return;
    }
    let hex = record.id.map(RequestId::hex);
    let trace = record.trace.get().map(|trace| trace_hex(trace.id));
    ctx.log.write(&AccessRecord {
        at: unix_ms().saturating_sub(duration_us / 1000),
        client: client.as_deref().unwrap_or(&conn.client),
        method: head.as_ref().map_or("", |head| head.method.as_str()),
        target: head.as_ref().map_or(b"", |head| head.target.raw()),
        host: host.as_ref().map_or("", |host| host.host_port()),
        version,
        status: record.status,
        bytes_out: record.bytes_out,
        bytes_in: record.bytes_in,
        duration_us,
        connect_us: record.connect_us,
        key,
        node: record.node.as_ref().map_or("", |node| &node.facts.announced),
        tls: conn.scheme == Scheme::Https,
        termination: record.termination,
        reused_upstream: record.reused,
        request_id: hex.as_ref().map(|hex| &hex[..]).or(kept).unwrap_or_default(),
        trace: trace.as_ref().map(|hex| &hex[..]).unwrap_or_default(),
    });
}

/// Writes the line of an RTSP session, if the head is one's.
fn log_rtsp(
    ctx: &Context,
    conn: &ConnFacts,
    head: &[u8],
    record: &Record,
    duration_us: u64,
) -> bool {
    rtsp::log(ctx, conn, head, |logged| {
        let node = record.node.as_ref().map_or("", |node| &node.facts.announced);
        ctx.log.write(&AccessRecord {
            at: unix_ms().saturating_sub(duration_us / 1000),
            client: &conn.client,
            method: logged.method,
            target: logged.target,
            host: logged.host,
            version: "RTSP/1.0",
            status: record.status,
            bytes_out: record.bytes_out,
            bytes_in: record.bytes_in,
            duration_us,
            connect_us: record.connect_us,
            key: if node.is_empty() { "" } else { logged.key },
            node,
            tls: conn.scheme == Scheme::Https,
            termination: record.termination,
            reused_upstream: false,
            request_id: b"",
            trace: b"",
        });
    })
}

/// Who is to blame for a refusal, and when.
pub fn termination_of(refusal: &Refusal) -> Termination {
    if refusal.status < 400 {
        // A redirect is an answer like any other.
        return Termination::CLEAN;
    }
    let side = match refusal.status {
        400 | 414 | 431 | 501 | 505 | 417 => Side::Client,
        _ => Side::Router,
    };
    let phase = if refusal.status == 503 { Phase::Connect } else { Phase::RequestHead };
    Termination::new(side, phase)
}

/// Milliseconds of Unix time.
pub fn unix_ms() -> u64 {
    std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis() as u64)
}
