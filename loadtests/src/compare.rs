//! The `compare` command: which proxies and scenarios, how often; then the table, and the bars.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::child;
use crate::contenders::{self, contenders, our_router};
use crate::job::{Job, Part, QUIET_WAIT, Setting};
use crate::machine;
use crate::peers::Proxy;
use crate::report::{Report, table};
use crate::scenario::{Case, Scenario, WARMUP};
use crate::show;

/// Options of `compare`.
#[derive(Debug, clap::Args)]
pub struct CompareArgs {
    /// Workloads, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "keepalive")]
    scenario: Vec<Scenario>,
    /// Proxies to compare ours with, separated by commas. One that is not installed is skipped.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "nginx,haproxy,uwsgi")]
    peers: Vec<Proxy>,
    /// Write everything measured to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Our router's program. Default: beside this one, or built.
    #[arg(long, value_name = "PATH")]
    suzerain: Option<PathBuf>,
    /// Leave our router out; ratios are then to the first peer.
    #[arg(long, conflicts_with = "suzerain")]
    without_suzerain: bool,
    /// I/O driver of our router.
    #[arg(long, default_value = "auto", value_parser = ["auto", "uring", "epoll"])]
    io: String,
    /// How often each proxy is measured; the table shows medians.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds counted per proxy and round.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Client connections. Default: the scenario's (64, or 8 for big bodies).
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=4096))]
    connections: Option<u32>,
    /// Open loop: send this many requests per second whatever the proxy does; latency counts from
    /// the instant a request was due. Default: closed loop.
    #[arg(long, value_name = "PER_SECOND")]
    rate: Option<f64>,
    /// Idle connections held while weighing memory; 0 leaves it out. Default: the scenario's.
    #[arg(long, value_name = "N")]
    idle_connections: Option<usize>,
    /// `keep`: the upstream runs beside the client. `sat`: beside the proxy, whose CPU it saturates.
    #[arg(long, value_enum, default_value = "keep")]
    case: Case,
    /// Workers of each proxy; those beyond the first share CPUs with client and upstream.
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// Seed of the order of proxies within a round. Default: the time.
    #[arg(long)]
    seed: Option<u64>,
    /// Fail unless our CPU per request is at most this part of the peer's, e.g. `haproxy=0.90`
    /// (median of the rounds; applies to every scenario given that the peer can take part in).
    #[arg(long, value_name = "PEER=RATIO", value_parser = parse_bar)]
    bar: Vec<(String, f64)>,
    /// Scheduling weight of this session's processes against other sessions' (root may go below 0).
    #[arg(long, allow_negative_numbers = true, value_name = "NICE")]
    autogroup_nice: Option<i32>,
    /// Does it all work: one round of one second, 200 idle connections, no wait for a quiet machine.
    #[arg(long)]
    smoke: bool,
}

/// Runs the comparison; an error also when a proxy failed, requests failed or a bar was missed.
pub fn run(args: &CompareArgs) -> Result<()> {
    let stop = stop_on_signals()?;
    if let Some(nice) = args.autogroup_nice {
        machine::set_autogroup_nice(nice)?;
    }
    let ours = match &args.suzerain {
        _ if args.without_suzerain => None,
        Some(path) => Some(path.clone()),
        None => Some(our_router()?),
    };
    let cpus = child::allowed_cpus()?;
    let mut report = Report::begin(contenders(ours, &args.peers)?, cpus.len(), args.seed)?;
    contenders::announce_skipped(&report.proxies);
    let reference = contenders::reference(&report.proxies);
    let setting = Setting {
        machine: &report.machine,
        cpus: &cpus,
        contenders: &report.proxies,
        reference,
        seed: report.seed,
        stop: &stop,
    };
    let mut comparisons = Vec::new();
    for scenario in &args.scenario {
        comparisons.push(job(args, *scenario).run(&setting));
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    report.comparisons = comparisons;
    show(format_args!("{}", table::render(&report, reference)));
    if let Some(path) = &args.json {
        report.write(path)?;
    }
    anyhow::ensure!(!stop.load(Ordering::Relaxed), "stopped before the end");
    verdict(args, &report)
}

/// A flag that Ctrl-C and a polite end set.
pub fn stop_on_signals() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("catching signals")?;
    }
    Ok(stop)
}

fn job(args: &CompareArgs, scenario: Scenario) -> Job {
    let seconds = Duration::from_secs(args.seconds);
    Job {
        case: args.case,
        workers: args.workers,
        part: if scenario.is_memory_only() { Part::Memory } else { Part::Both },
        warmup: if args.smoke { Duration::from_millis(300) } else { WARMUP },
        connections: args.connections.and_then(|count| usize::try_from(count).ok()),
        rate: args.rate,
        idle_connections: if args.smoke { Some(200) } else { args.idle_connections },
        quiet_wait: if args.smoke { Duration::ZERO } else { QUIET_WAIT },
        io: args.io.clone(),
        ..Job::new(
            scenario,
            if args.smoke { 1 } else { args.rounds as usize },
            if args.smoke { Duration::from_secs(1) } else { seconds },
        )
    }
}

fn verdict(args: &CompareArgs, report: &Report) -> Result<()> {
    let mut faults = Vec::new();
    for comparison in &report.comparisons {
        let scenario = comparison.scenario.name();
        for round in &comparison.rounds {
            let name = round.proxy.name();
            if round.failed.is_some() {
                faults.push(format!("{scenario}: {name} failed in round {}", round.round));
            }
            if let Some(sample) = round.sample.as_ref().filter(|sample| sample.errors > 0) {
                faults.push(format!("{scenario}: {} errors through {name}", sample.errors));
            }
        }
        for (peer, bar) in &args.bar {
            let proxy = Proxy::ALL.into_iter().find(|proxy| proxy.name() == peer);
            if proxy.is_some_and(|proxy| comparison.scenario.upstream(proxy).is_none()) {
                continue;
            }
            let summary = proxy.and_then(|proxy| comparison.summary(proxy));
            let load = summary.and_then(|summary| summary.load.as_ref());
            match load.and_then(|load| load.reference_to_this) {
                Some(ratio) if ratio.median <= *bar => {}
                Some(ratio) => faults.push(format!(
                    "{scenario}: CPU per request is {:.3} of {peer}'s, the bar is {bar}",
                    ratio.median
                )),
                None => faults.push(format!("{scenario}: no ratio to {peer}, the bar is {bar}")),
            }
        }
    }
    anyhow::ensure!(faults.is_empty(), "{}", faults.join("; "));
    Ok(())
}

fn parse_bar(text: &str) -> Result<(String, f64), String> {
    let (peer, ratio) = text.split_once('=').ok_or("expected PEER=RATIO")?;
    let known = Proxy::ALL.iter().any(|proxy| proxy.name() == peer);
    let ratio = ratio.parse::<f64>().map_err(|error| error.to_string())?;
    if known && ratio > 0.0 {
        Ok((peer.to_owned(), ratio))
    } else {
        Err("expected PEER=RATIO".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_names_a_known_peer_and_a_ratio() {
        assert_eq!(parse_bar("haproxy=0.90"), Ok(("haproxy".to_owned(), 0.9)));
        assert!(parse_bar("haproxy").is_err());
        assert!(parse_bar("apache=1").is_err());
    }
}
