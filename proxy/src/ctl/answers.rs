//! What the questions of the control socket are answered with: one struct each, which serves programs
//! (serde) and people (`Display`).

mod audit;
mod cert;
mod certs;
mod nodes;
mod routes;
mod workers;

use std::fmt;

use router_core::admin::access::Viewer;
use router_core::admin::{AdminSource, ExplainFormat, Readiness};
use router_core::ctl::{CtlFormat, CtlRefusal};
use serde::Serialize;

use super::Desk;
use crate::log_level;
use crate::stats::overview::{MemoryCap, memory};

pub use audit::audit;
pub use cert::cert;
pub use certs::certs;
pub use nodes::nodes;
pub use routes::routes;
pub use workers::conns;

/// The answer to `version`.
#[derive(Serialize)]
pub struct Version {
    program: &'static str,
    version: String,
    pid: u32,
    io_driver: &'static str,
    /// `ready`, or why not.
    state: &'static str,
    started_unix: u64,
    uptime_s: u64,
    table_generation: u64,
    keys: usize,
    /// The memory cap that is nearest, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<MemoryCap>,
}

/// What runs here.
pub fn version(desk: &Desk) -> Version {
    let (process, table) = (&desk.state.process, desk.state.table.snapshot());
    Version {
        program: desk.state.program.name(),
        version: process.version().to_owned(),
        pid: std::process::id(),
        io_driver: process.io_driver(),
        state: match desk.state.readiness() {
            Readiness::Ready => "ready",
            Readiness::NotReady(why) => why,
        },
        started_unix: process.started_unix(),
        uptime_s: process.uptime_s(),
        table_generation: table.generation(),
        keys: table.len(),
        memory: memory(&desk.state),
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}: {}", self.program, self.version, self.state)?;
        let (pid, driver, uptime) = (self.pid, self.io_driver, span(self.uptime_s));
        writeln!(f, "process {pid}, {driver}, up for {uptime}")?;
        let plural = if self.keys == 1 { "" } else { "s" };
        writeln!(f, "{} key{plural} in table {}", self.keys, self.table_generation)?;
        let Some(MemoryCap { used_bytes, max_bytes }) = self.memory else { return Ok(()) };
        writeln!(f, "{} MiB of {} MiB of memory", used_bytes >> 20, max_bytes >> 20)
    }
}

/// The answer to `loglevel`.
#[derive(Serialize)]
pub struct LogLevels {
    levels: Vec<LogLevel>,
}

#[derive(Serialize)]
struct LogLevel {
    /// `None`: all that has no level of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    level: String,
}

/// How much is logged.
pub fn log_levels() -> LogLevels {
    let levels = log_level::levels().into_iter();
    let levels = levels.map(|(target, level)| LogLevel { target, level: level.to_string() });
    LogLevels { levels: levels.collect() }
}

impl fmt::Display for LogLevels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.levels.iter().try_for_each(|level| match &level.target {
            None => writeln!(f, "{}", level.level),
            Some(target) => writeln!(f, "{} {target}", level.level),
        })
    }
}

/// What a request for a URL would get, as the admin socket tells it.
pub fn explain(desk: &Desk, url: &str, format: CtlFormat) -> Result<String, CtlRefusal> {
    let format = match format {
        CtlFormat::Json => ExplainFormat::Json,
        CtlFormat::Text => ExplainFormat::Text,
    };
    desk.state.explain(&Viewer::Operator, url, format).map_err(CtlRefusal::Wrong)
}

/// A number of seconds for people: its two greatest units.
fn span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, ..) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

/// How many entries of a list are not shown.
fn write_rest(f: &mut fmt::Formatter<'_>, shown: usize, of: usize) -> fmt::Result {
    match of.saturating_sub(shown) {
        0 => Ok(()),
        more => writeln!(f, "and {more} more: --limit shows them"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_by_their_greatest_units() {
        let told = [0, 59, 61, 3600, 90_061].map(span);
        assert_eq!(told, ["0s", "59s", "1m 1s", "1h 0m", "1d 1h"]);
    }
}
