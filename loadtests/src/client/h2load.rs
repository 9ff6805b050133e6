//! nghttp2's `h2load` as the client of TLS workloads: an independent HTTP/2 implementation.
//!
//! A first short run warms up and tells the rate; the counted run then has a number of requests for about
//! the window, so that all of them are complete at its end. Connections are made inside the window: a
//! handful of handshakes among very many requests.

use std::io::BufRead;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::tally::{Failure, Tally};
use super::{Mark, Plan};
use crate::child;
use crate::peers::find_program;
use crate::scenario::{Alpn, HOST};

/// Runs the plan as [`super::run`], on the CPU `core`. The log of requests goes to `directory`.
///
/// # Errors
/// Also when `h2load` is missing or is not understood.
pub fn run(
    plan: &Plan,
    (alpn, streams): (Alpn, usize),
    core: usize,
    directory: &Path,
    stop: &AtomicBool,
    mut mark: impl FnMut(Mark) -> Result<()>,
) -> Result<Tally> {
    child::pin_this_thread(core)?;
    let log = directory.join("h2load.log");
    let job = Job { plan, alpn, streams, log: &log };
    let begun = Instant::now();
    let warm = job.run(WARM_REQUESTS, stop)?;
    let rate = warm.requests as f64 / begun.elapsed().as_secs_f64();
    let wanted = (rate * plan.window.as_secs_f64()) as u64;
    let wanted = wanted.clamp(plan.connections as u64, REQUESTS_MAX);
    mark(Mark::Opens)?;
    let opened = Instant::now();
    let mut tally = job.run(wanted, stop)?;
    tally.window = opened.elapsed();
    mark(Mark::Closes)?;
    read_log(&log, &mut tally)?;
    Ok(tally)
}

struct Job<'j> {
    plan: &'j Plan,
    alpn: Alpn,
    streams: usize,
    log: &'j Path,
}

impl Job<'_> {
    fn run(&self, requests: u64, stop: &AtomicBool) -> Result<Tally> {
        let program =
            find_program("h2load").context("h2load is missing (Debian nghttp2-client)")?;
        let _ = std::fs::remove_file(self.log);
        let mut command = Command::new(program);
        command.args(["-t", "1", "-c", &self.plan.connections.to_string()]);
        command.args(["-n", &requests.to_string(), "-m", &self.streams.to_string()]);
        command.args(["--groups", "X25519", "--connect-to", &self.plan.target.to_string()]);
        command.arg("--log-file").arg(self.log);
        if self.alpn == Alpn::Http1 {
            command.arg("--h1");
        }
        command.arg(format!("https://{HOST}:{}/shop/item?id=42", self.plan.target.port()));
        // Not every proxy leaves the port out when it looks for the host.
        command.arg("-H").arg(format!(":authority: {HOST}"));
        command.args(["-H", "user-agent: loadtests/1", "-H", "accept-encoding: identity"]);
        command.args(["-H", "cookie: session=0123456789abcdef"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("starting h2load")?;
        let until = Instant::now() + self.plan.window * 4 + Duration::from_secs(20);
        // Its report fits a pipe.
        while child.try_wait().context("waiting for h2load")?.is_none() {
            if stop.load(Ordering::Relaxed) || Instant::now() > until {
                let _ = child.kill();
                let _ = child.wait();
                anyhow::bail!("h2load was stopped");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let output = child.wait_with_output().context("reading h2load's report")?;
        let report = String::from_utf8_lossy(&output.stdout);
        parse(&report, self.plan, self.alpn).with_context(|| format!("h2load said:\n{report}"))
    }
}

/// Successes and failures of a report. The latencies are in the log.
fn parse(report: &str, plan: &Plan, alpn: Alpn) -> Result<Tally> {
    let line = |start: &str| {
        let found = report.lines().find_map(|line| line.strip_prefix(start));
        found.with_context(|| format!("no line {start:?}"))
    };
    let protocol = line("Application protocol: ")?.trim();
    anyhow::ensure!(
        protocol == alpn.name(),
        "the proxy agreed on {protocol}, not on {}",
        alpn.name()
    );
    // `requests: 100 total, 100 started, 100 done, 100 succeeded, 0 failed, 0 errored, 0 timeout`
    let counts = line("requests: ")?;
    let count = |name: &str| {
        let part = counts.split(", ").find_map(|part| part.strip_suffix(name));
        part.and_then(|part| part.trim().parse::<u64>().ok())
            .with_context(|| format!("no count of {name:?}"))
    };
    let (succeeded, total) = (count("succeeded")?, count("total")?);
    let mut tally = Tally::new()?;
    tally.requests = succeeded;
    tally.body_bytes = succeeded * plan.moved_bytes;
    for _ in 0..total.saturating_sub(succeeded).min(super::ERRORS_MAX) {
        tally.fail(Failure::NotAsPlanned);
    }
    Ok(tally)
}

/// Adds the latencies: the third column, in µs.
fn read_log(path: &Path, tally: &mut Tally) -> Result<()> {
    let file = std::fs::File::open(path).context("opening h2load's log")?;
    for line in std::io::BufReader::new(file).lines() {
        let line = line.context("reading h2load's log")?;
        let mut columns = line.split('\t');
        let us = columns.nth(2).and_then(|column| column.trim().parse().ok());
        tally.record_latency(Duration::from_micros(us.context("odd line in h2load's log")?));
    }
    Ok(())
}

/// Requests of the uncounted run.
const WARM_REQUESTS: u64 = 10_000;
const REQUESTS_MAX: u64 = 2_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Pace, Reuse};

    const REPORT: &str = "Application protocol: h2\n\n\
        requests: 100 total, 100 started, 99 done, 98 succeeded, 1 failed, 1 errored, 0 timeout\n";

    fn plan() -> Plan {
        Plan {
            target: ([127, 0, 0, 1], 1).into(),
            request: Vec::new(),
            body_bytes: 1024,
            moved_bytes: 1024,
            connections: 8,
            reuse: Reuse::KeepAlive,
            pace: Pace::Closed,
            warmup: Duration::ZERO,
            window: Duration::from_secs(1),
        }
    }

    #[test]
    fn a_report_gives_what_succeeded_and_what_did_not() {
        let tally = parse(REPORT, &plan(), Alpn::H2).unwrap();
        assert_eq!((tally.requests, tally.body_bytes, tally.errors()), (98, 98 * 1024, 2));
    }

    #[test]
    fn another_protocol_than_planned_is_an_error() {
        let other = REPORT.replace("protocol: h2", "protocol: http/1.1");
        let error = parse(&other, &plan(), Alpn::H2).unwrap_err().to_string();
        assert!(error.contains("agreed on http/1.1, not on h2"), "{error}");
    }
}
