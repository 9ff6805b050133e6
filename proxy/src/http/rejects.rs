//! The names under which refused requests are counted.
//!
//! The codec's rows that concern requests, and the reasons only this crate can find.

use std::sync::OnceLock;

use http1_wire::{REJECTS, RefusedIn};
use http2_wire::RequestRefusal;

/// The Host is made of host octets but is no host.
pub const HOST_SYNTAX: &str = "host_syntax";

/// Every reason, in the order of their counters.
pub fn reasons() -> &'static [&'static str] {
    static REASONS: OnceLock<Vec<&'static str>> = OnceLock::new();
    REASONS.get_or_init(|| {
        let mut reasons: Vec<&'static str> = REJECTS
            .iter()
            .filter(|row| row.refused_in != RefusedIn::Response)
            .map(|row| row.label)
            .collect();
        reasons.push(HOST_SYNTAX);
        reasons.extend(RequestRefusal::ALL.map(RequestRefusal::label));
        reasons.sort_unstable();
        reasons.dedup();
        reasons
    })
}

/// The counter of a reason. Only looked up for refused requests.
pub fn index(label: &str) -> usize {
    reasons().binary_search(&label).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_counter_within_the_shard() {
        assert!(reasons().len() <= router_core::metrics::HEAD_REJECT_REASONS_MAX);
        for (at, reason) in reasons().iter().enumerate() {
            assert_eq!(index(reason), at);
        }
    }
}
