//! `conns`: the client connections of each worker.

use std::fmt;

use router_core::metrics::{Counter, Shard, WorkerCell};
use serde::Serialize;

use super::super::Desk;
use super::super::columns::columns;

/// The answer to `conns`.
#[derive(Serialize)]
pub struct Conns {
    connections_open: u64,
    workers: Vec<WorkerRow>,
}

#[derive(Serialize)]
struct WorkerRow {
    worker: usize,
    /// Client connections open now.
    open: u64,
    /// Accepted since the start.
    accepted: u64,
    /// Closed at once, for a bound of the router or of one client.
    refused: u64,
    tls_handshakes: u64,
    http2: u64,
    requests: u64,
    /// Idle connections to nodes.
    upstream_idle: u64,
    cpu_ms: u64,
}

/// Who is connected where: what the workers count anyway, so asking costs them nothing.
pub fn conns(desk: &Desk) -> Conns {
    let metrics = &desk.state.metrics;
    let workers = (0..metrics.workers()).map(|worker| row(worker, &metrics.shard(worker)));
    let workers: Vec<_> = workers.collect();
    Conns { connections_open: workers.iter().map(|worker| worker.open).sum(), workers }
}

fn row(worker: usize, shard: &Shard) -> WorkerRow {
    // Closed is read first: a close between the two reads must not make the difference negative.
    let closed = shard.value(Counter::ConnectionsClosed);
    let accepted = shard.value(Counter::ConnectionsAccepted);
    WorkerRow {
        worker,
        open: accepted.saturating_sub(closed),
        accepted,
        refused: shard.value(Counter::ConnectionsRefused)
            + shard.value(Counter::ClientConnectionsRefused),
        tls_handshakes: shard.value(Counter::TlsHandshakes),
        http2: shard.value(Counter::Http2Connections),
        requests: shard.value(Counter::Requests),
        upstream_idle: shard.cell(WorkerCell::UpstreamIdle),
        cpu_ms: shard.cell(WorkerCell::CpuMicros) / 1000,
    }
}

impl fmt::Display for Conns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = [
            "WORKER",
            "OPEN",
            "ACCEPTED",
            "REFUSED",
            "TLS",
            "HTTP2",
            "REQUESTS",
            "UPSTREAM-IDLE",
            "CPU-MS",
        ];
        let rows: Vec<Vec<String>> = self
            .workers
            .iter()
            .map(|row| {
                let numbers = [
                    row.open,
                    row.accepted,
                    row.refused,
                    row.tls_handshakes,
                    row.http2,
                    row.requests,
                    row.upstream_idle,
                    row.cpu_ms,
                ];
                std::iter::once(row.worker.to_string())
                    .chain(numbers.iter().map(ToString::to_string))
                    .collect()
            })
            .collect();
        f.write_str(&columns(&head, &rows))?;
        writeln!(f, "{} open", self.connections_open)
    }
}
