//! Idle connections to nodes, per worker.
//!
//! A connection enters only after an exchange whose framing was clean on both sides. The last one in
//! is the first one out, so that a pool that grew in a burst shrinks again.

use std::collections::HashMap;

use route_table::NodeId;

use crate::io::{ReadHalf, WriteHalf};

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
    nodes: HashMap<NodeId, Vec<Idle>>,
    idle: usize,
}

impl Pool {
    /// Takes the connection to `node` that was used last, if one is usable.
    ///
    /// Each is looked at first, for one system call: one that the node closed cannot be used, and
    /// bytes nobody asked for would be taken for the next client's response.
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
    pub fn keep(&mut self, node: NodeId, read: ReadHalf, write: WriteHalf, now_ms: u64) {
        let kept = self.nodes.entry(node).or_default();
        if kept.len() < IDLE_PER_NODE_MAX && self.idle < IDLE_MAX {
            kept.push(Idle { read, write, since_ms: now_ms });
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
