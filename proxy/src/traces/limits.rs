//! Bounds of what tracing may hold, wait and send.

use std::time::Duration;

/// Requests a second whose recording clients may ask for, unless set.
pub const CLIENT_RATE_DEFAULT: u32 = 100;
/// Most that can be set.
pub const CLIENT_RATE_MAX: u32 = 1_000_000;

/// Bytes of spans a worker gathers before it hands them over.
pub const CHUNK_BYTES: usize = 64 * 1024;
/// Chunks one worker may have, filling and queued together: 1 MiB.
pub const CHUNKS_PER_WORKER_MAX: usize = 16;
/// Chunks in the exporter's queue over all workers.
pub const QUEUE_CHUNKS_MAX: usize = 1024;
/// Spans the exporter holds while the collector does not take them; further ones are lost.
pub const PENDING_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Spans in one request to the collector, but for what its last chunk adds.
pub const BATCH_BYTES: usize = 1024 * 1024;

/// Bytes of the longest span.
pub const SPAN_BYTES_MAX: usize = 8 * 1024;
/// Bytes of a path in a span; the rest is left out.
pub const PATH_BYTES_MAX: usize = 1024;
/// Bytes of any other text.
pub const TEXT_BYTES_MAX: usize = 256;
/// Texts in a span besides the path, those in its name counted too.
pub const TEXTS_MAX: usize = 20;
/// Everything in a span that is not such a text: names of attributes, numbers, lengths.
pub const FIXED_BYTES_MAX: usize = 1536;

/// Distance between two requests to the collector while there is little to send.
pub const EXPORT_EVERY: Duration = Duration::from_secs(1);
/// First pause after the collector did not take a request.
pub const BACKOFF_MIN: Duration = Duration::from_secs(1);
/// Longest pause, whatever the collector asks for.
pub const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// How long a connect to the collector may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a request to the collector and its answer may take.
pub const POST_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest head of an answer that is read.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024;

const _: () = {
    assert!(PATH_BYTES_MAX + TEXTS_MAX * TEXT_BYTES_MAX + FIXED_BYTES_MAX <= SPAN_BYTES_MAX);
    // Any span fits an empty chunk.
    assert!(SPAN_BYTES_MAX <= CHUNK_BYTES);
    assert!(BATCH_BYTES + CHUNK_BYTES < PENDING_BYTES_MAX);
    // What collectors take unless told (20 MiB).
    assert!(BATCH_BYTES + CHUNK_BYTES < 20 * 1024 * 1024);
};
