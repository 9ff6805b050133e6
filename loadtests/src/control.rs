//! The control side at scale: what announcements, tables and certificates cost a running router.
//!
//! Each row of the table starts the released program (and uWSGI's http router where a row compares
//! with it), drives it over its sockets, and reads what it cost from `/proc`. A row whose target was
//! missed is printed as that and is no error; a row that could not be measured is one.

mod announcer;
mod ask;
mod certificates;
mod churn;
mod datagrams;
mod first_request;
mod keys;
mod quiet;
mod restart;
mod router;
mod row;
mod uwsgi;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::child;
use crate::contenders::our_router;
use crate::machine::{self, Machine};
use crate::{progress, show};
use row::Row;

/// Options of `control`.
#[derive(Debug, clap::Args)]
pub struct ControlArgs {
    /// Our router's program. Default: beside this one, or built.
    #[arg(long, value_name = "PATH")]
    suzerain: Option<PathBuf>,
    /// Groups of rows to measure. Default: all.
    #[arg(long, value_enum, value_delimiter = ',')]
    rows: Vec<Group>,
    /// How often each number is taken; the table shows medians.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// A hundredth of the keys, to see that everything works. Targets are not judged then.
    #[arg(long)]
    smoke: bool,
    /// Where to write all numbers.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Scheduling weight of this session's processes against other sessions' (root may go below 0).
    #[arg(long, allow_negative_numbers = true, value_name = "NICE")]
    autogroup_nice: Option<i32>,
}

/// What is measured together, because it needs the same router.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Group {
    /// Memory and requests with a million keys.
    Keys,
    /// CPU per signed datagram against uWSGI's router, and what a flood of them does to requests.
    Datagrams,
    /// From a signed datagram to the first request.
    FirstRequest,
    /// A machine's worth of nodes coming back at once.
    Restart,
    /// A hundred thousand certificates.
    Certificates,
    /// Requests while the table changes.
    Churn,
}

impl Group {
    const ALL: [Self; 6] = [
        Self::Keys,
        Self::Datagrams,
        Self::FirstRequest,
        Self::Restart,
        Self::Certificates,
        Self::Churn,
    ];
}

/// What every row is given.
struct Bench<'a> {
    /// The router to measure.
    program: &'a Path,
    /// Where files of the run go.
    directory: &'a Path,
    /// CPU of the router's worker.
    worker_core: usize,
    /// CPU of everything else, the router's control threads included.
    other_core: usize,
    rounds: usize,
    /// What numbers of keys are divided by.
    divisor: usize,
}

impl Bench<'_> {
    /// So many, or a hundredth under `--smoke`.
    fn scaled(&self, count: usize) -> usize {
        (count / self.divisor).max(10)
    }
}

#[derive(Serialize)]
struct Report<'r> {
    machine: &'r Machine,
    router: String,
    is_smoke: bool,
    rows: &'r [Row],
}

/// Measures all groups asked for.
///
/// # Errors
/// When one of them could not be measured; those before it are printed.
pub fn run(args: &ControlArgs) -> Result<()> {
    let descriptors_max = machine::raise_descriptor_limit()?;
    if let Some(nice) = args.autogroup_nice {
        machine::set_autogroup_nice(nice)?;
    }
    let program = args.suzerain.clone().map_or_else(our_router, Ok)?;
    let cpus = child::allowed_cpus()?;
    let machine = Machine::look(cpus.len(), descriptors_max);
    let worker_core = cpus.first().copied().unwrap_or(0);
    let other_core = cpus.get(1).copied().unwrap_or(worker_core);
    let groups = if args.rows.is_empty() { Group::ALL.to_vec() } else { args.rows.clone() };
    let mut rows = Vec::new();
    let mut failed = Ok(());
    for group in groups {
        progress(format_args!("measuring {group:?}"));
        let directory = tempfile::tempdir().context("creating a directory for the run")?;
        let bench = Bench {
            program: &program,
            directory: directory.path(),
            worker_core,
            other_core,
            rounds: args.rounds as usize,
            divisor: if args.smoke { 100 } else { 1 },
        };
        let measured = match group {
            Group::Keys => keys::measure(&bench),
            Group::Datagrams => datagrams::measure(&bench),
            Group::FirstRequest => first_request::measure(&bench),
            Group::Restart => restart::measure(&bench),
            Group::Certificates => certificates::measure(&bench),
            Group::Churn => churn::measure(&bench),
        };
        match measured.with_context(|| format!("measuring {group:?}")) {
            Ok(more) => rows.extend(more),
            Err(error) => {
                progress(format_args!("{error:#}"));
                failed = Err(error);
            }
        }
    }
    show(format_args!(
        "{} · {} CPUs · kernel {} · load {}",
        machine.cpu, machine.cpus, machine.kernel, machine.load_average
    ));
    show(Row::HEADING);
    rows.iter().for_each(show);
    if let Some(path) = &args.json {
        let router = program.display().to_string();
        let report = Report { machine: &machine, router, is_smoke: args.smoke, rows: &rows };
        let text = serde_json::to_string_pretty(&report).context("writing JSON")?;
        std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    failed
}
