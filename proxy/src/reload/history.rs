//! How reloads went, for the metrics.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use router_core::metrics::{Collector, Page, catalog};
use router_core::wall_clock::unix_now;

/// What became of a reload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// Something changed.
    Applied,
    /// There was nothing to change.
    Unchanged,
    /// Nothing changed, because something is wrong.
    Refused,
}

/// The reloads of this process.
#[derive(Debug)]
pub struct History {
    applied: AtomicU64,
    unchanged: AtomicU64,
    refused: AtomicU64,
    last_is_good: AtomicBool,
    good_unix: AtomicU64,
}

impl Default for History {
    /// The configuration was read at the start.
    fn default() -> Self {
        Self {
            applied: AtomicU64::new(0),
            unchanged: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            last_is_good: AtomicBool::new(true),
            good_unix: AtomicU64::new(unix_now()),
        }
    }
}

impl History {
    /// One more reload.
    pub fn note(&self, ending: Ending) {
        let counter = match ending {
            Ending::Applied => &self.applied,
            Ending::Unchanged => &self.unchanged,
            Ending::Refused => &self.refused,
        };
        counter.fetch_add(1, Relaxed);
        self.last_is_good.store(ending != Ending::Refused, Relaxed);
        if ending != Ending::Refused {
            self.good_unix.store(unix_now(), Relaxed);
        }
    }
}

impl Collector for History {
    fn collect(&self, page: &mut Page) {
        for (ending, count) in
            [("applied", &self.applied), ("unchanged", &self.unchanged), ("refused", &self.refused)]
        {
            page.sample(&catalog::RELOADS, &[ending], count.load(Relaxed));
        }
        let is_good = u64::from(self.last_is_good.load(Relaxed));
        page.sample(&catalog::CONFIG_RELOAD_SUCCESSFUL, &[], is_good);
        page.sample(&catalog::CONFIG_RELOAD_TIME, &[], self.good_unix.load(Relaxed));
    }
}
