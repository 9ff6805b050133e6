//! The place of one request in its trace, and what its spans will say.

use std::{cell::OnceCell, sync::Arc, time::Instant};

use http1_wire::{Fields, SpanId, TraceFields, TraceId, TraceParent, TraceState};
use route_table::Node;
use router_core::termination::Termination;

use super::sampling::Sampled;

/// Where the trace of a request is kept; empty if requests are not traced.
#[derive(Debug, Default)]
pub struct TraceSlot(OnceCell<Box<Trace>>);

impl TraceSlot {
    /// What is there.
    pub fn get(&self) -> Option<&Trace> {
        self.0.get().map(|trace| &**trace)
    }

    /// What is there and is recorded.
    pub fn recorded(&self) -> Option<&Trace> {
        self.get().filter(|trace| trace.sampled == Sampled::Recorded)
    }

    /// The same, to add to it.
    pub fn recording(&mut self) -> Option<&mut Trace> {
        self.0.get_mut().map(|trace| &mut **trace).filter(|t| t.sampled == Sampled::Recorded)
    }

    /// Whether the request has its place.
    pub fn is_begun(&self) -> bool {
        self.0.get().is_some()
    }

    /// Continues the trace of `incoming`, or begins one. The first of two random numbers names the trace, the
    /// second our span.
    pub(super) fn begin(
        &self,
        incoming: Option<TraceParent>,
        fields: Fields<'_, '_>,
        random: (u128, u128),
        sampled: Sampled,
    ) {
        let state = match incoming {
            Some(_) => TraceState::of(fields),
            None => TraceState::Dropped,
        };
        let trace = Trace {
            // One in 2^128 is not worth a loop.
            id: incoming.map_or(TraceId::new(random.0).unwrap_or(TraceId::MIN), |told| told.trace),
            parent: incoming.map(|told| told.span),
            span: random.1 as u64,
            sampled,
            state,
            queued_us: 0,
            attempts: Vec::new(),
        };
        let begun = self.0.set(Box::new(trace));
        debug_assert!(begun.is_ok(), "a request has one place");
    }
}

/// The place of a request in a trace.
#[derive(Debug)]
pub struct Trace {
    /// The trace.
    pub id: TraceId,
    /// The span of whoever sent the request.
    pub parent: Option<SpanId>,
    span: u64,
    sampled: Sampled,
    state: TraceState,
    /// Microseconds it waited for a node with room.
    pub queued_us: u64,
    /// What was asked of nodes.
    pub attempts: Vec<NodeSpan>,
}

/// One attempt with a node.
#[derive(Debug)]
pub struct NodeSpan {
    /// Who was asked.
    pub node: Arc<Node>,
    /// When.
    pub began: Instant,
    /// Microseconds the connect took; zero for a pooled connection.
    pub connect_us: u64,
    /// Microseconds to the first byte of the answer; zero if none came.
    pub first_byte_us: u64,
    /// How it failed; `None`: its end is that of the request.
    pub failed: Option<Failed>,
}

/// The end of an attempt that failed.
#[derive(Clone, Copy, Debug)]
pub struct Failed {
    /// When.
    pub at: Instant,
    /// Status of the answer, if that is known.
    pub status: u16,
    /// Who is to blame, and when.
    pub termination: Termination,
}

impl Trace {
    /// Our span: that of the request as it was served.
    pub fn span(&self) -> SpanId {
        span_id(self.span)
    }

    /// The span of an attempt, counted from zero. The names follow from one random number.
    pub fn attempt_span(&self, attempt: usize) -> SpanId {
        span_id(self.span.wrapping_add(1 + attempt as u64))
    }

    /// What a node is told that is asked next.
    pub fn told(&self) -> TraceFields {
        let parent = TraceParent {
            trace: self.id,
            span: self.attempt_span(self.attempts.len()),
            sampled: self.sampled == Sampled::Recorded,
        };
        TraceFields { parent, state: self.state }
    }

    /// A node is asked now.
    pub fn begin_attempt(&mut self, node: &Arc<Node>) {
        self.attempts.push(NodeSpan {
            node: node.clone(),
            began: Instant::now(),
            connect_us: 0,
            first_byte_us: 0,
            failed: None,
        });
    }

    /// The attempt under way.
    pub fn attempt(&mut self) -> Option<&mut NodeSpan> {
        self.attempts.last_mut()
    }
}

/// One in 2^64 is not worth a loop.
fn span_id(bits: u64) -> SpanId {
    SpanId::new(bits).unwrap_or(SpanId::MIN)
}
