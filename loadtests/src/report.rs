//! What a comparison found, as JSON for machines; [`table`] draws it for people.
//!
//! Every round is kept raw beside the medians, with the configuration of every proxy and the
//! machine, so that a claim can be checked and repeated.

pub mod table;

use serde::Serialize;

use crate::client::tally::{Failure, Tally};
use crate::machine::Machine;
use crate::measure::CpuUse;
use crate::peers::{Launch, Proxy};
use crate::round::Cores;
use crate::scenario::{Case, Scenario};
use crate::statistics::{Spread, paired_ratio};

/// A whole run of `compare`.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Version of this layout.
    pub layout: u32,
    /// The command line.
    pub command: Vec<String>,
    /// Seconds since 1970 at the start.
    pub started_unix: u64,
    /// Where it ran.
    pub machine: Machine,
    /// Seed of the order within rounds.
    pub seed: u64,
    /// Every proxy asked for.
    pub proxies: Vec<Contender>,
    /// One entry per scenario.
    pub comparisons: Vec<Comparison>,
}

/// A proxy that takes part, or why it does not.
#[derive(Debug, Serialize)]
pub struct Contender {
    /// Which.
    pub proxy: Proxy,
    /// Its program.
    pub program: Option<String>,
    /// When the program was built or installed, seconds since 1970.
    pub program_unix: Option<u64>,
    /// What it says about itself.
    pub version: Option<String>,
    /// Why it is left out.
    pub skipped: Option<String>,
}

/// One scenario over all proxies and rounds.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// The workload.
    pub scenario: Scenario,
    /// Placement.
    pub case: Case,
    /// CPUs.
    pub cores: Cores,
    /// Client connections.
    pub connections: usize,
    /// Body length.
    pub body_bytes: usize,
    /// Open-loop rate in requests per second; closed loop without.
    pub rate: Option<f64>,
    /// Length of a counted window in seconds.
    pub window_s: f64,
    /// Idle connections asked for when weighing memory.
    pub idle_connections: usize,
    /// Every measurement, in the order taken.
    pub rounds: Vec<Round>,
    /// The medians, in the order of the table.
    pub summary: Vec<Summary>,
    /// How each proxy was started (ports and paths differ per round).
    pub setups: Vec<Setup>,
}

/// How a proxy was set up, and what it made of a request.
#[derive(Debug, Serialize)]
pub struct Setup {
    /// Which.
    pub proxy: Proxy,
    /// Arguments and configuration file of its last start.
    pub launch: Launch,
    /// A request as its upstream received it.
    pub request_as_forwarded: String,
}

/// One measurement.
#[derive(Debug, Serialize)]
pub struct Round {
    /// Counted from 0.
    pub round: usize,
    /// Which.
    pub proxy: Proxy,
    /// The numbers.
    pub sample: Option<Sample>,
    /// Why there are none.
    pub failed: Option<String>,
}

/// Numbers of one proxy in one round.
#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    /// Requests in the window.
    pub requests: u64,
    /// Requests per second.
    pub requests_per_s: f64,
    /// CPU of the proxy per request in µs.
    pub cpu_us: f64,
    /// Its part in user mode.
    pub user_us: f64,
    /// Its part in kernel mode.
    pub system_us: f64,
    /// CPUs the proxy used: 1.0 is one CPU saturated.
    pub cpus: f64,
    /// Median latency in µs.
    pub p50_us: f64,
    /// 99th percentile in µs.
    pub p99_us: f64,
    /// 99.9th percentile in µs.
    pub p999_us: f64,
    /// Body bits per second, in 10⁹.
    pub gbit_per_s: f64,
    /// CPU of the proxy per 10⁹ body bytes, in ms.
    pub cpu_ms_per_gb: f64,
    /// Failed requests.
    pub errors: u64,
    /// Their kinds.
    pub failures: Vec<(Failure, u64)>,
    /// Kept-alive connections the proxy closed between requests.
    pub reconnects: u64,
    /// CPUs other programs used meanwhile: above 0.2 the round is doubtful.
    pub foreign_cpus: f64,
    /// Memory, where it was weighed.
    pub memory: Option<Memory>,
}

/// Resident memory of a proxy with all its processes, in KB.
#[derive(Clone, Debug, Serialize)]
pub struct Memory {
    /// Idle connections opened.
    pub connections: usize,
    /// Those the proxy had not closed when it was weighed.
    pub still_open: usize,
    /// RSS without clients.
    pub rss_kb_empty: u64,
    /// PSS without clients.
    pub pss_kb_empty: u64,
    /// RSS with the idle connections.
    pub rss_kb_idle: u64,
    /// PSS with the idle connections.
    pub pss_kb_idle: u64,
}

impl Memory {
    /// KB a connection adds; kernel memory of sockets is not in it.
    pub fn kb_per_connection(&self) -> f64 {
        let grown = self.pss_kb_idle as f64 - self.pss_kb_empty as f64;
        grown / self.connections.max(1) as f64
    }
}

impl Sample {
    /// From what the client counted and the proxy used in the same window.
    pub fn new(tally: &Tally, cpu: CpuUse, foreign_cpus: f64) -> Self {
        let window_s = tally.window.as_secs_f64();
        let requests = tally.requests as f64;
        let cpu_us = cpu.run_ns / 1e3 / requests;
        Self {
            requests: tally.requests,
            requests_per_s: requests / window_s,
            cpu_us,
            user_us: cpu_us * cpu.user_share,
            system_us: cpu_us * (1.0 - cpu.user_share),
            cpus: cpu.run_ns / 1e9 / window_s,
            p50_us: tally.latency_us(0.5),
            p99_us: tally.latency_us(0.99),
            p999_us: tally.latency_us(0.999),
            gbit_per_s: tally.body_bytes as f64 * 8.0 / 1e9 / window_s,
            cpu_ms_per_gb: cpu.run_ns / 1e6 / (tally.body_bytes.max(1) as f64 / 1e9),
            errors: tally.errors(),
            failures: tally.failures(),
            reconnects: tally.reconnects,
            foreign_cpus,
            memory: None,
        }
    }
}

/// Medians of one proxy in one scenario.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Which.
    pub proxy: Proxy,
    /// Rounds that gave numbers.
    pub rounds: usize,
    /// See [`Sample`].
    pub requests_per_s: Spread,
    /// See [`Sample`].
    pub cpu_us: Spread,
    /// See [`Sample`].
    pub user_us: Spread,
    /// See [`Sample`].
    pub system_us: Spread,
    /// See [`Sample`].
    pub p50_us: Spread,
    /// See [`Sample`].
    pub p99_us: Spread,
    /// See [`Sample`].
    pub gbit_per_s: Spread,
    /// See [`Sample`].
    pub cpu_ms_per_gb: Spread,
    /// See [`Memory`].
    pub rss_kb_empty: Option<Spread>,
    /// See [`Memory`].
    pub rss_kb_idle: Option<Spread>,
    /// See [`Memory::kb_per_connection`].
    pub kb_per_connection: Option<Spread>,
    /// Idle connections that were lost, all rounds together.
    pub idle_lost: usize,
    /// Errors of all rounds together.
    pub errors: u64,
    /// Most CPUs others used in a round.
    pub foreign_cpus_max: f64,
    /// CPU per request as a multiple of the reference's (medians).
    pub cpu_to_reference: Option<f64>,
    /// The reference's CPU per request as a part of this one's, round by round.
    pub reference_to_this: Option<Spread>,
}

impl Comparison {
    /// Fills [`Comparison::summary`] from the rounds, in the order of `proxies`, relative to `reference`.
    pub fn summarise(&mut self, proxies: &[Proxy], reference: Option<Proxy>) {
        let summary =
            proxies.iter().filter_map(|proxy| self.summary_of(*proxy, reference)).collect();
        self.summary = summary;
    }

    fn samples(&self, proxy: Proxy) -> Vec<(usize, &Sample)> {
        let of_proxy = self.rounds.iter().filter(|round| round.proxy == proxy);
        of_proxy.filter_map(|round| round.sample.as_ref().map(|s| (round.round, s))).collect()
    }

    fn cpu_by_round(&self, proxy: Proxy) -> Vec<(usize, f64)> {
        self.samples(proxy).into_iter().map(|(round, sample)| (round, sample.cpu_us)).collect()
    }

    fn summary_of(&self, proxy: Proxy, reference: Option<Proxy>) -> Option<Summary> {
        let samples = self.samples(proxy);
        let over = |pick: fn(&Sample) -> f64| Spread::of(samples.iter().map(|(_, s)| pick(s)));
        let weighed: Vec<&Memory> =
            samples.iter().filter_map(|(_, sample)| sample.memory.as_ref()).collect();
        let memory = |pick: fn(&Memory) -> f64| Spread::of(weighed.iter().map(|m| pick(m)));
        let cpu_us = over(|sample| sample.cpu_us)?;
        let base = reference.map(|reference| self.cpu_by_round(reference)).unwrap_or_default();
        let base_median = Spread::of(base.iter().map(|(_, cpu)| *cpu)).map(|spread| spread.median);
        Some(Summary {
            proxy,
            rounds: samples.len(),
            requests_per_s: over(|sample| sample.requests_per_s)?,
            cpu_us,
            user_us: over(|sample| sample.user_us)?,
            system_us: over(|sample| sample.system_us)?,
            p50_us: over(|sample| sample.p50_us)?,
            p99_us: over(|sample| sample.p99_us)?,
            gbit_per_s: over(|sample| sample.gbit_per_s)?,
            cpu_ms_per_gb: over(|sample| sample.cpu_ms_per_gb)?,
            rss_kb_empty: memory(|memory| memory.rss_kb_empty as f64),
            rss_kb_idle: memory(|memory| memory.rss_kb_idle as f64),
            kb_per_connection: memory(Memory::kb_per_connection),
            idle_lost: weighed.iter().map(|m| m.connections.saturating_sub(m.still_open)).sum(),
            errors: samples.iter().map(|(_, sample)| sample.errors).sum(),
            foreign_cpus_max: samples.iter().map(|(_, s)| s.foreign_cpus).fold(0.0, f64::max),
            cpu_to_reference: base_median.map(|base| cpu_us.median / base),
            reference_to_this: paired_ratio(&base, &self.cpu_by_round(proxy)),
        })
    }
}
