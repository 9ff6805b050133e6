//! The end of the access log a worker writes to.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};

use super::format::{ClockText, bytes_bound, push};
use super::limits::{CHUNK_BYTES, CHUNKS_PER_WORKER_MAX};
use super::writer::{Chunk, Order};
use super::{AccessLog, AccessLogFormat, AccessRecord};
use crate::handing::Spares;
use crate::metrics::{Counter, Shard};

/// One worker's end of the log. Moves to the worker's thread and stays there.
///
/// Lines leave when a chunk is full, when the worker's ticker calls [`flush`](Self::flush), or when
/// the sink is dropped.
#[derive(Debug)]
pub struct LogSink {
    shard: Arc<Shard>,
    /// The log it is of.
    number: Cell<u64>,
    enabled: Cell<bool>,
    chunks: RefCell<Option<Chunks>>,
}

impl LogSink {
    pub(super) fn new(log: &AccessLog, shard: Arc<Shard>) -> Self {
        let chunks = log.queue.clone().map(|queue| Chunks::new(queue, log.format));
        Self {
            shard,
            number: Cell::new(log.number),
            enabled: Cell::new(chunks.is_some()),
            chunks: RefCell::new(chunks),
        }
    }

    /// Writes to `log` from now on; what was gathered for another goes there.
    pub fn follow(&self, log: &AccessLog) {
        if self.number.replace(log.number) == log.number {
            return;
        }
        self.flush();
        let chunks = log.queue.clone().map(|queue| Chunks::new(queue, log.format));
        self.enabled.set(chunks.is_some());
        self.chunks.replace(chunks);
    }

    /// Whether anything is written at all; a worker that sees `false` need not gather a record.
    #[inline]
    pub fn enabled(&self) -> bool {
        self.enabled.get()
    }

    /// Formats one record. Never waits; a record that finds no room is counted and dropped.
    pub fn write(&self, record: &AccessRecord<'_>) {
        if let Some(chunks) = &mut *self.chunks.borrow_mut() {
            chunks.write(record, &self.shard);
        }
    }

    /// Hands what was gathered to the writer thread. The worker's ticker calls this, so that a
    /// quiet worker's lines appear within a tick.
    pub fn flush(&self) {
        if let Some(chunks) = &mut *self.chunks.borrow_mut() {
            chunks.hand_over(&self.shard);
        }
    }
}

impl Drop for LogSink {
    fn drop(&mut self) {
        self.flush();
    }
}

#[derive(Debug)]
struct Chunks {
    format: AccessLogFormat,
    queue: SyncSender<Order>,
    spares: Spares,
    filling: Option<Vec<u8>>,
    records: u64,
    clock: ClockText,
}

impl Chunks {
    fn new(queue: SyncSender<Order>, format: AccessLogFormat) -> Self {
        let spares = Spares::new(CHUNKS_PER_WORKER_MAX, CHUNK_BYTES);
        Self { format, queue, spares, filling: None, records: 0, clock: ClockText::new() }
    }

    fn write(&mut self, record: &AccessRecord<'_>, shard: &Shard) {
        let bound = bytes_bound(self.format, record);
        if self.filling.as_ref().is_some_and(|chunk| chunk.len() + bound > CHUNK_BYTES) {
            self.hand_over(shard);
        }
        let Some(mut chunk) = self.filling.take().or_else(|| self.spares.take()) else {
            return shard.count(Counter::AccessLogDropped);
        };
        let before = chunk.len();
        push(self.format, &mut chunk, &mut self.clock, record);
        debug_assert!(chunk.len() - before <= bound && chunk.len() <= CHUNK_BYTES);
        self.records += 1;
        self.filling = Some(chunk);
    }

    fn hand_over(&mut self, shard: &Shard) {
        let Some(chunk) = self.filling.take() else { return };
        if chunk.is_empty() {
            self.filling = Some(chunk);
            return;
        }
        let records = std::mem::take(&mut self.records);
        let order = Order::Write(Chunk { bytes: chunk, give_back: self.spares.give_back() });
        match self.queue.try_send(order) {
            Ok(()) => shard.add(Counter::AccessLogRecords, records),
            Err(TrySendError::Full(order) | TrySendError::Disconnected(order)) => {
                shard.add(Counter::AccessLogDropped, records);
                if let Order::Write(Chunk { mut bytes, .. }) = order {
                    bytes.clear();
                    self.filling = Some(bytes);
                }
            }
        }
    }
}
