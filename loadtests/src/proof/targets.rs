//! The targets, and whether they hold.
//!
//! A ratio pairs the rounds: both proxies were measured within the same minute. The better of several
//! peers is the one with the better median.

use super::chapters::{TARGET_RATE, rate_title};
use super::finding::{Finding, Sense};
use crate::peers::Proxy;
use crate::report::{Comparison, Sample};
use crate::statistics::{Spread, paired_ratio};

/// A quantity of a chapter with its targets.
struct Target {
    chapter: &'static str,
    quantity: Quantity,
    bars: &'static [Bar],
}

/// What is looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Quantity {
    CpuUs,
    RequestsPerS,
    RequestsPerCpuS,
    P99Us,
    P999Us,
    CpuMsPerGb,
    HandshakesPerCpuS,
    KibPerConnection,
}

/// One target.
struct Bar {
    sense: Sense,
    limit: f64,
    against: &'static [Proxy],
}

const fn at_most(limit: f64, against: &'static [Proxy]) -> Bar {
    Bar { sense: Sense::AtMost, limit, against }
}

const fn at_least(limit: f64, against: &'static [Proxy]) -> Bar {
    Bar { sense: Sense::AtLeast, limit, against }
}

const HAPROXY: &[Proxy] = &[Proxy::Haproxy];
const NGINX: &[Proxy] = &[Proxy::Nginx];
const UWSGI: &[Proxy] = &[Proxy::Uwsgi];
const FLOOR: &[Proxy] = &[Proxy::Floor];
const BETTER: &[Proxy] = &[Proxy::Nginx, Proxy::Haproxy];

const TARGETS: &[Target] = &[
    Target {
        chapter: "keepalive",
        quantity: Quantity::CpuUs,
        bars: &[at_most(0.75, HAPROXY), at_most(0.68, NGINX), at_most(1.25, FLOOR)],
    },
    Target {
        chapter: "saturated",
        quantity: Quantity::RequestsPerS,
        bars: &[at_least(1.5, HAPROXY), at_least(1.65, NGINX)],
    },
    // What the saturated CPU gives to the upstream is taken out: what it would do for the worker alone.
    Target {
        chapter: "saturated",
        quantity: Quantity::RequestsPerCpuS,
        bars: &[at_least(1.5, HAPROXY), at_least(1.65, NGINX)],
    },
    Target { chapter: "rate-8000", quantity: Quantity::P99Us, bars: &[at_most(1.0, BETTER)] },
    Target { chapter: "rate-8000", quantity: Quantity::P999Us, bars: &[at_most(1.0, BETTER)] },
    Target { chapter: "new-connection", quantity: Quantity::CpuUs, bars: &[at_most(0.9, BETTER)] },
    Target {
        chapter: "uwsgi-upstream",
        quantity: Quantity::CpuUs,
        bars: &[at_most(0.8, NGINX), at_most(0.5, UWSGI)],
    },
    Target { chapter: "fastrouter", quantity: Quantity::CpuUs, bars: &[at_most(0.6, UWSGI)] },
    Target { chapter: "big", quantity: Quantity::CpuMsPerGb, bars: &[at_most(0.65, BETTER)] },
    Target {
        chapter: "big-upload",
        quantity: Quantity::CpuMsPerGb,
        bars: &[at_most(0.65, BETTER)],
    },
    Target { chapter: "tls-keepalive", quantity: Quantity::CpuUs, bars: &[at_most(0.75, BETTER)] },
    Target {
        chapter: "tls-handshake",
        quantity: Quantity::HandshakesPerCpuS,
        bars: &[at_least(1.5, BETTER)],
    },
    Target {
        chapter: "tls-handshake-rsa",
        quantity: Quantity::HandshakesPerCpuS,
        bars: &[at_least(1.5, BETTER)],
    },
    Target {
        chapter: "tls-resume",
        quantity: Quantity::HandshakesPerCpuS,
        bars: &[at_least(1.2, BETTER)],
    },
    Target { chapter: "h2-single", quantity: Quantity::CpuUs, bars: &[at_most(0.75, BETTER)] },
    Target { chapter: "websocket", quantity: Quantity::CpuUs, bars: &[at_most(0.8, BETTER)] },
    Target {
        chapter: "idle-websocket",
        quantity: Quantity::KibPerConnection,
        bars: &[at_most(3.0, &[])],
    },
    Target {
        chapter: "idle-websocket-tls",
        quantity: Quantity::KibPerConnection,
        bars: &[at_most(12.0, &[])],
    },
    Target { chapter: "idle", quantity: Quantity::KibPerConnection, bars: &[at_most(2.5, &[])] },
    Target {
        chapter: "idle-tls",
        quantity: Quantity::KibPerConnection,
        bars: &[at_most(12.0, &[])],
    },
];

impl Quantity {
    fn name(self) -> &'static str {
        match self {
            Self::CpuUs => "CPU µs per request",
            Self::RequestsPerS => "requests/s",
            Self::RequestsPerCpuS => "requests per CPU second",
            Self::P99Us => "p99 µs",
            Self::P999Us => "p99.9 µs",
            Self::CpuMsPerGb => "CPU ms per GB",
            Self::HandshakesPerCpuS => "handshakes per CPU second",
            Self::KibPerConnection => "KiB per connection",
        }
    }

    fn of(self, sample: &Sample) -> f64 {
        match self {
            Self::CpuUs => sample.cpu_us,
            Self::RequestsPerS => sample.requests_per_s,
            Self::P99Us => sample.p99_us,
            Self::P999Us => sample.p999_us,
            Self::CpuMsPerGb => sample.cpu_ms_per_gb,
            Self::RequestsPerCpuS | Self::HandshakesPerCpuS => 1e6 / sample.cpu_us,
            Self::KibPerConnection => f64::NAN,
        }
    }

    /// Round by round.
    fn of_rounds(self, comparison: &Comparison, proxy: Proxy) -> Vec<(usize, f64)> {
        if self != Self::KibPerConnection {
            return comparison.by_round(proxy, |sample| self.of(sample));
        }
        let rounds = comparison.rounds.iter().filter(|round| round.proxy == proxy);
        let weighed = rounds.filter_map(|round| Some((round.round, round.memory.as_ref()?)));
        weighed.map(|(round, memory)| (round, memory.kb_per_connection())).collect()
    }
}

/// Every target, against what was measured.
pub fn judge(comparisons: &[Comparison]) -> Vec<Finding> {
    debug_assert_eq!(rate_title(TARGET_RATE), "rate-8000");
    let findings = TARGETS.iter().flat_map(|target| {
        let chapter = comparisons.iter().find(|comparison| comparison.title == target.chapter);
        target.bars.iter().map(move |bar| judge_one(target, bar, chapter))
    });
    findings.collect()
}

fn judge_one(target: &Target, bar: &Bar, chapter: Option<&Comparison>) -> Finding {
    let rounds = |proxy: Proxy| match chapter {
        Some(comparison) => target.quantity.of_rounds(comparison, proxy),
        None => Vec::new(),
    };
    let median = |rounds: &[(usize, f64)]| Spread::of(rounds.iter().map(|(_, value)| *value));
    let ours = rounds(Proxy::Suzerain);
    let peer = better(bar, rounds);
    let measured = match (&peer, bar.against) {
        (_, []) => median(&ours),
        (Some(peer), _) => paired_ratio(&ours, &rounds(*peer)),
        (None, _) => None,
    };
    let peer_name = match (peer, bar.against) {
        (Some(peer), [_]) => Some(peer.name().to_owned()),
        (Some(peer), _) => Some(format!("the better, {}", peer.name())),
        (None, []) => None,
        (None, against) => Some(against.iter().map(|p| p.name()).collect::<Vec<_>>().join(" or ")),
    };
    let theirs = peer.and_then(|peer| median(&rounds(peer))).map_or(f64::NAN, |all| all.median);
    Finding {
        scenario: target.chapter.to_owned(),
        what: target.quantity.name().to_owned(),
        ours: median(&ours).map(|all| all.median),
        against: peer_name.map(|name| (name, theirs)),
        sense: bar.sense,
        limit: bar.limit,
        measured,
        held: measured.map(|all| bar.sense.holds(all.median, bar.limit)),
    }
}

/// The peer of a bar with the best median.
fn better(bar: &Bar, rounds: impl Fn(Proxy) -> Vec<(usize, f64)>) -> Option<Proxy> {
    let medians = bar.against.iter().filter_map(|peer| {
        let all = Spread::of(rounds(*peer).iter().map(|(_, value)| *value))?;
        Some((*peer, all.median))
    });
    let best =
        medians.reduce(|best, other| if bar.sense.holds(other.1, best.1) { other } else { best });
    best.map(|(peer, _)| peer)
}
