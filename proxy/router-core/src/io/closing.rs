//! Descriptors that are closed together.
//!
//! A close wakes the other side, or at least costs as much as a send. Made in the middle of a turn it also
//! parts the sends of that turn, so that each of them wakes its receiver alone (docs/PERFORMANCE.md).

use std::{cell::RefCell, os::fd::RawFd};

use nix::unistd::close;

use super::spawn;

thread_local! {
    static DONE: RefCell<Vec<RawFd>> = const { RefCell::new(Vec::new()) };
}

/// Closes `fd`, which nothing else will use, when the tasks of this turn have run.
pub(super) fn at_end_of_turn(fd: RawFd) {
    let is_first = DONE.with_borrow_mut(|done| {
        done.push(fd);
        done.len() == 1
    });
    if is_first {
        spawn(async { close_all() });
    }
}

fn close_all() {
    DONE.with_borrow_mut(|done| {
        for fd in done.drain(..) {
            let _ = close(fd);
        }
    });
}
