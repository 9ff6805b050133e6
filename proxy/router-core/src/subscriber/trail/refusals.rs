//! Refused datagrams in fixed memory: sets of a few places each, like a cache.
//!
//! Who decides the set, the claimed key or the sender, cannot push anything out of other sets. Within
//! one, datagrams of the same key, reason and sender are one entry that counts, a key has a few
//! places only, and the entry that was quiet for longest gives way. The texts of an entry are
//! reused, so that a flood allocates nothing.

use std::hash::{BuildHasher, RandomState};

use route_table::RouteKey;

use super::{Claim, Refused, cut, sender};
use crate::subscriber::limits::REFUSALS_OF_A_KEY;

/// How many refusals are remembered, and how they are apart.
#[derive(Clone, Copy, Debug)]
pub struct RefusalBounds {
    /// Sets that cannot push each other's entries out.
    pub sets: usize,
    /// Entries of a set.
    pub in_set: usize,
}

#[derive(Debug)]
pub(super) struct Refusals {
    bounds: RefusalBounds,
    sets: Box<[Vec<Entry>]>,
    /// Secret, so that nobody can choose the set of somebody else.
    seed: RandomState,
    /// Counts additions: what is the longest quiet.
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    refused: Refused,
    /// Of the key, to compare at a glance.
    key_hash: u64,
    sender: [u8; 16],
    heard_at: u64,
}

impl Refusals {
    pub fn new(bounds: RefusalBounds) -> Self {
        let sets = (0..bounds.sets).map(|_| Vec::new()).collect();
        Self { bounds, sets, seed: RandomState::new(), clock: 0 }
    }

    /// Remembers a refusal of `key` in the set of `place`.
    pub fn add(&mut self, place: &[u8], key: &str, claim: &Claim<'_>) {
        self.clock += 1;
        let (key_hash, sender) = (self.seed.hash_one(key), sender(claim.source.peer));
        let at = self.seed.hash_one(place) as usize % self.sets.len();
        let set = &mut self.sets[at];
        let is_same = |entry: &&mut Entry| {
            entry.key_hash == key_hash
                && entry.refused.reject == claim.reject
                && entry.sender == sender
                && entry.refused.key == key
        };
        if let Some(entry) = set.iter_mut().find(is_same) {
            entry.hear(claim, self.clock);
            return;
        }
        let of_key = set.iter().filter(|entry| entry.key_hash == key_hash).count();
        let crowded = of_key >= REFUSALS_OF_A_KEY;
        if !crowded && set.len() < self.bounds.in_set {
            set.push(Entry::new(key, key_hash, sender, claim, self.clock));
            return;
        }
        let rivals = set.iter_mut().filter(|entry| !crowded || entry.key_hash == key_hash);
        if let Some(quietest) = rivals.min_by_key(|entry| entry.heard_at) {
            quietest.replace(key, key_hash, sender, claim, self.clock);
        }
    }

    /// Entries of one key, or all.
    pub fn list(&self, key: Option<&RouteKey>) -> Vec<Refused> {
        let all = self.sets.iter().flatten().map(|entry| &entry.refused);
        let is_wanted = |refused: &&Refused| key.is_none_or(|key| names(&refused.key, key));
        all.filter(is_wanted).cloned().collect()
    }
}

impl Entry {
    fn new(key: &str, key_hash: u64, sender: [u8; 16], claim: &Claim<'_>, clock: u64) -> Self {
        let refused = Refused {
            key: String::new(),
            address: String::new(),
            reject: claim.reject,
            first_unix: 0,
            last_unix: 0,
            count: 0,
            source: None,
        };
        let mut entry = Self { refused, key_hash, sender, heard_at: 0 };
        entry.replace(key, key_hash, sender, claim, clock);
        entry
    }

    fn replace(
        &mut self,
        key: &str,
        key_hash: u64,
        sender: [u8; 16],
        claim: &Claim<'_>,
        clock: u64,
    ) {
        (self.key_hash, self.sender) = (key_hash, sender);
        let refused = &mut self.refused;
        refused.key.clear();
        refused.key.push_str(key);
        refused.reject = claim.reject;
        refused.first_unix = claim.unix;
        refused.count = 0;
        self.hear(claim, clock);
    }

    fn hear(&mut self, claim: &Claim<'_>, clock: u64) {
        let refused = &mut self.refused;
        refused.count += 1;
        refused.last_unix = claim.unix;
        refused.source = Some(*claim.source);
        refused.address.clear();
        refused.address.push_str(&cut(claim.address));
        self.heard_at = clock;
    }
}

/// Whether a claimed text means this key.
fn names(claimed: &str, key: &RouteKey) -> bool {
    claimed == key.as_str() || RouteKey::parse(claimed.as_bytes()).is_ok_and(|read| read == *key)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use subscribe::{Peer, Reject, Source};

    use super::*;

    const BOUNDS: RefusalBounds = RefusalBounds { sets: 1, in_set: 8 };

    fn add(refusals: &mut Refusals, key: &str, reject: Reject, machine: u8) {
        let source = Source::of(Peer::Ip(SocketAddr::from(([10, 0, 0, machine], 1))));
        let claim = Claim { reject, unix: 1, address: b"", source: &source };
        refusals.add(b"", key, &claim);
    }

    #[test]
    fn one_key_has_a_few_places_of_a_set_however_many_lie_about_it() {
        let mut refusals = Refusals::new(BOUNDS);
        add(&mut refusals, "other.test", Reject::Stale, 1);
        for machine in 1..200 {
            add(&mut refusals, "a.test", Reject::BadAddress, machine);
        }
        let other = RouteKey::parse(b"other.test").unwrap();
        assert_eq!(refusals.list(Some(&other)).len(), 1);
        assert_eq!(refusals.list(None).len(), 1 + REFUSALS_OF_A_KEY);
    }

    #[test]
    fn a_set_is_bounded_and_the_quietest_gives_way() {
        let mut refusals = Refusals::new(BOUNDS);
        for number in 0..100 {
            add(&mut refusals, "loud.test", Reject::Stale, 1);
            add(&mut refusals, &format!("{number}.test"), Reject::Stale, 1);
        }
        let all = refusals.list(None);
        assert_eq!(all.len(), BOUNDS.in_set);
        assert_eq!(all.iter().find(|refused| refused.key == "loud.test").unwrap().count, 100);
    }
}
