//! The `compare` command: which proxies, in which order, how often; then the report.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::child;
use crate::client::Pace;
use crate::machine::{self, Machine};
use crate::peers::{self, Proxy};
use crate::report::{Comparison, Contender, Report, Round, Setup, table};
use crate::round::{Bench, Cores, SiteLimits};
use crate::scenario::{Case, Scenario, WARMUP};
use crate::statistics::shuffled;
use crate::{progress, show};

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
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("catching signals")?;
    }
    if let Some(nice) = args.autogroup_nice {
        machine::set_autogroup_nice(nice)?;
    }
    let cpus = child::allowed_cpus()?;
    let machine = Machine::look(cpus.len(), machine::raise_descriptor_limit()?);
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = args.seed.unwrap_or(started.as_nanos() as u64);
    let mut report = Report {
        layout: 1,
        command: std::env::args().collect(),
        started_unix: started.as_secs(),
        machine,
        seed,
        proxies: contenders(args)?,
        comparisons: Vec::new(),
    };
    for contender in &report.proxies {
        if let Some(why) = &contender.skipped {
            progress(format_args!("{} is skipped: {why}", contender.proxy.name()));
        }
    }
    if cfg!(debug_assertions) {
        progress(format_args!("this is a debug build: the client may be the limit, use --release"));
    }
    let cores = cores(&cpus, args.case);
    let reference = reference(&report);
    for scenario in &args.scenario {
        let bench = bench(args, *scenario, &report.machine, cores, &stop);
        let comparison = compare(&bench, args, &report, reference)?;
        report.comparisons.push(comparison);
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    show(format_args!("{}", table::render(&report, reference)));
    if let Some(path) = &args.json {
        let text = serde_json::to_vec_pretty(&report).context("writing JSON")?;
        std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    anyhow::ensure!(!stop.load(Ordering::Relaxed), "stopped before the end");
    verdict(args, &report)
}

/// CPUs: the first for the proxy, the second for the client; one CPU alone serves all.
fn cores(cpus: &[usize], case: Case) -> Cores {
    let proxy = cpus.first().copied().unwrap_or(0);
    let client = cpus.get(1).copied().unwrap_or(proxy);
    let upstream = if case == Case::Sat { proxy } else { client };
    Cores { proxy, client, upstream }
}

fn bench<'b>(
    args: &CompareArgs,
    scenario: Scenario,
    machine: &Machine,
    cores: Cores,
    stop: &'b AtomicBool,
) -> Bench<'b> {
    let idle_most = scenario.idle_connections();
    let idle_wanted = args.idle_connections.map_or(idle_most, |count| count.min(idle_most));
    let idle_wanted = if args.smoke { idle_wanted.min(200) } else { idle_wanted };
    let idle_connections = machine.idle_connections(idle_wanted, scenario.clients_max());
    if idle_connections < idle_wanted {
        progress(format_args!("{}: {idle_connections} idle connections", scenario.name()));
    }
    let short = Duration::from_millis(300);
    Bench {
        scenario,
        connections: args
            .connections
            .and_then(|count| usize::try_from(count).ok())
            .unwrap_or(scenario.load().connections),
        pace: args.rate.map_or(Pace::Closed, |rate| Pace::Open { rate }),
        warmup: if args.smoke { short } else { WARMUP },
        window: Duration::from_secs(if args.smoke { 1 } else { args.seconds }),
        idle_connections,
        quiet_wait: if args.smoke { Duration::ZERO } else { QUIET_WAIT },
        cores,
        site: SiteLimits {
            clients_max: machine.clients_max(scenario.clients_max()),
            descriptors_max: machine.descriptors_max,
            backlog: machine.backlog_max.min(BACKLOG_MAX),
            io: args.io.clone(),
        },
        stop,
    }
}

/// All rounds of one scenario.
fn compare(
    bench: &Bench<'_>,
    args: &CompareArgs,
    report: &Report,
    reference: Option<Proxy>,
) -> Result<Comparison> {
    let mut comparison = Comparison {
        scenario: bench.scenario,
        case: args.case,
        cores: bench.cores,
        connections: bench.connections,
        body_bytes: bench.scenario.load().body_bytes,
        rate: args.rate,
        window_s: bench.window.as_secs_f64(),
        idle_connections: bench.idle_connections,
        rounds: Vec::new(),
        summary: Vec::new(),
        setups: Vec::new(),
    };
    let able = report.proxies.iter().filter_map(|contender| {
        let program = contender.program.as_deref().filter(|_| contender.skipped.is_none())?;
        bench.scenario.upstream(contender.proxy)?;
        Some((contender.proxy, program))
    });
    let able: Vec<(Proxy, &str)> = able.collect();
    let rounds = if args.smoke { 1 } else { args.rounds as usize };
    'rounds: for round in 0..rounds {
        for (proxy, program) in shuffled(&able, report.seed.wrapping_add(round as u64)) {
            let outcome = bench.measure(proxy, Path::new(program));
            if bench.stop.load(Ordering::Relaxed) {
                break 'rounds;
            }
            note(&mut comparison, round, proxy, outcome);
        }
    }
    let proxies: Vec<Proxy> = able.iter().map(|(proxy, _)| *proxy).collect();
    comparison.summarise(&proxies, reference);
    Ok(comparison)
}

fn note(
    comparison: &mut Comparison,
    round: usize,
    proxy: Proxy,
    outcome: Result<crate::round::Outcome>,
) {
    let scenario = comparison.scenario.name();
    let (sample, failed) = match outcome {
        Ok(outcome) => {
            let sample = outcome.sample;
            progress(format_args!(
                "{scenario} round {round} {}: {:.0} req/s, {:.2} µs CPU/req, {} errors, others {:.2} CPUs",
                proxy.name(),
                sample.requests_per_s,
                sample.cpu_us,
                sample.errors,
                sample.foreign_cpus
            ));
            comparison.setups.retain(|setup| setup.proxy != proxy);
            comparison.setups.push(Setup {
                proxy,
                launch: outcome.launch,
                request_as_forwarded: outcome.forwarded,
            });
            (Some(sample), None)
        }
        Err(error) => {
            progress(format_args!("{scenario} round {round} {} failed: {error:#}", proxy.name()));
            (None, Some(format!("{error:#}")))
        }
    };
    comparison.rounds.push(Round { round, proxy, sample, failed });
}

/// The proxy others are related to: ours, or the first one measured.
fn reference(report: &Report) -> Option<Proxy> {
    report.proxies.iter().find(|contender| contender.skipped.is_none()).map(|first| first.proxy)
}

/// Ours and the peers, with their programs and versions.
fn contenders(args: &CompareArgs) -> Result<Vec<Contender>> {
    let mut found = Vec::new();
    if !args.without_suzerain {
        let program = match &args.suzerain {
            Some(path) => path.clone(),
            None => our_router()?,
        };
        anyhow::ensure!(program.is_file(), "{} is no program", program.display());
        found.push(contender(Proxy::Suzerain, Some(program)));
    }
    for proxy in args.peers.iter().filter(|proxy| **proxy != Proxy::Suzerain) {
        if !found.iter().any(|other: &Contender| other.proxy == *proxy) {
            found.push(contender(*proxy, peers::find_program(proxy.name())));
        }
    }
    Ok(found)
}

fn contender(proxy: Proxy, program: Option<PathBuf>) -> Contender {
    let version = program.as_deref().and_then(|program| proxy.version(program));
    let skipped = match (&program, &version) {
        (None, _) => Some(format!("not installed (Debian package {})", proxy.package())),
        (Some(program), None) => Some(format!("{} does not tell its version", program.display())),
        _ => None,
    };
    let built = program.as_ref().and_then(|program| program.metadata().ok()?.modified().ok());
    let program_unix =
        built.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).map(|since| since.as_secs());
    let program = program.map(|program| program.display().to_string());
    Contender { proxy, program, program_unix, version, skipped }
}

/// `suzerain` beside this program, or built there.
pub fn our_router() -> Result<PathBuf> {
    let this = std::env::current_exe().context("finding this program")?;
    let directory = this.parent().context("this program has no directory")?;
    // A debug build of the tests still measures an optimised router.
    let release = match directory.file_name() {
        Some(name) if name == "debug" => directory.with_file_name("release"),
        _ => directory.to_owned(),
    };
    let program = release.join("suzerain");
    if !program.is_file() {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        progress(format_args!("building {}", program.display()));
        let status = Command::new(cargo)
            .args(["build", "--release", "--bin", "suzerain", "--manifest-path"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
            .status()
            .context("running cargo to build our router")?;
        anyhow::ensure!(status.success(), "our router could not be built (or give --suzerain)");
    }
    anyhow::ensure!(program.is_file(), "no {} after building it", program.display());
    Ok(program)
}

fn verdict(args: &CompareArgs, report: &Report) -> Result<()> {
    let mut faults = Vec::new();
    for comparison in &report.comparisons {
        let scenario = comparison.scenario.name();
        for round in &comparison.rounds {
            let name = round.proxy.name();
            match &round.sample {
                None => faults.push(format!("{scenario}: {name} failed in round {}", round.round)),
                Some(sample) if sample.errors > 0 => {
                    faults.push(format!("{scenario}: {} errors through {name}", sample.errors));
                }
                Some(_) => {}
            }
        }
        for (peer, bar) in &args.bar {
            let proxy = Proxy::ALL.into_iter().find(|proxy| proxy.name() == peer);
            if proxy.is_some_and(|proxy| comparison.scenario.upstream(proxy).is_none()) {
                continue;
            }
            let summary = comparison.summary.iter().find(|summary| summary.proxy.name() == peer);
            match summary.and_then(|summary| summary.reference_to_this) {
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

/// Longest wait for a quiet machine before a measurement.
const QUIET_WAIT: Duration = Duration::from_secs(6);
const BACKLOG_MAX: u32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cpu_serves_all_and_saturation_moves_the_upstream() {
        let keep = cores(&[2, 5], Case::Keep);
        assert_eq!((keep.proxy, keep.client, keep.upstream), (2, 5, 5));
        let sat = cores(&[2, 5], Case::Sat);
        assert_eq!((sat.proxy, sat.client, sat.upstream), (2, 5, 2));
        let alone = cores(&[0], Case::Keep);
        assert_eq!((alone.proxy, alone.client, alone.upstream), (0, 0, 0));
    }

    #[test]
    fn a_bar_names_a_known_peer_and_a_ratio() {
        assert_eq!(parse_bar("haproxy=0.90"), Ok(("haproxy".to_owned(), 0.9)));
        assert!(parse_bar("haproxy").is_err());
        assert!(parse_bar("apache=1").is_err());
    }
}
