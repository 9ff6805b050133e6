//! The time in which nothing is heard: no lease may end of it.
//!
//! While the thread is frozen for an upgrade its clock stands still, and datagrams wait in the
//! kernel. Whoever goes on, this thread after a thaw or its successor, reads what waits before it
//! lets the first lease end: the renewal may be there.

use std::time::{Duration, Instant};

use subscribe::Now;

use super::limits::CATCH_UP_MS_MAX;
use crate::wall_clock::unix_now;

/// The thread's clock.
#[derive(Debug)]
pub(super) struct PausableClock {
    /// Its zero.
    began: Instant,
    /// Since when it stands still.
    paused: Option<Instant>,
}

impl PausableClock {
    pub(super) fn start() -> Self {
        Self { began: Instant::now(), paused: None }
    }

    pub(super) fn now(&self) -> Now {
        let passed = self.paused.unwrap_or_else(Instant::now).duration_since(self.began);
        Now { mono_ms: u64::try_from(passed.as_millis()).unwrap_or(u64::MAX), unix: unix_now() }
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    pub(super) fn pause(&mut self) {
        self.paused.get_or_insert_with(Instant::now);
    }

    /// Goes on where it stopped; says how long that was.
    pub(super) fn resume(&mut self) -> Option<Duration> {
        let stood = self.paused.take()?.elapsed();
        self.began += stood;
        Some(stood)
    }
}

/// Whether leases may end.
#[derive(Debug, Default)]
pub(super) struct CatchUp {
    /// When they may again, whatever still waits, on the thread's clock.
    until_ms: Option<u64>,
}

impl CatchUp {
    /// Datagrams have waited in the kernel.
    pub(super) fn begin(now: Now) -> Self {
        Self { until_ms: Some(now.mono_ms + CATCH_UP_MS_MAX) }
    }

    /// All that waited was read.
    pub(super) fn end(&mut self) {
        self.until_ms = None;
    }

    pub(super) fn is_over(&self, now: Now) -> bool {
        self.until_ms.is_none_or(|until_ms| until_ms <= now.mono_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_stood_goes_on_where_it_stopped() {
        let mut clock =
            PausableClock { began: Instant::now() - Duration::from_secs(5), paused: None };
        clock.paused = Some(clock.began + Duration::from_secs(2));
        assert_eq!(clock.now().mono_ms, 2000);
        clock.pause();
        assert_eq!(clock.now().mono_ms, 2000, "a second pause moves nothing");
        assert!(clock.resume() >= Some(Duration::from_secs(3)));
        assert!((2000..2500).contains(&clock.now().mono_ms));
        assert_eq!(clock.resume(), None);
    }
}
