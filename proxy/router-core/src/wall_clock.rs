//! Unix time, for what is compared with other machines' clocks or shown to people.
//!
//! It may jump in both directions, so deadlines and leases are counted on another clock
//! ([`crate::deadline`]).

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970; zero on a machine that believes to be before it.
#[must_use]
pub fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
