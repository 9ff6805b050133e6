//! The rounds of one proxy in one scenario, put together.

use serde::Serialize;

use super::{Comparison, Memory, Sample};
use crate::peers::Proxy;
use crate::statistics::{Spread, paired_ratio};

/// Medians of one proxy in one scenario, of what was measured.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Which.
    pub proxy: Proxy,
    /// What requests cost.
    pub load: Option<LoadSummary>,
    /// See [`Memory`].
    pub rss_kb_empty: Option<Spread>,
    /// See [`Memory`].
    pub rss_kb_idle: Option<Spread>,
    /// See [`Memory::kb_per_connection`].
    pub kb_per_connection: Option<Spread>,
    /// Idle connections that were lost, all rounds together.
    pub idle_lost: usize,
}

/// Medians of what requests cost; see [`Sample`].
#[derive(Debug, Serialize)]
pub struct LoadSummary {
    /// Rounds that gave numbers.
    pub rounds: usize,
    /// See [`Sample`].
    pub requests_per_s: Spread,
    /// See [`Sample`].
    pub cpu_us: Spread,
    /// See [`Sample`].
    pub user_us: Spread,
    /// See [`Sample`].
    pub system_us: Spread,
    /// See [`Sample`].
    pub cpus: Spread,
    /// See [`Sample`].
    pub p50_us: Spread,
    /// See [`Sample`].
    pub p99_us: Spread,
    /// See [`Sample`].
    pub p999_us: Spread,
    /// See [`Sample`].
    pub gbit_per_s: Spread,
    /// See [`Sample`].
    pub cpu_ms_per_gb: Spread,
    /// See [`Sample`].
    pub client_us: Spread,
    /// See [`Sample`].
    pub client_cpus: Spread,
    /// See [`Sample`].
    pub upstream_cpus: Spread,
    /// Errors of all rounds together.
    pub errors: u64,
    /// Most CPUs others used in a round.
    pub foreign_cpus_max: f64,
    /// CPU per request as a multiple of the reference's (medians).
    pub cpu_to_reference: Option<f64>,
    /// The reference's CPU per request as a part of this one's, round by round.
    pub reference_to_this: Option<Spread>,
}

impl Comparison {
    /// Fills [`Comparison::summary`] from the rounds, in the order of `proxies`, relative to `reference`.
    pub fn summarise(&mut self, proxies: &[Proxy], reference: Option<Proxy>) {
        let summary =
            proxies.iter().filter_map(|proxy| self.summary_of(*proxy, reference)).collect();
        self.summary = summary;
    }

    /// The summary of one proxy.
    pub fn summary(&self, proxy: Proxy) -> Option<&Summary> {
        self.summary.iter().find(|summary| summary.proxy == proxy)
    }

    /// One quantity of one proxy, round by round.
    pub fn by_round(&self, proxy: Proxy, pick: impl Fn(&Sample) -> f64) -> Vec<(usize, f64)> {
        self.samples(proxy).into_iter().map(|(round, sample)| (round, pick(sample))).collect()
    }

    fn samples(&self, proxy: Proxy) -> Vec<(usize, &Sample)> {
        let of_proxy = self.rounds.iter().filter(|round| round.proxy == proxy);
        of_proxy.filter_map(|round| round.sample.as_ref().map(|s| (round.round, s))).collect()
    }

    fn summary_of(&self, proxy: Proxy, reference: Option<Proxy>) -> Option<Summary> {
        let of_proxy = self.rounds.iter().filter(|round| round.proxy == proxy);
        let weighed: Vec<&Memory> = of_proxy.filter_map(|round| round.memory.as_ref()).collect();
        let memory = |pick: fn(&Memory) -> f64| Spread::of(weighed.iter().map(|m| pick(m)));
        let load = self.load_summary(proxy, reference);
        (load.is_some() || !weighed.is_empty()).then(|| Summary {
            proxy,
            load,
            rss_kb_empty: memory(|memory| memory.rss_kb_empty as f64),
            rss_kb_idle: memory(|memory| memory.rss_kb_idle as f64),
            kb_per_connection: memory(Memory::kb_per_connection),
            idle_lost: weighed.iter().map(|m| m.connections.saturating_sub(m.still_open)).sum(),
        })
    }

    fn load_summary(&self, proxy: Proxy, reference: Option<Proxy>) -> Option<LoadSummary> {
        let samples = self.samples(proxy);
        let over = |pick: fn(&Sample) -> f64| Spread::of(samples.iter().map(|(_, s)| pick(s)));
        let cpu_us = over(|sample| sample.cpu_us)?;
        let cpu_of = |proxy| self.by_round(proxy, |sample| sample.cpu_us);
        let base = reference.map(cpu_of).unwrap_or_default();
        let base_median = Spread::of(base.iter().map(|(_, cpu)| *cpu)).map(|spread| spread.median);
        Some(LoadSummary {
            rounds: samples.len(),
            requests_per_s: over(|sample| sample.requests_per_s)?,
            cpu_us,
            user_us: over(|sample| sample.user_us)?,
            system_us: over(|sample| sample.system_us)?,
            cpus: over(|sample| sample.cpus)?,
            p50_us: over(|sample| sample.p50_us)?,
            p99_us: over(|sample| sample.p99_us)?,
            p999_us: over(|sample| sample.p999_us)?,
            gbit_per_s: over(|sample| sample.gbit_per_s)?,
            cpu_ms_per_gb: over(|sample| sample.cpu_ms_per_gb)?,
            client_us: over(|sample| sample.client_us)?,
            client_cpus: over(|sample| sample.client_cpus)?,
            upstream_cpus: over(|sample| sample.upstream_cpus)?,
            errors: samples.iter().map(|(_, sample)| sample.errors).sum(),
            foreign_cpus_max: samples.iter().map(|(_, s)| s.foreign_cpus).fold(0.0, f64::max),
            cpu_to_reference: base_median.map(|base| cpu_us.median / base),
            reference_to_this: paired_ratio(&base, &cpu_of(proxy)),
        })
    }
}
