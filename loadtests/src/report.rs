//! What a comparison found, as JSON for machines; [`table`] draws it for people.
//!
//! Every round is kept raw beside the medians, with the configuration of every proxy and the
//! machine, so that a claim can be checked and repeated.

pub mod summary;
pub mod table;

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::client::tally::{Failure, Tally};
use crate::machine::{self, Machine};
use crate::measure::CpuUse;
use crate::peers::{Launch, Proxy};
use crate::proof::finding::Finding;
use crate::round::Cores;
use crate::scenario::{Case, Scenario};
use summary::Summary;

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
    /// One entry per job.
    pub comparisons: Vec<Comparison>,
    /// What came of each target, where there were any.
    pub findings: Vec<Finding>,
    /// Length of the run in seconds.
    pub took_s: f64,
}

impl Report {
    /// An empty one, begun now on this machine, whose limits are raised for it.
    pub fn begin(proxies: Vec<Contender>, cpus: usize, seed: Option<u64>) -> Result<Self> {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if cfg!(debug_assertions) {
            crate::progress("this is a debug build: the client may be the limit, use --release");
        }
        Ok(Self {
            layout: LAYOUT,
            command: std::env::args().collect(),
            started_unix: started.as_secs(),
            machine: Machine::look(cpus, machine::raise_descriptor_limit()?),
            seed: seed.unwrap_or(started.as_nanos() as u64),
            proxies,
            comparisons: Vec::new(),
            findings: Vec::new(),
            took_s: 0.0,
        })
    }

    /// As JSON into a file.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).context("writing JSON")?;
        std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
    }
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
    /// What the job was called.
    pub title: String,
    /// The workload.
    pub scenario: Scenario,
    /// Placement.
    pub case: Case,
    /// Workers of each proxy.
    pub workers: usize,
    /// CPUs.
    pub cores: Cores,
    /// Client connections.
    pub connections: usize,
    /// Bytes of the body that is moved, down or up.
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
    /// What requests cost, where that was measured.
    pub sample: Option<Sample>,
    /// What idle connections weigh, where that was measured.
    pub memory: Option<Memory>,
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
    /// CPU of the client per request in µs.
    pub client_us: f64,
    /// CPUs the client used.
    pub client_cpus: f64,
    /// CPUs the upstream used; it shares one with the client, or with the proxy in `sat`.
    pub upstream_cpus: f64,
}

/// CPU used by all that take part, within one window.
#[derive(Clone, Copy, Debug)]
pub struct Costs {
    /// The proxy's.
    pub proxy: CpuUse,
    /// The client's, in nanoseconds.
    pub client_ns: f64,
    /// The upstream's, in nanoseconds.
    pub upstream_ns: f64,
    /// CPUs of programs that are none of ours.
    pub foreign_cpus: f64,
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
    /// PSS on the way there.
    pub steps: Vec<MemoryStep>,
}

/// Memory with so many idle connections.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MemoryStep {
    /// Idle connections.
    pub connections: usize,
    /// PSS of all processes in KB.
    pub pss_kb: u64,
}

impl Memory {
    /// KB a connection adds; kernel memory of sockets is not in it.
    pub fn kb_per_connection(&self) -> f64 {
        let grown = self.pss_kb_idle as f64 - self.pss_kb_empty as f64;
        grown / self.connections.max(1) as f64
    }
}

impl Sample {
    /// From what the client counted and all used in the same window.
    pub fn new(tally: &Tally, costs: &Costs) -> Self {
        let cpu = costs.proxy;
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
            foreign_cpus: costs.foreign_cpus,
            client_us: costs.client_ns / 1e3 / requests,
            client_cpus: costs.client_ns / 1e9 / window_s,
            upstream_cpus: costs.upstream_ns / 1e9 / window_s,
        }
    }
}

/// Version of the JSON: 2 gave memory its own place, and the client and the upstream their costs.
const LAYOUT: u32 = 2;
