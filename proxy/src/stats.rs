//! What the admin socket tells about this router.
//!
//! [`RouterState`] holds shared handles only: answering reads snapshots and atomics, and asks no
//! other thread. The JSON document is uWSGI's router statistics, field for field, so that tools
//! written for those read it, with everything of ours under `"suzerain"`.

mod cert_metrics;
mod facts;
mod legacy;
pub mod overview;
mod own;
mod rates;
mod tenant;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arc_swap::ArcSwap;
use route_table::TableHandle;
use router_core::access_log::WriteFailures;
use router_core::admin::access::Viewer;
use router_core::admin::{
    AdminSource, ExplainFormat, OverviewQuestion, Readiness, Refusal, Refusals,
};
use router_core::deadline;
use router_core::drain::{Drain, DrainPhase};
use router_core::headroom::Headroom;
use router_core::metrics::{Collector as _, Metrics, Page, ProcessFacts, TableCollector};
use router_core::subscriber::SubscriptionCounters;
use router_core::wall_clock::unix_now;
use serde::Serialize;

use crate::config::Program;
use crate::explain::{self, Sources};
use crate::on_demand::emperor::Standing;
use crate::policy::streams::Switch;
use crate::reload::History;
use crate::tls::cert_store::{CertInfo, CertStore};
use crate::traces::ExportCounters;
use crate::upgrade;
use cert_metrics::CertCollector;
pub use facts::Facts;
pub use rates::KeyRates;

/// Everything an operator may ask about, as shared handles.
pub struct RouterState {
    /// Version, driver, start.
    pub process: ProcessFacts,
    /// Which router this is.
    pub program: Program,
    /// What the configuration says, as of the last reload.
    pub facts: ArcSwap<Facts>,
    /// How the reloads went.
    pub reloads: History,
    /// The route table.
    pub table: TableHandle,
    /// What the workers count.
    pub metrics: Arc<Metrics>,
    /// What the subscription thread counts.
    pub subscriptions: Arc<SubscriptionCounters>,
    /// Whether there is an emperor.
    pub on_demand: Switch,
    /// What it was asked.
    pub emperor: Arc<Standing>,
    /// The certificates.
    pub certs: CertStore,
    /// What the writers of the access log lost.
    pub log: WriteFailures,
    /// What became of the spans of requests.
    pub traces: Arc<ExportCounters>,
    /// How far the end of this router is.
    pub drain: Arc<Drain>,
    /// Whether there is memory for more.
    pub headroom: Arc<Headroom>,
    /// Rates of keys, for whoever looks.
    pub rates: KeyRates,
    /// How upgrades went, and who drains after the last.
    pub upgrades: upgrade::History,
    /// Who was refused at the admin socket.
    pub refusals: Refusals,
}

impl RouterState {
    /// The certificates that a viewer is shown.
    #[must_use]
    pub fn certificates(&self, viewer: &Viewer) -> Vec<CertInfo> {
        tenant::certificates(self, viewer)
    }
}

impl AdminSource for RouterState {
    fn stats_json(&self, viewer: &Viewer, keys_max: usize) -> String {
        if let Viewer::Tenant(tenant) = viewer {
            return tenant::stats_json(self, tenant, keys_max);
        }
        #[derive(Serialize)]
        struct Document<'a> {
            #[serde(flatten)]
            legacy: legacy::Stats<'a>,
            suzerain: own::Stats,
        }
        let table = self.table.snapshot();
        let certs = self.certificates(viewer);
        let document = Document {
            legacy: legacy::Stats::of(self, &table, &certs, keys_max),
            suzerain: own::Stats::of(self, &table, &certs, keys_max),
        };
        // Maps with text keys and plain values: there is nothing serde_json could refuse.
        serde_json::to_string_pretty(&document).unwrap_or_default()
    }

    fn overview_json(&self, viewer: &Viewer, question: &OverviewQuestion) -> String {
        serde_json::to_string(&overview::Overview::of(self, viewer, question)).unwrap_or_default()
    }

    fn metrics_text(&self, viewer: &Viewer) -> String {
        self.rates.forget(deadline::process_ms());
        let table = TableCollector::new(self.table.clone(), viewer.clone());
        if let Viewer::Tenant(_) = viewer {
            let mut page = Page::default();
            table.collect(&mut page);
            return page.into_text();
        }
        self.metrics.render(&[
            &self.process,
            &*self.headroom,
            &table,
            &*self.subscriptions,
            &*self.emperor,
            &CertCollector::new(&self.certs),
            &self.upgrades,
            &self.refusals,
            &self.log,
            &*self.traces,
            &self.reloads,
        ])
    }

    fn note_refusal(&self, refusal: Refusal) {
        self.refusals.count(refusal);
    }

    fn readiness(&self) -> Readiness {
        match self.drain.phase() {
            // A connection that came now would be closed.
            DrainPhase::Serving if self.headroom.is_short() => {
                Readiness::NotReady("short of memory")
            }
            DrainPhase::Serving => Readiness::Ready,
            DrainPhase::Preparing => Readiness::NotReady("starting"),
            _ => Readiness::NotReady("draining"),
        }
    }

    fn explain(&self, viewer: &Viewer, url: &str, format: ExplainFormat) -> Result<String, String> {
        let table = self.table.snapshot();
        let facts = self.facts.load();
        let sources = Sources {
            table: &table,
            dotsplit: facts.dotsplit,
            fallback_key: facts.fallback_key.as_ref(),
            listeners: &facts.listeners,
            certs: &self.certs,
            now_ms: deadline::process_ms(),
            now_unix: unix_now(),
            on_demand: self.on_demand,
            viewer,
        };
        let told = explain::explain(url, &sources).map_err(|error| error.to_string())?;
        match format {
            ExplainFormat::Text => Ok(told.to_string()),
            ExplainFormat::Json => {
                serde_json::to_string_pretty(&told).map_err(|error| error.to_string())
            }
        }
    }
}
