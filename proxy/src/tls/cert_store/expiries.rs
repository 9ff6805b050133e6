//! When the certificates that are served end, in a few numbers.

use super::{CertStore, Shards};

/// Days before its end at which a certificate is warned of.
pub const EXPIRY_DAYS: [i64; 3] = [21, 7, 1];

/// The ends of all certificates.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Expiries {
    /// The first end, Unix time.
    pub soonest: Option<i64>,
    /// Certificates that end within [`EXPIRY_DAYS`], or have.
    pub within: [u64; EXPIRY_DAYS.len()],
}

impl CertStore {
    /// As of `now_unix`. Walks everything; meant for statistics.
    #[must_use]
    pub fn expiries(&self, now_unix: i64) -> Expiries {
        let map = self.map.load();
        let named = [&map.operator, &map.subscribed].into_iter().flat_map(Shards::pairs);
        let ends = named.map(|(_, entry)| entry.not_after);
        let ends = map.default.iter().map(|entry| entry.not_after).chain(ends);
        let mut expiries = Expiries::default();
        for end in ends {
            expiries.soonest = Some(expiries.soonest.map_or(end, |soonest| soonest.min(end)));
            for (count, days) in expiries.within.iter_mut().zip(EXPIRY_DAYS) {
                *count += u64::from(end - now_unix <= days * 24 * 60 * 60);
            }
        }
        expiries
    }
}
