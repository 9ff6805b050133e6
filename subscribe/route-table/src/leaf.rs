//! A leaf of the table: a few dozen keys in one run of cache-line sized slots.
//!
//! A slot holds the full hash, the key's text (when short) and the route's pointer in 64 bytes, so
//! a hit in a table far larger than the caches usually misses once. Slots stand in the order of
//! the hash's low half, each at its home or as near behind it as there was room: a search starts
//! at the home and ends at the key, at a free slot, or at a greater hash, so a miss costs no more
//! than a hit. A leaf never changes; the builder plants another.

use std::hint::black_box;
use std::sync::Arc;

use crate::limits::SLOT_TEXT_BYTES;
use crate::route::Route;

/// One place of a leaf, free or taken.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(crate) struct Slot {
    hash: u64,
    route: Option<Arc<Route>>,
    text: [u8; SLOT_TEXT_BYTES],
    text_bytes: u8,
}

const _: () = assert!(size_of::<Slot>() == 64); // one cache line

impl Slot {
    const FREE: Self = Self { hash: 0, route: None, text: [0; SLOT_TEXT_BYTES], text_bytes: 0 };

    /// A slot that holds this route.
    pub(crate) fn taken(hash: u64, route: Arc<Route>) -> Self {
        let key = route.key().as_str().as_bytes();
        let mut slot = Self { hash, text_bytes: key.len() as u8, ..Self::FREE };
        if let Some(text) = slot.text.get_mut(..key.len()) {
            text.copy_from_slice(key);
        }
        slot.route = Some(route);
        slot
    }

    /// The hash of the key it holds.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// The route, if the slot is taken.
    pub(crate) fn route(&self) -> Option<&Arc<Route>> {
        self.route.as_ref()
    }

    /// The route, if the slot holds `key`.
    pub(crate) fn matches(&self, hash: u64, key: &[u8]) -> Option<&Arc<Route>> {
        if self.hash != hash || usize::from(self.text_bytes) != key.len() {
            return None;
        }
        let route = self.route.as_ref()?;
        let same = match self.text.get(..key.len()) {
            Some(text) => text == key,
            None => route.key().as_str().as_bytes() == key,
        };
        same.then_some(route)
    }
}

/// Lays out a leaf of taken slots in any order; no key may occur twice.
pub(crate) fn plant(mut taken: Vec<Slot>) -> Arc<[Slot]> {
    // Stable, because it is quick with what a copied leaf brings: one long sorted run.
    taken.sort_by_key(|slot| order(slot.hash));
    let mut places = taken.len() + taken.len() / 4;
    while !fits(&taken, places) {
        places += 1 + places / 16;
    }
    let mut taken = taken.into_iter().peekable();
    let mut next = |place| taken.next_if(|slot| home(slot.hash, places) <= place);
    (0..places).map(|place| next(place).unwrap_or(Slot::FREE)).collect()
}

/// Whether sorted slots, each at its home or behind it, end within so many places.
fn fits(taken: &[Slot], places: usize) -> bool {
    taken.iter().fold(0, |end, slot| end.max(home(slot.hash, places)) + 1) <= places
}

/// The route of `key` in this leaf.
#[inline]
pub(crate) fn find<'t>(slots: &'t [Slot], hash: u64, key: &[u8]) -> Option<&'t Arc<Route>> {
    for slot in slots.get(home(hash, slots.len())..)? {
        if let Some(route) = slot.matches(hash, key) {
            return Some(route);
        }
        if slot.route.is_none() || order(slot.hash) > order(hash) {
            return None;
        }
    }
    None
}

/// The taken slots, in their order.
pub(crate) fn taken(slots: &[Slot]) -> impl Iterator<Item = &Slot> {
    slots.iter().filter(|slot| slot.route.is_some())
}

/// Touches the counts that copying or dropping a leaf will change, all at once: plain loads
/// overlap, where the atomic changes that follow would each wait for its own cache miss.
pub(crate) fn warm(slots: &[Slot]) {
    black_box(slots.iter().filter_map(Slot::route).map(Arc::strong_count).sum::<usize>());
}

/// The half of the hash that branches do not use.
fn order(hash: u64) -> u32 {
    hash as u32
}

/// Where a hash would stand if it had the leaf to itself. Rises with the order; the last eighth
/// of the places is nobody's home, so that even equal hashes fit a leaf that grows.
fn home(hash: u64, places: usize) -> usize {
    ((u64::from(order(hash)) * (places - places / 8) as u64) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::Algorithm;
    use crate::key::RouteKey;

    fn route(name: &str) -> Arc<Route> {
        let key = RouteKey::parse(name.as_bytes()).expect("legal");
        Arc::new(Route::new(key, [], Algorithm::Wrr))
    }

    #[test]
    fn keys_of_one_hash_are_told_apart_by_text() {
        for hash in [0, 7, u64::from(u32::MAX), u64::MAX] {
            let names: Vec<String> = (0..20).map(|n| format!("k{n}")).collect();
            let slots = plant(names.iter().map(|name| Slot::taken(hash, route(name))).collect());
            for name in &names {
                let found = find(&slots, hash, name.as_bytes()).expect("planted");
                assert_eq!(found.key().as_str(), name);
            }
            assert!(find(&slots, hash, b"k20").is_none());
            assert!(find(&slots, hash ^ 1, b"k1").is_none());
        }
    }

    #[test]
    fn a_key_longer_than_a_slot_is_compared_in_its_route() {
        let (long, other) = ("a".repeat(SLOT_TEXT_BYTES + 1), "b".repeat(SLOT_TEXT_BYTES + 1));
        let slots = plant(vec![Slot::taken(9, route(&long)), Slot::taken(9, route(&other))]);
        assert_eq!(find(&slots, 9, other.as_bytes()).expect("planted").key().as_str(), other);
        assert!(find(&slots, 9, "c".repeat(SLOT_TEXT_BYTES + 1).as_bytes()).is_none());
    }

    #[test]
    fn an_empty_leaf_holds_nothing() {
        let slots = plant(Vec::new());
        assert!(slots.is_empty() && find(&slots, 1, b"a").is_none());
    }
}
