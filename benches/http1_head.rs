//! What a request head costs: strict parsing, and the rewrite for an HTTP upstream.
//!
//! Two heads: `curl`, the least a client sends, and `browser`, what a browser sends to a site with
//! cookies. `parse` stops at the parsed head; `parse_and_rewrite` writes the forwarded head too,
//! with the canonical host as the proxy does.

use benches::ThreadCpuTime;
use benches::heads::{BROWSER, CURL, parse, rewrite};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http1_wire::FieldSlots;

fn http1_head(criterion: &mut Criterion<ThreadCpuTime>) {
    let mut group = criterion.benchmark_group("http1_head");
    for (name, head) in [("curl", CURL), ("browser", BROWSER)] {
        group.throughput(Throughput::Bytes(head.len() as u64));
        group.bench_function(format!("parse/{name}"), |bench| {
            bench.iter(|| {
                let mut slots = FieldSlots::new();
                parse(std::hint::black_box(head), &mut slots).fields.len()
            });
        });
        let mut out = Vec::with_capacity(4096);
        group.bench_function(format!("parse_and_rewrite/{name}"), |bench| {
            bench.iter(|| {
                let mut slots = FieldSlots::new();
                rewrite(&parse(std::hint::black_box(head), &mut slots), &mut out);
                out.len()
            });
        });
    }
    group.finish();
}

criterion_group! { name = group; config = benches::criterion(); targets = http1_head }
criterion_main!(group);
