//! The part of the statistics that is ours: workers, totals, rejects, certificates, the table.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

use route_table::{Dotsplit, Speech, Table};
use router_core::admin::{AdminSource, Readiness};
use router_core::memory_usage::MemoryUsage;
use router_core::metrics::{Counter, WorkerCell, catalog};
use serde::Serialize;
use serde_json::{Map, Value};

use super::RouterState;
use super::overview::{MemoryCap, memory};
use crate::tls::cert_store::{CertInfo, ClientAuth};
use crate::upgrade::{Draining, Tally};

/// Certificates listed.
pub const CERTIFICATES_MAX: usize = 1000;

/// Everything under `"suzerain"`.
#[derive(Serialize)]
pub(super) struct Stats {
    pid: u32,
    io_driver: &'static str,
    ready: bool,
    started_unix: u64,
    uptime_s: u64,
    resident_bytes: Option<u64>,
    /// The memory cap that is nearest, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<MemoryCap>,
    listeners: Vec<Listener>,
    subscribe: Vec<String>,
    dotsplit: bool,
    fallback_key: Option<String>,
    upgrades: Tally,
    /// The process that the last upgrade replaced; absent once it has no more requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    predecessor: Option<Draining>,
    /// Processes before this one that have only tunnels left.
    lingering: Vec<Draining>,
    table: TableSummary,
    workers: Vec<Worker>,
    totals: Map<String, Value>,
    head_rejects: BTreeMap<&'static str, u64>,
    subscription: Subscription,
    certificates_total: usize,
    certificates: Vec<Certificate>,
    /// Pairs that are not served as their files are.
    certificates_refused: Vec<RefusedPair>,
}

#[derive(Serialize)]
struct RefusedPair {
    name: String,
    why: String,
}

#[derive(Serialize)]
struct Listener {
    scheme: &'static str,
    address: String,
}

#[derive(Serialize)]
struct TableSummary {
    generation: u64,
    keys: usize,
    /// How many of them the lists above were made from; fewer than `keys` if cut at `?keys=`.
    keys_listed: usize,
    nodes: usize,
}

#[derive(Serialize)]
pub(super) struct Worker {
    worker: usize,
    pub(super) connections_open: u64,
    pub(super) requests: u64,
    upstream_idle: u64,
    upstream_connects: u64,
    upstream_reused: u64,
    pub(super) cpu_ms: u64,
}

#[derive(Serialize)]
pub(super) struct Subscription {
    datagrams: u64,
    batches: u64,
    added: u64,
    renewed: u64,
    changed: u64,
    removed: u64,
    lapsed: u64,
    revoked: u64,
    publishes: u64,
    kernel_drops: u64,
    rejects: BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
pub(super) struct Certificate {
    /// Name it is served under; absent for the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    source: &'static str,
    sans: Vec<String>,
    not_after_unix: i64,
    fingerprint: String,
    /// Whether clients are asked for a certificate, and insisted on; absent if they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_auth: Option<&'static str>,
}

impl Stats {
    pub(super) fn of(
        state: &RouterState,
        table: &Table,
        certs: &[CertInfo],
        keys_max: usize,
    ) -> Self {
        let facts = state.facts.load();
        let listeners = facts.listeners.iter().map(|listener| Listener {
            scheme: listener.scheme.name(),
            address: listener.address.to_string(),
        });
        let relays = facts.relays.iter().map(|(speech, address)| Listener {
            scheme: if *speech == Speech::Tls { "tls" } else { "tcp" },
            address: address.to_string(),
        });
        Self {
            pid: std::process::id(),
            io_driver: state.process.io_driver(),
            ready: state.readiness() == Readiness::Ready,
            started_unix: state.process.started_unix(),
            uptime_s: state.process.uptime_s(),
            resident_bytes: MemoryUsage::now().map(|usage| usage.resident),
            memory: memory(state),
            listeners: listeners.chain(relays).collect(),
            subscribe: facts.subscribe.iter().map(ToString::to_string).collect(),
            dotsplit: facts.dotsplit == Dotsplit::On,
            fallback_key: facts.fallback_key.as_ref().map(ToString::to_string),
            upgrades: state.upgrades.tally(),
            predecessor: state.upgrades.draining(),
            lingering: state.upgrades.lingering(),
            table: TableSummary {
                generation: table.generation(),
                keys: table.len(),
                keys_listed: table.len().min(keys_max),
                nodes: table.iter().map(|route| route.nodes().len()).sum(),
            },
            workers: workers(state),
            totals: totals(state),
            head_rejects: state.metrics.head_rejects().collect(),
            subscription: subscription(state),
            certificates_total: certs.len(),
            certificates: certs.iter().take(CERTIFICATES_MAX).map(certificate).collect(),
            certificates_refused: refused_pairs(state),
        }
    }
}

pub(super) fn workers(state: &RouterState) -> Vec<Worker> {
    let shards = (0..state.metrics.workers()).map(|worker| (worker, state.metrics.shard(worker)));
    shards
        .map(|(worker, shard)| {
            let closed = shard.value(Counter::ConnectionsClosed);
            Worker {
                worker,
                connections_open: shard.value(Counter::ConnectionsAccepted).saturating_sub(closed),
                requests: shard.value(Counter::Requests),
                upstream_idle: shard.cell(WorkerCell::UpstreamIdle),
                upstream_connects: shard.value(Counter::UpstreamConnects),
                upstream_reused: shard.value(Counter::UpstreamReused),
                cpu_ms: shard.cell(WorkerCell::CpuMicros) / 1000,
            }
        })
        .collect()
}

/// Every counter of the catalogue under its metric name without prefix and `_total`.
pub(super) fn totals(state: &RouterState) -> Map<String, Value> {
    let mut totals = Map::new();
    for (counter, family, label) in catalog::COUNTERS {
        let name = family.name.trim_start_matches("suzerain_").trim_end_matches("_total");
        let sum = Value::from(state.metrics.sum(*counter));
        match label {
            None => {
                totals.insert(name.to_owned(), sum);
            }
            Some(label) => {
                let by_label = totals.entry(name).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(by_label) = by_label {
                    by_label.insert((*label).to_owned(), sum);
                }
            }
        }
    }
    totals
}

pub(super) fn subscription(state: &RouterState) -> Subscription {
    let counters = &state.subscriptions;
    Subscription {
        datagrams: counters.datagrams.load(Relaxed),
        batches: counters.batches.load(Relaxed),
        added: counters.added.load(Relaxed),
        renewed: counters.renewed.load(Relaxed),
        changed: counters.changed.load(Relaxed),
        removed: counters.removed.load(Relaxed),
        lapsed: counters.lapsed.load(Relaxed),
        revoked: counters.revoked.load(Relaxed),
        publishes: counters.publishes.load(Relaxed),
        kernel_drops: counters.kernel_drops.load(Relaxed),
        rejects: counters.rejects().collect(),
    }
}

fn refused_pairs(state: &RouterState) -> Vec<RefusedPair> {
    let troubles = state.certs.troubles().list(CERTIFICATES_MAX);
    troubles
        .into_iter()
        .map(|trouble| RefusedPair { name: trouble.name, why: trouble.why })
        .collect()
}

pub(super) fn certificate(cert: &CertInfo) -> Certificate {
    Certificate {
        name: cert.name.clone(),
        source: cert.source.label(),
        sans: cert.sans.clone(),
        not_after_unix: cert.not_after,
        fingerprint: cert.fingerprint.clone(),
        client_auth: cert.client_auth.map(ClientAuth::label),
    }
}
