//! The access log: one line per request, written by its own thread.
//!
//! A worker formats a record into its [`LogSink`]'s buffer and never waits: full buffers go to the
//! writer thread over a bounded queue, and when that falls behind, records are dropped and counted.
//! Buffers come back from the writer, so a running log allocates nothing. Every byte a client chose
//! is escaped, so no request can forge a line or a field; `docs/TERMINATION.md` explains `term`.

mod format;
mod json;
mod limits;
mod sink;
mod writer;

#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, sync_channel};

pub use format::utc_text;
pub use sink::LogSink;
pub use writer::AccessLogWriter;

use crate::metrics::{Collector, Page, Shard, catalog};
use crate::termination::Termination;
use writer::{Order, Output};

/// Where access log lines go.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum AccessLogTarget {
    /// Nowhere; records are not even formatted.
    #[default]
    Off,
    /// Standard output.
    Stdout,
    /// Appended to a file, created with mode 0640.
    File(PathBuf),
}

/// How a line is written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AccessLogFormat {
    /// `name=value` pairs.
    #[default]
    Logfmt,
    /// A JSON object.
    Json,
}

/// Where lines go and how they are written.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AccessLogSettings {
    /// Where to.
    pub target: AccessLogTarget,
    /// How.
    pub format: AccessLogFormat,
}

impl From<AccessLogTarget> for AccessLogSettings {
    fn from(target: AccessLogTarget) -> Self {
        Self { target, format: AccessLogFormat::default() }
    }
}

impl FromStr for AccessLogTarget {
    type Err = std::convert::Infallible;

    /// `off`, `-` for standard output, anything else is a path.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "off" => Self::Off,
            "-" => Self::Stdout,
            path => Self::File(PathBuf::from(path)),
        })
    }
}

impl AccessLogTarget {
    fn open(&self) -> io::Result<Option<Output>> {
        Ok(match self {
            Self::Off => None,
            Self::Stdout => Some(Output::Stdout(io::stdout())),
            Self::File(path) => Some(Output::File(open_append(path)?)),
        })
    }
}

/// One request, as its line will say. Text may hold any byte; the sink escapes it.
#[derive(Clone, Copy, Debug)]
pub struct AccessRecord<'a> {
    /// When the request began, Unix time in milliseconds.
    pub at: u64,
    /// The client's address, with port where it has one.
    pub client: &'a str,
    /// The method; empty if the head was never understood.
    pub method: &'a str,
    /// The request target as received.
    pub target: &'a [u8],
    /// The Host as received or canonical.
    pub host: &'a str,
    /// `HTTP/1.1` and the like.
    pub version: &'a str,
    /// Status sent to the client; 0 if none was.
    pub status: u16,
    /// Bytes sent to the client for this exchange.
    pub bytes_out: u64,
    /// Bytes received from the client for this exchange.
    pub bytes_in: u64,
    /// First byte of the request to last byte of the response, in microseconds.
    pub duration_us: u64,
    /// Time to open the upstream connection in microseconds; 0 if none was opened.
    pub connect_us: u64,
    /// The key that routed it; empty if none did.
    pub key: &'a str,
    /// The node that served it, as announced; empty if none did.
    pub node: &'a str,
    /// Whether the client connection was TLS.
    pub tls: bool,
    /// Who ended the exchange, during what.
    pub termination: Termination,
    /// Whether the upstream connection came out of the pool.
    pub reused_upstream: bool,
    /// The name of the request; empty if it has none.
    pub request_id: &'a [u8],
    /// The digits of its trace; empty: it has none, and the line says nothing of traces.
    pub trace: &'a [u8],
}

/// The log as the composition root holds it: makes sinks, shows what the writer lost.
#[derive(Clone, Debug)]
pub struct AccessLog {
    queue: Option<SyncSender<Order>>,
    write_failures: Arc<AtomicU64>,
    format: AccessLogFormat,
    /// Tells it from others.
    number: u64,
}

impl AccessLog {
    /// Opens the target and starts the writer thread.
    ///
    /// # Errors
    /// The file cannot be opened for appending, or no thread can be started.
    pub fn open(settings: impl Into<AccessLogSettings>) -> io::Result<(Self, AccessLogWriter)> {
        Self::open_counting(settings.into(), Arc::new(AtomicU64::new(0)))
    }

    /// Another log, for workers to follow ([`LogSink::follow`]). What the first lost is counted on. The
    /// first writer ends by itself when the last worker left it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_next(
        &self,
        settings: impl Into<AccessLogSettings>,
    ) -> io::Result<(Self, AccessLogWriter)> {
        Self::open_counting(settings.into(), Arc::clone(&self.write_failures))
    }

    fn open_counting(
        AccessLogSettings { target, format }: AccessLogSettings,
        write_failures: Arc<AtomicU64>,
    ) -> io::Result<(Self, AccessLogWriter)> {
        let number = next_number();
        let Some(output) = target.open()? else {
            return Ok((
                Self { queue: None, write_failures, format, number },
                AccessLogWriter::off(),
            ));
        };
        let (queue, orders) = sync_channel(limits::QUEUE_CHUNKS_MAX);
        let failures = Arc::clone(&write_failures);
        let writer = AccessLogWriter::spawn(target, output, orders, queue.clone(), failures)?;
        Ok((Self { queue: Some(queue), write_failures, format, number }, writer))
    }

    /// What its writer, and those before it, lost.
    pub fn write_failures(&self) -> WriteFailures {
        WriteFailures(Arc::clone(&self.write_failures))
    }

    /// A sink for the worker that owns `shard`; drops are counted there.
    pub fn sink(&self, shard: Arc<Shard>) -> LogSink {
        LogSink::new(self, shard)
    }
}

/// What writers lost. Unlike the log it keeps no writer alive.
#[derive(Clone, Debug)]
pub struct WriteFailures(Arc<AtomicU64>);

impl Collector for WriteFailures {
    fn collect(&self, page: &mut Page) {
        let failures = self.0.load(Relaxed);
        page.sample(&catalog::ACCESS_LOG_WRITE_FAILURES, &[], failures);
    }
}

fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Relaxed)
}

fn open_append(path: &std::path::Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}
