//! What an exchange notes of its attempts: for the spans, if it is recorded.

use std::{sync::Arc, time::Instant};

use route_table::Node;
use router_core::metrics::Latency;

use super::{exchange::Exchange, failure::Failure, record::micros, response::Progressed};
use crate::traces::context::Failed;

impl Exchange<'_> {
    /// A node is asked now.
    pub(super) fn trace_attempt(&mut self, node: &Arc<Node>) {
        if let Some(trace) = self.record.trace.recording() {
            trace.begin_attempt(node);
        }
    }

    /// The node was reached by a new connection.
    pub(super) fn note_connect(&mut self, connect_us: u64) {
        self.record.connect_us = connect_us;
        self.ctx.shard.observe_us(Latency::UpstreamConnect, connect_us);
        if let Some(asked) = self.record.trace.recording().and_then(|trace| trace.attempt()) {
            asked.connect_us = connect_us;
        }
    }

    /// It answered, if it did.
    pub(super) fn trace_answer(&mut self, progressed: &Progressed) {
        if let Some(asked) = self.record.trace.recording().and_then(|trace| trace.attempt())
            && let Some(at) = progressed.first_byte.get()
        {
            asked.first_byte_us = at.duration_since(asked.began).as_micros() as u64;
        }
    }

    /// The attempt failed.
    pub(super) fn trace_failure(&mut self, failure: &Failure, status: u16) {
        if let Some(asked) = self.record.trace.recording().and_then(|trace| trace.attempt()) {
            let termination = failure.termination;
            asked.failed = Some(Failed { at: Instant::now(), status, termination });
        }
    }

    /// When it began to wait for a node with room, if anybody wants to know.
    pub(super) fn trace_wait(&self) -> Option<Instant> {
        self.record.trace.recorded().map(|_| Instant::now())
    }

    /// It waited since then.
    pub(super) fn trace_waited(&mut self, since: Option<Instant>) {
        if let (Some(trace), Some(since)) = (self.record.trace.recording(), since) {
            trace.queued_us += micros(since);
        }
    }
}
