//! Metrics: what the workers count, and how a scrape adds it up.
//!
//! Workers write only their own [`Shard`]; nothing on the data path is shared. A scrape runs on the
//! admin thread, sums the shards, asks the [`Collector`]s of the other threads, and renders one
//! page. Every family is declared in [`catalog`].

pub mod catalog;
pub mod document;
mod ends;
pub mod histogram;
mod process;
mod render;
mod shard;
mod subscriptions;
mod table;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use catalog::{Counter, Latency, WorkerCell};
pub use process::ProcessFacts;
pub use render::{Collector, Page};
pub use shard::{HEAD_REJECT_REASONS_MAX, Shard};
pub use table::TableCollector;

use catalog::{COUNTERS, Family};
use histogram::BUCKETS;

/// The shards of all workers and the names of what they count.
#[derive(Debug)]
pub struct Metrics {
    shards: Box<[Arc<Shard>]>,
    head_reject_reasons: &'static [&'static str],
}

impl Metrics {
    /// Cells for `workers` workers that refuse heads without naming reasons.
    pub fn new(workers: usize) -> Arc<Self> {
        Self::with_head_rejects(workers, &[])
    }

    /// Cells for `workers` workers. `reasons` are the labels of refused heads, in the order of the
    /// indices given to [`Shard::count_head_reject`].
    pub fn with_head_rejects(workers: usize, reasons: &'static [&'static str]) -> Arc<Self> {
        debug_assert!(reasons.len() <= HEAD_REJECT_REASONS_MAX);
        let shards = (0..workers).map(|_| Arc::new(Shard::new())).collect();
        Arc::new(Self { shards, head_reject_reasons: reasons })
    }

    /// The cells of one worker, counted from 0; a worker asks once, at its start.
    ///
    /// # Panics
    /// When `worker` is not below the number of workers given at the start.
    pub fn shard(&self, worker: usize) -> Arc<Shard> {
        Arc::clone(&self.shards[worker])
    }

    /// How many workers count here.
    pub fn workers(&self) -> usize {
        self.shards.len()
    }

    /// One counter over all workers.
    pub fn sum(&self, counter: Counter) -> u64 {
        self.shards.iter().map(|shard| shard.value(counter)).sum()
    }

    /// One cell of each worker.
    pub fn cells(&self, cell: WorkerCell) -> impl Iterator<Item = u64> + '_ {
        self.shards.iter().map(move |shard| shard.cell(cell))
    }

    /// Client connections open now.
    pub fn connections_open(&self) -> u64 {
        // Closed is read first: a close between the two reads must not make the difference negative.
        let closed = self.sum(Counter::ConnectionsClosed);
        self.sum(Counter::ConnectionsAccepted).saturating_sub(closed)
    }

    /// One histogram over all workers: counts per bucket, not cumulative, and the sum in
    /// microseconds.
    pub fn latency(&self, latency: Latency) -> ([u64; BUCKETS], u64) {
        let mut counts = [0; BUCKETS];
        let sums = self.shards.iter().map(|shard| shard.add_latency_to(latency, &mut counts));
        let sum_us = sums.sum();
        (counts, sum_us)
    }

    /// Refused heads over all workers by reason.
    pub fn head_rejects(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.head_reject_reasons.iter().enumerate().map(|(i, reason)| {
            (*reason, self.shards.iter().map(|shard| shard.head_rejects(i)).sum())
        })
    }

    /// The whole page: the workers' cells, then every collector in turn.
    pub fn render(&self, collectors: &[&dyn Collector]) -> String {
        let mut page = Page::default();
        self.collect(&mut page);
        for collector in collectors {
            collector.collect(&mut page);
        }
        page.into_text()
    }
}

impl Collector for Metrics {
    fn collect(&self, page: &mut Page) {
        page.sample(&catalog::WORKERS, &[], self.workers() as u64);
        for (counter, family, label) in COUNTERS {
            page.sample(family, label.as_slice(), self.sum(*counter));
        }
        page.sample(&catalog::CONNECTIONS_OPEN, &[], self.connections_open());
        for (reason, count) in self.head_rejects() {
            page.sample(&catalog::HEAD_REJECTS, &[reason], count);
        }
        for end in ends::possible() {
            let count = self.shards.iter().map(|shard| shard.ends(end)).sum();
            let labels = [ends::side_label(end.side), ends::phase_label(end.phase)];
            page.sample(&catalog::EXCHANGE_ENDS, &labels, count);
        }
        self.per_worker(&catalog::UPSTREAM_IDLE, WorkerCell::UpstreamIdle, page);
        self.per_worker(&catalog::WORKER_CPU, WorkerCell::CpuMicros, page);
        for latency in Latency::ALL {
            let (counts, sum_us) = self.latency(latency);
            page.histogram(latency.family(), &counts, sum_us);
        }
    }
}

impl Metrics {
    fn per_worker(&self, family: &'static Family, cell: WorkerCell, page: &mut Page) {
        for (worker, value) in self.cells(cell).enumerate() {
            let worker = worker.to_string();
            match cell {
                WorkerCell::CpuMicros => page.seconds(family, &[&worker], value),
                WorkerCell::UpstreamIdle | WorkerCell::TickedMs => {
                    page.sample(family, &[&worker], value)
                }
            }
        }
    }
}
