//! Distributed traces: which requests are recorded, and how their spans reach a collector.
//!
//! A request gets a [`Trace`] when its head is judged; nodes are told of it whether it is recorded or not.
//! The spans of one that is are written when it ends, into the worker's [`SpanSink`], and leave in
//! batches through a thread of their own. No worker waits for that. Without the option there is nothing
//! of this but a `None` per request.

pub mod context;
mod exporter;
pub mod limits;
pub mod otlp;
pub mod post;
mod protobuf;
pub mod sampling;
mod sink;

#[cfg(test)]
mod tests;

use std::{
    io,
    sync::{
        Arc,
        mpsc::{SyncSender, sync_channel},
    },
};

use router_core::metrics::Shard;

pub use context::{Trace, TraceSlot};
pub use exporter::{ExportCounters, Exporter};
pub use sink::SpanSink;

use exporter::Order;
use otlp::Envelope;
use post::Endpoint;
use sampling::{Budget, Ratio};

/// What an operator may set.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TraceSettings {
    /// Where spans go; `None`: requests are not traced.
    pub endpoint: Option<Endpoint>,
    /// The part of requests that is recorded unless their sender decided.
    pub ratio: Ratio,
    /// Requests a second whose recording clients may ask for.
    pub client_rate: ClientRate,
}

/// Requests a second, over all workers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClientRate(pub u32);

impl Default for ClientRate {
    fn default() -> Self {
        Self(limits::CLIENT_RATE_DEFAULT)
    }
}

/// Who makes the spans, as the collector is told.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The program.
    pub service: &'a str,
    /// This process and no other.
    pub instance: &'a str,
    /// The machine.
    pub host: &'a str,
}

/// Tracing as the composition root holds it: makes the workers' parts.
#[derive(Debug)]
pub struct Traces {
    queue: SyncSender<Order>,
    counters: Arc<ExportCounters>,
    ratio: Ratio,
    worker_rate: u32,
}

impl Traces {
    /// Starts the exporter for `workers` workers, if requests are traced.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(
        settings: &TraceSettings,
        origin: &Origin<'_>,
        workers: usize,
    ) -> io::Result<Option<(Self, Exporter)>> {
        let Some(endpoint) = settings.endpoint.clone() else { return Ok(None) };
        let version = env!("CARGO_PKG_VERSION");
        let envelope = Envelope::new(version, |attributes| {
            attributes.text("service.name", origin.service);
            attributes.text("service.version", version);
            attributes.text("service.instance.id", origin.instance);
            attributes.text("host.name", origin.host);
            attributes.number("process.pid", u64::from(std::process::id()));
        });
        let counters = Arc::new(ExportCounters::default());
        let (queue, orders) = sync_channel(limits::QUEUE_CHUNKS_MAX);
        let channel = (queue.clone(), orders);
        let exporter = Exporter::spawn(endpoint, envelope, channel, counters.clone())?;
        let workers = u32::try_from(workers).unwrap_or(u32::MAX).max(1);
        let worker_rate = settings.client_rate.0.div_ceil(workers);
        Ok(Some((Self { queue, counters, ratio: settings.ratio, worker_rate }, exporter)))
    }

    /// What becomes of the spans, for whoever shows it.
    pub fn counters(&self) -> Arc<ExportCounters> {
        self.counters.clone()
    }

    /// The part of the worker that owns `shard`; drops are counted there.
    pub fn worker(&self, shard: Arc<Shard>) -> WorkerTraces {
        WorkerTraces {
            sink: SpanSink::new(self.queue.clone(), shard),
            ratio: self.ratio,
            budget: Budget::new(self.worker_rate),
        }
    }
}

/// Tracing on one worker.
#[derive(Debug)]
pub struct WorkerTraces {
    /// Where spans go.
    pub sink: SpanSink,
    ratio: Ratio,
    budget: Budget,
}
