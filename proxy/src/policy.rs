//! What holds for the requests of one key: its deadlines, bounds and rules.
//!
//! Fixed until a reload makes new ones. The options outside of `[key."NAME"]` tables make the policy of every key that has
//! no table; a table changes some of it for one key. A part of the router whose rules differ by key
//! keeps them in a struct of its own, in a file below here, and adds one field to [`Policy`]; its
//! options are declared in the catalogue with `Scope::Key` and set in `config::key_table`.

mod compression;
mod headers;
pub mod health;
pub mod on_demand;
pub mod resilience;
pub mod streams;

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use route_table::RouteKey;

use crate::config::Timeouts;
use on_demand::OnDemand;
use resilience::Resilience;
use streams::Streams;

pub use compression::{AutoGzip, BYTES_MIN_DEFAULT, Compression, DEFAULT_TYPES, MediaRule};
pub use headers::{HeaderPolicy, HttpVar, HttpsRedirect, ServerName, hsts};

/// The rules for the requests of one key.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Policy {
    /// Deadlines. Those before a key is known, and of the process, are the same for all.
    pub timeouts: Timeouts,
    /// Largest request body, in bytes; `None`: no bound. A larger one gets 413.
    pub body_bytes_max: Option<u64>,
    /// Failing nodes and too many requests.
    pub resilience: Resilience,
    /// What passes through unframed.
    pub streams: Streams,
    /// Fields and vars.
    pub headers: HeaderPolicy,
    /// What is compressed.
    pub compression: Compression,
    /// Waiting for vassals that sleep.
    pub on_demand: OnDemand,
}

/// Names a policy within one generation; a plain number, so that a plan can carry it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PolicyId(u32);

impl PolicyId {
    /// The policy of keys without a table, and of requests whose key is not known yet.
    pub const DEFAULT: Self = Self(0);
}

/// The policies of all keys.
#[derive(Debug)]
pub struct Policies {
    /// Never empty; the first is for every key that is not in `by_key`.
    all: Box<[Policy]>,
    /// Whose each of `all` is but the first.
    keys: Box<[RouteKey]>,
    by_key: HashMap<RouteKey, PolicyId>,
}

impl Policies {
    /// `default` for every key but those in `keys`, of which none occurs twice.
    #[must_use]
    pub fn new(default: Policy, keys: &[(RouteKey, Policy)]) -> Self {
        let own = keys.iter().map(|(_, policy)| policy.clone());
        let ids = (1..).map(PolicyId);
        Self {
            all: std::iter::once(default).chain(own).collect(),
            keys: keys.iter().map(|(key, _)| key.clone()).collect(),
            by_key: keys.iter().map(|(key, _)| key.clone()).zip(ids).collect(),
        }
    }

    /// The policy of a key, by its number. Without any table this is not even a lookup.
    #[must_use]
    pub fn id_of(&self, key: &RouteKey) -> PolicyId {
        if self.by_key.is_empty() {
            return PolicyId::DEFAULT;
        }
        self.by_key.get(key).copied().unwrap_or(PolicyId::DEFAULT)
    }

    /// The policy with this number.
    #[must_use]
    pub fn get(&self, id: PolicyId) -> &Policy {
        // Numbers are only made by `new`, one per policy.
        self.all.get(id.0 as usize).unwrap_or(&self.all[0])
    }

    /// The policy in `self` of the key whose policy is `id` in `older`.
    #[must_use]
    pub fn successor(&self, older: &Self, id: PolicyId) -> PolicyId {
        older.key_of(id).map_or(PolicyId::DEFAULT, |key| self.id_of(key))
    }

    /// Names the policy for what counts by policy. Unlike its number this outlives a reload.
    #[must_use]
    pub fn scope_of(&self, id: PolicyId) -> u64 {
        self.key_of(id).map_or(0, |key| {
            let mut hasher = DefaultHasher::new();
            key.hash(&mut hasher);
            hasher.finish()
        })
    }

    fn key_of(&self, id: PolicyId) -> Option<&RouteKey> {
        self.keys.get(id.0.checked_sub(1)? as usize)
    }

    /// Every policy, the default one first.
    pub fn iter(&self) -> impl Iterator<Item = &Policy> {
        self.all.iter()
    }

    /// The policy of a key.
    #[must_use]
    pub fn of(&self, key: &RouteKey) -> &Policy {
        self.get(self.id_of(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> RouteKey {
        RouteKey::parse(text.as_bytes()).unwrap()
    }

    fn bounded(bytes: u64) -> Policy {
        Policy { body_bytes_max: Some(bytes), ..Policy::default() }
    }

    #[test]
    fn a_key_gets_its_own_policy_and_every_other_the_default() {
        let own = [(key("a.example"), bounded(1)), (key(".b.example/shop"), bounded(2))];
        let policies = Policies::new(bounded(9), &own);
        for (name, bytes) in
            [("a.example", 1), (".b.example/shop", 2), (".b.example", 9), ("a.example:80", 9)]
        {
            assert_eq!(policies.of(&key(name)).body_bytes_max, Some(bytes), "{name}");
        }
        assert_eq!(policies.get(PolicyId::DEFAULT), &bounded(9));
    }

    #[test]
    fn numbers_change_with_the_tables_and_keys_keep_their_scope() {
        let [a, b] = [key("a.example"), key("b.example")];
        let older = Policies::new(bounded(9), &[(a.clone(), bounded(1)), (b.clone(), bounded(2))]);
        let newer = Policies::new(bounded(9), &[(b.clone(), bounded(3))]);
        let (of_a, of_b) = (older.id_of(&a), older.id_of(&b));
        assert_eq!(newer.successor(&older, of_a), PolicyId::DEFAULT);
        assert_eq!(newer.get(newer.successor(&older, of_b)), &bounded(3));
        assert_eq!(newer.successor(&older, PolicyId::DEFAULT), PolicyId::DEFAULT);
        assert_eq!(newer.scope_of(newer.id_of(&b)), older.scope_of(of_b));
        assert_ne!(older.scope_of(of_a), older.scope_of(of_b));
    }

    #[test]
    fn without_tables_every_key_gets_the_default() {
        let policies = Policies::new(bounded(9), &[]);
        assert_eq!(policies.id_of(&key("a.example")), PolicyId::DEFAULT);
    }
}
