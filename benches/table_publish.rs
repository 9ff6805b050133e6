//! What the subscription thread pays to publish, with one reader that follows each publish.
//!
//! `one_change` replaces the route of one random key: staging, building, swapping, and freeing the
//! table before the last. `storm` replaces those of 33,000 random keys in one publish, a machine's
//! worth of vassals restarting: staging, building and swapping. `storm_reclaim` is the freeing
//! that follows when the reader moved on, old routes and nodes included.

use std::cell::RefCell;
use std::sync::Arc;

use benches::{Chance, ThreadCpuTime, route, table};
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use route_table::{Route, TableWriter};

const SIZES: [usize; 3] = [1_000, 100_000, 1_000_000];
const STORM_KEYS: usize = 33_000;

fn replace(routes: impl IntoIterator<Item = Arc<Route>>, writer: &mut TableWriter) {
    routes.into_iter().for_each(|route| writer.stage_put(route));
    writer.publish();
}

fn table_publish(criterion: &mut Criterion<ThreadCpuTime>) {
    let mut group = criterion.benchmark_group("table_publish");
    let mut chance = Chance::seeded();
    for keys in SIZES {
        let (writer, handle) = table(keys);
        let (writer, reader) = (RefCell::new(writer), RefCell::new(handle.reader()));
        let follow = || {
            reader.borrow_mut().load();
        };
        group.bench_function(BenchmarkId::new("one_change", keys), |bench| {
            bench.iter_batched(
                || {
                    follow();
                    route(chance.below(keys))
                },
                |route| replace([route], &mut writer.borrow_mut()),
                BatchSize::PerIteration,
            );
        });
        if keys < STORM_KEYS {
            continue;
        }
        group.sample_size(10);
        let mut storm =
            || -> Vec<_> { (0..STORM_KEYS).map(|_| route(chance.below(keys))).collect() };
        group.bench_function(BenchmarkId::new("storm", keys), |bench| {
            bench.iter_batched(
                || {
                    follow();
                    writer.borrow_mut().reclaim();
                    storm()
                },
                |routes| replace(routes, &mut writer.borrow_mut()),
                BatchSize::PerIteration,
            );
        });
        group.bench_function(BenchmarkId::new("storm_reclaim", keys), |bench| {
            bench.iter_batched(
                || {
                    replace(storm(), &mut writer.borrow_mut());
                    follow();
                },
                |()| writer.borrow_mut().reclaim(),
                BatchSize::PerIteration,
            );
        });
        group.sample_size(100);
    }
    group.finish();
}

criterion_group! { name = group; config = benches::criterion(); targets = table_publish }
criterion_main!(group);
