//! What is told about an exchange when it ended: by the counters and by a line of the access log.

use std::{sync::Arc, time::Instant};

use route_table::Node;
use router_core::termination::Termination;

use super::request_id::RequestId;
use crate::traces::TraceSlot;

/// What the access log and the counters will say about an exchange.
#[derive(Debug)]
pub struct Record {
    /// When its first byte came.
    pub started: Instant,
    /// Status sent to the client; zero if none was.
    pub status: u16,
    /// Bytes of head and body received.
    pub bytes_in: u64,
    /// Bytes sent to the client.
    pub bytes_out: u64,
    /// Microseconds the last connect took; zero for a pooled connection.
    pub connect_us: u64,
    /// The name we gave the request, if we did.
    pub id: Option<RequestId>,
    /// Its place in a trace, if requests are traced.
    pub trace: TraceSlot,
    /// The node tried last.
    pub node: Option<Arc<Node>>,
    /// Whether the connection to it came from the pool.
    pub reused: bool,
    /// The first cause of the end.
    pub termination: Termination,
}

impl Record {
    /// An exchange whose first byte came at `started`.
    pub fn begin(started: Instant, head_bytes: usize) -> Self {
        Self {
            started,
            status: 0,
            bytes_in: head_bytes as u64,
            bytes_out: 0,
            connect_us: 0,
            id: None,
            trace: TraceSlot::default(),
            node: None,
            reused: false,
            termination: Termination::CLEAN,
        }
    }
}

/// Microseconds since `began`.
pub fn micros(began: Instant) -> u64 {
    began.elapsed().as_micros() as u64
}
