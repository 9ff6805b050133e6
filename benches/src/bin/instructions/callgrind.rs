//! Running a program under callgrind and reading how many instructions it took.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why there is no count.
#[derive(Debug, thiserror::Error)]
pub enum CallgrindError {
    /// It did not start; mostly it is not installed.
    #[error("running {program} (Debian package valgrind): {source}")]
    Start {
        /// Which program.
        program: &'static str,
        #[source]
        source: std::io::Error,
    },
    /// It ended with an error of its own or of the program.
    #[error("{what} failed under callgrind:\n{output}")]
    Failed {
        /// What ran.
        what: String,
        /// What was printed.
        output: String,
    },
    /// The output has no total.
    #[error("no total in {0}")]
    NoTotal(PathBuf),
    /// A file that should be there is not.
    #[error("reading {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// Instructions of one call of a step. Only what happens inside of [`COUNTED_IN`] is counted, so that start
/// and preparation, which depend on chance, fall out.
pub fn per_call(program: &Path, step: &str) -> Result<f64, CallgrindError> {
    let folder = folder()?;
    let out = folder.path().join("callgrind.out");
    let output = command(&out)
        .arg(format!("--toggle-collect={COUNTED_IN}"))
        .arg(program)
        .args(["step", step, &CALLS.to_string()])
        .stdin(Stdio::null())
        .output()
        .map_err(|source| CallgrindError::Start { program: "valgrind", source })?;
    if !output.status.success() {
        let output = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(CallgrindError::Failed { what: step.to_owned(), output });
    }
    Ok(total(&out)? as f64 / CALLS as f64)
}

/// A folder for what callgrind writes.
pub fn folder() -> Result<tempfile::TempDir, CallgrindError> {
    tempfile::Builder::new()
        .prefix("instructions-")
        .tempdir()
        .map_err(|source| CallgrindError::Read { path: std::env::temp_dir(), source })
}

/// `valgrind` up to the program.
pub fn command(out: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--quiet"]);
    let mut file = std::ffi::OsString::from("--callgrind-out-file=");
    file.push(out);
    command.arg(file);
    // The environment moves the stack, and with it what alignment costs.
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// The sum of an output file.
pub fn total(path: &Path) -> Result<u64, CallgrindError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| CallgrindError::Read { path: path.to_owned(), source })?;
    let line = text
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")));
    let number = line.and_then(|line| line.split_ascii_whitespace().next());
    let total = number.and_then(|number| number.parse().ok());
    total.ok_or_else(|| CallgrindError::NoTotal(path.to_owned()))
}

/// The function whose time counts, see `steps`.
const COUNTED_IN: &str = "*counted*";
const CALLS: usize = 4_000;
