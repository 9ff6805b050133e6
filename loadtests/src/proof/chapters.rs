//! What a proof measures, in order. Each chapter is a job with a title; targets refer to it by that.

use std::time::Duration;

use crate::job::{Job, Part};
use crate::peers::Proxy;
use crate::scenario::{Case, Scenario};

/// Rates of the latency curves; the second is the one with a target.
pub const RATES: [u32; 4] = [2_000, 8_000, 16_000, 24_000];
/// The rate with a target.
pub const TARGET_RATE: u32 = 8_000;

/// Every chapter.
pub fn all(rounds: usize, window: Duration) -> Vec<Job> {
    let load = |scenario: Scenario| Job {
        part: if scenario.is_memory_only() { Part::Memory } else { Part::Load },
        warmup: WARMUP,
        quiet_wait: QUIET_WAIT,
        ..Job::new(scenario, rounds, window)
    };
    let memory = |title: &str, scenario: Scenario, rounds: usize| Job {
        title: title.to_owned(),
        part: Part::Memory,
        rounds,
        only: vec![Proxy::Suzerain, Proxy::Nginx, Proxy::Haproxy],
        ..load(scenario)
    };
    let mut all = vec![
        direct(load(Scenario::Keepalive)),
        load(Scenario::Keepalive),
        Job { title: "saturated".to_owned(), case: Case::Sat, ..load(Scenario::Keepalive) },
    ];
    all.extend(RATES.map(|rate| at_rate(load(Scenario::Keepalive), rate)));
    all.extend([
        Job {
            title: "two-workers".to_owned(),
            workers: 2,
            only: vec![Proxy::Suzerain, Proxy::Nginx, Proxy::Haproxy],
            ..load(Scenario::Keepalive)
        },
        load(Scenario::NewConnection),
        load(Scenario::UwsgiUpstream),
        load(Scenario::Fastrouter),
        load(Scenario::Big),
        load(Scenario::BigUpload),
        load(Scenario::TlsKeepalive),
        load(Scenario::TlsHandshake),
        load(Scenario::TlsHandshakeRsa),
        load(Scenario::TlsResume),
        load(Scenario::H2Single),
        load(Scenario::H2),
        Job { title: "websocket".to_owned(), ..load(Scenario::WebSocket) },
        memory("idle", Scenario::Keepalive, 2),
        memory("idle-tls", Scenario::TlsKeepalive, 2),
        memory("idle-websocket", Scenario::WebSocket, 1),
        memory("idle-websocket-tls", Scenario::WebSocketTls, 1),
    ]);
    all
}

/// The client and the upstream alone, without any proxy.
fn direct(job: Job) -> Job {
    Job { title: "client-maximum".to_owned(), rounds: 2, only: vec![Proxy::Direct], ..job }
}

fn at_rate(job: Job, rate: u32) -> Job {
    let is_target = rate == TARGET_RATE;
    Job {
        title: rate_title(rate),
        rate: Some(f64::from(rate)),
        rounds: if is_target { job.rounds } else { 1 },
        // Its tail is what counts: 16,000 requests leave sixteen beyond the 99.9th percentile.
        window: if is_target { job.window * 2 } else { job.window },
        only: vec![Proxy::Suzerain, Proxy::Nginx, Proxy::Haproxy, Proxy::Floor],
        ..job
    }
}

/// Title of the chapter with that rate.
pub fn rate_title(rate: u32) -> String {
    format!("rate-{rate}")
}

const WARMUP: Duration = Duration::from_millis(500);
/// There are hundreds of measurements: a machine that is never quiet must not double the time.
const QUIET_WAIT: Duration = Duration::from_millis(750);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_unique() {
        let all = all(3, Duration::from_secs(2));
        let titles: std::collections::HashSet<&str> =
            all.iter().map(|job| job.title.as_str()).collect();
        assert_eq!(titles.len(), all.len());
    }

    #[test]
    fn a_run_fits_its_twenty_minutes() {
        // Start, verification, warm-up and end of one measurement, seen on two CPUs.
        let around = Duration::from_millis(1_500);
        let measurement = |job: &Job| match job.part {
            Part::Memory => Duration::from_secs(9),
            Part::Load | Part::Both => job.window + around,
        };
        let peers = [Proxy::Suzerain, Proxy::Nginx, Proxy::Haproxy, Proxy::Uwsgi, Proxy::Floor];
        let of_job = |job: &Job| {
            let able = peers.iter().filter(|proxy| {
                job.scenario.upstream(**proxy).is_some()
                    && (job.only.is_empty() || job.only.contains(proxy))
            });
            measurement(job) * u32::try_from(able.count() * job.rounds).unwrap()
        };
        let whole: Duration = all(3, Duration::from_secs(2)).iter().map(of_job).sum();
        assert!(
            whole < Duration::from_secs(14 * 60),
            "{whole:?}, and the control side comes on top"
        );
    }
}
