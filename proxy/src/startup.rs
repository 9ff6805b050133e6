//! Starting a router: everything is bound and loaded before any thread runs.

mod generation;
mod limiting;
mod powers;
mod sockets;
mod static_nodes;
mod traces;

use std::{collections::HashSet, sync::Arc, thread::JoinHandle};

use route_table::{Address, RouteKey, TableHandle, TableWriter};
use router_core::{
    access_log::{AccessLog, AccessLogWriter},
    admin::{AdminConfig, AdminError, AdminHandle, AdminServer},
    drain::Drain,
    estate::Estate,
    listener::ListenError,
    metrics::{Metrics, ProcessFacts},
    runtime::{self, Driver},
    socket_file::SocketFile,
    subscriber::{
        Subscriber, SubscriberConfig, SubscriberError, SubscriberHandle, SubscriptionCounters,
    },
    worker::{self, WorkerError, WorkerPlan},
};
use subscribe::{RegistryConfig, UpstreamPolicy};

use generation::{Lasting, hostname};
use sockets::Sockets;

use crate::{
    Ready,
    config::Settings,
    context::{Current, Generations, Relay, Scheme, WorkerState},
    front::Front,
    http::rejects,
    policy::streams::Switch,
    privileges::PrivilegeError,
    stats::RouterState,
    tls::{
        cert_desk::CertDesk,
        cert_load::{self, CertLoadError, CertLoader, CertLoaderConfig, CertLoaderHandle},
        cert_store::CertStore,
    },
    traces::{Exporter, Traces},
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
    /// The powers of the start cannot be given up.
    #[error(transparent)]
    Privileges(PrivilegeError),
    /// A worker cannot start.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The signals cannot be watched, or a control thread cannot start.
    #[error("cannot start: {0}")]
    Start(#[source] std::io::Error),
}

fn admin_cause(error: &AdminError) -> String {
    std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default()
}

/// A running router: its threads, in the order they end.
pub struct Running {
    /// One per core.
    pub workers: Vec<JoinHandle<()>>,
    /// Phase seen by all of them.
    pub drain: Arc<Drain>,
    /// Receives announcements.
    pub subscriber: Arc<SubscriberHandle>,
    /// Loads certificates.
    pub cert_loader: CertLoaderHandle,
    /// Writes the access log.
    pub log_writer: AccessLogWriter,
    /// Brings spans to the collector, if requests are traced.
    pub exporter: Option<Exporter>,
    /// Answers operators.
    pub admin: Option<AdminHandle>,
    /// What is bound where.
    pub ready: Ready,
    /// Files of the unix listeners; they go at the end.
    pub socket_files: Vec<SocketFile>,
    /// Second handles of everything bound.
    pub estate: Arc<Estate>,
}

/// Starts everything.
///
/// # Errors
/// [`RunError`]; nothing keeps running then but what the end of the process takes along.
pub fn start(
    settings: &Settings,
    front: impl Front,
    estate: Arc<Estate>,
) -> Result<Running, RunError> {
    let driver = runtime::choose_driver(settings.io).map_err(RunError::Uring)?;
    let metrics = Metrics::with_head_rejects(settings.workers, rejects::reasons());
    let certs = CertStore::empty();
    let mut loader = CertLoader::new(cert_config(settings), certs.clone())?;
    loader.load_initial()?;
    let mut sockets = Sockets::bind(settings, &estate)?;
    let admin = bind_admin(settings, &estate)?;
    let (table_writer, table) = TableWriter::new();
    let counters = Arc::new(SubscriptionCounters::default());
    let (errands, errand_inbox) = cert_load::errands().map_err(RunError::Start)?;
    let own = sockets.own_addresses(admin.as_ref());
    let subscriber = Subscriber::bind(
        subscriber_config(settings, own, &estate),
        table_writer,
        counters.clone(),
        CertDesk::new(certs.clone(), errands.clone()),
    )?;
    let subscribe = subscriber.local_addrs();
    for unclaimed in estate.close_unclaimed() {
        tracing::warn!("{unclaimed} was inherited and is not configured: closed");
    }
    powers::give_up(settings, &sockets, &subscribe, admin.as_ref())?;
    let (log, log_writer) =
        AccessLog::open(settings.access_log.clone()).map_err(RunError::AccessLog)?;
    let (traces, exporter) = traces::start(settings).map_err(RunError::Start)?.unzip();
    let emperor = Arc::default();
    let lasting =
        Lasting::new(settings, certs.clone(), &table, &emperor).map_err(RunError::Start)?;
    let generations = Arc::new(Generations::new(Arc::new(lasting.generation(0, settings)?)));
    let drain = Arc::new(Drain::default());
    let cert_loader = loader.spawn(errand_inbox, errands).map_err(RunError::Start)?;
    let subscriber = Arc::new(subscriber.spawn()?);
    let ready = Ready {
        http: sockets.addresses(|role| role.relay.is_none() && role.scheme == Scheme::Http),
        https: sockets.addresses(|role| role.relay.is_none() && role.scheme == Scheme::Https),
        tls_passthrough: sockets.addresses(|role| role.relay == Some(Relay::Tls)),
        tcp: sockets.addresses(|role| matches!(role.relay, Some(Relay::Tcp(_)))),
        uwsgi: sockets.addresses(|role| role.scheme == Scheme::Uwsgi),
        subscribe,
        admin: admin.as_ref().map(|admin| admin.local_addr().clone()),
        driver,
    };
    let (log, traces) = (&log, traces.as_ref());
    let fleet =
        Fleet { settings, driver, generations, table: &table, metrics: &metrics, log, traces };
    let workers = fleet.start(&mut sockets, &drain, &front)?;
    let state = RouterState {
        process: ProcessFacts::new(env!("CARGO_PKG_VERSION"), driver.label()),
        program: settings.program,
        listeners: RouterState::listening(&ready),
        relays: ready.relays(),
        subscribe: ready.subscribe.clone(),
        dotsplit: settings.dotsplit,
        fallback_key: settings.fallback_key.clone(),
        table,
        metrics,
        subscriptions: counters,
        on_demand: if settings.waking.emperor.is_some() { Switch::On } else { Switch::Off },
        emperor,
        certs,
        log: log.clone(),
        traces: traces.map(Traces::counters).unwrap_or_default(),
        drain: drain.clone(),
        rates: Default::default(),
    };
    let admin = admin.map(|admin| admin.spawn(Arc::new(state))).transpose()?;
    let socket_files = sockets.files;
    Ok(Running {
        workers,
        drain,
        subscriber,
        cert_loader,
        log_writer,
        exporter,
        admin,
        ready,
        socket_files,
        estate,
    })
}

struct Fleet<'a> {
    settings: &'a Settings,
    driver: Driver,
    generations: Arc<Generations>,
    table: &'a TableHandle,
    metrics: &'a Arc<Metrics>,
    log: &'a AccessLog,
    traces: Option<&'a Traces>,
}

impl Fleet<'_> {
    fn start(
        &self,
        sockets: &mut Sockets,
        drain: &Arc<Drain>,
        front: &impl Front,
    ) -> Result<Vec<JoinHandle<()>>, WorkerError> {
        crate::health::start(&self.generations, self.table, self.driver, drain)
            .map_err(WorkerError::Thread)?;
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let mut workers = Vec::with_capacity(self.settings.workers);
        for (index, sockets) in sockets.by_worker.drain(..).enumerate() {
            let shard = self.metrics.shard(index);
            let plan = WorkerPlan {
                index,
                // With fewer workers than cores the scheduler knows better where there is room.
                core: (self.settings.workers == cores).then_some(index),
                driver: self.driver,
                sockets,
                connections_max: (self.settings.limits.connections_max / self.settings.workers)
                    .max(1) as u64,
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

fn bind_admin(
    settings: &Settings,
    estate: &Arc<Estate>,
) -> Result<Option<AdminServer>, AdminError> {
    let Some(listen) = settings.admin.clone() else { return Ok(None) };
    AdminServer::bind(AdminConfig { listen, host_names: vec![hostname()], estate: estate.clone() })
        .map(Some)
}

fn cert_config(settings: &Settings) -> CertLoaderConfig {
    CertLoaderConfig {
        default: settings.default_cert.clone(),
        dir: settings.cert_dir.clone(),
        roots: settings.cert_root.clone(),
        is_served: !settings.https.is_empty(),
        ..CertLoaderConfig::default()
    }
}

fn subscriber_config(
    settings: &Settings,
    own: Vec<Address>,
    estate: &Arc<Estate>,
) -> SubscriberConfig {
    let mut policy = UpstreamPolicy::default_allow();
    if !settings.upstream_allow.is_empty() {
        policy.allow.clone_from(&settings.upstream_allow);
    }
    policy.deny = own;
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
    }
}

/// Keys that nobody can mean but for a raw listener.
fn raw_keys(settings: &Settings) -> HashSet<RouteKey> {
    let own = settings.tcp.iter().filter(|raw| raw.names_itself);
    own.map(|raw| raw.key.clone()).collect()
}
