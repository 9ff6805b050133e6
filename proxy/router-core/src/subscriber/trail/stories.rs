//! The latest events of each key, a few per key, within a bound over all.
//!
//! Events lie in a ring of places. A key that has all of its few reuses its own oldest place, so that
//! one key which comes and goes all the time pushes out nobody; otherwise the place under the hand
//! of the ring is taken, whosever it was.

use std::collections::HashMap;

use route_table::RouteKey;

use super::TrailEvent;
use crate::subscriber::limits::{EVENTS_OF_A_KEY, EVENTS_OF_ALL_KEYS};

#[derive(Debug, Default)]
pub(super) struct Stories {
    places: Vec<(RouteKey, TrailEvent)>,
    by_key: HashMap<RouteKey, Chain>,
    /// The next place to be taken once all exist.
    hand: usize,
}

/// The places of one key, the oldest first.
#[derive(Clone, Copy, Debug, Default)]
struct Chain {
    places: [u32; EVENTS_OF_A_KEY],
    len: u8,
}

impl Stories {
    /// Adds an event to the story of a key.
    pub fn add(&mut self, key: &RouteKey, event: TrailEvent) {
        let place = self.place_for(key);
        self.forget(place);
        match self.places.get_mut(place) {
            Some(held) => *held = (key.clone(), event),
            None => self.places.push((key.clone(), event)),
        }
        self.by_key.entry(key.clone()).or_default().push(place);
    }

    /// Whether anything is remembered about a key.
    pub fn knows(&self, key: &RouteKey) -> bool {
        self.by_key.contains_key(key)
    }

    /// The story of one key, or of all.
    pub fn list(&self, key: Option<&RouteKey>) -> Vec<(RouteKey, TrailEvent)> {
        match key {
            Some(key) => {
                let places = self.by_key.get(key).into_iter().flat_map(|chain| chain.iter());
                places.map(|place| self.places[place].clone()).collect()
            }
            None => {
                let mut all = self.places.clone();
                all.sort_by_key(|(_, event)| event.unix);
                all
            }
        }
    }

    /// Where the next event of a key goes: behind the last place, if that is a new one.
    fn place_for(&mut self, key: &RouteKey) -> usize {
        let own = self.by_key.get(key).filter(|chain| chain.is_full());
        if let Some(oldest) = own.and_then(|chain| chain.iter().next()) {
            return oldest;
        }
        if self.places.len() < EVENTS_OF_ALL_KEYS {
            return self.places.len();
        }
        let place = self.hand;
        self.hand = (self.hand + 1) % EVENTS_OF_ALL_KEYS;
        place
    }

    /// Takes a place from the key that has it, if one has.
    fn forget(&mut self, place: usize) {
        let Some((owner, _)) = self.places.get(place) else { return };
        let Some(chain) = self.by_key.get_mut(owner) else { return };
        chain.remove(place);
        if chain.len == 0 {
            let owner = owner.clone();
            self.by_key.remove(&owner);
        }
    }
}

impl Chain {
    fn is_full(&self) -> bool {
        usize::from(self.len) == EVENTS_OF_A_KEY
    }

    fn iter(&self) -> impl Iterator<Item = usize> {
        self.places.into_iter().take(usize::from(self.len)).map(|place| place as usize)
    }

    fn push(&mut self, place: usize) {
        debug_assert!(!self.is_full(), "its oldest place was forgotten before");
        // There are fewer places than that.
        self.places[usize::from(self.len)] = u32::try_from(place).unwrap_or(u32::MAX);
        self.len += 1;
    }

    fn remove(&mut self, place: usize) {
        let Some(at) = self.iter().position(|held| held == place) else { return };
        self.places.copy_within(at + 1.., at);
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subscriber::trail::Happened;

    fn key(number: usize) -> RouteKey {
        RouteKey::parse(format!("k{number}.test").as_bytes()).unwrap()
    }

    fn add(stories: &mut Stories, number: usize, unix: u64) {
        let (happened, address) = (Happened::Added, "127.0.0.1:1".into());
        stories.add(&key(number), TrailEvent { unix, happened, address, source: None });
    }

    fn times(stories: &Stories, number: usize) -> Vec<u64> {
        stories.list(Some(&key(number))).iter().map(|(_, event)| event.unix).collect()
    }

    #[test]
    fn a_key_that_flaps_keeps_its_latest_events_and_pushes_nobody_out() {
        let mut stories = Stories::default();
        add(&mut stories, 1, 1);
        for unix in 0..3 * EVENTS_OF_ALL_KEYS as u64 {
            add(&mut stories, 2, unix);
        }
        assert_eq!(times(&stories, 1), [1]);
        let last = 3 * EVENTS_OF_ALL_KEYS as u64;
        let latest: Vec<_> = (last - EVENTS_OF_A_KEY as u64..last).collect();
        assert_eq!(times(&stories, 2), latest);
        assert_eq!(stories.places.len(), 1 + EVENTS_OF_A_KEY);
    }

    #[test]
    fn all_keys_together_are_bounded_and_the_oldest_go() {
        let mut stories = Stories::default();
        for number in 0..EVENTS_OF_ALL_KEYS + 10 {
            add(&mut stories, number, number as u64);
        }
        assert_eq!(stories.places.len(), EVENTS_OF_ALL_KEYS);
        assert_eq!(stories.by_key.len(), EVENTS_OF_ALL_KEYS);
        assert!(!stories.knows(&key(9)) && stories.knows(&key(10)));
        assert_eq!(times(&stories, EVENTS_OF_ALL_KEYS + 9).len(), 1);
    }
}
