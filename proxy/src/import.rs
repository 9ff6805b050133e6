//! `suzerain import-uwsgi`: turns the configuration of a uWSGI router into one of ours.
//!
//! Every option of the file ends in one of three ways: it is translated, it needs nothing here, or it
//! is named on standard error with its line and the reason. None is left out in silence. The result goes
//! to standard output and is checked as `suzerain check` would.

mod answers;
mod placeholder;
mod result;
mod rules;
mod source;
mod translate;

#[cfg(test)]
mod tests;

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, ValueEnum};

use crate::config::{self, Program};

pub use source::SourceError;

/// Exit code of a translation that is not complete.
pub const INCOMPLETE: u8 = 2;

/// Arguments of `import-uwsgi`.
#[derive(Args, Debug)]
pub struct ImportArgs {
    /// The router to write a file for.
    #[arg(long, value_name = "PROGRAM", default_value = "suzerain")]
    pub program: Router,
    /// The configuration of uWSGI: .ini, or the plain form of .yml. A section may follow: FILE:SECTION.
    #[arg(value_name = "FILE.ini")]
    pub file: PathBuf,
}

/// A program that can take over.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Router {
    /// For `http…`, `https…` and `rawrouter…`.
    Suzerain,
    /// For `fastrouter…`.
    #[value(alias = "suzerain-fastrouter")]
    Fastrouter,
}

/// Why there is no result at all.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file says nothing that can be understood.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The result cannot be checked or told.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl ImportError {
    /// Whether the named file is to blame.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Source(_))
    }
}

/// What became of a file.
pub struct Imported {
    /// Our configuration.
    pub toml: String,
    /// What people are told, by line.
    pub notes: String,
    /// Whether nothing was lost.
    pub completeness: Completeness,
}

/// Whether the result says everything that the file said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Completeness {
    /// It does, and it can be run.
    Whole,
    /// Something must be done by hand.
    Partial,
}

/// Runs the command.
///
/// # Errors
/// [`ImportError`] if there is no result.
pub fn run(args: &ImportArgs) -> Result<ExitCode, ImportError> {
    let program = match args.program {
        Router::Suzerain => Program::Suzerain,
        Router::Fastrouter => Program::Fastrouter,
    };
    let imported = import(program, &args.file)?;
    let _ = io::stderr().write_all(imported.notes.as_bytes());
    let mut out = io::stdout().lock();
    match out.write_all(imported.toml.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    Ok(match imported.completeness {
        Completeness::Whole => ExitCode::SUCCESS,
        Completeness::Partial => ExitCode::from(INCOMPLETE),
    })
}

/// Translates a file.
///
/// # Errors
/// [`ImportError`] if it cannot be read.
pub fn import(program: Program, named: &Path) -> Result<Imported, ImportError> {
    let (path, section) = source::split_section(named);
    let read = source::read(&path, section.as_deref())?;
    let mut draft = translate::translate(program, read);
    let toml = draft.result.render(&path);
    let name = path.display();
    let mut notes = String::new();
    draft.notes.sort_by_key(|note| note.line);
    for note in &draft.notes {
        let _ = writeln!(notes, "{name}:{}: {}", note.line, note.text);
    }
    let lost = draft.notes.iter().filter(|note| note.is_loss()).count();
    let problems = check(program, &toml)?;
    for problem in &problems {
        let _ = writeln!(notes, "the result: {problem}");
    }
    let translated = draft.translated;
    let _ = writeln!(notes, "{name}: {translated} options translated, {lost} not");
    let whole = lost == 0 && problems.is_empty();
    let completeness = if whole { Completeness::Whole } else { Completeness::Partial };
    Ok(Imported { toml, notes, completeness })
}

/// What `check` says of the result.
fn check(program: Program, toml: &str) -> io::Result<Vec<String>> {
    let mut file = tempfile::Builder::new().prefix("suzerain").suffix(".toml").tempfile()?;
    file.write_all(toml.as_bytes())?;
    let place = format!("{}:", file.path().display());
    let Err(error) = config::load(program, Some(file.path()), Vec::new()) else {
        return Ok(Vec::new());
    };
    let problems = error.problems.iter();
    Ok(problems.map(|problem| problem.to_string().replace(&place, "line ")).collect())
}
