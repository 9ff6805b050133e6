//! What a run counted: successes with their latencies, failures by kind.

use std::time::Duration;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use serde::Serialize;

/// Why a request did not succeed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// No socket, or the connection was refused.
    #[error("connect failed")]
    Connect,
    /// The request could not be written.
    #[error("write failed")]
    Write,
    /// Reading failed, mostly a reset.
    #[error("read failed")]
    Read,
    /// The connection ended inside a response, or before the first one.
    #[error("closed early")]
    ClosedEarly,
    /// Not an HTTP/1 response, or one without a length.
    #[error("bad response head")]
    BadHead,
    /// Any status but 200.
    #[error("status is not 200")]
    BadStatus,
    /// The body is not as long as the upstream's.
    #[error("wrong body length")]
    BadBody,
    /// No complete response in time.
    #[error("timed out")]
    TimedOut,
    /// Complete, but another kind of thing than was asked for: a full handshake instead of a
    /// resumed one, or what `h2load` counts as failed.
    #[error("not as planned")]
    NotAsPlanned,
}

impl Failure {
    /// Every kind, in the order of the counters.
    pub const ALL: [Failure; 9] = [
        Failure::Connect,
        Failure::Write,
        Failure::Read,
        Failure::ClosedEarly,
        Failure::BadHead,
        Failure::BadStatus,
        Failure::BadBody,
        Failure::TimedOut,
        Failure::NotAsPlanned,
    ];
}

/// Counters of one window.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Complete, correct responses.
    pub requests: u64,
    /// Their body bytes.
    pub body_bytes: u64,
    /// Keep-alive connections the proxy closed between two requests.
    pub reconnects: u64,
    /// Length of the window.
    pub window: Duration,
    latency_ns: Histogram<u64>,
    failures: [u64; Failure::ALL.len()],
}

impl Tally {
    /// All zero.
    pub fn new() -> Result<Self> {
        Ok(Self {
            requests: 0,
            body_bytes: 0,
            reconnects: 0,
            window: Duration::ZERO,
            latency_ns: Histogram::new_with_bounds(1_000, LATENCY_NS_MAX, 3)
                .context("creating the latency histogram")?,
            failures: [0; Failure::ALL.len()],
        })
    }

    /// Counts a success.
    pub fn record(&mut self, latency: Duration, body_bytes: u64) {
        self.requests += 1;
        self.body_bytes += body_bytes;
        self.record_latency(latency);
    }

    /// The latency of a success that is counted already.
    pub fn record_latency(&mut self, latency: Duration) {
        let ns = u64::try_from(latency.as_nanos()).unwrap_or(LATENCY_NS_MAX);
        self.latency_ns.saturating_record(ns);
    }

    /// Counts a failure.
    pub fn fail(&mut self, failure: Failure) {
        self.failures[failure as usize] += 1;
    }

    /// All failures.
    pub fn errors(&self) -> u64 {
        self.failures.iter().sum()
    }

    /// Kinds of failure that happened, with their counts.
    pub fn failures(&self) -> Vec<(Failure, u64)> {
        Failure::ALL.into_iter().zip(self.failures).filter(|(_, count)| *count > 0).collect()
    }

    /// The failures in words.
    pub fn describe_errors(&self) -> String {
        let each: Vec<String> =
            self.failures().iter().map(|(kind, count)| format!("{count} × {kind}")).collect();
        if each.is_empty() { "none".to_owned() } else { each.join(", ") }
    }

    /// Latency in µs below which this part (0 to 1) of the requests stayed.
    pub fn latency_us(&self, quantile: f64) -> f64 {
        self.latency_ns.value_at_quantile(quantile) as f64 / 1e3
    }
}

/// Longest latency told apart; longer ones count as this.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_counts_in_its_own_place() {
        let mut tally = Tally::new().unwrap();
        for (times, failure) in Failure::ALL.into_iter().enumerate() {
            for _ in 0..times {
                tally.fail(failure);
            }
        }
        assert_eq!(tally.errors(), (0..9).sum::<u64>());
        for (times, (failure, count)) in (1..).zip(tally.failures()) {
            assert_eq!((failure, count), (Failure::ALL[times], times as u64));
        }
    }

    #[test]
    fn latency_quantiles_are_within_the_histogram_precision() {
        let mut tally = Tally::new().unwrap();
        for us in 1..=1_000 {
            tally.record(Duration::from_micros(us), 10);
        }
        assert!((tally.latency_us(0.5) - 500.0).abs() < 2.0);
        assert!((tally.latency_us(0.99) - 990.0).abs() < 2.0);
        assert_eq!((tally.requests, tally.body_bytes), (1_000, 10_000));
    }
}
