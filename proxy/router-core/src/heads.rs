//! The connections of one worker that have not yet sent a whole request head.
//!
//! A head costs a client nothing to begin, so their number and their bytes are bounded. Beyond the
//! bound the one that took longest is ended at the next tick: an honest head is complete within
//! moments of its first byte, so those that are oldest are those of clients that trickle.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    time::Duration,
};

use crate::{
    deadline::{Half, Watch},
    metrics::{Counter, Shard},
};

/// Bytes of unfinished heads that one worker holds.
pub const HEADS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The unfinished heads of one worker, oldest first.
#[derive(Default)]
pub struct Heads {
    most: Cell<usize>,
    next: Cell<u64>,
    bytes: Cell<usize>,
    waiting: RefCell<BTreeMap<u64, Unfinished>>,
}

struct Unfinished {
    watch: Rc<Watch>,
    bytes: usize,
}

/// One unfinished head, until it is dropped.
pub struct HeadSlot {
    heads: Rc<Heads>,
    number: u64,
}

impl Heads {
    /// Room for `most`.
    pub fn new(most: usize) -> Self {
        Self { most: Cell::new(most), ..Self::default() }
    }

    /// Changes how many there is room for; those too many are ended when the next begins.
    pub fn resize(&self, most: usize) {
        self.most.set(most);
    }

    /// A head begins, or is awaited on a new connection.
    pub fn enter(self: &Rc<Self>, watch: Rc<Watch>, shard: &Shard) -> HeadSlot {
        let number = self.next.get();
        self.next.set(number + 1);
        self.waiting.borrow_mut().insert(number, Unfinished { watch, bytes: 0 });
        self.evict(shard);
        HeadSlot { heads: self.clone(), number }
    }

    /// Unfinished heads.
    pub fn len(&self) -> usize {
        self.waiting.borrow().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn evict(&self, shard: &Shard) {
        let mut waiting = self.waiting.borrow_mut();
        while waiting.len() > self.most.get() || self.bytes.get() > HEADS_BYTES_MAX {
            let Some((_, oldest)) = waiting.pop_first() else { return };
            self.bytes.set(self.bytes.get() - oldest.bytes);
            oldest.watch.arm(Half::Read, Duration::ZERO);
            shard.count(Counter::SlowHeadsEnded);
        }
    }
}

impl HeadSlot {
    /// Whether it was not ended for being the oldest.
    pub fn is_counted(&self) -> bool {
        self.heads.waiting.borrow().contains_key(&self.number)
    }

    /// So many bytes of the head are held now.
    pub fn note_bytes(&self, bytes: usize, shard: &Shard) {
        if let Some(mine) = self.heads.waiting.borrow_mut().get_mut(&self.number) {
            self.heads.bytes.set(self.heads.bytes.get() - mine.bytes + bytes);
            mine.bytes = bytes;
        }
        self.heads.evict(shard);
    }
}

impl Drop for HeadSlot {
    fn drop(&mut self) {
        if let Some(mine) = self.heads.waiting.borrow_mut().remove(&self.number) {
            self.heads.bytes.set(self.heads.bytes.get() - mine.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{deadline, metrics::Metrics};
    use std::os::{fd::AsRawFd, unix::net::UnixStream};

    /// Sockets under watch, with their far ends.
    fn watched(count: usize) -> (Vec<Rc<Watch>>, Vec<(UnixStream, UnixStream)>) {
        let pairs: Vec<_> = (0..count).map(|_| UnixStream::pair().unwrap()).collect();
        let watches = pairs.iter().map(|(near, _)| Rc::new(Watch::new(near.as_raw_fd())));
        (watches.collect(), pairs)
    }

    #[test]
    fn beyond_the_bound_the_oldest_head_is_ended() {
        let shard = Metrics::new(1).shard(0);
        let (watches, _sockets) = watched(4);
        let heads = Rc::new(Heads::new(2));
        let mut slots: Vec<_> =
            watches[..2].iter().map(|watch| heads.enter(watch.clone(), &shard)).collect();
        slots.remove(1);
        slots.extend(watches[2..].iter().map(|watch| heads.enter(watch.clone(), &shard)));
        deadline::tick();
        let ended: Vec<_> = watches.iter().map(|watch| watch.expired().is_some()).collect();
        assert_eq!(ended, [true, false, false, false], "the second was complete");
        assert_eq!((heads.len(), shard.value(Counter::SlowHeadsEnded)), (2, 1));
        slots.clear();
        assert!(heads.is_empty());
    }

    #[test]
    fn large_unfinished_heads_are_bounded_together() {
        let shard = Metrics::new(1).shard(0);
        let (watches, _sockets) = watched(3);
        let heads = Rc::new(Heads::new(100));
        let slots: Vec<_> =
            watches.iter().map(|watch| heads.enter(watch.clone(), &shard)).collect();
        for slot in &slots {
            slot.note_bytes(HEADS_BYTES_MAX / 2, &shard);
        }
        assert_eq!(heads.len(), 2);
        drop(slots);
        assert_eq!(heads.bytes.get(), 0);
    }
}
