//! Waiting for something to become true, never longer than said.

use std::time::{Duration, Instant};

/// Pause between two looks.
const POLL: Duration = Duration::from_millis(15);

/// Longest wait for things that should happen at once on a loaded machine.
pub const SOON: Duration = Duration::from_secs(10);

/// Calls `probe` until it yields something; panics with `what` after `within`.
#[track_caller]
pub fn eventually<T>(what: &str, within: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(start.elapsed() < within, "not within {within:?}: {what}");
        std::thread::sleep(POLL);
    }
}

/// `eventually` for a plain condition.
#[track_caller]
pub fn eventually_true(what: &str, within: Duration, mut probe: impl FnMut() -> bool) {
    eventually(what, within, || probe().then_some(()));
}
