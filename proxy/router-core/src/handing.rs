//! How workers hand buffers to a thread that may wait, such as the writer of the access log.
//!
//! A worker never waits for it: buffers go round between the two, there are so many of them, and a queue
//! that is full costs what the worker would have said.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    thread,
    time::{Duration, Instant},
};

/// The buffers of one worker that come back to it.
#[derive(Debug)]
pub struct Spares {
    returned: Receiver<Vec<u8>>,
    give_back: SyncSender<Vec<u8>>,
    made: usize,
    most: usize,
    bytes: usize,
}

impl Spares {
    /// At most `most` buffers with room for `bytes` each.
    #[must_use]
    pub fn new(most: usize, bytes: usize) -> Self {
        let (give_back, returned) = sync_channel(most);
        Self { returned, give_back, made: 0, most, bytes }
    }

    /// An empty buffer, unless all are on their way.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        if let Ok(buffer) = self.returned.try_recv() {
            return Some(buffer);
        }
        if self.made == self.most {
            return None;
        }
        self.made += 1;
        Some(Vec::with_capacity(self.bytes))
    }

    /// Where an emptied buffer is to be sent.
    #[must_use]
    pub fn give_back(&self) -> SyncSender<Vec<u8>> {
        self.give_back.clone()
    }
}

/// Puts `stop` behind what is queued and waits for the thread, which drops or uses its end of `ended`
/// when it is done.
///
/// Returns `false` when it was still at it after `grace`; it is left behind then.
pub fn stop_within<O>(
    queue: &SyncSender<O>,
    stop: O,
    ended: &Receiver<()>,
    grace: Duration,
) -> bool {
    let deadline = Instant::now() + grace;
    let mut order = stop;
    loop {
        match queue.try_send(order) {
            Ok(()) => break,
            Err(TrySendError::Disconnected(_)) => return true,
            Err(TrySendError::Full(back)) if Instant::now() < deadline => order = back,
            Err(TrySendError::Full(_)) => return false,
        }
        thread::sleep(FULL_QUEUE_POLL);
    }
    let left = deadline.saturating_duration_since(Instant::now());
    !matches!(ended.recv_timeout(left), Err(RecvTimeoutError::Timeout))
}

/// How often a stop tries again while the queue is full.
const FULL_QUEUE_POLL: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_buffers_go_round_and_no_more() {
        let mut spares = Spares::new(2, 16);
        let (first, second) = (spares.take().unwrap(), spares.take().unwrap());
        assert!(first.capacity() >= 16 && second.capacity() >= 16);
        assert_eq!(spares.take(), None);
        spares.give_back().send(first).unwrap();
        assert!(spares.take().is_some());
        assert_eq!(spares.take(), None);
    }

    #[test]
    fn a_thread_that_hangs_is_left_behind_and_one_that_is_gone_is_not_waited_for() {
        let grace = Duration::from_millis(20);
        let (queue, orders) = sync_channel(1);
        let (end, ended) = sync_channel(1);
        assert!(!stop_within(&queue, 1, &ended, grace), "it took the order and does not end");
        assert!(!stop_within(&queue, 2, &ended, grace), "it takes nothing");
        assert_eq!(orders.try_iter().collect::<Vec<_>>(), [1]);
        end.send(()).unwrap();
        assert!(stop_within(&queue, 3, &ended, grace));
        drop(orders);
        assert!(stop_within(&queue, 4, &ended, grace));
    }
}
