//! Idle connections to nodes, per worker.
//!
//! A connection enters only after an exchange whose framing was clean on both sides. The last one in
//! is the first one out, so that a pool that grew in a burst shrinks again.

use std::collections::HashMap;

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
struct Idle {
    read: ReadHalf,
    write: WriteHalf,
    since_ms: u64,
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
    /// bytes nobody asked for would be taken for the next client's response, however soon they come.
    pub fn take(&mut self, node: NodeId) -> Option<(ReadHalf, WriteHalf)> {
        let kept = self.nodes.get_mut(&node)?;
        while let Some(idle) = kept.pop() {
            self.idle -= 1;
            if idle.read.is_quiet() {
                return Some((idle.read, idle.write));
            }
        }
        None
    }

    /// Keeps a connection to `node` for the next exchange, or closes it when there are enough.
    pub fn keep(&mut self, node: NodeId, read: ReadHalf, write: WriteHalf) {
        let kept = self.nodes.entry(node).or_default();
        if kept.len() < IDLE_PER_NODE_MAX && self.idle < IDLE_MAX {
            kept.push(Idle { read, write, since_ms: deadline::now_ms() });
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

    #[test]
    fn a_connection_on_which_its_node_spoke_unasked_is_not_given() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.sock");
        let node = UnixListener::bind(&path).unwrap();
        let work = async {
            let address = Address::Unix(path.to_str().unwrap().as_bytes().into());
            let mut pool = Pool::default();
            let mut far = Vec::new();
            for _ in 0..2 {
                let (read, write) = connect_now(&address).unwrap().unwrap();
                far.push(node.accept().unwrap().0);
                pool.keep(NODE, read, write);
            }
            far[1].write_all(b"HTTP/1.1 200 OK\r\n").unwrap();
            // The one used last is passed over, and gone; the other one is quiet.
            assert!(pool.take(NODE).is_some());
            assert!(pool.take(NODE).is_none() && pool.is_empty());
        };
        run(Driver::Epoll, work).unwrap();
    }
}
