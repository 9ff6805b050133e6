//! The counters of one node: the only part of a published table that moves.
//!
//! A node that is announced again with other facts becomes another `Node`, but keeps its
//! `NodeLoad`, so a publish forgets neither requests in flight nor a cooling. All fields share one
//! cache line that no other node's counters touch. Orders are relaxed: each number stands alone,
//! and a pick made on one that is a moment old is only slightly less fair.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// What a node is doing and has done. Written by every worker.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct NodeLoad {
    requests: AtomicU64,
    failures: AtomicU64,
    tx_bytes: AtomicU64,
    rx_bytes: AtomicU64,
    last_seen_unix: AtomicU64,
    cooling_until_ms: AtomicU64,
    in_flight: AtomicU32,
    requests_lately: AtomicU32,
    cores: AtomicU32,
    backlog: AtomicU32,
}

const _: () = assert!(size_of::<NodeLoad>() == 64); // one cache line

impl NodeLoad {
    /// Counters of a node never used.
    pub fn new() -> Self {
        Self::default()
    }

    /// An exchange with this node begins. Pair it with [`NodeLoad::end`].
    pub fn begin(&self) {
        self.in_flight.fetch_add(1, Relaxed);
        self.requests.fetch_add(1, Relaxed);
        self.requests_lately.fetch_add(1, Relaxed);
    }

    /// An exchange that began has ended, however it ended.
    pub fn end(&self) {
        let before = self.in_flight.fetch_sub(1, Relaxed);
        debug_assert!(before > 0, "an exchange ended that never began");
    }

    /// Exchanges begun and not ended.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// Exchanges begun since the node was last announced; breaks ties between idle nodes.
    pub fn requests_lately(&self) -> u32 {
        self.requests_lately.load(Relaxed)
    }

    /// The node failed at `now_ms`: it is skipped for the next `cooldown_ms` milliseconds.
    pub fn note_failure(&self, now_ms: u64, cooldown_ms: u64) {
        self.failures.fetch_add(1, Relaxed);
        self.cooling_until_ms.fetch_max(now_ms.saturating_add(cooldown_ms), Relaxed);
    }

    /// The node served: a cooling ends at once.
    ///
    /// Reads before it writes, because almost always there is nothing to end.
    pub fn note_success(&self) {
        if self.cooling_until_ms.load(Relaxed) != 0 {
            self.cooling_until_ms.store(0, Relaxed);
        }
    }

    /// Whether the node is to be skipped at `now_ms`.
    pub fn is_cooling(&self, now_ms: u64) -> bool {
        self.cooling_until_ms.load(Relaxed) > now_ms
    }

    /// Counts bytes received from the node (`tx_bytes`, the node's view, as in uWSGI's statistics)
    /// and sent to it (`rx_bytes`).
    pub fn add_bytes(&self, tx_bytes: u64, rx_bytes: u64) {
        self.tx_bytes.fetch_add(tx_bytes, Relaxed);
        self.rx_bytes.fetch_add(rx_bytes, Relaxed);
    }

    /// The node announced itself at `unix` seconds with these `cores` and this listen `backlog`.
    /// A renewal ends here: it changes no table.
    pub fn note_announce(&self, unix: u64, cores: u32, backlog: u32) {
        self.last_seen_unix.store(unix, Relaxed);
        self.cores.store(cores, Relaxed);
        self.backlog.store(backlog, Relaxed);
        self.requests_lately.store(0, Relaxed);
    }

    /// All numbers, read one after the other: they need not be of the same instant.
    pub fn snapshot(&self) -> NodeLoadSnapshot {
        NodeLoadSnapshot {
            in_flight: self.in_flight.load(Relaxed),
            requests: self.requests.load(Relaxed),
            requests_lately: self.requests_lately.load(Relaxed),
            failures: self.failures.load(Relaxed),
            tx_bytes: self.tx_bytes.load(Relaxed),
            rx_bytes: self.rx_bytes.load(Relaxed),
            cores: self.cores.load(Relaxed),
            backlog: self.backlog.load(Relaxed),
            last_seen_unix: self.last_seen_unix.load(Relaxed),
            cooling_until_ms: self.cooling_until_ms.load(Relaxed),
        }
    }
}

/// The numbers of a [`NodeLoad`] as of one reading.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct NodeLoadSnapshot {
    /// Exchanges begun and not ended.
    pub in_flight: u32,
    /// Exchanges begun.
    pub requests: u64,
    /// Exchanges begun since the last announcement.
    pub requests_lately: u32,
    /// Failures noted.
    pub failures: u64,
    /// Bytes received from the node.
    pub tx_bytes: u64,
    /// Bytes sent to the node.
    pub rx_bytes: u64,
    /// Cores as last announced.
    pub cores: u32,
    /// Listen backlog as last announced (`load` on the wire).
    pub backlog: u32,
    /// Second of the last announcement, Unix time; 0 for none.
    pub last_seen_unix: u64,
    /// Monotonic millisecond until which the node is skipped; 0 for none.
    pub cooling_until_ms: u64,
}
