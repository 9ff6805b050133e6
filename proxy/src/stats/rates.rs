//! How many requests a second each key gets, for whoever looks.
//!
//! Workers count hits and know no rates, so rates cost nothing where requests are served: they are
//! the difference between two looks at the table. Looks are taken only while somebody asks, and at
//! most one in two seconds. A key that had no request has no entry.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use route_table::{Route, Table};

/// Keys with requests that one look remembers, at 16 to 32 bytes each. Beyond them a key may have
/// no rate.
pub const KEYS_MAX: usize = 500_000;
/// Between two looks: shorter, and rates jump.
const LOOK_EVERY_MS: u64 = 1800;
/// A look so long ago says nothing about now, and is forgotten.
const FORGET_AFTER_MS: u64 = 60_000;

/// The looks taken lately.
#[derive(Debug, Default)]
pub struct KeyRates {
    looks: Mutex<Looks>,
    names: RandomState,
}

#[derive(Debug, Default)]
struct Looks {
    newer: Option<Arc<Look>>,
    older: Option<Arc<Look>>,
}

#[derive(Debug, Default)]
struct Look {
    at_ms: u64,
    hits: HashMap<u64, u64>,
    /// Keys were left out.
    is_cut: bool,
}

/// Rates as of one moment.
pub(super) struct Since<'r> {
    rates: &'r KeyRates,
    look: Option<Arc<Look>>,
    now_ms: u64,
}

impl KeyRates {
    /// Compares with an earlier look, and takes another one if it is time.
    pub(super) fn since(&self, table: &Table, now_ms: u64) -> Since<'_> {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        looks.forget(now_ms);
        if looks.newer.as_ref().is_none_or(|look| look.at_ms + LOOK_EVERY_MS <= now_ms) {
            looks.older = looks.newer.take();
            looks.newer = Some(Arc::new(self.look(table, now_ms)));
        }
        Since { rates: self, look: looks.older.clone(), now_ms }
    }

    /// Gives back the memory of looks nobody needs any more.
    pub(super) fn forget(&self, now_ms: u64) {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner).forget(now_ms);
    }

    fn look(&self, table: &Table, at_ms: u64) -> Look {
        let mut look = Look { at_ms, ..Look::default() };
        for route in table.iter().filter(|route| route.hits() > 0) {
            if look.hits.len() == KEYS_MAX {
                look.is_cut = true;
                break;
            }
            look.hits.insert(self.names.hash_one(route.key().as_str()), route.hits());
        }
        look
    }
}

impl Looks {
    fn forget(&mut self, now_ms: u64) {
        let is_stale = |look: &Arc<Look>| look.at_ms + FORGET_AFTER_MS < now_ms;
        self.older = self.older.take().filter(|look| !is_stale(look));
        self.newer = self.newer.take().filter(|look| !is_stale(look));
    }
}

impl Since<'_> {
    /// Requests the route got since the earlier look; `None` if that does not say.
    pub(super) fn gained(&self, route: &Route) -> Option<u64> {
        let look = self.look.as_ref()?;
        let before = look.hits.get(&self.rates.names.hash_one(route.key().as_str())).copied();
        match before {
            None if look.is_cut => None,
            // A key that left and came back begins anew.
            before => Some(route.hits().saturating_sub(before.unwrap_or(0))),
        }
    }

    /// Requests a second.
    pub(super) fn per_second(&self, route: &Route) -> Option<f64> {
        let ms = self.now_ms.saturating_sub(self.look.as_ref()?.at_ms).max(1);
        let rate = self.gained(route)? as f64 * 1000.0 / ms as f64;
        // More digits would be noise.
        Some((rate * 100.0).round() / 100.0)
    }
}

#[cfg(test)]
mod tests {
    use route_table::{Algorithm, RouteKey, TableHandle, TableWriter, Tried};

    use super::*;

    fn table(keys: &[&str]) -> (TableWriter, TableHandle) {
        let (mut writer, table) = TableWriter::new();
        for key in keys {
            let key = RouteKey::parse(key.as_bytes()).unwrap();
            writer.stage_put(Arc::new(Route::new(key, Vec::new(), Algorithm::Wrr)));
        }
        writer.publish();
        (writer, table)
    }

    fn hit(table: &Table, key: &str, times: usize) {
        for _ in 0..times {
            let _ = table.get(key).unwrap().pick(0, &Tried::default());
        }
    }

    #[test]
    fn rate_is_the_difference_of_two_looks() {
        let (_writer, table) = table(&["a", "b"]);
        let (table, rates) = (table.snapshot(), KeyRates::default());
        let of =
            |key: &str, now_ms| rates.since(&table, now_ms).per_second(table.get(key).unwrap());
        hit(&table, "a", 7);
        assert_eq!(of("a", 1000), None, "one look is no rate");
        hit(&table, "a", 10);
        assert_eq!(of("a", 1500), None, "too soon for another look");
        assert_eq!((of("a", 3000), of("b", 3000)), (Some(5.0), Some(0.0)));
        hit(&table, "b", 3);
        assert_eq!((of("a", 4000), of("b", 4000)), (Some(3.33), Some(1.0)), "of 3 seconds");
        assert_eq!((of("a", 5000), of("b", 5000)), (Some(0.0), Some(1.5)), "of the last 2");
    }

    #[test]
    fn looks_are_forgotten_when_nobody_asks_any_more() {
        let (_writer, table) = table(&["a"]);
        let (table, rates) = (table.snapshot(), KeyRates::default());
        let _ = (rates.since(&table, 0), rates.since(&table, 2000));
        rates.forget(2000 + FORGET_AFTER_MS);
        assert!(rates.looks.lock().unwrap().newer.is_some());
        rates.forget(2001 + FORGET_AFTER_MS);
        let looks = rates.looks.lock().unwrap();
        assert!(looks.newer.is_none() && looks.older.is_none());
    }
}
