//! The `proof` command: every scenario against every target, in one run, into one folder.
//!
//! It measures chapter after chapter, judges the targets, and writes a page to read (`report.md`), all
//! numbers (`report.json`) and figures. It changes nothing and knows no earlier run.

mod chapters;
mod control_side;
pub mod finding;
mod page;
mod plots;
mod publish;
mod targets;

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::compare::stop_on_signals;
use crate::contenders::{self, contenders, our_router};
use crate::job::Setting;
use crate::peers::Proxy;
use crate::report::Report;
use crate::{child, machine, progress, show};

/// Options of `proof`.
#[derive(Debug, clap::Args)]
pub struct ProofArgs {
    /// Folder for the report; made if missing, files of an earlier run are replaced.
    #[arg(long, default_value = "loadtests/report", value_name = "FOLDER")]
    out: PathBuf,
    /// Proxies to compare ours with, separated by commas. One that is not installed is skipped.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "nginx,haproxy,uwsgi")]
    peers: Vec<Proxy>,
    /// Our router's program. Default: beside this one, or built.
    #[arg(long, value_name = "PATH")]
    suzerain: Option<PathBuf>,
    /// I/O driver of our router.
    #[arg(long, default_value = "auto", value_parser = ["auto", "uring", "epoll"])]
    io: String,
    /// How often each proxy is measured in a chapter; medians count.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// Seconds counted per proxy and round.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Only these chapters, separated by commas; `--list` names them.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Name the chapters and end.
    #[arg(long)]
    list: bool,
    /// Seed of the order of proxies within a round. Default: the time.
    #[arg(long)]
    seed: Option<u64>,
    /// Scheduling weight of this session's processes against other sessions' (root may go below 0).
    #[arg(long, allow_negative_numbers = true, value_name = "NICE")]
    autogroup_nice: Option<i32>,
    /// Also put the results between the marks of this document, and the figures beside it.
    #[arg(long, value_name = "DOCUMENT")]
    publish: Option<PathBuf>,
    /// Fail when a target is missed, too; else only when a proxy or a request failed.
    #[arg(long)]
    strict: bool,
}

/// Measures, judges and writes; an error when a proxy or a request failed.
pub fn run(args: &ProofArgs) -> Result<()> {
    let chapters = chapters::all(args.rounds as usize, Duration::from_secs(args.seconds));
    if args.list {
        chapters.iter().for_each(|job| show(&job.title));
        show(control_side::TITLE);
        return Ok(());
    }
    let known = |name: &String| {
        name == control_side::TITLE || chapters.iter().any(|job| job.title == *name)
    };
    if let Some(unknown) = args.only.iter().find(|name| !known(name)) {
        anyhow::bail!("there is no chapter {unknown:?}; --list names them");
    }
    let stop = stop_on_signals()?;
    if let Some(nice) = args.autogroup_nice {
        machine::set_autogroup_nice(nice)?;
    }
    std::fs::create_dir_all(&args.out).with_context(|| format!("making {}", args.out.display()))?;
    let ours = args.suzerain.clone().map_or_else(our_router, Ok)?;
    let suzerain = ours.clone();
    let peers = [args.peers.as_slice(), &[Proxy::Floor, Proxy::Direct]].concat();
    let cpus = child::allowed_cpus()?;
    let mut report = Report::begin(contenders(Some(ours), &peers)?, cpus.len(), args.seed)?;
    contenders::announce_skipped(&report.proxies);
    let begun = Instant::now();
    let setting = Setting {
        machine: &report.machine,
        cpus: &cpus,
        contenders: &report.proxies,
        reference: Some(Proxy::Suzerain),
        seed: report.seed,
        stop: &stop,
    };
    let wanted = |title: &str| args.only.is_empty() || args.only.iter().any(|one| one == title);
    let mut comparisons = Vec::new();
    for mut job in chapters.into_iter().filter(|job| wanted(&job.title)) {
        job.io.clone_from(&args.io);
        let started = Instant::now();
        comparisons.push(job.run(&setting));
        progress(format_args!("{} took {:.0} s", job.title, started.elapsed().as_secs_f64()));
        anyhow::ensure!(!stop.load(Ordering::Relaxed), "stopped before the end");
    }
    report.comparisons = comparisons;
    report.findings = targets::judge(&report.comparisons);
    let mut control = Ok(());
    if wanted(control_side::TITLE) {
        // What was measured before must not be lost by it.
        let (findings, outcome) = control_side::measure(&suzerain, CONTROL_ROUNDS, &args.out);
        report.findings.extend(findings);
        control = outcome.context("measuring the control side");
    }
    report.took_s = begun.elapsed().as_secs_f64();
    write(args, &report)?;
    control.and(verdict(&report, args.strict))
}

/// The JSON, the figures, the page, and what is shown at once.
fn write(args: &ProofArgs, report: &Report) -> Result<()> {
    report.write(&args.out.join("report.json"))?;
    let figures = plots::draw(report, &args.out)?;
    let path = args.out.join("report.md");
    std::fs::write(&path, page::render(report, &figures))
        .with_context(|| format!("writing {}", path.display()))?;
    if let Some(document) = &args.publish {
        publish::into(document, report, &figures, &args.out)?;
    }
    show(page::summary(report));
    progress(format_args!("the whole report is {}", path.display()));
    Ok(())
}

fn verdict(report: &Report, strict: bool) -> Result<()> {
    let mut faults = Vec::new();
    for comparison in &report.comparisons {
        for round in &comparison.rounds {
            let place = format!("{}: {}", comparison.title, round.proxy.name());
            if round.failed.is_some() {
                faults.push(format!("{place} failed in round {}", round.round));
            }
            if let Some(sample) = round.sample.as_ref().filter(|sample| sample.errors > 0) {
                faults.push(format!("{place}: {} errors", sample.errors));
            }
        }
    }
    if strict {
        let missed = report.findings.iter().filter(|finding| finding.held == Some(false));
        faults.extend(missed.map(|finding| format!("{}: target missed", finding.scenario)));
    }
    anyhow::ensure!(faults.is_empty(), "{}", faults.join("; "));
    Ok(())
}

/// Its rows are long, a million keys and a hundred thousand certificates each.
const CONTROL_ROUNDS: u32 = 1;
