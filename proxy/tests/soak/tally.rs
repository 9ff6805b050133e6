//! What became of every request and message, and what was being done to the router meanwhile.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::Instant,
};

/// Failures told one by one; the rest is only counted.
const FAILURES_TOLD_MAX: usize = 30;

/// Counts from many tasks.
#[derive(Clone)]
pub struct Tally(Arc<Mutex<Inner>>, Instant);

#[derive(Default)]
struct Inner {
    counts: BTreeMap<&'static str, Count>,
    failures: Vec<String>,
    events: Vec<String>,
}

/// Of one kind of traffic or event.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Count {
    /// As expected.
    pub good: u64,
    /// Sent once more on a new connection, because the old one was closed before it said anything.
    pub again: u64,
    /// Lost, wrong or late.
    pub failed: u64,
}

impl Tally {
    pub fn new() -> Self {
        Self(Arc::default(), Instant::now())
    }

    pub fn good(&self, kind: &'static str) {
        self.with(|inner| inner.counts.entry(kind).or_default().good += 1);
    }

    pub fn again(&self, kind: &'static str) {
        self.with(|inner| inner.counts.entry(kind).or_default().again += 1);
    }

    pub fn failed(&self, kind: &'static str, why: impl std::fmt::Display) {
        let at = self.1.elapsed().as_secs_f64();
        self.with(|inner| {
            inner.counts.entry(kind).or_default().failed += 1;
            if inner.failures.len() < FAILURES_TOLD_MAX {
                inner.failures.push(format!("{at:8.3} s  {kind}: {why}"));
            }
        });
    }

    /// Notes what is done to the router, for whoever reads why something failed.
    pub fn event(&self, what: impl std::fmt::Display) {
        let at = self.1.elapsed().as_secs_f64();
        self.with(|inner| inner.events.push(format!("{at:8.3} s  {what}")));
    }

    pub fn count(&self, kind: &'static str) -> Count {
        self.with(|inner| inner.counts.get(kind).copied().unwrap_or_default())
    }

    pub fn failures(&self) -> u64 {
        self.with(|inner| inner.counts.values().map(|count| count.failed).sum())
    }

    /// Everything, for people.
    pub fn report(&self) -> String {
        let seconds = self.1.elapsed().as_secs_f64();
        self.with(|inner| {
            let mut text = format!("{:<20}{:>9}{:>9}{:>9}\n", "", "good", "again", "failed");
            let mut requests = 0;
            for (kind, Count { good, again, failed }) in &inner.counts {
                requests += good;
                let _ = writeln!(text, "{kind:<20}{good:>9}{again:>9}{failed:>9}");
            }
            let rate = requests as f64 / seconds;
            let _ = writeln!(text, "{rate:.0} good ones per second for {seconds:.0} s");
            if !inner.failures.is_empty() {
                let _ = writeln!(text, "failures:\n{}", inner.failures.join("\n"));
                let _ = writeln!(text, "events:\n{}", inner.events.join("\n"));
            }
            text
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.0.lock().expect("no task panicked"))
    }
}
