//! What it costs to pass TLS on by server name: CPU per gigabyte, and per connection.
//!
//! Every proxy in every round is started fresh on a CPU of its own; both ends of the traffic are
//! threads of this process on the other CPU. Bytes are counted at the ends and CPU by the scheduler, of
//! the proxy with all its descendants.

mod peers;
mod traffic;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::child::{self, Running};
use crate::contenders::our_router;
use crate::measure::{self, MachineClock};
use crate::statistics::{Spread, paired_ratio, shuffled};
use crate::{machine, progress, show};

use peers::Peer;
use traffic::{Upstream, Way, pass};

/// Options of `passthrough`.
#[derive(Debug, clap::Args)]
pub struct PassthroughArgs {
    /// Our router's program. Default: beside this one, or built.
    #[arg(long, value_name = "PATH")]
    suzerain: Option<PathBuf>,
    /// I/O driver of our router.
    #[arg(long, default_value = "auto", value_parser = ["auto", "uring", "epoll"])]
    io: String,
    /// How often each proxy is measured; the table shows medians.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Megabytes each way in a round, over all connections.
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u64).range(8..=16_384))]
    megabytes: u64,
    /// Connections open at once.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=64))]
    connections: u64,
    /// Connections of one small answer each, one after the other; 0 leaves them out.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(0..=100_000))]
    small: u64,
    /// Scheduling weight of this session's processes against other sessions' (root may go below 0).
    #[arg(long, allow_negative_numbers = true, value_name = "NICE")]
    autogroup_nice: Option<i32>,
    /// Fail when our CPU per gigabyte, either way, is above this part of the best peer's.
    #[arg(long, value_name = "FACTOR")]
    bar: Option<f64>,
}

/// What is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Task {
    Bulk(Way),
    Small,
}

impl Task {
    const ALL: [Self; 3] = [Self::Bulk(Way::Down), Self::Bulk(Way::Up), Self::Small];

    const fn name(self) -> &'static str {
        match self {
            Self::Bulk(way) => way.name(),
            Self::Small => "small",
        }
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::Bulk(_) => "ms CPU per GB",
            Self::Small => "µs CPU per connection",
        }
    }
}

/// One task of one proxy in one round.
struct Sample {
    round: usize,
    peer: Peer,
    task: Task,
    cost: f64,
    foreign_cpus: f64,
}

/// Measures every proxy that is there; an error also when the bar was missed.
pub fn run(args: &PassthroughArgs) -> Result<()> {
    machine::raise_descriptor_limit()?;
    if let Some(nice) = args.autogroup_nice {
        machine::set_autogroup_nice(nice)?;
    }
    let ours = args.suzerain.clone().map_or_else(our_router, Ok)?;
    let cpus = child::allowed_cpus()?;
    let proxy_core = cpus.first().copied().unwrap_or(0);
    let other_core = cpus.get(1).copied().unwrap_or(proxy_core);
    child::pin_this_thread(other_core)?;
    let mut samples = Vec::new();
    for round in 0..args.rounds as usize {
        for peer in shuffled(&Peer::ALL, round as u64) {
            let program = if peer == Peer::Suzerain { Some(ours.clone()) } else { peer.program() };
            let Some(program) = program else {
                progress(format_args!("{} is not installed: skipped", peer.name()));
                continue;
            };
            let run = Run { args, peer, program, proxy_core, other_core };
            run.measure(round, &mut samples).with_context(|| peer.name().to_owned())?;
        }
        progress(format_args!("round {round} is done"));
    }
    report(args, &samples)
}

struct Run<'a> {
    args: &'a PassthroughArgs,
    peer: Peer,
    program: PathBuf,
    proxy_core: usize,
    other_core: usize,
}

impl Run<'_> {
    fn measure(&self, round: usize, samples: &mut Vec<Sample>) -> Result<()> {
        let args = self.args;
        let each = (args.megabytes << 20) / args.connections;
        for task in Task::ALL {
            let bytes = if task == Task::Small { SMALL_BYTES } else { each };
            if task == Task::Small && args.small == 0 {
                continue;
            }
            let upstream = Upstream::start(self.other_core, bytes)?;
            let directory = tempfile::tempdir().context("creating a directory for the run")?;
            let [listen] = machine::free_addresses()?;
            let arguments =
                self.peer.arguments(listen, upstream.address, &args.io, directory.path())?;
            let log = directory.path().join("proxy.log");
            let name = self.peer.name();
            let mut proxy =
                Running::start(name, &self.program, &arguments, &[self.proxy_core], log)?;
            let until = Instant::now() + START_WAIT;
            let way = if let Task::Bulk(way) = task { way } else { Way::Down };
            while std::net::TcpStream::connect(listen).is_err() {
                proxy.ensure_alive()?;
                anyhow::ensure!(Instant::now() < until, "not serving: {}", proxy.log_tail());
                std::thread::sleep(Duration::from_millis(20));
            }
            proxy.confine(&[self.proxy_core])?;
            // Buffers are taken and code is paged in before it counts.
            pass(listen, &upstream.hello, way, bytes).context("the first connection")?;
            let members = proxy.members()?;
            let machine = MachineClock::now()?;
            let before = measure::cpu_time(&members)?;
            match task {
                Task::Small => {
                    for _ in 0..args.small {
                        pass(listen, &upstream.hello, way, bytes)?;
                    }
                }
                Task::Bulk(way) => self.bulk(listen, &upstream.hello, way, bytes)?,
            }
            let used = measure::cpu_time(&members)?.since(&before);
            let foreign_cpus = MachineClock::now()?.foreign_cpus_since(&machine);
            let cost = match task {
                Task::Small => used.run_ns / 1e3 / args.small as f64,
                Task::Bulk(_) => used.run_ns / 1e6 / (args.megabytes as f64 / 1024.0),
            };
            samples.push(Sample { round, peer: self.peer, task, cost, foreign_cpus });
            proxy.ensure_alive()?;
        }
        Ok(())
    }

    fn bulk(&self, to: std::net::SocketAddr, hello: &[u8], way: Way, bytes: u64) -> Result<()> {
        std::thread::scope(|scope| {
            let one = || scope.spawn(move || pass(to, hello, way, bytes));
            let all: Vec<_> = (0..self.args.connections).map(|_| one()).collect();
            all.into_iter().try_for_each(|thread| {
                thread.join().map_err(|_| anyhow::anyhow!("a client panicked"))?
            })
        })
    }
}

fn report(args: &PassthroughArgs, samples: &[Sample]) -> Result<()> {
    let mut missed = Vec::new();
    for task in Task::ALL {
        let of = |peer: Peer| -> Vec<(usize, f64)> {
            let mine = samples.iter().filter(|sample| sample.peer == peer && sample.task == task);
            mine.map(|sample| (sample.round, sample.cost)).collect()
        };
        let mut best: Option<(Peer, f64)> = None;
        for peer in Peer::ALL {
            let Some(cost) = Spread::of(of(peer).into_iter().map(|(_, cost)| cost)) else {
                continue;
            };
            let half = cost.half_width_percent();
            let (name, median) = (peer.name(), cost.median);
            show(format_args!(
                "{:<6} {name:<16} {median:>8.1} {} ±{half:.0}%",
                task.name(),
                task.unit()
            ));
            if peer != Peer::Suzerain && best.is_none_or(|(_, least)| median < least) {
                best = Some((peer, median));
            }
        }
        let Some((peer, _)) = best else { continue };
        let ratio =
            paired_ratio(&of(Peer::Suzerain), &of(peer)).context("no round was measured")?;
        show(format_args!(
            "{:<6} ours is {:.2} ({:.2} .. {:.2}) of the best peer's, {}",
            task.name(),
            ratio.median,
            ratio.min,
            ratio.max,
            peer.name()
        ));
        if task != Task::Small && args.bar.is_some_and(|bar| ratio.median > bar) {
            missed.push(task.name());
        }
    }
    let foreign = Spread::of(samples.iter().map(|sample| sample.foreign_cpus));
    let foreign = foreign.map_or(0.0, |foreign| foreign.median);
    show(format_args!("others kept {foreign:.2} CPUs busy (median)"));
    anyhow::ensure!(missed.is_empty(), "above the bar: {}", missed.join(", "));
    Ok(())
}

/// The answer of a small connection.
const SMALL_BYTES: u64 = 4096;
const START_WAIT: Duration = Duration::from_secs(5);
