//! The expiry queue: which leases end when.
//!
//! A renewal does not touch the queue, it only writes the node's own due time; when an entry's
//! turn comes, the queue asks for the real due time and puts the entry back if it lies ahead. So
//! there is one entry per node, one push and pop per lease, and a renewal costs nothing here. A
//! node that left is found missing when its turn comes; a queue of mostly such entries is rebuilt.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use route_table::{NodeId, RouteKey};

/// Leases by the time they are due, soonest first.
#[derive(Debug, Default)]
pub struct LeaseQueue {
    heap: BinaryHeap<Reverse<Lease>>,
}

/// One node's entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lease {
    /// Not due before this monotonic millisecond; later if the node was renewed.
    pub due_ms: u64,
    /// Which node of the route.
    pub id: NodeId,
    /// The route the node belongs to.
    pub key: RouteKey,
}

impl Ord for Lease {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due_ms, self.id).cmp(&(other.due_ms, other.id))
    }
}

impl PartialOrd for Lease {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl LeaseQueue {
    /// Enters a new node. The queue grows by parts of itself: doubled, that of very many nodes
    /// would be half empty.
    pub fn push(&mut self, lease: Lease) {
        if self.heap.len() == self.heap.capacity() {
            self.heap.reserve_exact((self.heap.len() / 8).max(64));
        }
        self.heap.push(Reverse(lease));
    }

    /// Takes the next lease that lapsed by `now_ms`. `real_due_ms` gives the due time of a node as
    /// it is now, or nothing if it left. Looks at `left` entries at most, and takes those it looked
    /// at from that number.
    pub fn pop_lapsed(
        &mut self,
        now_ms: u64,
        left: &mut usize,
        real_due_ms: impl Fn(&Lease) -> Option<u64>,
    ) -> Option<Lease> {
        while self.heap.peek()?.0.due_ms <= now_ms {
            *left = left.checked_sub(1)?;
            let Reverse(mut lease) = self.heap.pop()?;
            match real_due_ms(&lease) {
                None => {}
                Some(due_ms) if due_ms <= now_ms => return Some(lease),
                Some(due_ms) => {
                    lease.due_ms = due_ms;
                    self.heap.push(Reverse(lease));
                }
            }
        }
        None
    }

    /// When [`LeaseQueue::pop_lapsed`] is to be called next, in monotonic milliseconds. Never
    /// after the next real expiry; before it if that node was renewed meanwhile.
    #[must_use]
    pub fn next_due_ms(&self) -> Option<u64> {
        self.heap.peek().map(|lease| lease.0.due_ms)
    }

    /// Drops the entries of nodes that left, if they outnumber the `live` ones.
    pub fn compact(&mut self, live: usize, real_due_ms: impl Fn(&Lease) -> Option<u64>) {
        if self.heap.len() > 2 * live + COMPACT_SLACK {
            self.heap.retain(|lease| real_due_ms(&lease.0).is_some());
            self.heap.shrink_to(live);
        }
    }

    /// Entries, those of nodes that left included.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.heap.len()
    }
}

/// Stale entries that are not worth a rebuild.
const COMPACT_SLACK: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn lease(id: u64, due_ms: u64) -> Lease {
        Lease { due_ms, id: NodeId(id), key: RouteKey::parse(b"h").expect("a key") }
    }

    #[test]
    fn leases_lapse_in_order_and_at_their_real_due_time() {
        let mut queue = LeaseQueue::default();
        let mut due = HashMap::from([(1, 30), (2, 20), (3, 10)]);
        due.iter().for_each(|(&id, &due_ms)| queue.push(lease(id, due_ms)));
        due.insert(3, 25); // renewed
        due.remove(&2); // left
        let pop = |queue: &mut LeaseQueue, now_ms| {
            queue
                .pop_lapsed(now_ms, &mut 99, |lease| due.get(&lease.id.0).copied())
                .map(|lease| lease.id.0)
        };
        assert_eq!(queue.next_due_ms(), Some(10));
        assert_eq!(pop(&mut queue, 24), None);
        assert_eq!(queue.next_due_ms(), Some(25));
        assert_eq!(pop(&mut queue, 25), Some(3));
        assert_eq!(pop(&mut queue, 29), None);
        assert_eq!(pop(&mut queue, 30), Some(1));
        assert_eq!(queue.next_due_ms(), None);
    }

    #[test]
    fn nodes_that_come_and_go_do_not_pile_up() {
        let mut queue = LeaseQueue::default();
        for id in 0..100_000 {
            queue.push(lease(id, 1000 + id));
            queue.compact(1, |lease| (lease.id.0 == 0).then_some(1000));
            assert!(queue.entries() <= COMPACT_SLACK + 3);
        }
        let lapsed = queue.pop_lapsed(1000, &mut 9, |_| Some(1000));
        assert_eq!(lapsed.map(|lease| lease.id.0), Some(0));
    }

    #[test]
    fn a_sweep_looks_at_no_more_than_it_may() {
        let mut queue = LeaseQueue::default();
        (0..10).for_each(|id| queue.push(lease(id, 1)));
        for next_due_ms in [1, 1, 9] {
            assert_eq!(queue.pop_lapsed(5, &mut 4, |_| Some(9)), None, "all were renewed");
            assert_eq!(queue.next_due_ms(), Some(next_due_ms));
        }
        assert_eq!(queue.entries(), 10);
    }
}
