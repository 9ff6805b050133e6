//! The counters of one key that its limits need, over all workers.
//!
//! Made when a limit first asks for them, so that a key without limits costs nothing, and handed
//! on when the key's nodes change. Whoever counts something in here holds it in an `Arc`, so that
//! it is counted out where it was counted in.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::rate::{Rate, TooEarly};

/// What the requests of one key are doing and were refused for. Written by every worker.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct KeyLoad {
    due_us: AtomicU64,
    limited: AtomicU64,
    shed: AtomicU64,
    queue_refused: AtomicU64,
    in_flight: AtomicU32,
    waiting: AtomicU32,
}

const _: () = assert!(size_of::<KeyLoad>() == 64); // one cache line

impl KeyLoad {
    /// Counters of a key never used.
    pub fn new() -> Self {
        Self::default()
    }

    /// One request arrives at `now_us` under `rate`.
    ///
    /// # Errors
    /// [`TooEarly`]: the key had its share for now; counted.
    pub fn arrive(&self, rate: Rate, now_us: u64) -> Result<(), TooEarly> {
        rate.take(&self.due_us, now_us).inspect_err(|_| {
            self.limited.fetch_add(1, Relaxed);
        })
    }

    /// An exchange begins if fewer than `most` are under way. Pair a `true` with
    /// [`KeyLoad::end`].
    pub fn begin_below(&self, most: u32) -> bool {
        let one_more = |now: u32| (now < most).then_some(now + 1);
        self.in_flight.fetch_update(Relaxed, Relaxed, one_more).is_ok()
    }

    /// An exchange that began has ended.
    pub fn end(&self) {
        let before = self.in_flight.fetch_sub(1, Relaxed);
        debug_assert!(before > 0, "an exchange ended that never began");
    }

    /// A request was refused because the key held too many exchanges.
    pub fn note_shed(&self) {
        self.shed.fetch_add(1, Relaxed);
    }

    /// A request was refused because the queue was full or it waited too long.
    pub fn note_queue_refused(&self) {
        self.queue_refused.fetch_add(1, Relaxed);
    }

    /// A request waits for a node if fewer than `most` do. Pair a `true` with [`KeyLoad::leave`].
    pub fn wait_below(&self, most: u32) -> bool {
        let one_more = |now: u32| (now < most).then_some(now + 1);
        self.waiting.fetch_update(Relaxed, Relaxed, one_more).is_ok()
    }

    /// A request waits no longer.
    pub fn leave(&self) {
        let before = self.waiting.fetch_sub(1, Relaxed);
        debug_assert!(before > 0, "a request left the queue that never entered it");
    }

    /// Requests that wait, over all workers.
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Relaxed)
    }

    /// All numbers, read one after the other.
    pub fn snapshot(&self) -> KeyLoadSnapshot {
        KeyLoadSnapshot {
            in_flight: self.in_flight.load(Relaxed),
            waiting: self.waiting.load(Relaxed),
            limited: self.limited.load(Relaxed),
            shed: self.shed.load(Relaxed),
            queue_refused: self.queue_refused.load(Relaxed),
        }
    }
}

/// The numbers of a [`KeyLoad`] as of one reading.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct KeyLoadSnapshot {
    /// Exchanges under way that are counted for a limit.
    pub in_flight: u32,
    /// Requests that wait for a node.
    pub waiting: u32,
    /// Requests refused by a rate.
    pub limited: u64,
    /// Requests refused because the key held too many exchanges.
    pub shed: u64,
    /// Requests refused by a full queue or after too long a wait.
    pub queue_refused: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_and_what_ends_makes_room() {
        let load = KeyLoad::new();
        assert!(load.begin_below(2) && load.begin_below(2) && !load.begin_below(2));
        load.end();
        assert!(load.begin_below(2));
        assert!(load.wait_below(1) && !load.wait_below(1));
        load.leave();
        let now = load.snapshot();
        assert_eq!((now.in_flight, now.waiting), (2, 0));
    }

    #[test]
    fn only_refused_arrivals_count_as_limited() {
        let (load, rate) = (KeyLoad::new(), Rate::new(1, 1_000_000, 2));
        let passed = (0..5).filter(|_| load.arrive(rate, 0).is_ok()).count();
        assert_eq!((passed, load.snapshot().limited), (2, 3));
    }
}
