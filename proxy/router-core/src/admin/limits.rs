//! Bounds of the admin socket.

use std::time::Duration;

/// Connections served at a time; further ones wait in the kernel.
pub const CONNECTIONS_MAX: usize = 64;
/// Bytes of a request head; a longer one gets 431. Bodies are never read.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// For a request head to arrive.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// For a whole connection: one request, its answer, and a reader too slow for it.
pub const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);
/// Threads that work out long answers (statistics, metrics).
pub const ANSWER_THREADS_MAX: usize = 2;
/// Keys listed by `/stats` unless the question says otherwise.
pub const STATS_KEYS_DEFAULT: usize = 10_000;
/// Keys listed by `/stats` at most.
pub const STATS_KEYS_MAX: usize = 1_000_000;
/// Bytes of the URL of `/explain`.
pub const EXPLAIN_URL_BYTES_MAX: usize = 8 * 1024;
/// Keys on one page of `/overview.json` unless the question says otherwise.
pub const OVERVIEW_KEYS_DEFAULT: usize = 50;
/// Keys on one page of `/overview.json` at most.
pub const OVERVIEW_KEYS_MAX: usize = 200;
/// Keys that may stand before a page: whoever looks for one further on searches.
pub const OVERVIEW_OFFSET_MAX: usize = 10_000;
/// Bytes of a search: no key is longer.
pub const OVERVIEW_SEARCH_BYTES_MAX: usize = 255;

const _: () = {
    assert!(OVERVIEW_KEYS_DEFAULT <= OVERVIEW_KEYS_MAX);
    assert!(EXPLAIN_URL_BYTES_MAX < HEAD_BYTES_MAX);
    assert!(STATS_KEYS_DEFAULT <= STATS_KEYS_MAX);
    assert!(HEAD_TIMEOUT.as_secs() < CONNECTION_TIMEOUT.as_secs());
};
