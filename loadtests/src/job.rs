//! One job: a scenario with its numbers, measured on all proxies in alternating rounds.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;

use crate::client::Pace;
use crate::machine::Machine;
use crate::peers::Proxy;
use crate::progress;
use crate::report::{Comparison, Contender, Round, Setup};
use crate::round::{Bench, Cores, Outcome, SiteLimits};
use crate::scenario::{Case, Scenario, WARMUP};
use crate::statistics::shuffled;

/// What to measure, on which proxies, how often and how long.
#[derive(Clone, Debug)]
pub struct Job {
    /// What it is called in a report.
    pub title: String,
    /// The workload.
    pub scenario: Scenario,
    /// Where the upstream runs.
    pub case: Case,
    /// Workers of each proxy.
    pub workers: usize,
    /// Load, memory or both.
    pub part: Part,
    /// How often each proxy is measured.
    pub rounds: usize,
    /// Length of a counted window.
    pub window: Duration,
    /// Uncounted load before it.
    pub warmup: Duration,
    /// Client connections, unless the scenario's.
    pub connections: Option<usize>,
    /// Requests per second in an open loop.
    pub rate: Option<f64>,
    /// Idle connections while weighing memory, at most the scenario's.
    pub idle_connections: Option<usize>,
    /// Whether to wait for others on the machine to rest.
    pub quiet_wait: Duration,
    /// I/O driver of our router.
    pub io: String,
    /// Only these proxies; empty means all that are able, but not the upstream alone.
    pub only: Vec<Proxy>,
}

/// What of a proxy is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// What requests cost.
    Load,
    /// What idle connections weigh.
    Memory,
    /// Both, in separate starts.
    Both,
}

/// What all jobs of a run share.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'s> {
    /// The machine.
    pub machine: &'s Machine,
    /// CPUs this run may use.
    pub cpus: &'s [usize],
    /// Every proxy asked for.
    pub contenders: &'s [Contender],
    /// The one others are related to.
    pub reference: Option<Proxy>,
    /// Seed of the order within rounds.
    pub seed: u64,
    /// Set when the run shall end.
    pub stop: &'s AtomicBool,
}

impl Job {
    /// The scenario as it is, in a closed loop.
    pub fn new(scenario: Scenario, rounds: usize, window: Duration) -> Self {
        Self {
            title: scenario.name().to_owned(),
            scenario,
            case: Case::Keep,
            workers: 1,
            part: Part::Both,
            rounds,
            window,
            warmup: WARMUP,
            connections: None,
            rate: None,
            idle_connections: None,
            quiet_wait: QUIET_WAIT,
            io: "auto".to_owned(),
            only: Vec::new(),
        }
    }

    /// All rounds; a proxy that fails is noted and the rest goes on.
    pub fn run(&self, setting: &Setting<'_>) -> Comparison {
        let bench = self.bench(setting);
        let mut comparison = Comparison {
            title: self.title.clone(),
            scenario: self.scenario,
            case: self.case,
            workers: self.workers,
            cores: bench.cores.clone(),
            connections: bench.connections,
            body_bytes: self.scenario.load().moved_bytes(),
            rate: self.rate,
            window_s: bench.window.as_secs_f64(),
            idle_connections: bench.idle_connections,
            rounds: Vec::new(),
            summary: Vec::new(),
            setups: Vec::new(),
        };
        let able = self.able(setting.contenders);
        'rounds: for round in 0..self.rounds {
            for (proxy, program) in shuffled(&able, setting.seed.wrapping_add(round as u64)) {
                let outcome = bench.measure(proxy, Path::new(&program));
                if setting.stop.load(Ordering::Relaxed) {
                    break 'rounds;
                }
                note(&mut comparison, round, proxy, outcome);
            }
        }
        let proxies: Vec<Proxy> = able.iter().map(|(proxy, _)| *proxy).collect();
        comparison.summarise(&proxies, setting.reference);
        comparison
    }

    /// The proxies that can take part, with their programs.
    fn able(&self, contenders: &[Contender]) -> Vec<(Proxy, String)> {
        let able = contenders.iter().filter_map(|contender| {
            let proxy = contender.proxy;
            let program = contender.program.as_deref().filter(|_| contender.skipped.is_none())?;
            // The upstream alone is no contender: only a job that names it wants it.
            let wanted = match self.only.as_slice() {
                [] => proxy != Proxy::Direct,
                only => only.contains(&proxy),
            };
            self.scenario.upstream(proxy).filter(|_| wanted)?;
            Some((proxy, self.scenario.program(proxy, program)))
        });
        able.collect()
    }

    fn bench<'b>(&self, setting: &Setting<'b>) -> Bench<'b> {
        let (scenario, machine) = (self.scenario, setting.machine);
        let idle_most = match self.part {
            Part::Load => 0,
            Part::Memory | Part::Both => scenario.idle_connections(),
        };
        let idle_wanted = self.idle_connections.map_or(idle_most, |count| count.min(idle_most));
        let idle_connections = machine.idle_connections(idle_wanted, scenario.clients_max());
        if idle_connections < idle_wanted {
            progress(format_args!("{}: {idle_connections} idle connections", scenario.name()));
        }
        Bench {
            scenario,
            part: self.part,
            connections: self.connections.unwrap_or(scenario.load().connections),
            pace: self.rate.map_or(Pace::Closed, |rate| Pace::Open { rate }),
            warmup: self.warmup,
            window: self.window,
            idle_connections,
            quiet_wait: self.quiet_wait,
            cores: cores(setting.cpus, self.case, self.workers),
            site: SiteLimits {
                workers: self.workers,
                clients_max: machine.clients_max(scenario.clients_max()),
                descriptors_max: machine.descriptors_max,
                backlog: machine.backlog_max.min(BACKLOG_MAX),
                io: self.io.clone(),
            },
            stop: setting.stop,
        }
    }
}

/// CPUs: the first for the proxy, the second for the client; one CPU alone serves all. More workers
/// take the following CPUs too, as far as there are any.
fn cores(cpus: &[usize], case: Case, workers: usize) -> Cores {
    let first = cpus.first().copied().unwrap_or(0);
    let client = cpus.get(1).copied().unwrap_or(first);
    let proxy = cpus.iter().copied().take(workers.max(1)).collect();
    let upstream = if case == Case::Sat { first } else { client };
    Cores { proxy, client, upstream }
}

fn note(comparison: &mut Comparison, round: usize, proxy: Proxy, outcome: Result<Outcome>) {
    let (scenario, name) = (comparison.title.clone(), proxy.name());
    let (sample, memory, failed) = match outcome {
        Ok(outcome) => {
            if let Some(sample) = &outcome.sample {
                progress(format_args!(
                    "{scenario} round {round} {name}: {:.0} req/s, {:.2} µs CPU/req, {} errors, \
                     others {:.2} CPUs",
                    sample.requests_per_s, sample.cpu_us, sample.errors, sample.foreign_cpus
                ));
            }
            if let Some(memory) = &outcome.memory {
                progress(format_args!(
                    "{scenario} round {round} {name}: {:.2} KB for each of {} idle connections",
                    memory.kb_per_connection(),
                    memory.connections
                ));
            }
            comparison.setups.retain(|setup| setup.proxy != proxy);
            comparison.setups.push(Setup {
                proxy,
                launch: outcome.launch,
                request_as_forwarded: outcome.forwarded,
            });
            (outcome.sample, outcome.memory, None)
        }
        Err(error) => {
            progress(format_args!("{scenario} round {round} {name} failed: {error:#}"));
            (None, None, Some(format!("{error:#}")))
        }
    };
    comparison.rounds.push(Round { round, proxy, sample, memory, failed });
}

/// Longest wait for a quiet machine before a measurement.
pub const QUIET_WAIT: Duration = Duration::from_secs(6);
const BACKLOG_MAX: u32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cpu_serves_all_and_saturation_moves_the_upstream() {
        let keep = cores(&[2, 5], Case::Keep, 1);
        assert_eq!((keep.proxy, keep.client, keep.upstream), (vec![2], 5, 5));
        let sat = cores(&[2, 5], Case::Sat, 1);
        assert_eq!((sat.proxy, sat.client, sat.upstream), (vec![2], 5, 2));
        let alone = cores(&[0], Case::Keep, 1);
        assert_eq!((alone.proxy, alone.client, alone.upstream), (vec![0], 0, 0));
        assert_eq!(cores(&[2, 5], Case::Keep, 2).proxy, [2, 5]);
    }
}
