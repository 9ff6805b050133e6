//! Requests of one worker that wait until a node of their key has room.
//!
//! One queue per key, first come first served: only the first of a queue looks for room, and it is
//! woken by the end of an exchange of its key on this worker. A node's room is shared by all
//! workers, so while anybody waits a task also wakes the first of each queue every few
//! milliseconds: an exchange that ends on another worker is noticed that late at most, and no
//! worker writes into another's memory to say so. Of the room its own exchanges make a worker leaves
//! to the others what is theirs by the number of requests that wait.
//!
//! A [`Place`] that is dropped is gone without a trace, so a client that leaves just drops it.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
    future::poll_fn,
    rc::Rc,
    sync::Arc,
    task::{Poll, Waker},
};

use route_table::{KeyLoad, RouteKey};

use crate::{
    deadline::TICK_MS,
    io::{sleep_ms, spawn},
};

/// Distance between two looks for room that exchanges on other workers made.
pub const POLL_MS: u64 = 5;
/// Looks after which everybody in a queue is woken, to see whether to wait on.
const POLLS_PER_TICK: u64 = TICK_MS / POLL_MS;

/// The queues of one worker.
#[derive(Default)]
pub struct Queues {
    by_key: RefCell<HashMap<RouteKey, Queue>>,
    /// A task wakes the queues.
    is_watched: Cell<bool>,
}

#[derive(Default)]
struct Queue {
    waiters: VecDeque<Rc<Waiter>>,
    /// Ends of exchanges times waiters here, not yet turned into a wake.
    credit: u64,
}

#[derive(Default)]
struct Waiter {
    is_woken: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Waiter {
    fn wake(&self) {
        self.is_woken.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Queues {
    /// Whether requests of `key` wait on this worker; a newcomer then waits behind them.
    pub fn has(&self, key: &RouteKey) -> bool {
        self.by_key.borrow().contains_key(key)
    }

    /// Takes the last place in the queue of `key`, if fewer than `most` wait over all workers.
    pub fn join(self: &Rc<Self>, key: &RouteKey, load: &Arc<KeyLoad>, most: u32) -> Option<Place> {
        if !load.wait_below(most) {
            return None;
        }
        let waiter = Rc::new(Waiter::default());
        let mut by_key = self.by_key.borrow_mut();
        by_key.entry(key.clone()).or_default().waiters.push_back(waiter.clone());
        drop(by_key);
        if !self.is_watched.replace(true) {
            spawn(watch(self.clone()));
        }
        Some(Place { queues: self.clone(), key: key.clone(), load: load.clone(), waiter })
    }

    /// An exchange of `key` ended on this worker: its node has room.
    pub fn ended(&self, key: &RouteKey, load: &KeyLoad) {
        let mut by_key = self.by_key.borrow_mut();
        let Some(queue) = by_key.get_mut(key) else { return };
        let (here, all) = (queue.waiters.len() as u64, u64::from(load.waiting()));
        queue.credit += here;
        if queue.credit >= all {
            queue.credit = queue.credit.saturating_sub(all).min(all);
            if let Some(first) = queue.waiters.front() {
                first.wake();
            }
        }
    }

    /// Requests that wait on this worker.
    pub fn len(&self) -> usize {
        self.by_key.borrow().values().map(|queue| queue.waiters.len()).sum()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.by_key.borrow().is_empty()
    }

    fn wake(&self, whom: Whom) {
        for queue in self.by_key.borrow().values() {
            let most = if whom == Whom::All { usize::MAX } else { 1 };
            queue.waiters.iter().take(most).for_each(|waiter| waiter.wake());
        }
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Whom {
    First,
    All,
}

async fn watch(queues: Rc<Queues>) {
    for poll in 1_u64.. {
        sleep_ms(POLL_MS).await;
        if queues.is_empty() {
            break;
        }
        queues.wake(if poll % POLLS_PER_TICK == 0 { Whom::All } else { Whom::First });
    }
    queues.is_watched.set(false);
}

/// One request's place in the queue of its key.
pub struct Place {
    queues: Rc<Queues>,
    key: RouteKey,
    load: Arc<KeyLoad>,
    waiter: Rc<Waiter>,
}

impl Place {
    /// Whether nobody is before this one.
    pub fn is_first(&self) -> bool {
        let by_key = self.queues.by_key.borrow();
        let first = by_key.get(&self.key).and_then(|queue| queue.waiters.front());
        first.is_some_and(|first| Rc::ptr_eq(first, &self.waiter))
    }

    /// Waits until there may be room or it is time to look at the clock.
    pub async fn turn(&self) {
        poll_fn(|cx| {
            if self.waiter.is_woken.replace(false) {
                return Poll::Ready(());
            }
            self.waiter.waker.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.load.leave();
        let mut by_key = self.queues.by_key.borrow_mut();
        let Some(queue) = by_key.get_mut(&self.key) else { return };
        let was_first = queue.waiters.front().is_some_and(|it| Rc::ptr_eq(it, &self.waiter));
        queue.waiters.retain(|it| !Rc::ptr_eq(it, &self.waiter));
        match queue.waiters.front() {
            None => {
                by_key.remove(&self.key);
            }
            // There may be room for the next one too, or the wake was meant for whoever is first.
            Some(next) if was_first => next.wake(),
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Driver, IoChoice, choose_driver, run};

    fn key() -> RouteKey {
        RouteKey::parse(b"a.example").unwrap()
    }

    fn on_every_driver<F: Future<Output = ()>>(test: impl Fn() -> F) {
        for driver in [choose_driver(IoChoice::Auto).unwrap(), Driver::Epoll] {
            run(driver, test()).unwrap();
        }
    }

    #[test]
    fn the_first_goes_first_and_the_next_follows() {
        on_every_driver(|| async {
            let (queues, load) = (Rc::new(Queues::default()), Arc::new(KeyLoad::new()));
            let first = queues.join(&key(), &load, 2).unwrap();
            let second = queues.join(&key(), &load, 2).unwrap();
            assert!(queues.join(&key(), &load, 2).is_none(), "the queue is bounded");
            assert!(first.is_first() && !second.is_first());
            queues.ended(&key(), &load);
            first.turn().await;
            drop(first);
            second.turn().await;
            assert!(second.is_first());
        });
    }

    #[test]
    fn one_who_leaves_leaves_no_trace() {
        on_every_driver(|| async {
            let (queues, load) = (Rc::new(Queues::default()), Arc::new(KeyLoad::new()));
            let places: Vec<_> = (0..3).map(|_| queues.join(&key(), &load, 9).unwrap()).collect();
            let [first, middle, last] = places.try_into().ok().unwrap();
            drop(middle);
            drop(first);
            assert!(last.is_first());
            assert_eq!((queues.len(), load.waiting()), (1, 1));
            drop(last);
            assert!(queues.is_empty() && load.waiting() == 0);
        });
    }

    #[test]
    fn room_made_elsewhere_is_noticed_without_a_word() {
        on_every_driver(|| async {
            let (queues, load) = (Rc::new(Queues::default()), Arc::new(KeyLoad::new()));
            let place = queues.join(&key(), &load, 1).unwrap();
            place.turn().await;
            assert!(place.is_first());
        });
    }

    #[test]
    fn a_worker_leaves_room_to_those_who_wait_elsewhere() {
        on_every_driver(|| async {
            let (queues, load) = (Rc::new(Queues::default()), Arc::new(KeyLoad::new()));
            let place = queues.join(&key(), &load, 9).unwrap();
            // Three more wait on other workers.
            assert!((0..3).all(|_| load.wait_below(9)));
            let woken = (0..8).filter(|_| {
                queues.ended(&key(), &load);
                place.waiter.is_woken.replace(false)
            });
            assert_eq!(woken.count(), 2, "one of four");
        });
    }
}
