//! Bounds of what an operator may set: past them a value is a slip of the pen, not a wish.

use std::time::Duration;

/// Largest config file read, in bytes.
pub const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Most worker threads.
pub const WORKERS_MAX: usize = 256;
/// Most listeners of one kind.
pub const LISTENERS_MAX: usize = 64;
/// Most other routers that are told.
pub const RESUBSCRIBE_MAX: usize = 16;
/// Most static nodes.
pub const ROUTES_MAX: usize = 100_000;
/// Most `[key."NAME"]` tables.
pub const KEY_TABLES_MAX: usize = 100_000;
/// Most entries of `cert-root`, `upstream-allow` or `proxy-protocol`.
pub const LIST_MAX: usize = 1024;
/// Longest name in `Via`.
pub const VIA_BYTES_MAX: usize = 64;
/// Shortest timeout that can be meant.
pub const TIMEOUT_MIN: Duration = Duration::from_millis(10);
/// Longest timeout that can be meant.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);
/// Shortest lease and freshness window: stamps count whole seconds.
pub const TOLERANCE_MIN: Duration = Duration::from_secs(1);
/// Longest lease and freshness window.
pub const TOLERANCE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Client connections unless set.
pub const CONNECTIONS_DEFAULT: usize = 100_000;
/// Most client connections that can be set.
pub const CONNECTIONS_MAX: usize = 10_000_000;
/// Least memory that can be set as the most: a router at rest needs some of it.
pub const MEMORY_MAX_LEAST: u64 = 16 << 20;
/// Most failures in a row that can be counted for an ejection.
pub const EJECT_FAILURES_MAX: u32 = 255;
/// Largest bound on exchanges of a node or a key.
pub const BOUND_MAX: u32 = 1_000_000;
/// Least bound on all exchanges: below it no share of it means anything.
pub const EXCHANGES_LEAST: usize = 8;
/// Shortest file that can be a secret.
pub const SECRET_BYTES_MIN: usize = 16;
/// Longest file taken for one.
pub const SECRET_BYTES_MAX: usize = 4096;
/// Most health checks in a row that turn a node.
pub const CHECKS_MAX: u32 = 100;
/// Longest queue of a key.
pub const QUEUE_MAX: u32 = 100_000;
/// Requests that wait for vassals to start in the whole router, unless set.
pub const WAKE_TOTAL_DEFAULT: usize = 4096;
/// Largest weight of a static node.
pub const WEIGHT_MAX: u32 = 65_535;

const _: () = {
    assert!(CONNECTIONS_DEFAULT <= CONNECTIONS_MAX);
    assert!(TIMEOUT_MIN.as_nanos() < TIMEOUT_MAX.as_nanos());
    assert!(TOLERANCE_MIN.as_nanos() < TOLERANCE_MAX.as_nanos());
};
/// Tables of tenants.
pub const TENANTS_MAX: usize = 1000;
/// Bytes of a tenant's name.
pub const TENANT_NAME_BYTES_MAX: usize = 64;
