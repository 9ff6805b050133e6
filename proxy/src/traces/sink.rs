//! The end of the exporter a worker writes spans to.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        mpsc::{SyncSender, TrySendError},
    },
};

use router_core::{
    handing::Spares,
    metrics::{Counter, Shard},
};

use super::{
    exporter::{Chunk, Order},
    limits::{CHUNK_BYTES, CHUNKS_PER_WORKER_MAX, SPAN_BYTES_MAX},
    otlp::{Attributes, SpanFacts, write_span},
};

/// One worker's end. Never waits: a span that finds no room is counted and dropped.
///
/// Spans leave when a chunk is full, when the worker's ticker calls [`flush`](Self::flush), or when the
/// sink is dropped.
#[derive(Debug)]
pub struct SpanSink {
    shard: Arc<Shard>,
    chunks: RefCell<Chunks>,
}

impl SpanSink {
    pub(super) fn new(queue: SyncSender<Order>, shard: Arc<Shard>) -> Self {
        Self { shard, chunks: RefCell::new(Chunks::new(queue)) }
    }

    /// Writes one span, of which `tell` says more than `facts`.
    pub fn write(&self, facts: &SpanFacts<'_>, tell: impl FnOnce(&mut Attributes<'_>)) {
        let mut chunks = self.chunks.borrow_mut();
        match chunks.with_room(&self.shard) {
            Some(chunk) => {
                write_span(&mut chunk.bytes, facts, tell);
                chunk.spans += 1;
            }
            None => self.shard.count(Counter::TraceSpansDropped),
        }
    }

    /// Hands over what was gathered. The worker's ticker calls this, the last time when its last request
    /// has ended.
    pub fn flush(&self) {
        self.chunks.borrow_mut().hand_over(&self.shard);
    }
}

impl Drop for SpanSink {
    fn drop(&mut self) {
        self.chunks.get_mut().hand_over(&self.shard);
    }
}

#[derive(Debug, Default)]
struct Filling {
    bytes: Vec<u8>,
    spans: u64,
}

#[derive(Debug)]
struct Chunks {
    queue: SyncSender<Order>,
    spares: Spares,
    filling: Option<Filling>,
}

impl Chunks {
    fn new(queue: SyncSender<Order>) -> Self {
        Self { queue, spares: Spares::new(CHUNKS_PER_WORKER_MAX, CHUNK_BYTES), filling: None }
    }

    /// A chunk that takes any span.
    fn with_room(&mut self, shard: &Shard) -> Option<&mut Filling> {
        let fits = |chunk: &Filling| chunk.bytes.len() + SPAN_BYTES_MAX <= CHUNK_BYTES;
        if self.filling.as_ref().is_some_and(|chunk| !fits(chunk)) {
            self.hand_over(shard);
        }
        if self.filling.is_none() {
            let bytes = self.spares.take()?;
            self.filling = Some(Filling { bytes, spans: 0 });
        }
        self.filling.as_mut()
    }

    fn hand_over(&mut self, shard: &Shard) {
        let Some(Filling { bytes, spans }) = self.filling.take_if(|chunk| chunk.spans > 0) else {
            return;
        };
        let order = Order::Take(Chunk { bytes, spans, give_back: self.spares.give_back() });
        match self.queue.try_send(order) {
            Ok(()) => shard.add(Counter::TraceSpans, spans),
            Err(TrySendError::Full(order) | TrySendError::Disconnected(order)) => {
                shard.add(Counter::TraceSpansDropped, spans);
                if let Order::Take(Chunk { mut bytes, .. }) = order {
                    bytes.clear();
                    self.filling = Some(Filling { bytes, spans: 0 });
                }
            }
        }
    }
}
