//! Whether one key's flood is felt by another: the quiet key's latency without and with it.
//!
//! One router, one worker, two keys of one upstream. The quiet key gets a fixed number of requests
//! per second on a clock; latency counts from the instant a request was due. The key in flood is
//! asked by as many connections as given, each as fast as it is answered. Three states are measured
//! in every round: no flood; a flood against a key with a rate; the same flood against a key
//! without, to see what the limit is worth.

mod flood;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::child::{self, Running};
use crate::client::{self, Pace, Plan, Reuse};
use crate::contenders::our_router;
use crate::statistics::{Spread, paired_ratio};
use crate::{machine, progress, show};

/// Options of `fairness`.
#[derive(Debug, clap::Args)]
pub struct FairnessArgs {
    /// Our router's program. Default: beside this one, or built.
    #[arg(long, value_name = "PATH")]
    suzerain: Option<PathBuf>,
    /// I/O driver of our router.
    #[arg(long, default_value = "auto", value_parser = ["auto", "uring", "epoll"])]
    io: String,
    /// How often each state is measured; the table shows medians.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds counted per state and round.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=30))]
    seconds: u64,
    /// Requests per second to the quiet key.
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// Connections that flood the other key.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=512))]
    flood: u32,
    /// Requests per second the key in flood may have.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Leave the flood without a limit out: it takes two whole CPUs.
    #[arg(long)]
    limited_only: bool,
    /// Scheduling weight of this session's processes against other sessions' (root may go below 0).
    #[arg(long, allow_negative_numbers = true, value_name = "NICE")]
    autogroup_nice: Option<i32>,
    /// Fail when the flood moves the quiet key's p99 by more than this factor.
    #[arg(long, value_name = "FACTOR")]
    bar: Option<f64>,
}

impl FairnessArgs {
    fn states(&self) -> &'static [State] {
        if self.limited_only { &State::ALL[..2] } else { &State::ALL }
    }
}

/// What disturbs the quiet key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Alone,
    LimitedFlood,
    FreeFlood,
}

impl State {
    const ALL: [Self; 3] = [Self::Alone, Self::LimitedFlood, Self::FreeFlood];

    const fn name(self) -> &'static str {
        match self {
            Self::Alone => "no flood",
            Self::LimitedFlood => "flood, limited",
            Self::FreeFlood => "flood, no limit",
        }
    }

    /// The key that is flooded.
    const fn flooded(self) -> Option<&'static str> {
        match self {
            Self::Alone => None,
            Self::LimitedFlood => Some("limited.test"),
            Self::FreeFlood => Some("free.test"),
        }
    }
}

/// What one state of one round came to.
struct Sample {
    p50_us: f64,
    p99_us: f64,
    served: u64,
    flood_served: u64,
    flood_refused: u64,
}

/// Measures all states; an error also when the quiet key lost requests or the bar was missed.
pub fn run(args: &FairnessArgs) -> Result<()> {
    machine::raise_descriptor_limit()?;
    if let Some(nice) = args.autogroup_nice {
        machine::set_autogroup_nice(nice)?;
    }
    let program = args.suzerain.clone().map_or_else(our_router, Ok)?;
    let cpus = child::allowed_cpus()?;
    let proxy_core = cpus.first().copied().unwrap_or(0);
    let other_core = cpus.get(1).copied().unwrap_or(proxy_core);
    let directory = tempfile::tempdir().context("creating a directory for the run")?;
    let _origin = start_origin(directory.path(), other_core)?;
    let (listen, mut router) = start_router(args, &program, directory.path(), proxy_core)?;
    let stop = AtomicBool::new(false);
    wait_until_serving(&mut router, listen)?;
    let mut samples: Vec<(u32, State, Sample)> = Vec::new();
    for round in 0..args.rounds {
        for &state in args.states() {
            let sample = measure(args, listen, state, other_core, &stop)?;
            router.ensure_alive()?;
            progress(format_args!("round {round}, {}: p99 {:.0} µs", state.name(), sample.p99_us));
            samples.push((round, state, sample));
        }
    }
    report(args, &samples)
}

fn measure(
    args: &FairnessArgs,
    listen: SocketAddr,
    state: State,
    core: usize,
    stop: &AtomicBool,
) -> Result<Sample> {
    let quiet = Plan {
        target: listen,
        request: request("quiet.test"),
        body_bytes: BODY_BYTES as u64,
        moved_bytes: BODY_BYTES as u64,
        connections: QUIET_CONNECTIONS,
        reuse: Reuse::KeepAlive,
        pace: Pace::Open { rate: args.rate.into() },
        warmup: WARMUP,
        window: Duration::from_secs(args.seconds),
    };
    let (got, ended) = (flood::Got::default(), AtomicBool::new(false));
    let quiet = std::thread::scope(|scope| {
        let connections = if state.flooded().is_some() { args.flood } else { 0 };
        for _ in 0..connections {
            scope.spawn(|| {
                let request = request(state.flooded().unwrap_or_default());
                if child::pin_this_thread(core).is_ok() {
                    flood::ask_on(listen, &request, &got, &ended);
                }
            });
        }
        let load = scope.spawn(|| {
            child::pin_this_thread(core)?;
            client::run(&quiet, stop, |_| Ok(()))
        });
        let quiet = load.join();
        ended.store(true, Relaxed);
        quiet
    });
    let panicked = |_| anyhow::anyhow!("the load generator panicked");
    let quiet = quiet.map_err(panicked)?.context("the quiet key's load")?;
    anyhow::ensure!(quiet.errors() == 0, "the quiet key lost: {}", quiet.describe_errors());
    Ok(Sample {
        p50_us: quiet.latency_us(0.5),
        p99_us: quiet.latency_us(0.99),
        served: quiet.requests,
        flood_served: got.served.into_inner(),
        flood_refused: got.refused.into_inner(),
    })
}

fn report(args: &FairnessArgs, samples: &[(u32, State, Sample)]) -> Result<()> {
    let of = |state: State, value: fn(&Sample) -> f64| {
        let of_state = samples.iter().filter(move |(_, other, _)| *other == state);
        Spread::of(of_state.map(|(.., sample)| value(sample))).context("no round was measured")
    };
    show("state            p50 µs   p99 µs   (min .. max)      quiet/s   flood/s   refused/s");
    for &state in args.states() {
        let p99 = of(state, |sample| sample.p99_us)?;
        let per_second = |spread: Spread, seconds: u64| spread.median / seconds as f64;
        let flood_seconds = args.seconds + WARMUP.as_secs();
        show(format_args!(
            "{:<15} {:>7.0} {:>8.0}   ({:.0} .. {:.0}) {:>12.0} {:>9.0} {:>11.0}",
            state.name(),
            of(state, |sample| sample.p50_us)?.median,
            p99.median,
            p99.min,
            p99.max,
            per_second(of(state, |sample| sample.served as f64)?, args.seconds),
            per_second(of(state, |sample| sample.flood_served as f64)?, flood_seconds),
            per_second(of(state, |sample| sample.flood_refused as f64)?, flood_seconds),
        ));
    }
    let factor = factor(samples, State::LimitedFlood)?;
    for state in args.states().iter().filter(|state| state.flooded().is_some()) {
        let by = self::factor(samples, *state)?;
        show(format_args!(
            "{}: the quiet key's p99 moves by {:.2} ({:.2} .. {:.2})",
            state.name(),
            by.median,
            by.min,
            by.max
        ));
    }
    match args.bar {
        Some(bar) if factor.median > bar => {
            anyhow::bail!("{:.2} is above the bar of {bar:.2}", factor.median)
        }
        _ => Ok(()),
    }
}

/// How `state` moves the p99, paired round by round: what disturbed the whole machine for longer
/// than a round is in both.
fn factor(samples: &[(u32, State, Sample)], state: State) -> Result<Spread> {
    let of = |state| -> Vec<(usize, f64)> {
        let mine = samples.iter().filter(|(_, other, _)| *other == state);
        mine.map(|(round, _, sample)| (*round as usize, sample.p99_us)).collect()
    };
    paired_ratio(&of(state), &of(State::Alone)).context("no round was measured")
}

fn start_origin(directory: &Path, core: usize) -> Result<Running> {
    let socket = directory.join("upstream.sock").display().to_string();
    let body_bytes = BODY_BYTES.to_string();
    let arguments =
        ["origin", "--listen", &socket, "--protocol", "http", "--body-bytes", &body_bytes]
            .map(Into::into);
    let program = std::env::current_exe().context("finding this program")?;
    Running::start("upstream", &program, &arguments, &[core], directory.join("upstream.log"))
}

fn start_router(
    args: &FairnessArgs,
    program: &Path,
    directory: &Path,
    core: usize,
) -> Result<(SocketAddr, Running)> {
    let [listen] = machine::free_addresses()?;
    let upstream = directory.join("upstream.sock").display().to_string();
    let routes = ["quiet.test", "limited.test", "free.test"]
        .map(|key| format!("\"{key}={upstream},proto=http\""))
        .join(", ");
    let text = format!(
        "http = [\"{listen}\"]\nworkers = 1\nio = \"{}\"\nroute = [{routes}]\n\n\
         [key.\"limited.test\"]\nrate-limit = \"{}/s,burst=10\"\n",
        args.io, args.limit
    );
    let file = directory.join("router.toml");
    std::fs::write(&file, text).context("writing the router's configuration")?;
    let arguments = ["run".into(), "--config".into(), file.into_os_string()];
    let log = directory.join("router.log");
    Ok((listen, Running::start("suzerain", program, &arguments, &[core], log)?))
}

fn wait_until_serving(router: &mut Running, listen: SocketAddr) -> Result<()> {
    let until = std::time::Instant::now() + START_WAIT;
    while std::net::TcpStream::connect(listen).is_err() {
        router.ensure_alive()?;
        anyhow::ensure!(std::time::Instant::now() < until, "not serving: {}", router.log_tail());
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn request(host: &str) -> Vec<u8> {
    format!("GET /shop/item?id=42 HTTP/1.1\r\nHost: {host}\r\nUser-Agent: loadtests/1\r\n\r\n")
        .into()
}

const BODY_BYTES: usize = 1024;
/// Connections of the quiet key: enough that none waits for another's answer.
const QUIET_CONNECTIONS: usize = 32;
const WARMUP: Duration = Duration::from_secs(1);
const START_WAIT: Duration = Duration::from_secs(5);
