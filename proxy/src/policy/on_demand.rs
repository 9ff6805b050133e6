//! How long and in what number the requests of one key wait for a vassal that sleeps.

use std::time::Duration;

/// The rules of one key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OnDemand {
    /// Requests that may wait, over all workers.
    pub waiting_max: u32,
    /// How long one waits at most.
    pub timeout: Duration,
}

impl Default for OnDemand {
    fn default() -> Self {
        // An interpreter with a large application takes some ten seconds to start.
        Self { waiting_max: 256, timeout: Duration::from_secs(30) }
    }
}
