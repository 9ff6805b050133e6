//! The command line: from arguments to one of the subcommands, and from its outcome to an exit
//! code. What other programs on this crate have too is in [`shared`].
//!
//! Nothing is decided here but that: what options mean is [`crate::config`]'s business, what the
//! router does is [`crate::run`]'s. Messages for people go to standard error; what a command was
//! asked for goes to standard output.

mod arguments;
pub(crate) mod ask;
mod ctl;
mod exit;
mod explain;
mod http;
mod log;
mod package_files;
pub mod shared;
mod start;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{ArgMatches, FromArgMatches};
use tracing::level_filters::LevelFilter;

use crate::HttpFront;
use crate::announce::AnnounceArgs;
use crate::config::Program;
use crate::demo::DemoArgs;
use crate::import::ImportArgs;
use crate::top::{self, TopArgs};
use arguments::ExplainArgs;

pub use exit::{CliError, FAILED, USAGE};

/// Runs the command `args` ask for, program name first.
#[must_use]
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match dispatch(args) {
        Ok(code) => code,
        Err(error) => {
            error.print(Program::Suzerain);
            error.code()
        }
    }
}

fn dispatch(args: impl IntoIterator<Item = OsString>) -> Result<ExitCode, CliError> {
    let matches = arguments::command().try_get_matches_from(args)?;
    match matches.subcommand() {
        Some(("run", flags)) => start::run(Program::Suzerain, flags, HttpFront),
        Some(("demo", flags)) => {
            log::start(log::from_environment().unwrap_or(LevelFilter::WARN));
            crate::demo::run(&DemoArgs::from_arg_matches(flags)?)?;
            Ok(ExitCode::SUCCESS)
        }
        Some(("check", flags)) => shared::check(Program::Suzerain, flags),
        Some(("explain", flags)) => {
            let answer = explain::ask(&ExplainArgs::from_arg_matches(flags)?)?;
            shared::print(&answer)
        }
        Some(("ctl", flags)) => shared::ctl(flags),
        Some(("top", flags)) => shared::print(&top::run(&TopArgs::from_arg_matches(flags)?)?),
        Some(("announce", flags)) => announce(flags),
        Some((package_files::NAME, flags)) => shared::package_files(arguments::command(), flags),
        Some(("import-uwsgi", flags)) => {
            Ok(crate::import::run(&ImportArgs::from_arg_matches(flags)?)?)
        }
        _ => shared::version(Program::Suzerain),
    }
}

fn announce(flags: &ArgMatches) -> Result<ExitCode, CliError> {
    log::start(log::from_environment().unwrap_or(LevelFilter::INFO));
    Ok(crate::announce::run(&AnnounceArgs::from_arg_matches(flags)?)?)
}

#[cfg(test)]
mod tests;
