//! The tasks that serve streams, kept for reuse.
//!
//! What a stream may have in hand at once is some kilobytes, and streams come by the hundred: to make and
//! unmake so much for each costs more than to serve many of them. So a task serves one stream after the
//! other, of whichever connection of its worker, and rests in between. A worker keeps those that rest,
//! the last one first, so that all share the few that are in the cache.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::Rc,
    task::{Poll, Waker},
};

use router_core::io::spawn;

use super::stream::{self, Opened};

/// Tasks without work that a worker keeps; more end.
const KEPT_MAX: usize = 256;

thread_local! {
    static RESTING: RefCell<Vec<Rc<Desk>>> = const { RefCell::new(Vec::new()) };
}

/// Where a task finds its work.
#[derive(Default)]
struct Desk {
    work: Cell<Option<Opened>>,
    waker: Cell<Option<Waker>>,
}

/// Has a stream served, by a task that rests or by a new one.
pub fn serve(opened: Opened) {
    match RESTING.with_borrow_mut(Vec::pop) {
        Some(desk) => {
            desk.work.set(Some(opened));
            if let Some(waker) = desk.waker.take() {
                waker.wake();
            }
        }
        None => spawn(serve_all(opened)),
    }
}

/// Serves a stream, and then those that lie on its desk, until there are enough who rest.
async fn serve_all(first: Opened) {
    let desk = Rc::new(Desk::default());
    desk.work.set(Some(first));
    loop {
        let work = poll_fn(|cx| match desk.work.take() {
            Some(opened) => Poll::Ready(opened),
            None => {
                desk.waker.set(Some(cx.waker().clone()));
                Poll::Pending
            }
        });
        stream::serve(work.await).await;
        let rests = RESTING.with_borrow_mut(|resting| {
            let rests = resting.len() < KEPT_MAX;
            if rests {
                resting.push(desk.clone());
            }
            rests
        });
        if !rests {
            return;
        }
    }
}
