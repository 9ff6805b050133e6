//! Says that the router is alive, for as long as every worker is.

use std::{io, sync::Arc, thread, time::Duration};

use router_core::{
    deadline,
    drain::{Drain, DrainPhase},
    metrics::{Metrics, WorkerCell},
};

use super::ServiceManager;

/// How old the last tick of a worker may be, whatever the interval: a loaded machine is not a dead one.
const TICK_AGE_MS_MIN: u64 = 2_000;

/// Starts the thread that reports to `manager`, if the environment asks for it. It ends with the router.
///
/// # Errors
/// If the system refuses a thread.
pub fn start(
    manager: &Arc<ServiceManager>,
    metrics: &Arc<Metrics>,
    drain: &Arc<Drain>,
) -> io::Result<()> {
    let Some(interval) = interval() else { return Ok(()) };
    let (manager, metrics, drain) = (manager.clone(), metrics.clone(), drain.clone());
    let report = move || {
        let age_ms_max = (interval.as_millis() as u64 / 2).max(TICK_AGE_MS_MIN);
        while drain.phase() <= DrainPhase::Serving {
            if all_tick(&metrics, age_ms_max, deadline::process_ms()) {
                manager.alive();
            } else {
                tracing::error!(
                    "a worker does not tick: the watchdog is not told that all is well"
                );
            }
            thread::sleep(interval / 2);
        }
        // A drain has a limit of its own, and workers end in it.
        while drain.phase() < DrainPhase::Aborting {
            manager.alive();
            thread::sleep(interval / 2);
        }
    };
    thread::Builder::new().name("watchdog".into()).spawn(report).map(drop)
}

/// How often the service manager wants to hear something, if it does from this process.
fn interval() -> Option<Duration> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    let micros = number("WATCHDOG_USEC").filter(|micros| *micros > 0 && is_ours)?;
    Some(Duration::from_micros(micros))
}

fn all_tick(metrics: &Metrics, age_ms_max: u64, now_ms: u64) -> bool {
    (0..metrics.workers()).all(|worker| {
        let ticked_ms = metrics.shard(worker).cell(WorkerCell::TickedMs);
        now_ms.saturating_sub(ticked_ms) <= age_ms_max
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_worker_that_stands_still_is_enough() {
        let metrics = Metrics::with_head_rejects(2, &[]);
        metrics.shard(0).set(WorkerCell::TickedMs, 10_000);
        metrics.shard(1).set(WorkerCell::TickedMs, 9_000);
        assert!(all_tick(&metrics, 2_000, 11_000));
        assert!(!all_tick(&metrics, 2_000, 11_001));
    }
}
