//! The admin socket: health, readiness, statistics, metrics and explanations over HTTP.
//!
//! Runs on one thread of its own and answers only GET (and HEAD): nothing can be changed through
//! it. Who is shown what is decided by tokens ([`access`]), if there are any. It is bounded (connections, head bytes, seconds per answer), its unix
//! socket has mode 0600, and over TCP the Host must be an IP address or a name known to be this
//! machine's: a web page in an administrator's browser that rebinds its own name to the admin
//! address is refused. What is answered comes from an [`AdminSource`].

pub mod access;
mod dashboard;
mod host_check;
pub mod limits;
mod overview;
mod refusals;
mod routes;
mod serve;
mod socket;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::thread;

use tokio::sync::oneshot;

use crate::address::ListenAddr;
use crate::estate::Estate;
use access::{Access, Viewer};
use arc_swap::ArcSwap;
use host_check::KnownHosts;
pub use overview::{KeyOrder, KeySort, OverviewQuestion};
pub use refusals::{Refusal, Refusals};
use socket::AdminSocket;

/// What the admin socket tells, to whom. Called on the admin thread or one of its blocking threads; must
/// not wait for a worker.
pub trait AdminSource: Send + Sync + 'static {
    /// The router's state as one JSON document listing at most `keys_max` keys. May take a second.
    fn stats_json(&self, viewer: &Viewer, keys_max: usize) -> String;
    /// What a dashboard shows, as JSON, with one page of keys. May take a second.
    fn overview_json(&self, viewer: &Viewer, question: &OverviewQuestion) -> String;
    /// The page of metrics. May take a second.
    fn metrics_text(&self, viewer: &Viewer) -> String;
    /// Somebody was refused. Must be quick.
    fn note_refusal(&self, refusal: Refusal);
    /// Whether new connections should be sent here. Must be quick.
    fn readiness(&self) -> Readiness;
    /// What a request for `url` would get.
    ///
    /// # Errors
    /// One sentence on what is wrong with the URL.
    fn explain(&self, viewer: &Viewer, url: &str, format: ExplainFormat) -> Result<String, String>;
}

/// Whether a router takes new connections.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Readiness {
    /// It does.
    Ready,
    /// It does not, for this reason: `starting`, `draining`, ….
    NotReady(&'static str),
}

/// How an explanation is written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ExplainFormat {
    /// For programs.
    #[default]
    Json,
    /// For people.
    Text,
}

/// Where to serve, and as whom.
#[derive(Clone, Debug)]
pub struct AdminConfig {
    /// TCP or unix socket.
    pub listen: ListenAddr,
    /// Names besides IP addresses and `localhost` that a TCP client may call this machine by.
    pub host_names: Vec<String>,
    /// Where a bound socket may be already.
    pub estate: Arc<Estate>,
}

/// The admin socket cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address cannot be bound.
    #[error("cannot bind the admin socket {address}")]
    Bind {
        /// The address as configured.
        address: ListenAddr,
        /// What the kernel said.
        #[source]
        cause: io::Error,
    },
    /// The thread or its runtime cannot be started.
    #[error("cannot start the admin thread")]
    Start(#[source] io::Error),
}

/// A bound admin socket that answers nobody yet.
#[derive(Debug)]
pub struct AdminServer {
    socket: AdminSocket,
    hosts: KnownHosts,
}

impl AdminServer {
    /// Binds the address, so that one that cannot be had stops the start of the router.
    ///
    /// # Errors
    /// [`AdminError::Bind`] with the kernel's reason.
    pub fn bind(config: AdminConfig) -> Result<Self, AdminError> {
        let hosts = match config.listen {
            ListenAddr::Tcp(_) => KnownHosts::new(config.host_names),
            ListenAddr::Unix(_) => KnownHosts::any(),
        };
        match AdminSocket::bind(&config.listen, &config.estate) {
            Ok(socket) => Ok(Self { socket, hosts }),
            Err(cause) => Err(AdminError::Bind { address: config.listen, cause }),
        }
    }

    /// The address with the port the kernel chose, if it was asked to.
    pub fn local_addr(&self) -> &ListenAddr {
        self.socket.address()
    }

    /// Starts to answer, on a thread of its own, those whom `access` admits.
    ///
    /// # Errors
    /// [`AdminError::Start`].
    pub fn spawn(
        self,
        source: Arc<dyn AdminSource>,
        access: Access,
    ) -> Result<AdminHandle, AdminError> {
        let runtime = serve::runtime().map_err(AdminError::Start)?;
        let (stop, stopped) = oneshot::channel();
        let Self { socket, hosts } = self;
        let door = Arc::new(ArcSwap::from_pointee(access));
        let router = routes::router(source, hosts, Arc::clone(&door));
        let thread = thread::Builder::new()
            .name("admin".into())
            .spawn(move || serve::run(runtime, socket, router, stopped))
            .map_err(AdminError::Start)?;
        Ok(AdminHandle { stop, thread, door })
    }
}

/// The running admin thread.
#[derive(Debug)]
pub struct AdminHandle {
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
    door: Arc<ArcSwap<Access>>,
}

impl AdminHandle {
    /// From the next question on, others are admitted.
    pub fn admit_by(&self, access: Access) {
        self.door.store(Arc::new(access));
    }

    /// Ends the thread; answers under way are cut off. Call it last, so that the drain can be
    /// watched to its end.
    pub fn stop(self) {
        drop(self.stop);
        let _ = self.thread.join();
    }
}
