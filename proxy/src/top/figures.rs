//! From two looks to the numbers people read.

use crate::stats::overview::{Certificate, KeyPage, Mine, Overview, Router};

/// What is shown.
pub(super) struct Figures {
    /// Who, which version, how long.
    pub title: String,
    /// `serving`, or what else.
    pub state: String,
    /// Label and value, the important ones first.
    pub numbers: Vec<(&'static str, String)>,
    /// Share of each core in percent; `None` before two looks.
    pub cores: Vec<Option<f64>>,
    /// Days left of each certificate, the first to expire first.
    pub certificates: Vec<(String, i64)>,
    /// Certificates there are.
    pub certificates_total: usize,
    /// Reason, number, and number a second of refused subscriptions.
    pub rejects: Vec<(String, u64, Option<f64>)>,
    /// The keys.
    pub keys: KeyPage,
}

impl Figures {
    /// Of the latest look, and one before it.
    pub(super) fn of(latest: &Overview, earlier: Option<&Overview>) -> Self {
        let mut figures = match (&latest.router, &latest.mine) {
            (Some(router), _) => of_router(router, earlier.and_then(|look| look.router.as_ref())),
            (None, Some(mine)) => of_tenant(mine, earlier.and_then(|look| look.mine.as_ref())),
            (None, None) => of_nobody(),
        };
        let now = latest.now_unix();
        figures.certificates = latest.certificates.rows.iter().map(|c| days_left(c, now)).collect();
        figures.certificates_total = latest.certificates.total;
        figures.keys = latest.keys.clone();
        figures
    }
}

fn of_nobody() -> Figures {
    Figures {
        title: String::new(),
        state: String::new(),
        numbers: Vec::new(),
        cores: Vec::new(),
        certificates: Vec::new(),
        certificates_total: 0,
        rejects: Vec::new(),
        keys: KeyPage::default(),
    }
}

fn of_router(now: &Router, then: Option<&Router>) -> Figures {
    let since = then.map(|then| Since { ms: now.now_ms.saturating_sub(then.now_ms), then });
    let per_second = |read: &dyn Fn(&Router) -> u64| since.as_ref().map(|s| s.rate(now, read));
    let counts: Vec<u64> = match then {
        None => Vec::new(),
        Some(then) => {
            let pairs = now.latency.counts.iter().zip(&then.latency.counts);
            pairs.map(|(now, then)| now.saturating_sub(*then)).collect()
        }
    };
    let percentile = |share| time(quantile(&counts, &now.latency.bounds_us, share));
    let total = |router: &Router, name: &str, label: Option<&str>| {
        let value = router.totals.get(name);
        let value = label.map_or(value, |label| value.and_then(|value| value.get(label)));
        value.and_then(serde_json::Value::as_u64).unwrap_or(0)
    };
    let mut numbers = vec![
        ("requests/s", rate(per_second(&|r| total(r, "requests", None)))),
        ("p50", percentile(0.5)),
        ("p99", percentile(0.99)),
        ("5xx/s", rate(per_second(&|r| total(r, "responses", Some("5xx"))))),
        ("connections", now.connections_open.to_string()),
        ("in flight", now.in_flight.to_string()),
        ("keys", now.keys.to_string()),
        ("nodes", now.nodes.to_string()),
    ];
    if let Some(memory) = now.memory {
        let percent = memory.used_bytes.saturating_mul(100) / memory.max_bytes.max(1);
        numbers.push(("memory cap", format!("{percent} %")));
    }
    let cpu = |core: usize| move |r: &Router| r.workers.get(core).map_or(0, |w| w.cpu_ms);
    let cores = 0..now.workers.len();
    let rejects = now.rejects().map(|(reason, count)| {
        let rate =
            per_second(&|r| r.rejects().find(|(name, _)| *name == reason).map_or(0, |r| r.1));
        (reason.replace('_', " "), count, rate)
    });
    let mut rejects: Vec<_> = rejects.filter(|(_, count, _)| *count > 0).collect();
    rejects.sort_by_key(|(_, count, _)| std::cmp::Reverse(*count));
    let up = span(now.now_unix.saturating_sub(now.started_unix));
    Figures {
        title: format!("{} {}, up {up}, {}", now.program, now.version, now.io_driver),
        state: now.state.clone(),
        numbers,
        // A thousand milliseconds a second are all of a core.
        cores: cores.map(|core| per_second(&cpu(core)).map(|ms| (ms / 10.0).min(100.0))).collect(),
        rejects,
        ..of_nobody()
    }
}

fn of_tenant(now: &Mine, then: Option<&Mine>) -> Figures {
    let requests = then.map(|then| {
        let ms = now.now_ms.saturating_sub(then.now_ms).max(1);
        now.requests.saturating_sub(then.requests) as f64 * 1000.0 / ms as f64
    });
    Figures {
        title: format!("tenant {}", now.tenant),
        state: now.state.clone(),
        numbers: vec![
            ("requests/s", rate(requests)),
            ("in flight", now.in_flight.to_string()),
            ("refused", now.refused.to_string()),
            ("keys", now.keys.to_string()),
            ("nodes", now.nodes.to_string()),
        ],
        ..of_nobody()
    }
}

struct Since<'r> {
    ms: u64,
    then: &'r Router,
}

impl Since<'_> {
    fn rate(&self, now: &Router, read: &dyn Fn(&Router) -> u64) -> f64 {
        read(now).saturating_sub(read(self.then)) as f64 * 1000.0 / self.ms.max(1) as f64
    }
}

fn days_left(cert: &Certificate, now_unix: u64) -> (String, i64) {
    let left = cert.not_after_unix.saturating_sub(now_unix.cast_signed());
    (cert.name.clone().unwrap_or_else(|| "(default)".to_owned()), left.div_euclid(86_400))
}

/// The duration below which this share of `counts` lies, in microseconds.
pub(super) fn quantile(counts: &[u64], bounds_us: &[u64], share: f64) -> Option<f64> {
    let total: u64 = counts.iter().sum();
    let wanted = share * total as f64;
    let mut before = 0;
    for (index, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        if (before + count) as f64 >= wanted {
            let low = index.checked_sub(1).and_then(|i| bounds_us.get(i)).copied().unwrap_or(0);
            // The last count has no bound: it is longer than the longest.
            let high = bounds_us.get(index).copied().unwrap_or(low);
            let share = (wanted - before as f64) / *count as f64;
            return Some(low as f64 + (high as f64 - low as f64) * share);
        }
        before += count;
    }
    None
}

/// A number a second.
pub(super) fn rate(rate: Option<f64>) -> String {
    match rate {
        None => "-".to_owned(),
        Some(rate) if rate > 0.0 && rate < 10.0 => format!("{rate:.1}"),
        Some(rate) => format!("{rate:.0}"),
    }
}

fn time(us: Option<f64>) -> String {
    match us {
        None => "-".to_owned(),
        Some(us) if us < 1e3 => format!("{us:.0}us"),
        Some(us) if us < 1e6 => format!("{:.1}ms", us / 1e3),
        Some(us) => format!("{:.1}s", us / 1e6),
    }
}

fn span(s: u64) -> String {
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min", s / 60),
        3600..172_800 => format!("{} h", s / 3600),
        _ => format!("{} days", s / 86_400),
    }
}
