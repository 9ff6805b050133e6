//! What a key costs in memory: growth of the resident set by a table of 1,000,000 keys with one
//! node each, counters included. Not a timing; prints a line for keys that came in one publish, or,
//! with the argument `grown`, for keys that came a few hundred to a publish, read meanwhile by a
//! worker that looks at every fiftieth table.

use std::time::Instant;

use benches::{route, table};
use route_table::{TableHandle, TableWriter};

const KEYS: usize = 1_000_000;

/// Keys that arrive together.
const BATCH: usize = 300;

fn main() {
    let is_grown = std::env::args().any(|argument| argument == "grown");
    let before = resident_bytes();
    let start = Instant::now();
    let (writer, handle) = if is_grown { grown_table() } else { table(KEYS) };
    let built = start.elapsed();
    let bytes = resident_bytes().saturating_sub(before);
    let how = if is_grown { "grown" } else { "at once" };
    println!("table_memory: {} bytes per key of {KEYS}, {how}, in {built:?}", bytes / KEYS);
    drop((writer, handle));
}

fn grown_table() -> (TableWriter, TableHandle) {
    let (mut writer, handle) = TableWriter::new();
    let mut reader = handle.reader();
    for batch in 0..KEYS.div_ceil(BATCH) {
        let keys = batch * BATCH..KEYS.min((batch + 1) * BATCH);
        keys.for_each(|n| writer.stage_put(route(n)));
        writer.publish();
        if batch % 50 == 0 {
            reader.load();
        }
    }
    reader.load();
    writer.reclaim();
    (writer, handle)
}

/// The resident set as Linux counts it, in bytes; 0 where there is no such file.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.unwrap_or(0_usize) * 1024
}
