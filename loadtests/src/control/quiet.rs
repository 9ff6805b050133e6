//! How long requests take while something else goes on: the p99 without it and with it, in turns.
//!
//! Client, upstream and the router's worker share one CPU; what disturbs them and the router's
//! control threads have the other. So the client never waits for the CPU of the disturbance, and what
//! moves is what reaches a request.

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Bench;
use super::row::Row;
use crate::child;
use crate::client::{self, Pace, Plan, Reuse};
use crate::statistics::paired_ratio;

/// The rows of a disturbance: how far it moves the p99, and the p99 of both. What a round needs is
/// prepared outside of what is measured.
pub fn moved_by<T: Send>(
    bench: &Bench<'_>,
    what: &str,
    target: SocketAddr,
    window: Duration,
    mut prepare: impl FnMut(usize) -> Result<T>,
    disturb: impl Fn(T, &AtomicBool) -> Result<()> + Sync,
) -> Result<Vec<Row>> {
    let (mut still, mut disturbed) = (Vec::new(), Vec::new());
    for round in 0..rounds(bench) {
        let prepared = prepare(round)?;
        still.push((round, p99_us(bench, target, window)?));
        let over = AtomicBool::new(false);
        let p99 = std::thread::scope(|scope| {
            let disturbance = scope.spawn(|| {
                child::pin_this_thread(bench.other_core)?;
                disturb(prepared, &over)
            });
            let p99 = p99_us(bench, target, window);
            over.store(true, std::sync::atomic::Ordering::Relaxed);
            disturbance.join().map_err(|_| anyhow::anyhow!("the disturbance panicked"))??;
            p99
        })?;
        disturbed.push((round, p99));
    }
    let moved = paired_ratio(&disturbed, &still).context("no round")?;
    let values = |pairs: &[(usize, f64)]| pairs.iter().map(|(_, value)| *value).collect::<Vec<_>>();
    let by_round = disturbed.iter().zip(&still).map(|((_, with), (_, without))| with / without);
    let by_round: Vec<f64> = by_round.collect();
    anyhow::ensure!(moved.median.is_finite(), "no latency was measured");
    Ok(vec![
        Row::judged(format!("request p99 moved by {what}"), "×", 1.10, by_round)?,
        Row::shown(format!("  p99 without {what}"), "µs", values(&still))?,
        Row::shown(format!("  p99 with {what}"), "µs", values(&disturbed))?,
    ])
}

/// A p99 disagrees with itself more than other numbers do.
pub fn rounds(bench: &Bench<'_>) -> usize {
    bench.rounds * 3
}

fn p99_us(bench: &Bench<'_>, target: SocketAddr, window: Duration) -> Result<f64> {
    child::pin_this_thread(bench.worker_core)?;
    let plan = Plan {
        target,
        request: format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").into(),
        body_bytes: 64,
        moved_bytes: 64,
        connections: 16,
        reuse: Reuse::KeepAlive,
        pace: Pace::Open { rate: 2_000.0 },
        warmup: Duration::from_millis(200),
        window,
    };
    let tally = client::run(&plan, &AtomicBool::new(false), |_| Ok(()))?;
    anyhow::ensure!(tally.errors() == 0, "requests failed: {}", tally.describe_errors());
    Ok(tally.latency_us(0.99))
}

/// The host that is asked for.
pub const HOST: &str = "quiet.example";
