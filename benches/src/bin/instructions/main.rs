//! Instruction counts of single steps and of one whole exchange, held against a baseline.
//!
//! `instructions check SUZERAIN` counts under callgrind and fails when a count has grown by more than
//! [`baseline::GROWTH_MAX`]; `instructions bless SUZERAIN` writes what it counted as the new baseline. `SUZERAIN` is
//! the router's release build. Counts do not depend on load or on the clock of the machine, so that a run in CI
//! tells what a benchmark on a shared machine cannot.

#![forbid(unsafe_code)]

mod baseline;
mod callgrind;
mod exchange;
mod steps;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use baseline::{Baseline, Count};
use callgrind::CallgrindError;
use exchange::{ExchangeError, Upstream};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["step", name, times] => return run_step(name, times),
        ["check", suzerain] => count_all(Path::new(suzerain)).and_then(|counts| check(&counts)),
        ["bless", suzerain] => count_all(Path::new(suzerain)).and_then(|counts| bless(&counts)),
        _ => Err(Failure::Usage),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

/// Why the counts are not known, or not good.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("usage: instructions check|bless PATH-OF-SUZERAIN")]
    Usage,
    #[error(transparent)]
    Callgrind(#[from] CallgrindError),
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    #[error("the baseline: {0}")]
    Baseline(#[from] std::io::Error),
    #[error("more instructions than the baseline allows; see benches/README.md")]
    Grown,
}

/// What runs under callgrind.
fn run_step(name: &str, times: &str) -> ExitCode {
    match (steps::find(name), times.parse()) {
        (Some(step), Ok(times)) => {
            step(times);
            ExitCode::SUCCESS
        }
        _ => ExitCode::FAILURE,
    }
}

fn count_all(suzerain: &Path) -> Result<Vec<Count>, Failure> {
    let mut counts = Vec::new();
    let mut note = |name: &str, instructions: f64, since: Instant| {
        println!(
            "{name:<28} {instructions:>10.1}   counted in {:.1} s",
            since.elapsed().as_secs_f64()
        );
        counts.push(Count { name: name.to_owned(), instructions });
    };
    let this = std::env::current_exe()?;
    for (name, _) in steps::STEPS {
        let since = Instant::now();
        note(name, callgrind::per_call(&this, name)?, since);
    }
    for (name, upstream) in [("exchange/http", Upstream::Http), ("exchange/uwsgi", Upstream::Uwsgi)]
    {
        let since = Instant::now();
        note(name, exchange::per_exchange(suzerain, upstream)?, since);
    }
    Ok(counts)
}

fn check(counts: &[Count]) -> Result<(), Failure> {
    let baseline = Baseline::read(&baseline_path())?;
    let here = baseline::place();
    if baseline.place != here {
        println!(
            "the baseline was made with {}\nthis is                     {here}",
            baseline.place
        );
        // CI must notice growth in any case; elsewhere another compiler or C library is no fault.
        if std::env::var_os("CI").is_none() {
            println!("not compared: `make bless-instructions` before a change, compare after it");
            return Ok(());
        }
    }
    let lines: Vec<(String, bool)> = baseline.compare(counts);
    lines.iter().for_each(|(line, _)| println!("{line}"));
    if lines.iter().all(|(_, good)| *good) { Ok(()) } else { Err(Failure::Grown) }
}

fn bless(counts: &[Count]) -> Result<(), Failure> {
    let path = baseline_path();
    Baseline::write(&path, counts)?;
    println!("wrote {}", path.display());
    Ok(())
}

fn baseline_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("baselines/instructions.txt")
}
