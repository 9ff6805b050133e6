//! The thread that brings spans to the collector.
//!
//! Alone allowed to wait for it. While the collector does not take them, spans are held up to a bound,
//! with growing pauses between attempts; what comes beyond that is counted and lost. An outage is told
//! of once when it begins and once when it ends.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use router_core::{
    handing::stop_within,
    metrics::{Collector, Page, catalog},
};

use super::{
    limits::{BACKOFF_MAX, BACKOFF_MIN, BATCH_BYTES, EXPORT_EVERY, PENDING_BYTES_MAX},
    otlp::Envelope,
    post::{Endpoint, PostError, post},
};

/// Whole spans, and the way back to the worker they came from.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) bytes: Vec<u8>,
    pub(super) spans: u64,
    pub(super) give_back: SyncSender<Vec<u8>>,
}

/// What the thread is asked to do, in the order it is asked.
#[derive(Debug)]
pub(super) enum Order {
    Take(Chunk),
    Stop,
}

/// What became of the spans the thread was given.
#[derive(Debug, Default)]
pub struct ExportCounters {
    exported: AtomicU64,
    refused: AtomicU64,
    lost: AtomicU64,
    failures: AtomicU64,
}

impl Collector for ExportCounters {
    fn collect(&self, page: &mut Page) {
        let rows = [("exported", &self.exported), ("refused", &self.refused), ("lost", &self.lost)];
        for (outcome, count) in rows {
            page.sample(&catalog::TRACE_EXPORTS, &[outcome], count.load(Relaxed));
        }
        page.sample(&catalog::TRACE_EXPORT_FAILURES, &[], self.failures.load(Relaxed));
    }
}

/// The running thread.
#[derive(Debug)]
pub struct Exporter {
    queue: SyncSender<Order>,
    ended: Receiver<()>,
}

impl Exporter {
    pub(super) fn spawn(
        endpoint: Endpoint,
        envelope: Envelope,
        (queue, orders): (SyncSender<Order>, Receiver<Order>),
        counters: Arc<ExportCounters>,
    ) -> io::Result<Self> {
        let (end, ended) = sync_channel(1);
        thread::Builder::new().name("traces".into()).spawn(move || {
            Work::new(endpoint, envelope, counters).until_stopped(&orders);
            let _ = end.send(());
        })?;
        Ok(Self { queue, ended })
    }

    /// Sends what is queued, then ends the thread. Sinks should be dropped before.
    ///
    /// Returns `false` when the thread was still at it after `grace`; it is left behind then.
    pub fn stop(self, grace: Duration) -> bool {
        stop_within(&self.queue, Order::Stop, &self.ended, grace)
    }
}

/// What the thread has in hand.
struct Work {
    endpoint: Endpoint,
    envelope: Envelope,
    counters: Arc<ExportCounters>,
    /// Spans that were not sent yet.
    pending: Vec<u8>,
    spans: u64,
    /// When they are sent, unless there are many.
    due: Instant,
    outage: Option<Outage>,
}

/// The collector takes nothing.
struct Outage {
    pause: Duration,
    lost_before: u64,
}

impl Work {
    fn new(endpoint: Endpoint, envelope: Envelope, counters: Arc<ExportCounters>) -> Self {
        let due = Instant::now() + EXPORT_EVERY;
        Self { endpoint, envelope, counters, pending: Vec::new(), spans: 0, due, outage: None }
    }

    fn until_stopped(mut self, orders: &Receiver<Order>) {
        loop {
            match orders.recv_timeout(self.due.saturating_duration_since(Instant::now())) {
                Ok(Order::Take(chunk)) => self.take(chunk),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return self.finish(),
            }
            let many = self.outage.is_none() && self.pending.len() >= BATCH_BYTES;
            if many || Instant::now() >= self.due {
                self.due = Instant::now() + EXPORT_EVERY;
                self.send();
            }
        }
    }

    fn take(&mut self, chunk: Chunk) {
        let Chunk { mut bytes, spans, give_back } = chunk;
        if self.pending.len() + bytes.len() <= PENDING_BYTES_MAX {
            self.pending.extend_from_slice(&bytes);
            self.spans += spans;
        } else {
            self.counters.lost.fetch_add(spans, Relaxed);
        }
        bytes.clear();
        let _ = give_back.try_send(bytes);
    }

    fn send(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let before = self.envelope.before(self.pending.len());
        match post(&self.endpoint, [&before, &self.pending]) {
            Ok(()) => {
                self.counters.exported.fetch_add(self.spans, Relaxed);
                self.clear();
                self.end_outage();
            }
            Err(error) => {
                self.counters.failures.fetch_add(1, Relaxed);
                let wanted = error.retry_after();
                if wanted.is_none() {
                    self.counters.refused.fetch_add(self.spans, Relaxed);
                    self.clear();
                }
                self.note_failure(&error, wanted.unwrap_or_default());
            }
        }
    }

    fn finish(&mut self) {
        self.send();
        if self.spans > 0 {
            tracing::warn!("{} spans could not be exported", self.spans);
        }
    }

    fn clear(&mut self) {
        self.pending.clear();
        // What an outage made grow is not kept for good.
        self.pending.shrink_to(BATCH_BYTES);
        self.spans = 0;
    }

    fn note_failure(&mut self, error: &PostError, wanted: Duration) {
        let pause = match &self.outage {
            Some(outage) => outage.pause * 2,
            None => {
                tracing::warn!(%error, "spans cannot be exported to {}", self.endpoint);
                BACKOFF_MIN
            }
        };
        let pause = pause.max(wanted).min(BACKOFF_MAX);
        let lost_before = match &self.outage {
            Some(outage) => outage.lost_before,
            None => self.lost(),
        };
        self.outage = Some(Outage { pause, lost_before });
        self.due = Instant::now() + pause;
    }

    fn end_outage(&mut self) {
        if let Some(outage) = self.outage.take() {
            let lost = self.lost() - outage.lost_before;
            tracing::info!("spans are exported again; {lost} were lost meanwhile");
        }
    }

    fn lost(&self) -> u64 {
        self.counters.lost.load(Relaxed) + self.counters.refused.load(Relaxed)
    }
}
