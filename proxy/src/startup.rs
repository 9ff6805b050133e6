//! Starting a router: everything is bound and loaded before any thread runs.

mod error;
mod fleet;
mod generation;
pub(crate) mod limiting;
mod powers;
mod prepare;
mod sockets;
pub(crate) mod static_nodes;
mod traces;

use std::{collections::HashSet, sync::Arc};

use arc_swap::ArcSwap;
use route_table::{Address, RouteKey};
use router_core::{
    access_log::{AccessLog, AccessLogWriter},
    admin::{AdminConfig, AdminError, AdminHandle, AdminServer},
    ctl::CtlHandle,
    drain::{Drain, DrainPhase},
    estate::Estate,
    headroom::{self, Headroom},
    metrics::{Metrics, ProcessFacts},
    subscriber::{SubscriberConfig, SubscriberHandle},
    worker::WorkerHandle,
};
use subscribe::{RegistryConfig, UpstreamPolicy};

pub use error::RunError;
pub(crate) use error::admin_cause;
pub use generation::Lasting;
pub use sockets::{Sockets, Taken};

use fleet::Fleet;
use generation::hostname;
use prepare::{Prepared, prepare};

use crate::{
    Ready,
    config::{Settings, Source},
    context::{Generations, Role},
    control::audit::Audit,
    front::Front,
    health::HealthChecks,
    http::rejects,
    policy::streams::Switch,
    reload::History,
    stats::{Facts, RouterState},
    systemd::{ServiceManager, watchdog},
    tls::cert_load::{CertLoaderConfig, CertLoaderHandle},
    traces::{Exporter, Traces},
    upgrade::{self, Birth, Launch},
};

/// A running router: what it runs by, and its threads in the order they end.
pub struct Running {
    /// What it runs by now.
    pub settings: Settings,
    /// Where that is written, if anywhere.
    pub source: Option<Source>,
    /// What requests are served by.
    pub generations: Arc<Generations>,
    /// What all of these have in common.
    pub lasting: Lasting,
    /// The sockets clients connect to.
    pub sockets: Sockets,
    /// One per core.
    pub workers: Vec<WorkerHandle<Role>>,
    /// Asks nodes whether they serve.
    pub health: HealthChecks,
    /// Receives announcements.
    pub subscriber: Arc<SubscriberHandle>,
    /// Loads certificates.
    pub cert_loader: CertLoaderHandle,
    /// The access log.
    pub log: AccessLog,
    /// Writes the access log.
    pub log_writer: AccessLogWriter,
    /// Brings spans to the collector, if requests are traced.
    pub exporter: Option<Exporter>,
    /// What operators are told, and the phase that all threads see.
    pub state: Arc<RouterState>,
    /// Answers operators.
    pub admin: Option<AdminHandle>,
    /// What is bound where.
    pub ready: Ready,
    /// Second handles of everything bound.
    pub estate: Arc<Estate>,
    /// Whoever started this process.
    pub manager: Arc<ServiceManager>,
    /// How this program is started again, if it can be.
    pub launch: Option<Launch>,
    /// Takes commands of operators; it starts last.
    pub ctl: Option<CtlHandle>,
    /// What was changed while it runs.
    pub audit: Audit,
}

/// Starts everything.
///
/// # Errors
/// [`RunError`]; nothing keeps running then but what the end of the process takes along.
pub fn start(
    settings: Settings,
    source: Option<Source>,
    front: impl Front,
    estate: Arc<Estate>,
    birth: &mut Birth,
) -> Result<Running, RunError> {
    let mut prepared = prepare(&settings, &estate, birth)?;
    let metrics = Metrics::with_head_rejects(settings.workers, rejects::reasons());
    let (log, log_writer) =
        AccessLog::open(settings.access_log.clone()).map_err(RunError::AccessLog)?;
    let (traces, exporter) = traces::start(&settings).map_err(RunError::Start)?.unzip();
    let state = Arc::new(state(&settings, &mut prepared, &metrics, &log, traces.as_ref()));
    let Prepared { driver, mut loader, errands, errand_inbox, table, .. } = prepared;
    let lasting = Lasting::new(&settings, state.certs.clone(), &table, &state.emperor)
        .map_err(RunError::Start)?;
    let first = lasting.generation(0, &settings, prepared.tcp_keys)?;
    let generations = Arc::new(Generations::new(Arc::new(first), log.clone()));
    // Those of subscriptions that were taken over are there before the first handshake.
    loader.settle(&errand_inbox);
    let cert_loader = loader.spawn(errand_inbox, errands).map_err(RunError::Start)?;
    headroom::watch(&state.headroom, &state.drain).map_err(RunError::Start)?;
    let subscriber = prepared.subscriber.bounded_by(&state.headroom);
    let subscriber = Arc::new(subscriber.spawn()?);
    let mut health = HealthChecks::new(&generations, &table, driver, &state.drain);
    health.start_if_wanted().map_err(RunError::Start)?;
    let fleet = Fleet {
        settings: &settings,
        driver,
        generations: &generations,
        table: &table,
        metrics: &metrics,
        log: &log,
        traces: traces.as_ref(),
    };
    let workers = fleet.start(prepared.taken.by_worker, &state, &front)?;
    watchdog::start(&prepared.manager, &metrics, &state.drain).map_err(RunError::Start)?;
    let access = settings.viewers.access();
    let admin = prepared.admin.map(|admin| admin.spawn(state.clone(), access)).transpose()?;
    state.drain.advance(DrainPhase::Serving);
    Ok(Running {
        settings,
        source,
        generations,
        lasting,
        sockets: prepared.sockets,
        workers,
        health,
        subscriber,
        cert_loader,
        log,
        log_writer,
        exporter,
        state,
        admin,
        ready: prepared.ready,
        estate,
        manager: prepared.manager,
        launch: None,
        ctl: None,
        audit: Audit::default(),
    })
}

/// What operators are told of a router that is about to serve.
fn state(
    settings: &Settings,
    prepared: &mut Prepared,
    metrics: &Arc<Metrics>,
    log: &AccessLog,
    traces: Option<&Traces>,
) -> RouterState {
    let upgrades = upgrade::History::after(prepared.memory.take(upgrade::HISTORY).as_deref());
    RouterState {
        process: ProcessFacts::new(env!("CARGO_PKG_VERSION"), prepared.driver.label()),
        program: settings.program,
        facts: ArcSwap::from_pointee(Facts::of(&prepared.ready, settings)),
        reloads: History::default(),
        table: prepared.table.clone(),
        metrics: metrics.clone(),
        subscriptions: prepared.counters.clone(),
        on_demand: if settings.waking.emperor.is_some() { Switch::On } else { Switch::Off },
        emperor: Arc::default(),
        certs: prepared.certs.clone(),
        log: log.write_failures(),
        traces: traces.map(Traces::counters).unwrap_or_default(),
        drain: Arc::new(Drain::preparing()),
        headroom: Headroom::new(settings.limits.memory_max),
        rates: Default::default(),
        upgrades,
        refusals: Default::default(),
    }
}

pub(crate) fn bind_admin(
    settings: &Settings,
    estate: &Arc<Estate>,
) -> Result<Option<AdminServer>, AdminError> {
    let Some(listen) = settings.admin.clone() else { return Ok(None) };
    AdminServer::bind(AdminConfig { listen, host_names: vec![hostname()], estate: estate.clone() })
        .map(Some)
}

pub(crate) fn cert_config(settings: &Settings) -> CertLoaderConfig {
    CertLoaderConfig {
        default: settings.default_cert.clone(),
        dir: settings.cert_dir.clone(),
        roots: settings.cert_root.clone(),
        is_served: !settings.https.is_empty(),
        ..CertLoaderConfig::default()
    }
}

pub(crate) fn subscriber_config(
    settings: &Settings,
    own: Vec<Address>,
    estate: &Arc<Estate>,
) -> SubscriberConfig {
    let mut policy = UpstreamPolicy::default_allow();
    if !settings.upstream_allow.is_empty() {
        policy.allow.clone_from(&settings.upstream_allow);
    }
    policy.deny = own;
    policy.deny.extend(settings.ctl.address().map(sockets::upstream_form));
    SubscriberConfig {
        binds: settings.subscribe.clone(),
        multicast_interfaces: settings.senders.multicast_interface.clone(),
        resubscribe: settings.senders.resubscribe.clone(),
        owner_dirs: settings.senders.credentials_check.clone(),
        sign_dir: settings.sign_check.as_ref().map(|check| check.dir.clone()),
        registry: RegistryConfig {
            sign: settings.sign_check.as_ref().map(|check| check.digest),
            inactive_lease_ms: settings.senders.tolerance_inactive.as_millis() as u64,
            vassal_names: settings.senders.vassal_names(),
            forwarding: settings.senders.forwarding(),
            credentials: settings.senders.credential_rules(),
            sign_tolerance_s: settings.sign_tolerance.as_secs(),
            lease_ms: settings.tolerance.as_millis() as u64,
            algorithm: settings.algorithm,
            upstream_policy: policy,
            raw_keys: raw_keys(settings),
            ..RegistryConfig::default()
        },
        static_nodes: settings.route.iter().map(static_nodes::facts).collect(),
        handed_over: None,
        estate: estate.clone(),
        state_file: settings.senders.state_file.clone(),
    }
}

/// Keys that nobody can mean but for a raw listener.
fn raw_keys(settings: &Settings) -> HashSet<RouteKey> {
    let own = settings.tcp.iter().filter(|raw| raw.names_itself);
    own.map(|raw| raw.key.clone()).collect()
}
