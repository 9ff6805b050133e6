//! The cells one worker counts in.
//!
//! A shard has exactly one writer, the worker it belongs to; that is what lets an addition be a
//! plain load and store instead of a locked read-modify-write, and keeps its cache lines in one
//! core. The admin thread reads the cells at a scrape and may see two of them a few additions
//! apart; each one alone only rises.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::catalog::{Counter, Latency, WorkerCell};
use super::ends::{self, ENDS};
use super::histogram::{self, BUCKETS};
use crate::termination::Termination;

/// Reasons a head can be refused for that get a cell of their own; further ones count as the last.
pub const HEAD_REJECT_REASONS_MAX: usize = 64;

/// Counters, histograms and settable cells of one worker.
///
/// Aligned to two cache lines, so that no two shards share one even with adjacent-line prefetch.
#[derive(Debug)]
#[repr(align(128))]
pub struct Shard {
    counters: [AtomicU64; Counter::COUNT],
    cells: [AtomicU64; WorkerCell::COUNT],
    head_rejects: [AtomicU64; HEAD_REJECT_REASONS_MAX],
    ends: [AtomicU64; ENDS],
    latencies: [Buckets; Latency::COUNT],
}

#[derive(Debug)]
struct Buckets {
    counts: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
}

impl Shard {
    pub(super) fn new() -> Self {
        Self {
            counters: [const { AtomicU64::new(0) }; Counter::COUNT],
            cells: [const { AtomicU64::new(0) }; WorkerCell::COUNT],
            head_rejects: [const { AtomicU64::new(0) }; HEAD_REJECT_REASONS_MAX],
            ends: [const { AtomicU64::new(0) }; ENDS],
            latencies: std::array::from_fn(|_| Buckets {
                counts: [const { AtomicU64::new(0) }; BUCKETS],
                sum_us: AtomicU64::new(0),
            }),
        }
    }

    /// Adds to a counter. Only the owning worker may call this.
    #[inline]
    pub fn add(&self, counter: Counter, n: u64) {
        raise(&self.counters[counter as usize], n);
    }

    /// Adds one to a counter. Only the owning worker may call this.
    #[inline]
    pub fn count(&self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Sets a cell that shows a state. Only the owning worker may call this.
    #[inline]
    pub fn set(&self, cell: WorkerCell, value: u64) {
        self.cells[cell as usize].store(value, Relaxed);
    }

    /// Counts a refused head by the index of its reason in the list `Metrics` was made with.
    /// Only the owning worker may call this.
    #[inline]
    pub fn count_head_reject(&self, reason: usize) {
        raise(&self.head_rejects[reason.min(HEAD_REJECT_REASONS_MAX - 1)], 1);
    }

    /// Counts the end of an exchange by its first cause. Only the owning worker may call this.
    #[inline]
    pub fn count_end(&self, end: Termination) {
        raise(&self.ends[ends::cell_of(end)], 1);
    }

    /// Observes the whole duration of one exchange in microseconds. Only the owning worker may
    /// call this.
    #[inline]
    pub fn observe_latency_us(&self, us: u64) {
        self.observe_us(Latency::Request, us);
    }

    /// Observes a duration in microseconds. Only the owning worker may call this.
    #[inline]
    pub fn observe_us(&self, latency: Latency, us: u64) {
        let buckets = &self.latencies[latency as usize];
        raise(&buckets.counts[histogram::bucket_of(us)], 1);
        raise(&buckets.sum_us, us);
    }

    /// The counter as the worker last left it.
    pub fn value(&self, counter: Counter) -> u64 {
        self.counters[counter as usize].load(Relaxed)
    }

    /// The cell as the worker last set it.
    pub fn cell(&self, cell: WorkerCell) -> u64 {
        self.cells[cell as usize].load(Relaxed)
    }

    pub(super) fn head_rejects(&self, reason: usize) -> u64 {
        self.head_rejects.get(reason).map_or(0, |cell| cell.load(Relaxed))
    }

    pub(super) fn ends(&self, end: Termination) -> u64 {
        self.ends[ends::cell_of(end)].load(Relaxed)
    }

    /// Adds this shard's observations to `counts` and returns their sum in microseconds.
    pub(super) fn add_latency_to(&self, latency: Latency, counts: &mut [u64; BUCKETS]) -> u64 {
        let buckets = &self.latencies[latency as usize];
        for (total, cell) in counts.iter_mut().zip(&buckets.counts) {
            *total += cell.load(Relaxed);
        }
        buckets.sum_us.load(Relaxed)
    }
}

/// Load and store, not `fetch_add`: there is one writer, and the locked form costs 5 to 20 times
/// as much on every request.
#[inline]
fn raise(cell: &AtomicU64, n: u64) {
    cell.store(cell.load(Relaxed).wrapping_add(n), Relaxed);
}
