//! Idle connections to nodes, per worker.
//!
//! A connection enters only after an exchange whose framing was clean on both sides. The last one in
//! is the first one out, so that a pool that grew in a burst shrinks again.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;
use route_table::NodeId;

use crate::{
    deadline,
    io::{ReadHalf, WriteHalf},
};

/// Idle connections kept for one node by one worker.
pub const IDLE_PER_NODE_MAX: usize = 256;
/// Idle connections kept by one worker.
pub const IDLE_MAX: usize = 4096;
/// Age at which an idle connection is closed.
pub const IDLE_MS_MAX: u64 = 60_000;
/// How long after its last exchange a look at a connection would say little that the end of that
/// exchange did not: then all that had come was read.
pub const STILL_KNOWN: Duration = Duration::from_micros(250);

/// Whether a connection is looked at before it is used again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Look {
    /// Always: what is sent on it cannot be sent again.
    Always,
    /// Unless its last exchange ended within [`STILL_KNOWN`] before this moment.
    UnlessJustUsed(Instant),
}

struct Idle {
    read: ReadHalf,
    write: WriteHalf,
    since: Instant,
    since_ms: u64,
}

impl Idle {
    fn is_usable(&self, look: Look) -> bool {
        let is_known = match look {
            Look::Always => false,
            // An earlier moment says nothing.
            Look::UnlessJustUsed(now) => {
                now.checked_duration_since(self.since).is_some_and(|rested| rested < STILL_KNOWN)
            }
        };
        is_known || self.read.is_quiet()
    }
}

/// The idle connections of one worker.
#[derive(Default)]
pub struct Pool {
    nodes: HashMap<NodeId, Vec<Idle>, RandomState>,
    idle: usize,
}

impl Pool {
    /// Takes the connection to `node` that was used last, if one is usable.
    ///
    /// Each is looked at first, for one system call: one that the node closed cannot be used, and
    /// bytes nobody asked for would be taken for the next client's response.
    pub fn take(&mut self, node: NodeId, look: Look) -> Option<(ReadHalf, WriteHalf)> {
        let kept = self.nodes.get_mut(&node)?;
        while let Some(idle) = kept.pop() {
            self.idle -= 1;
            if idle.is_usable(look) {
                return Some((idle.read, idle.write));
            }
        }
        None
    }

    /// Keeps a connection to `node`, whose exchange ended `now`, for the next one, or closes it when there
    /// are enough.
    pub fn keep(&mut self, node: NodeId, read: ReadHalf, write: WriteHalf, now: Instant) {
        let kept = self.nodes.entry(node).or_default();
        if kept.len() < IDLE_PER_NODE_MAX && self.idle < IDLE_MAX {
            kept.push(Idle { read, write, since: now, since_ms: deadline::now_ms() });
            self.idle += 1;
        }
    }

    /// Closes what is too old or was closed by the upstream. One system call per idle connection.
    pub fn sweep(&mut self, now_ms: u64) {
        self.nodes.retain(|_, kept| {
            kept.retain(|idle| now_ms - idle.since_ms < IDLE_MS_MAX && idle.read.is_quiet());
            !kept.is_empty()
        });
        self.idle = self.nodes.values().map(Vec::len).sum();
    }

    /// Idle connections held.
    pub fn len(&self) -> usize {
        self.idle
    }

    /// Whether none are held.
    pub fn is_empty(&self) -> bool {
        self.idle == 0
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, os::unix::net::UnixListener};

    use route_table::Address;

    use super::*;
    use crate::{
        io::connect_now,
        runtime::{Driver, run},
    };

    const NODE: NodeId = NodeId(7);

    /// Whether a connection is given on which its node said something that nobody asked for.
    fn is_given(look: impl FnOnce(Instant) -> Look) -> bool {
        let now = Instant::now();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.sock");
        let node = UnixListener::bind(&path).unwrap();
        let work = async {
            let address = Address::Unix(path.to_str().unwrap().as_bytes().into());
            let (read, write) = connect_now(&address).unwrap().unwrap();
            let (mut far, _) = node.accept().unwrap();
            let mut pool = Pool::default();
            pool.keep(NODE, read, write, now);
            far.write_all(b"HTTP/1.1 200 OK\r\n").unwrap();
            pool.take(NODE, look(now)).is_some()
        };
        run(Driver::Epoll, work).unwrap()
    }

    #[test]
    fn what_is_sent_once_goes_over_a_connection_that_was_looked_at() {
        assert!(!is_given(|_| Look::Always));
    }

    #[test]
    fn what_may_be_sent_again_needs_no_look_at_a_connection_just_used() {
        assert!(is_given(Look::UnlessJustUsed));
        assert!(!is_given(|now| Look::UnlessJustUsed(now + STILL_KNOWN)));
        let earlier = |now| Look::UnlessJustUsed(now - STILL_KNOWN);
        assert!(!is_given(earlier), "that request came before the connection was kept");
    }
}
