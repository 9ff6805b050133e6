//! The commands that every program on this crate has: `run`, `check` and `version`.

use std::io::Write;
use std::process::ExitCode;

use clap::{ArgMatches, Command, FromArgMatches};

use super::CliError;
use super::arguments::CheckArgs;
use super::package_files as files;
use crate::config::{self, Program};

pub use super::arguments::{check as check_command, program as command, run as run_command};
pub use super::ctl::command as ctl_command;
pub use super::package_files::{NAME as PACKAGE_FILES, command as package_files_command};
pub use super::start::run;

/// Says whether a file is right for `program`.
///
/// # Errors
/// [`CliError`], with everything that is wrong with the file.
pub fn check(program: Program, flags: &ArgMatches) -> Result<ExitCode, CliError> {
    let args = CheckArgs::from_arg_matches(flags)?;
    let settings = config::load(program, Some(&args.file), Vec::new())?;
    let name = args.file.display();
    for warning in settings.warnings() {
        let _ = writeln!(std::io::stderr(), "{name}: warning: {warning}");
    }
    print(&format!("{name}: ok\n"))
}

/// Asks a running router something, or orders it to change.
///
/// # Errors
/// [`CliError`], with what the router said against it.
pub fn ctl(flags: &ArgMatches) -> Result<ExitCode, CliError> {
    let args = super::ctl::CtlArgs::from_arg_matches(flags)?;
    let answer = super::ctl::run(&args)?;
    print(&answer)
}

/// Prints name and version.
///
/// # Errors
/// [`CliError::Output`].
pub fn version(program: Program) -> Result<ExitCode, CliError> {
    print(&format!("{program} {}\n", env!("CARGO_PKG_VERSION")))
}

/// Writes what a package of `command` contains beside it.
///
/// # Errors
/// [`CliError::Files`].
pub fn package_files(command: Command, flags: &ArgMatches) -> Result<ExitCode, CliError> {
    files::write(command, flags).map_err(CliError::Files)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes to standard output; a reader that went away is no error.
///
/// # Errors
/// [`CliError::Output`].
pub fn print(text: &str) -> Result<ExitCode, CliError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(CliError::Output(error))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}
