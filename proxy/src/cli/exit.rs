//! How a command ends when it does not end well: what is said and the exit code.

use std::io::Write;
use std::process::ExitCode;

use crate::announce::AnnounceError;
use crate::config::{ConfigError, Program};
use crate::demo::DemoError;
use crate::import::ImportError;
use crate::top::TopError;

use super::ask::AskError;
use super::ctl::CtlClientError;

/// Exit code of something that went wrong while running.
pub const FAILED: u8 = 1;
/// Exit code of a bad flag or file: `EX_USAGE` of sysexits(3).
pub const USAGE: u8 = 64;
/// Exit code where no router answers: `EX_UNAVAILABLE`.
pub const UNAVAILABLE: u8 = 69;
/// Exit code of what the caller may not do: `EX_NOPERM`.
pub const NOT_PERMITTED: u8 = 77;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The arguments mean no command; also how help asks to be printed.
    #[error(transparent)]
    Arguments(#[from] clap::Error),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The router could not start or had to stop.
    #[error(transparent)]
    Run(#[from] crate::RunError),
    /// The admin socket gave no answer.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// A running router was not asked, or said no.
    #[error(transparent)]
    Ctl(#[from] CtlClientError),
    /// There is nothing to see.
    #[error(transparent)]
    Top(#[from] TopError),
    /// Announcing failed.
    #[error(transparent)]
    Announce(#[from] AnnounceError),
    /// The demo failed.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// A file of uWSGI's says nothing.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// A directory cannot be written to.
    #[error("cannot write there: {0}")]
    Files(std::io::Error),
    /// Standard output cannot be written.
    #[error("standard output: {0}")]
    Output(std::io::Error),
}

impl CliError {
    /// The exit code of the process.
    #[must_use]
    pub fn code(&self) -> ExitCode {
        match self {
            // Help and version are answers, not failures.
            Self::Arguments(error) if !error.use_stderr() => ExitCode::SUCCESS,
            Self::Arguments(_) | Self::Config(_) => ExitCode::from(USAGE),
            // A certificate file the operator named is as wrong as a flag.
            Self::Run(crate::RunError::Certificates(_)) => ExitCode::from(USAGE),
            Self::Announce(error) if error.is_usage() => ExitCode::from(USAGE),
            Self::Import(error) if error.is_usage() => ExitCode::from(USAGE),
            Self::Top(error) if error.is_usage() => ExitCode::from(USAGE),
            Self::Ask(error) if error.is_usage() => ExitCode::from(USAGE),
            Self::Ctl(error) => ExitCode::from(error.code()),
            _ => ExitCode::from(FAILED),
        }
    }

    /// Says it to whom it concerns.
    pub fn print(&self, program: Program) {
        match self {
            Self::Arguments(error) => {
                let _ = error.print();
            }
            Self::Config(error) => {
                let _ = writeln!(std::io::stderr(), "{error}");
            }
            Self::Ctl(CtlClientError::Refused { said, json: true, .. }) => {
                let _ = write!(std::io::stdout(), "{said}");
            }
            other => {
                let _ = writeln!(std::io::stderr(), "{program}: {other}");
            }
        }
    }
}
