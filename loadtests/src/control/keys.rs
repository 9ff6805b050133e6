//! A million keys: what each costs in memory, and whether a request notices how many there are.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Bench;
use super::announcer::{Announcement, Sender, host_name, make_all};
use super::ask::Asker;
use super::router::{Router, drops_at, start_upstream};
use super::row::Row;
use crate::{child, progress};

/// Memory per key, and CPU per request at few and at many keys.
pub fn measure(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let (few, many) = (bench.scaled(1_000), bench.scaled(1_000_000));
    let (address, _upstream) = start_upstream(bench, "uwsgi", bench.other_core)?;
    let address = address.to_string();
    let (mut bytes, mut ratios, mut costs) = (Vec::new(), Vec::new(), [Vec::new(), Vec::new()]);
    let mut adding = Vec::new();
    for round in 0..bench.rounds {
        let router = Router::start(bench, &["--tolerance", "3600s"])?;
        let sender = Sender::to(router.subscribe)?;
        child::pin_this_thread(bench.worker_core)?;
        announce(bench, &router, &sender, 0..few, &address)?;
        let at_few = request_us(bench, &router, few)?;
        // What the first requests and the first keys brought is not the price of a key.
        let before = router.resident_bytes()?;
        let (cpu, began) = (router.cpu_ns("subscriber")?, Instant::now());
        announce(bench, &router, &sender, few..many, &address)?;
        let took = began.elapsed();
        let cpu = router.cpu_ns("subscriber")? - cpu;
        let after = router.resident_bytes()?;
        let per_key = after.saturating_sub(before) as f64 / (many - few) as f64;
        let at_many = request_us(bench, &router, many)?;
        progress(format_args!(
            "round {round}: {per_key:.0} bytes, {at_few:.1} and {at_many:.1} µs, added in {took:.1?}"
        ));
        bytes.push(per_key);
        adding.push(cpu as f64 / 1e3 / (many - few) as f64);
        ratios.push(at_many / at_few);
        costs[0].push(at_few);
        costs[1].push(at_many);
    }
    let [at_few, at_many] = costs;
    Ok(vec![
        Row::judged(format!("memory of a key, of {many} (RSS)"), "bytes", 600.0, bytes)?,
        Row::judged(format!("a request at {many} keys against {few}"), "×", 2.0, ratios)?,
        Row::shown(format!("  CPU of a request at {few} keys"), "µs", at_few)?,
        Row::shown(format!("  CPU of a request at {many} keys"), "µs", at_many)?,
        Row::shown("  CPU of an unsigned datagram that adds a key", "µs", adding)?,
    ])
}

/// Announces keys at a pace the router keeps up with, and checks that none was lost.
fn announce(
    bench: &Bench<'_>,
    router: &Router,
    sender: &Sender,
    range: std::ops::Range<usize>,
    address: &str,
) -> Result<()> {
    let known = "suzerain_subscription_datagrams_total";
    for start in range.clone().step_by(bench.scaled(100_000)) {
        let end = range.end.min(start + bench.scaled(100_000));
        let datagrams = make_all(end - start, |n| {
            let key = host_name(start + n);
            Announcement { protocol: "uwsgi", ..Announcement::of(&key, address) }.datagram(None)
        })?;
        sender.paced(&datagrams, PER_S)?;
        router.wait_for(known, end as u64, Duration::from_secs(60))?;
    }
    let drops = drops_at(router.subscribe.port())?;
    anyhow::ensure!(drops == 0, "the kernel dropped {drops} datagrams");
    router.wait_for("suzerain_keys", range.end as u64, Duration::from_secs(10))
}

/// CPU of the worker per request, each for a key drawn evenly.
fn request_us(bench: &Bench<'_>, router: &Router, keys: usize) -> Result<f64> {
    let requests = bench.scaled(20_000);
    let mut asker = Asker::to(router.http)?;
    let mut chance = 0x9e37_79b9_7f4a_7c15_u64;
    let mut ask = |count: usize| -> Result<()> {
        for _ in 0..count {
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            let key = host_name(usize::try_from(chance >> 16).context("a number")? % keys);
            let status = asker.status_of(&key)?;
            anyhow::ensure!(status == 200, "{key} was answered with {status}");
        }
        Ok(())
    };
    ask(requests / 10)?;
    let before = router.cpu_ns("worker")?;
    ask(requests)?;
    Ok((router.cpu_ns("worker")? - before) as f64 / 1e3 / requests as f64)
}

const PER_S: f64 = 50_000.0;
