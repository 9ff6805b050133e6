//! The counters of one node: the only part of a published table that moves.
//!
//! A node that is announced again with other facts becomes another `Node`, but keeps its
//! `NodeLoad`, so a publish forgets neither requests in flight, nor failures, nor health checks.
//! They lie inside their node, whose allocation is longer than two cache lines, so that no line
//! holds the counters of two nodes. Orders are relaxed: each number stands alone, and a pick made
//! on one that is a moment old is only slightly less fair.

use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::standing::{CheckFound, CheckRules, EjectRules, FORGIVEN, Standing};

/// What a node is doing and has done. Written by every worker.
#[derive(Debug, Default)]
pub struct NodeLoad {
    requests: AtomicU64,
    tx_bytes: AtomicU64,
    rx_bytes: AtomicU64,
    standing: AtomicU64,
    /// Of the registry alone: when the node's lease ends.
    due_ms: AtomicU64,
    in_flight: AtomicU32,
    requests_lately: AtomicU32,
    failures: AtomicU32,
    ejections: AtomicU32,
    /// In seconds: enough until 2106.
    last_seen_unix: AtomicU32,
    /// When the node joined or came back, in [`JOINED_UNIT_MS`]; 0 until it is first offered.
    joined: AtomicU32,
    backlog: AtomicU32,
    cores: AtomicU16,
}

/// Precision of the time a node joined: 32 bits of it last 13 years.
const JOINED_UNIT_MS: u64 = 100;

const _: () = assert!(size_of::<NodeLoad>() == 72); // a million of them are not to grow unseen

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

    /// An exchange with this node begins if fewer than `most` are under way, over all workers.
    ///
    /// # Errors
    /// None began: the node is at its bound.
    pub fn begin_below(&self, most: u32) -> Result<(), NodeBusy> {
        let one_more = |now: u32| (now < most).then_some(now + 1);
        self.in_flight.fetch_update(Relaxed, Relaxed, one_more).map_err(|_| NodeBusy)?;
        self.requests.fetch_add(1, Relaxed);
        self.requests_lately.fetch_add(1, Relaxed);
        Ok(())
    }

    /// The node failed at `now_ms`: it may be ejected, that is skipped for a while. Says whether
    /// this failure did that.
    pub fn note_failure(&self, now_ms: u64, rules: EjectRules) -> bool {
        self.failures.fetch_add(1, Relaxed);
        let ejected = self.turn(|standing| standing.failed(now_ms, rules));
        if ejected {
            self.ejections.fetch_add(1, Relaxed);
            self.joined.store(0, Relaxed);
        }
        ejected
    }

    /// A health check of the node ended. Says whether it took the node out or brought it back.
    pub fn note_check(&self, found: CheckFound, rules: CheckRules) -> bool {
        let turned = self.turn(|standing| standing.checked(found, rules));
        if turned && found == CheckFound::Good {
            self.joined.store(0, Relaxed);
        }
        turned
    }

    /// Applies a change of the standing and says what the change said.
    fn turn(&self, change: impl Fn(Standing) -> (Standing, bool)) -> bool {
        let mut before = self.standing.load(Relaxed);
        loop {
            let (after, turned) = change(Standing::from_word(before));
            match self.standing.compare_exchange_weak(before, after.word(), Relaxed, Relaxed) {
                Ok(_) => return turned,
                Err(now) => before = now,
            }
        }
    }

    /// The node served: failures are forgotten and an ejection ends at once.
    ///
    /// Reads before it writes, because almost always there is nothing to end.
    pub fn note_success(&self) {
        if self.standing.load(Relaxed) & FORGIVEN != 0 {
            self.standing.fetch_and(!FORGIVEN, Relaxed);
        }
    }

    /// Whether the node is ejected at `now_ms`, or failed its health checks.
    pub fn is_out(&self, now_ms: u64) -> bool {
        Standing::from_word(self.standing.load(Relaxed)).is_out(now_ms)
    }

    /// Milliseconds since the node joined or came back. Its time begins when it is first asked
    /// for: a node is new as long as it was never offered.
    pub(crate) fn age_ms(&self, now_ms: u64) -> u64 {
        let now = u32::try_from(now_ms / JOINED_UNIT_MS + 1).unwrap_or(u32::MAX);
        let joined = match self.joined.load(Relaxed) {
            0 => self.joined.compare_exchange(0, now, Relaxed, Relaxed).err().unwrap_or(now),
            joined => joined,
        };
        u64::from(now.saturating_sub(joined)) * JOINED_UNIT_MS
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
        self.last_seen_unix.store(u32::try_from(unix).unwrap_or(u32::MAX), Relaxed);
        self.cores.store(u16::try_from(cores).unwrap_or(u16::MAX), Relaxed);
        self.backlog.store(backlog, Relaxed);
        self.requests_lately.store(0, Relaxed);
    }

    /// The millisecond, on the registry's clock, at which the node's lease ends: it lies here so
    /// that a renewal touches nothing else.
    pub fn due_ms(&self) -> u64 {
        self.due_ms.load(Relaxed)
    }

    /// The registry prolongs the lease; nobody else may.
    pub fn set_due_ms(&self, due_ms: u64) {
        self.due_ms.store(due_ms, Relaxed);
    }

    /// All numbers, read one after the other: they need not be of the same instant.
    pub fn snapshot(&self) -> NodeLoadSnapshot {
        let standing = Standing::from_word(self.standing.load(Relaxed));
        NodeLoadSnapshot {
            in_flight: self.in_flight.load(Relaxed),
            requests: self.requests.load(Relaxed),
            requests_lately: self.requests_lately.load(Relaxed),
            failures: u64::from(self.failures.load(Relaxed)),
            failures_in_row: standing.failures(),
            ejections: u64::from(self.ejections.load(Relaxed)),
            is_unhealthy: standing.is_unhealthy(),
            tx_bytes: self.tx_bytes.load(Relaxed),
            rx_bytes: self.rx_bytes.load(Relaxed),
            cores: u32::from(self.cores.load(Relaxed)),
            backlog: self.backlog.load(Relaxed),
            last_seen_unix: u64::from(self.last_seen_unix.load(Relaxed)),
            cooling_until_ms: standing.until_ms(),
        }
    }
}

/// A node has as many exchanges in hand as it may.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the node has as many exchanges in hand as it may")]
pub struct NodeBusy;

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
    /// Failures since the last success.
    pub failures_in_row: u32,
    /// Times failures took the node out.
    pub ejections: u64,
    /// Whether health checks keep the node out.
    pub is_unhealthy: bool,
    /// Bytes received from the node.
    pub tx_bytes: u64,
    /// Bytes sent to the node.
    pub rx_bytes: u64,
    /// Cores as last announced, up to 65535.
    pub cores: u32,
    /// Listen backlog as last announced (`load` on the wire).
    pub backlog: u32,
    /// Second of the last announcement, Unix time; 0 for none.
    pub last_seen_unix: u64,
    /// Monotonic millisecond until which the node is skipped; 0 for none.
    pub cooling_until_ms: u64,
}
