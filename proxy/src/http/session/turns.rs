//! The state of requests under way, kept for reuse.
//!
//! What an exchange may have in hand at once is many times what a waiting connection needs, and most
//! connections wait. So the one is not part of the other: a turn is a future that serves whichever
//! session it is given, one after the other, and never ends. A worker keeps those that have nothing to
//! do, so that a request on a warm worker allocates none and all share the few that are in the cache.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    task::Poll,
};

use router_core::pulse::Hold;

use super::{Next, Session};

/// Turns without work that a worker keeps; more are freed.
const KEPT_MAX: usize = 256;

thread_local! {
    static KEPT: RefCell<Vec<Turn>> = const { RefCell::new(Vec::new()) };
}

/// Where a turn finds its work and leaves what became of it.
#[derive(Default)]
struct Desk {
    work: Cell<Option<(Box<Session>, Option<Hold>)>>,
    done: Cell<Option<(Box<Session>, Next)>>,
}

struct Turn {
    desk: Rc<Desk>,
    future: Pin<Box<dyn Future<Output = ()>>>,
}

impl Turn {
    fn new() -> Self {
        let desk = Rc::new(Desk::default());
        Self { future: Box::pin(serve_all(desk.clone())), desk }
    }
}

/// Serves what lies on the desk, for ever. Whoever put it there polls, so nobody needs to be woken.
async fn serve_all(desk: Rc<Desk>) {
    loop {
        let work = poll_fn(|_| desk.work.take().map_or(Poll::Pending, Poll::Ready));
        let (mut session, held) = work.await;
        let next = session.turn(held).await;
        desk.done.set(Some((session, next)));
    }
}

/// Gives `session` a turn, with the right to wait in it if it holds that.
pub(super) async fn take(session: Box<Session>, held: Option<Hold>) -> (Box<Session>, Next) {
    let kept = KEPT.with_borrow_mut(Vec::pop);
    let mut turn = kept.unwrap_or_else(Turn::new);
    turn.desk.work.set(Some((session, held)));
    let done = poll_fn(|cx| {
        debug_assert!(turn.desk.done.take().is_none(), "what is done is taken at once");
        let never = turn.future.as_mut().poll(cx);
        debug_assert!(never.is_pending(), "a turn serves for ever");
        turn.desk.done.take().map_or(Poll::Pending, Poll::Ready)
    })
    .await;
    KEPT.with_borrow_mut(|kept| {
        if kept.len() < KEPT_MAX {
            kept.push(turn);
        }
    });
    done
}
