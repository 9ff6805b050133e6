//! What a request pays to find its route: canonicalisation of the Host and the lookup.
//!
//! `hit` and `miss` run lookups back to back, as a worker under load does; the processor may
//! overlap the tail of one with the head of the next. `hit_alone` makes each lookup wait for the
//! last one's result: the latency of a single cold lookup. Both draw all keys alike, which at a
//! million is a cache miss each; `hit_skewed` draws them as traffic does (Zipf, exponent 1).
//! `canonical_host` is the share of the canonicaliser.

use std::hint::black_box;
use std::sync::Arc;

use benches::{RawHost, ThreadCpuTime, host_stream, skewed_host_stream, table};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use route_table::{Dotsplit, HostBuf, Route, Table, canonical_host};

const SIZES: [usize; 3] = [1_000, 100_000, 1_000_000];

fn lookup<'t>(table: &'t Table, raw: &RawHost, dotsplit: Dotsplit) -> Option<&'t Arc<Route>> {
    let mut buf = HostBuf::new();
    let host = canonical_host(raw.as_bytes(), &mut buf).ok()?;
    table.lookup(&host, dotsplit)
}

fn table_lookup(criterion: &mut Criterion<ThreadCpuTime>) {
    let mut group = criterion.benchmark_group("table_lookup");
    let stream = host_stream(1_000, 0);
    let mut at = 0;
    group.bench_function("canonical_host", |bench| {
        bench.iter(|| {
            at = (at + 1) % stream.len();
            let mut buf = HostBuf::new();
            canonical_host(stream[at].as_bytes(), &mut buf).map(|host| host.host_port().len())
        });
    });
    for keys in SIZES {
        let (_writer, handle) = table(keys);
        let mut reader = handle.reader();
        let hits = host_stream(keys, 0);
        let misses = host_stream(keys, keys);
        let mut at = 0;
        group.bench_function(BenchmarkId::new("hit", keys), |bench| {
            bench.iter(|| {
                at = (at + 1) % hits.len();
                lookup(reader.load(), &hits[at], Dotsplit::Off).map(Arc::as_ptr)
            });
        });
        let skewed = skewed_host_stream(keys);
        group.bench_function(BenchmarkId::new("hit_skewed", keys), |bench| {
            bench.iter(|| {
                at = (at + 1) % skewed.len();
                lookup(reader.load(), &skewed[at], Dotsplit::Off).map(Arc::as_ptr)
            });
        });
        let zero = black_box(0);
        group.bench_function(BenchmarkId::new("hit_alone", keys), |bench| {
            bench.iter(|| {
                let found = lookup(reader.load(), &hits[at], Dotsplit::Off);
                let address = found.map_or(0, |route| Arc::as_ptr(route) as usize);
                at = (at + 1 + (address & zero)) % hits.len();
            });
        });
        group.bench_function(BenchmarkId::new("miss", keys), |bench| {
            bench.iter(|| {
                at = (at + 1) % misses.len();
                lookup(reader.load(), &misses[at], Dotsplit::On).is_none()
            });
        });
    }
    group.finish();
}

criterion_group! { name = group; config = benches::criterion(); targets = table_lookup }
criterion_main!(group);
