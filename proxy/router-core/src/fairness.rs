//! A worker's exchanges, shared fairly between keys when there are many.
//!
//! A key may hold as many exchanges as the worker has places free. So with plenty of room nobody
//! notices; one key in flood is stopped at half of the places, two at a third each, and whatever
//! the flood, a quiet key finds places free. A key alone on the worker may take seven eighths.
//!
//! Keys are counted in two rows of cells by a secret hash and the lesser count is believed, so the
//! memory is fixed however many keys there are. Two keys that share both cells share their bound;
//! nobody outside can tell which do. Counts are the worker's own: no other writes them.

use std::{
    cell::Cell,
    hash::{BuildHasher, RandomState},
    rc::Rc,
};

/// Cells of a row. With a handful of keys in flood, one in a million others shares both cells with
/// one of them.
const CELLS: usize = 2048;
/// The part of the places a key that is alone leaves free.
const LEFT_FREE: u32 = 8;

/// The exchanges of one worker by key.
pub struct Fairness {
    most: Cell<u32>,
    total: Cell<u32>,
    rows: [Box<[Cell<u32>]>; 2],
    seed: RandomState,
}

/// One exchange that is counted, until it is dropped.
pub struct Share {
    fairness: Rc<Fairness>,
    cells: [u16; 2],
}

impl Fairness {
    /// A worker with `most` places.
    pub fn new(most: u32) -> Self {
        let row = || vec![Cell::new(0); CELLS].into_boxed_slice();
        Self {
            most: Cell::new(most),
            total: Cell::new(0),
            rows: [row(), row()],
            seed: RandomState::new(),
        }
    }

    /// Changes the number of places; who holds one keeps it.
    pub fn resize(&self, most: u32) {
        self.most.set(most);
    }

    /// Counts one more exchange of `key`, unless it holds its share already.
    #[inline]
    pub fn enter(self: &Rc<Self>, key: &str) -> Option<Share> {
        let hash = self.seed.hash_one(key);
        let cells = [(hash % CELLS as u64) as u16, ((hash >> 32) % CELLS as u64) as u16];
        let held = self.counts(cells).map(Cell::get).min().unwrap_or(0);
        let total = self.total.get();
        let free = self.most.get().saturating_sub(total);
        let is_alone = held == total && free > self.most.get() / LEFT_FREE;
        if free == 0 || (held >= free && !is_alone) {
            return None;
        }
        self.total.set(total + 1);
        self.counts(cells).for_each(|count| count.set(count.get() + 1));
        Some(Share { fairness: self.clone(), cells })
    }

    /// Exchanges counted now.
    pub fn total(&self) -> u32 {
        self.total.get()
    }

    fn counts(&self, cells: [u16; 2]) -> impl Iterator<Item = &Cell<u32>> {
        self.rows.iter().zip(cells).filter_map(|(row, cell)| row.get(usize::from(cell)))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let fairness = &self.fairness;
        fairness.total.set(fairness.total.get() - 1);
        fairness.counts(self.cells).for_each(|count| count.set(count.get() - 1));
    }
}

const _: () = assert!(CELLS <= u16::MAX as usize + 1 && CELLS.is_power_of_two());

#[cfg(test)]
mod tests {
    use super::*;

    /// As many as `key` gets before it is refused.
    fn fill(fairness: &Rc<Fairness>, key: &str) -> Vec<Share> {
        std::iter::from_fn(|| fairness.enter(key)).collect()
    }

    #[test]
    fn a_flood_leaves_room_and_gives_way() {
        let fairness = Rc::new(Fairness::new(800));
        let alone = fill(&fairness, "flood");
        assert_eq!(alone.len(), 700);
        let quiet = fairness.enter("quiet").expect("there is room for others");
        assert!(fairness.enter("flood").is_none());
        drop(alone);
        assert_eq!(fill(&fairness, "flood").len(), 400, "half, beside somebody else");
        drop(quiet);
        assert_eq!(fairness.total(), 0);
    }

    #[test]
    fn floods_share_and_a_quiet_key_is_always_served() {
        let fairness = Rc::new(Fairness::new(900));
        let mut held: Vec<Vec<Share>> = (0..8).map(|_| Vec::new()).collect();
        for _ in 0..1_000 {
            for (number, held) in held.iter_mut().enumerate() {
                held.extend(fairness.enter(&format!("flood{number}")));
            }
        }
        assert!(held.iter().all(|held| (95..=105).contains(&held.len())));
        assert!(fill(&fairness, "quiet").len() >= 40);
    }

    #[test]
    fn below_the_bound_nobody_is_refused() {
        let fairness = Rc::new(Fairness::new(1_000));
        let one: Vec<_> = (0..400).filter_map(|_| fairness.enter("one")).collect();
        let other: Vec<_> = (0..100).filter_map(|_| fairness.enter("other")).collect();
        assert_eq!((one.len(), other.len()), (400, 100));
    }
}
