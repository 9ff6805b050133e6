//! The document behind the dashboard: numbers of now, and one page of keys with their nodes.
//!
//! Small, whatever the router holds, because it is asked for every two seconds. Counters are given
//! as they stand with the moment of the look, and the reader works out rates: so any number of
//! readers see the same, and none of them leaves anything behind here but a look.

mod keys;

use router_core::admin::access::Viewer;
use router_core::admin::{AdminSource, OverviewQuestion, Readiness};
use router_core::deadline;
use router_core::memory_usage::MemoryUsage;
use router_core::metrics::Latency;
use router_core::metrics::histogram::BOUNDS_US;
use router_core::wall_clock::unix_now;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{RouterState, own};
use crate::tls::cert_store::CertInfo;

use keys::Clocks;
pub use keys::{KeyPage, KeyRow, Lease, NodeRow, NodeState};

/// Certificates listed, the first to expire first.
pub const CERTIFICATES_MAX: usize = 50;

/// Everything a dashboard shows.
#[derive(Debug, Deserialize, Serialize)]
pub struct Overview {
    /// The form of this document; one more with every change that readers must know of.
    pub format: u32,
    /// Numbers of the whole router, for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub router: Option<Router>,
    /// Numbers of its keys, for a tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mine: Option<Mine>,
    /// A page of keys.
    pub keys: KeyPage,
    /// Certificates by expiry.
    pub certificates: Certificates,
}

/// The keys of a tenant as a whole.
#[derive(Debug, Deserialize, Serialize)]
pub struct Mine {
    /// Who asks.
    pub tenant: String,
    /// As for the router.
    pub state: String,
    /// When the router started.
    pub started_unix: u64,
    /// The wall clock.
    pub now_unix: u64,
    /// A clock that does not jump, for rates.
    pub now_ms: u64,
    /// Keys.
    pub keys: usize,
    /// Nodes of them.
    pub nodes: usize,
    /// Exchanges these have in hand.
    pub in_flight: u64,
    /// Requests since each key is known.
    pub requests: u64,
    /// Requests their limits refused.
    pub refused: u64,
}

/// The router as a whole.
#[derive(Debug, Deserialize, Serialize)]
pub struct Router {
    /// Which of the two programs.
    pub program: String,
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it started; another start means that all counters began anew.
    pub started_unix: u64,
    /// The wall clock.
    pub now_unix: u64,
    /// A clock that does not jump, for rates.
    pub now_ms: u64,
    /// `serving`, or why no new connections are wanted.
    pub state: String,
    /// What moves the bytes.
    pub io_driver: String,
    /// Number of the published table.
    pub generation: u64,
    /// Keys.
    pub keys: usize,
    /// Nodes of all keys.
    pub nodes: usize,
    /// Exchanges all nodes have in hand.
    pub in_flight: u64,
    /// Memory in use.
    pub resident_bytes: Option<u64>,
    /// The memory cap that is nearest, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryCap>,
    /// Client connections open.
    pub connections_open: u64,
    /// Each worker.
    pub workers: Vec<Worker>,
    /// Durations of requests.
    pub latency: Histogram,
    /// Every counter of the workers, by its metric's name and label.
    pub totals: Map<String, Value>,
    /// Request heads refused, whatever for.
    pub heads_refused: u64,
    /// What became of subscriptions.
    pub subscription: Value,
    /// Where clients connect.
    pub listeners: Vec<String>,
    /// Where subscriptions come in.
    pub subscribe: Vec<String>,
}

/// A memory cap.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct MemoryCap {
    /// What counts against it.
    pub used_bytes: u64,
    /// From where on new work is refused.
    pub max_bytes: u64,
}

/// One worker.
#[derive(Debug, Deserialize, Serialize)]
pub struct Worker {
    /// CPU time of its thread, in milliseconds.
    pub cpu_ms: u64,
    /// Client connections it holds.
    pub connections_open: u64,
    /// Requests it took.
    pub requests: u64,
}

/// Counts of durations, each bucket alone.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Histogram {
    /// Upper bounds in microseconds; the last count has none.
    pub bounds_us: Vec<u64>,
    /// Durations in each.
    pub counts: Vec<u64>,
}

/// Certificates, cut.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Certificates {
    /// How many there are.
    pub total: usize,
    /// The first to expire.
    pub rows: Vec<Certificate>,
}

/// One certificate.
#[derive(Debug, Deserialize, Serialize)]
pub struct Certificate {
    /// Name it is served under; `None` for the default.
    pub name: Option<String>,
    /// Who gave it.
    pub source: String,
    /// Last second it is valid.
    pub not_after_unix: i64,
}

impl Router {
    /// Refused subscriptions by reason.
    pub fn rejects(&self) -> impl Iterator<Item = (&str, u64)> {
        let rejects = self.subscription.get("rejects").and_then(Value::as_object);
        let pairs = rejects.into_iter().flatten();
        pairs.map(|(reason, count)| (reason.as_str(), count.as_u64().unwrap_or(0)))
    }
}

impl Overview {
    /// Whether the counters of `earlier` went on to be these.
    #[must_use]
    pub fn continues(&self, earlier: &Self) -> bool {
        let (now, then) = (self.clock(), earlier.clock());
        now.0 == then.0 && now.1 >= then.1
    }

    /// The wall clock of the router.
    #[must_use]
    pub fn now_unix(&self) -> u64 {
        self.clock().2
    }

    /// Start, steady clock, wall clock.
    fn clock(&self) -> (u64, u64, u64) {
        match (&self.router, &self.mine) {
            (Some(router), _) => (router.started_unix, router.now_ms, router.now_unix),
            (None, Some(mine)) => (mine.started_unix, mine.now_ms, mine.now_unix),
            (None, None) => (0, 0, 0),
        }
    }

    /// The state as of now.
    pub(super) fn of(state: &RouterState, viewer: &Viewer, question: &OverviewQuestion) -> Self {
        let now_ms = deadline::process_ms();
        let table = state.table.snapshot();
        let clocks = Clocks {
            since: &state.rates.since(&table, now_ms),
            now_ms,
            lease_ms: state.subscriptions.lease_clock_ms(now_ms),
        };
        Self {
            format: 1,
            router: matches!(viewer, Viewer::Operator).then(|| router(state, now_ms)),
            mine: match viewer {
                Viewer::Operator => None,
                Viewer::Tenant(tenant) => Some(mine(state, viewer, &tenant.name, now_ms)),
            },
            keys: KeyPage::of(viewer.routes(&table), question, &clocks),
            certificates: certificates(state.certificates(viewer)),
        }
    }
}

fn router(state: &RouterState, now_ms: u64) -> Router {
    let table = state.table.snapshot();
    let (counts, _) = state.metrics.latency(Latency::Request);
    let facts = state.facts.load();
    let listeners =
        facts.listeners.iter().map(|one| format!("{} {}", one.scheme.name(), one.address));
    let relays = facts.relays.iter().map(|(_, address)| format!("relay {address}"));
    Router {
        program: state.program.name().to_owned(),
        version: state.process.version().to_owned(),
        pid: std::process::id(),
        started_unix: state.process.started_unix(),
        now_unix: unix_now(),
        now_ms,
        state: standing(state),
        io_driver: state.process.io_driver().to_owned(),
        generation: table.generation(),
        keys: table.len(),
        nodes: table.iter().map(|route| route.nodes().len()).sum(),
        in_flight: table.iter().map(|route| keys::in_flight(route)).sum(),
        resident_bytes: MemoryUsage::now().map(|usage| usage.resident),
        memory: memory(state),
        connections_open: state.metrics.connections_open(),
        workers: own::workers(state)
            .into_iter()
            .map(|worker| Worker {
                cpu_ms: worker.cpu_ms,
                connections_open: worker.connections_open,
                requests: worker.requests,
            })
            .collect(),
        latency: Histogram { bounds_us: BOUNDS_US.to_vec(), counts: counts.to_vec() },
        totals: own::totals(state),
        heads_refused: state.metrics.head_rejects().map(|(_, count)| count).sum(),
        subscription: serde_json::to_value(own::subscription(state)).unwrap_or_default(),
        listeners: listeners.chain(relays).collect(),
        subscribe: facts.subscribe.iter().map(ToString::to_string).collect(),
    }
}

pub(crate) fn memory(state: &RouterState) -> Option<MemoryCap> {
    let cap = state.headroom.nearest()?;
    Some(MemoryCap { used_bytes: cap.used, max_bytes: cap.refuse_from })
}

fn standing(state: &RouterState) -> String {
    match state.readiness() {
        Readiness::Ready => "serving".to_owned(),
        Readiness::NotReady(why) => why.to_owned(),
    }
}

fn mine(state: &RouterState, viewer: &Viewer, tenant: &str, now_ms: u64) -> Mine {
    let table = state.table.snapshot();
    let mut mine = Mine {
        tenant: tenant.to_owned(),
        state: standing(state),
        started_unix: state.process.started_unix(),
        now_unix: unix_now(),
        now_ms,
        keys: 0,
        nodes: 0,
        in_flight: 0,
        requests: 0,
        refused: 0,
    };
    for route in viewer.routes(&table) {
        mine.keys += 1;
        mine.nodes += route.nodes().len();
        mine.in_flight += keys::in_flight(route);
        mine.requests += route.hits();
        mine.refused += keys::refused(route);
    }
    mine
}

fn certificates(mut certs: Vec<CertInfo>) -> Certificates {
    let total = certs.len();
    certs.sort_by_key(|cert| cert.not_after);
    let rows = certs.into_iter().take(CERTIFICATES_MAX).map(|cert| Certificate {
        name: cert.name,
        source: cert.source.label().to_owned(),
        not_after_unix: cert.not_after,
    });
    Certificates { total, rows: rows.collect() }
}
