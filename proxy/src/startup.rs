//! Starting a router: everything is bound and loaded before any thread runs.

mod generation;
pub(crate) mod limiting;
mod powers;
mod sockets;
pub(crate) mod static_nodes;
mod traces;

use std::{
    collections::HashSet,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use route_table::{Address, RouteKey, TableHandle, TableWriter};
use router_core::{
    access_log::{AccessLog, AccessLogWriter},
    admin::{AdminConfig, AdminError, AdminHandle, AdminServer},
    ctl::{CtlError, CtlHandle},
    drain::{Drain, DrainPhase},
    estate::Estate,
    listener::{ListenError, WorkerSocket},
    metrics::{Metrics, ProcessFacts},
    runtime::{self, Driver},
    subscriber::{
        Subscriber, SubscriberConfig, SubscriberError, SubscriberHandle, SubscriptionCounters,
    },
    worker::{self, ListenerId, WorkerError, WorkerHandle, WorkerPlan},
};
use subscribe::{RegistryConfig, UpstreamPolicy};

pub use generation::Lasting;
use generation::hostname;
pub use sockets::{Sockets, Taken};

use crate::{
    Ready,
    config::{Settings, Source},
    context::{Current, Generations, Role, WorkerState},
    control::audit::Audit,
    front::Front,
    health::HealthChecks,
    http::rejects,
    policy::streams::Switch,
    privileges::PrivilegeError,
    reload::History,
    sandbox::SandboxError,
    stats::{Facts, RouterState},
    systemd::{ServiceManager, watchdog},
    tls::{
        cert_desk::CertDesk,
        cert_load::{self, CertLoadError, CertLoader, CertLoaderConfig, CertLoaderHandle},
        cert_store::CertStore,
    },
    traces::{Exporter, Traces},
    upgrade::{self, Birth, Launch, SuccessionError},
};

/// Why a router could not start or went down.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// `--io uring` was asked for and the kernel refuses it.
    #[error("io_uring is not available here ({0}); --io auto falls back to epoll")]
    Uring(#[source] std::io::Error),
    /// The access log cannot be written.
    #[error("cannot open the access log: {0}")]
    AccessLog(#[source] std::io::Error),
    /// A certificate given by the operator is unusable.
    #[error(transparent)]
    Certificates(#[from] CertLoadError),
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// A listener cannot be bound.
    #[error("{0}: {cause}", cause = .0.cause)]
    Listen(#[from] ListenError),
    /// A subscription socket cannot be bound.
    #[error(transparent)]
    Subscriber(#[from] SubscriberError),
    /// The admin socket cannot be bound.
    #[error("{0}{why}", why = admin_cause(.0))]
    Admin(#[from] AdminError),
    /// The control socket cannot be bound.
    #[error(transparent)]
    Ctl(#[from] CtlError),
    /// The audit log cannot be written.
    #[error("cannot open the audit log: {0}")]
    AuditLog(#[source] std::io::Error),
    /// The powers of the start cannot be given up.
    #[error(transparent)]
    Privileges(PrivilegeError),
    /// The process cannot be confined.
    #[error(transparent)]
    Sandbox(SandboxError),
    /// A worker cannot start.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The process before this one cannot be taken over from.
    #[error(transparent)]
    Succession(#[from] SuccessionError),
    /// The signals cannot be watched, or a control thread cannot start.
    #[error("cannot start: {0}")]
    Start(#[source] std::io::Error),
}

pub(crate) fn admin_cause(error: &AdminError) -> String {
    std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default()
}

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
    /// How the reloads went.
    pub reloads: Arc<History>,
    /// What the statistics say of the configuration.
    pub facts: Arc<ArcSwap<Facts>>,
    /// The sockets clients connect to.
    pub sockets: Sockets,
    /// One per core.
    pub workers: Vec<WorkerHandle<Role>>,
    /// Phase seen by all of them.
    pub drain: Arc<Drain>,
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
    /// What operators are told.
    pub state: Arc<RouterState>,
    /// Answers operators.
    pub admin: Option<AdminHandle>,
    /// What is bound where.
    pub ready: Ready,
    /// Second handles of everything bound.
    pub estate: Arc<Estate>,
    /// The certificates.
    pub certs: CertStore,
    /// How upgrades went.
    pub upgrades: Arc<upgrade::History>,
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
    let driver = runtime::choose_driver(settings.io).map_err(RunError::Uring)?;
    let metrics = Metrics::with_head_rejects(settings.workers, rejects::reasons());
    let certs = CertStore::empty();
    let mut loader = CertLoader::new(cert_config(&settings), certs.clone())?;
    loader.load_initial()?;
    let mut sockets = Sockets::default();
    let mut step = sockets.plan(&settings, &estate)?;
    let tcp_keys = std::mem::take(&mut step.tcp_keys);
    let taken = sockets.take(step, settings.workers);
    let admin = bind_admin(&settings, &estate)?;
    let admin_at = admin.as_ref().map(|admin| admin.local_addr().clone());
    let mut memory = birth.prepared()?;
    take_over_tickets(&certs, memory.take(upgrade::TICKET_KEYS));
    let (table_writer, table) = TableWriter::new();
    let counters = Arc::new(SubscriptionCounters::default());
    let (errands, errand_inbox) = cert_load::errands().map_err(RunError::Start)?;
    let own = sockets.own_addresses(admin_at.as_ref());
    let handed_over = memory.take(upgrade::SUBSCRIPTIONS);
    let config = SubscriberConfig { handed_over, ..subscriber_config(&settings, own, &estate) };
    let desk = CertDesk::new(certs.clone(), errands.clone());
    let subscriber = Subscriber::bind(config, table_writer, counters.clone(), desk)?;
    let ready = Ready::of(&sockets, subscriber.local_addrs(), admin_at, driver);
    let manager = Arc::new(ServiceManager::of_environment());
    for (kind, address) in estate.close_unclaimed() {
        tracing::warn!("{kind} {address} was inherited and is not configured: closed");
        manager.note_unused(kind, &address);
    }
    powers::give_up(&settings, &sockets, &ready)?;
    let (log, log_writer) =
        AccessLog::open(settings.access_log.clone()).map_err(RunError::AccessLog)?;
    let (traces, exporter) = traces::start(&settings).map_err(RunError::Start)?.unzip();
    let emperor = Arc::default();
    let lasting =
        Lasting::new(&settings, certs.clone(), &table, &emperor).map_err(RunError::Start)?;
    let first = lasting.generation(0, &settings, tcp_keys)?;
    let generations = Arc::new(Generations::new(Arc::new(first), log.clone()));
    let drain = Arc::new(Drain::preparing());
    let upgrades = upgrade::History::after(memory.take(upgrade::HISTORY).as_deref());
    let upgrades = Arc::new(upgrades);
    // Those of subscriptions that were taken over are there before the first handshake.
    loader.settle(&errand_inbox);
    let cert_loader = loader.spawn(errand_inbox, errands).map_err(RunError::Start)?;
    let subscriber = Arc::new(subscriber.spawn()?);
    let mut health = HealthChecks::new(&generations, &table, driver, &drain);
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
    let workers = fleet.start(taken.by_worker, &drain, &front)?;
    let facts = Arc::new(ArcSwap::from_pointee(Facts::of(&ready, &settings)));
    let reloads = Arc::new(History::default());
    watchdog::start(&manager, &metrics, &drain).map_err(RunError::Start)?;
    let state = Arc::new(RouterState {
        process: ProcessFacts::new(env!("CARGO_PKG_VERSION"), driver.label()),
        program: settings.program,
        facts: facts.clone(),
        reloads: reloads.clone(),
        table,
        metrics,
        subscriptions: counters,
        on_demand: if settings.waking.emperor.is_some() { Switch::On } else { Switch::Off },
        emperor,
        certs: certs.clone(),
        log: log.write_failures(),
        traces: traces.as_ref().map(Traces::counters).unwrap_or_default(),
        drain: drain.clone(),
        rates: Default::default(),
        upgrades: upgrades.clone(),
    });
    let admin =
        admin.map(|admin| admin.spawn(state.clone(), settings.viewers.access())).transpose()?;
    drain.advance(DrainPhase::Serving);
    Ok(Running {
        settings,
        source,
        generations,
        lasting,
        reloads,
        facts,
        sockets,
        workers,
        drain,
        health,
        subscriber,
        cert_loader,
        log,
        log_writer,
        exporter,
        state,
        admin,
        ready,
        estate,
        certs,
        upgrades,
        manager,
        launch: None,
        ctl: None,
        audit: Audit::default(),
    })
}

fn take_over_tickets(certs: &CertStore, keys: Option<Vec<u8>>) {
    let Some(keys) = keys else { return };
    let now_unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if let Err(error) = certs.tickets().import(&keys, now_unix) {
        tracing::warn!(%error, "TLS sessions of the process before are not resumed");
    }
}

struct Fleet<'a> {
    settings: &'a Settings,
    driver: Driver,
    generations: &'a Arc<Generations>,
    table: &'a TableHandle,
    metrics: &'a Arc<Metrics>,
    log: &'a AccessLog,
    traces: Option<&'a Traces>,
}

impl Fleet<'_> {
    fn start(
        &self,
        sockets: Vec<Vec<(ListenerId, WorkerSocket, Role)>>,
        drain: &Arc<Drain>,
        front: &impl Front,
    ) -> Result<Vec<WorkerHandle<Role>>, WorkerError> {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let mut workers = Vec::with_capacity(self.settings.workers);
        for (index, sockets) in sockets.into_iter().enumerate() {
            let shard = self.metrics.shard(index);
            let plan = WorkerPlan {
                index,
                // With fewer workers than cores the scheduler knows better where there is room.
                core: (self.settings.workers == cores).then_some(index),
                driver: self.driver,
                sockets,
                connections_max: limiting::worker_connections_max(self.settings),
                shard: shard.clone(),
                drain: drain.clone(),
            };
            let (table, log) = (self.table.clone(), self.log.clone());
            let generations = self.generations.clone();
            let traces = self.traces.map(|traces| traces.worker(shard.clone()));
            let front = front.clone();
            workers.push(worker::start(plan, move || {
                let log = log.sink(shard.clone());
                let state = WorkerState::new(table.reader(), log, traces, shard);
                front.service(Current::new(generations, state))
            })?);
        }
        Ok(workers)
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
