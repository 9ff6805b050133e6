//! A rate with a burst, kept in one number: the generic cell rate algorithm.
//!
//! The number is the microsecond at which the next event would be due if all came evenly. An event
//! is allowed while that is no more than the burst ahead of now, and moves it on by one interval.
//! Pure: the clock is an argument. Exact also when several threads use one cell, for the price of
//! one compare-and-swap.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Longest interval between two events: a rate below one in this long is none.
const INTERVAL_US_MAX: u64 = 24 * 3600 * 1_000_000;

/// So many events per second, and so many at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    interval_us: u64,
    burst_us: u64,
}

/// The event came too early.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("too early by {wait_us} µs")]
pub struct TooEarly {
    /// Microseconds until it is allowed.
    pub wait_us: u64,
}

impl Rate {
    /// `events` in each `per_us` microseconds, `burst` of them at once; both at least 1.
    pub fn new(events: u64, per_us: u64, burst: u64) -> Self {
        let interval_us = (per_us / events.max(1)).clamp(1, INTERVAL_US_MAX);
        Self { interval_us, burst_us: interval_us.saturating_mul(burst.max(1) - 1) }
    }

    /// Lets one event pass at `now_us`, or says when it may.
    ///
    /// # Errors
    /// [`TooEarly`]; then `cell` is as it was, so that asking too often does not make it worse.
    pub fn take(self, cell: &AtomicU64, now_us: u64) -> Result<(), TooEarly> {
        let mut due = cell.load(Relaxed);
        loop {
            let wait_us = due.saturating_sub(now_us.saturating_add(self.burst_us));
            if wait_us > 0 {
                return Err(TooEarly { wait_us });
            }
            let next = due.max(now_us).saturating_add(self.interval_us);
            match cell.compare_exchange_weak(due, next, Relaxed, Relaxed) {
                Ok(_) => return Ok(()),
                Err(now) => due = now,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn a_burst_passes_at_once_and_then_the_rate_holds() {
        let (rate, cell) = (Rate::new(10, SECOND, 5), AtomicU64::new(0));
        let passed = |now_us| (0..20).filter(|_| rate.take(&cell, now_us).is_ok()).count();
        assert_eq!(passed(SECOND), 5);
        assert_eq!(passed(SECOND), 0);
        assert_eq!(passed(SECOND + 100_000), 1);
        assert_eq!(passed(SECOND + 350_000), 2);
        assert_eq!(passed(60 * SECOND), 5, "what was not used is not saved beyond the burst");
    }

    #[test]
    fn who_comes_too_early_is_told_when_to_come() {
        let (rate, cell) = (Rate::new(2, SECOND, 1), AtomicU64::new(0));
        assert_eq!(rate.take(&cell, 0), Ok(()));
        assert_eq!(rate.take(&cell, 100_000), Err(TooEarly { wait_us: 400_000 }));
        assert_eq!(rate.take(&cell, 499_999), Err(TooEarly { wait_us: 1 }));
        assert_eq!(rate.take(&cell, 500_000), Ok(()));
    }

    #[test]
    fn threads_that_share_a_cell_get_one_rate_together() {
        let (rate, cell) = (Rate::new(1, SECOND, 1_000), AtomicU64::new(0));
        let passed: usize = std::thread::scope(|scope| {
            let many: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..1_000).filter(|_| rate.take(&cell, 0).is_ok()).count()))
                .collect();
            many.into_iter().map(|one| one.join().expect("no panic")).sum()
        });
        assert_eq!(passed, 1_000);
    }

    #[test]
    fn extremes_stay_within_their_numbers() {
        let cell = AtomicU64::new(u64::MAX - 1);
        assert!(Rate::new(u64::MAX, 1, 1).take(&cell, 0).is_err());
        assert!(Rate::new(0, u64::MAX, u64::MAX).take(&AtomicU64::new(0), u64::MAX).is_ok());
    }
}
