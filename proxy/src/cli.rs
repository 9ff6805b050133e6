//! The command line: from arguments to one of the subcommands, and from its outcome to an exit
//! code.
//!
//! Nothing is decided here but that: what options mean is [`crate::config`]'s business, what the
//! router does is [`crate::run`]'s. Messages for people go to standard error; what a command was
//! asked for goes to standard output.

mod arguments;
mod exit;
mod explain;
mod log;
mod start;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::{ArgMatches, FromArgMatches};
use tracing::level_filters::LevelFilter;

use crate::announce::AnnounceArgs;
use crate::config;
use crate::demo::DemoArgs;
use arguments::{CheckArgs, ExplainArgs};

pub use exit::{CliError, FAILED, USAGE};

/// Runs the command `args` ask for, program name first.
#[must_use]
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match dispatch(args) {
        Ok(code) => code,
        Err(error) => {
            error.print();
            error.code()
        }
    }
}

fn dispatch(args: impl IntoIterator<Item = OsString>) -> Result<ExitCode, CliError> {
    let matches = arguments::command().try_get_matches_from(args)?;
    match matches.subcommand() {
        Some(("run", flags)) => start::run(flags),
        Some(("demo", flags)) => {
            log::start(log::from_environment().unwrap_or(LevelFilter::WARN));
            crate::demo::run(&DemoArgs::from_arg_matches(flags)?)?;
            Ok(ExitCode::SUCCESS)
        }
        Some(("check", flags)) => check(&CheckArgs::from_arg_matches(flags)?),
        Some(("explain", flags)) => {
            let answer = explain::ask(&ExplainArgs::from_arg_matches(flags)?)?;
            print(&answer)
        }
        Some(("announce", flags)) => announce(flags),
        _ => print(&format!("suzerain {}\n", env!("CARGO_PKG_VERSION"))),
    }
}

fn check(args: &CheckArgs) -> Result<ExitCode, CliError> {
    let settings = config::load(Some(&args.file), Vec::new())?;
    let name = args.file.display();
    for warning in settings.warnings() {
        let _ = writeln!(std::io::stderr(), "{name}: warning: {warning}");
    }
    print(&format!("{name}: ok\n"))
}

fn announce(flags: &ArgMatches) -> Result<ExitCode, CliError> {
    log::start(log::from_environment().unwrap_or(LevelFilter::INFO));
    Ok(crate::announce::run(&AnnounceArgs::from_arg_matches(flags)?)?)
}

/// Writes to standard output; a reader that went away is no error.
fn print(text: &str) -> Result<ExitCode, CliError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(CliError::Output(error))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

#[cfg(test)]
mod tests;
