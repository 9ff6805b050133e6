//! Bounds of the access log.

use super::json;

/// Bytes a worker gathers before it hands them over; also the largest single write.
pub const CHUNK_BYTES: usize = 64 * 1024;
/// Chunks one worker may have, filling and queued together: 2 MiB per worker at worst, made only
/// when the writer falls behind. At 200,000 lines a second that bridges 50 ms, several turns of a
/// scheduler whose cores are all busy.
pub const CHUNKS_PER_WORKER_MAX: usize = 32;
/// Chunks in the writer's queue over all workers.
pub const QUEUE_CHUNKS_MAX: usize = 2048;
/// Bytes of a request target that are logged; the rest is left out and marked.
pub const TARGET_BYTES_MAX: usize = 4096;
/// Bytes of any other text field that are logged.
pub const FIELD_BYTES_MAX: usize = 256;
/// Text fields besides the target.
pub const FIELDS: usize = 8;
/// Everything in a line that is not a text field: names, numbers, time, marks of cuts.
pub const FIXED_BYTES_MAX: usize = 512;

/// What a byte can become at most, in the format that escapes it longest.
pub const ESCAPED_BYTES_MAX: usize = json::ESCAPED_BYTES;

const _: () = {
    // Any record fits an empty chunk, so a record is dropped only when the queue is full.
    let text = (TARGET_BYTES_MAX + FIELDS * FIELD_BYTES_MAX) * ESCAPED_BYTES_MAX;
    assert!(text + FIXED_BYTES_MAX <= CHUNK_BYTES);
};
