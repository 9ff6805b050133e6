//! What the subscription thread counts: written by it alone, read by whoever renders metrics.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use subscribe::{Reject, Verdict};

use crate::deadline;

/// Totals since start.
#[derive(Debug, Default)]
pub struct SubscriptionCounters {
    /// Datagrams received, whatever became of them.
    pub datagrams: AtomicU64,
    /// Batches: turns of the thread that received at least one datagram.
    pub batches: AtomicU64,
    /// Datagrams that added a node.
    pub added: AtomicU64,
    /// Datagrams that only moved a lease.
    pub renewed: AtomicU64,
    /// Datagrams that changed a node.
    pub changed: AtomicU64,
    /// Datagrams that removed a node.
    pub removed: AtomicU64,
    /// Nodes whose lease ran out.
    pub lapsed: AtomicU64,
    /// Nodes removed because their key file changed or vanished.
    pub revoked: AtomicU64,
    /// Tables published.
    pub publishes: AtomicU64,
    /// Datagrams the kernel dropped because the thread was behind.
    pub kernel_drops: AtomicU64,
    /// Receive calls that failed.
    pub receive_errors: AtomicU64,
    /// Acknowledgements sent.
    pub notified: AtomicU64,
    /// Acknowledgements that could not be sent, or were not fit to be.
    pub notify_errors: AtomicU64,
    /// Datagrams passed on to other routers, per router.
    pub forwarded: AtomicU64,
    /// Datagrams for other routers that were lost.
    pub forward_drops: AtomicU64,
    /// Certificate requests that found no loader.
    pub cert_requests_lost: AtomicU64,
    /// Times the state file could not be written.
    pub state_file_failures: AtomicU64,
    /// Length of the state file now; 0 while there is none.
    pub state_file_bytes: AtomicU64,
    rejects: [AtomicU64; Reject::ALL.len()],
    /// How far the thread's clock is ahead of that of the process.
    clock_ahead_ms: AtomicI64,
}

impl SubscriptionCounters {
    /// Refused datagrams by reason: the label of `suzerain_subscription_rejects_total` and the
    /// number, zeros included.
    pub fn rejects(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let numbers = self.rejects.iter().map(|number| number.load(Ordering::Relaxed));
        Reject::ALL.iter().map(|reject| reject.label()).zip(numbers)
    }

    /// Refused datagrams of one reason.
    #[must_use]
    pub fn rejected(&self, reject: Reject) -> u64 {
        self.rejects[reject as usize].load(Ordering::Relaxed)
    }

    /// The clock of leases, when that of the process says `process_ms`.
    #[must_use]
    pub fn lease_clock_ms(&self, process_ms: u64) -> u64 {
        process_ms.saturating_add_signed(self.clock_ahead_ms.load(Ordering::Relaxed))
    }

    /// The thread's clock shows `mono_ms` now. It may have stood still for a while.
    pub(super) fn note_clock(&self, mono_ms: u64) {
        let ahead = mono_ms.cast_signed() - deadline::process_ms().cast_signed();
        self.clock_ahead_ms.store(ahead, Ordering::Relaxed);
    }

    pub(super) fn note(&self, verdict: &Verdict) {
        bump(match verdict {
            Verdict::Added => &self.added,
            Verdict::Renewed => &self.renewed,
            Verdict::Changed => &self.changed,
            Verdict::Removed => &self.removed,
            Verdict::Rejected(reject) => &self.rejects[*reject as usize],
        });
    }
}

pub(super) fn bump(counter: &AtomicU64) {
    add(counter, 1);
}

/// One writer, so no read-modify-write is needed.
pub(super) fn add(counter: &AtomicU64, more: usize) {
    counter.store(counter.load(Ordering::Relaxed) + more as u64, Ordering::Relaxed);
}
