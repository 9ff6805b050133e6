//! What a key costs in memory: growth of the resident set by a table of 1,000,000 keys with one
//! node each, counters included. Not a timing; prints one line.

use std::time::Instant;

use benches::table;

const KEYS: usize = 1_000_000;

fn main() {
    let before = resident_bytes();
    let start = Instant::now();
    let (writer, handle) = table(KEYS);
    let built = start.elapsed();
    let bytes = resident_bytes().saturating_sub(before);
    println!("table_memory: {} bytes per key of {KEYS}, built in {built:?}", bytes / KEYS);
    drop((writer, handle));
}

/// The resident set as Linux counts it, in bytes; 0 where there is no such file.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.unwrap_or(0_usize) * 1024
}
