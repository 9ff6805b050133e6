//! The subscription thread: owns the sockets announcements arrive on and the only registry.
//!
//! A batch of datagrams is applied, lapsed leases are swept, then the route table is published
//! once and the effects are carried out: certificates to the loader, acknowledgements, log lines.
//! Workers only ever see a published table. The thread decides nothing about a datagram, that is
//! `subscribe`'s; it loads no certificate, that is the loader's; and it never waits for anybody.
//!
//! Called by the composition root: [`Subscriber::bind`] before anything starts, so that a wrong
//! address ends the start and not the service, then [`Subscriber::spawn`].

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::eventfd::{EfdFlags, EventFd};
use route_table::{NodeFacts, RouteKey, TableWriter};
use subscribe::{CertText, OwnerCheck, Registry, RegistryConfig};

use crate::address::ListenAddr;
use crate::estate::Estate;
use crate::headroom::Headroom;

mod counters;
mod effects;
mod error;
mod group;
mod key_directories;
mod key_watch;
pub mod limits;
pub mod line_budget;
mod operate;
mod past;
mod pause;
#[cfg(test)]
mod pause_tests;
mod receive;
mod reconfigure;
mod relay;
mod socket;
mod state_file;
#[cfg(test)]
mod tests;
mod thread_loop;
mod trail;
mod view;

pub use counters::SubscriptionCounters;
use effects::Effects;
pub use error::{FreezeError, SubscriberError};
use key_directories::{KeyDirectories, OwnerDirectories};
use key_watch::{KeyWatch, SignDirectory};
use limits::{BINDS_MAX, FREEZE_WAIT_MS_MAX, VIEW_WAIT_MS_MAX};
pub use operate::{Operated, Operation, OperationError};
use pause::PausableClock;
use receive::Arena;
pub use reconfigure::{Reconfiguration, Standing};
use relay::Relay;
use socket::{AskCredentials, DatagramSocket, Senders};
use state_file::StateFile;
use thread_loop::{Ask, Shell};
use trail::Trail;
pub use trail::{Happened, Refused, TrailEvent, TrailView};
pub use view::{NodeRow, RegistryView};

/// What the thread works with.
#[derive(Debug)]
pub struct SubscriberConfig {
    /// UDP sockets and unix datagram sockets; a port of 0 is chosen by the kernel.
    pub binds: Vec<ListenAddr>,
    /// Addresses of the interfaces on which multicast groups among them are joined.
    pub multicast_interfaces: Vec<Ipv4Addr>,
    /// Subscription sockets of other routers; needed if `registry.forwarding` is on.
    pub resubscribe: Vec<ListenAddr>,
    /// Directory of public keys; needed if `registry.sign` names a digest.
    pub sign_dir: Option<PathBuf>,
    /// Directories whose entries say whose a key is.
    pub owner_dirs: Vec<PathBuf>,
    /// Proof, lease and limits.
    pub registry: RegistryConfig,
    /// Nodes without a lease, in service from the start.
    pub static_nodes: Vec<(RouteKey, NodeFacts)>,
    /// What a predecessor exported when it froze ([`SubscriberHandle::freeze`]).
    pub handed_over: Option<Vec<u8>>,
    /// Where bound sockets may be already.
    pub estate: Arc<Estate>,
    /// Where subscriptions are kept for the case of a crash.
    pub state_file: Option<PathBuf>,
}

/// What the certificate loader is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CertRequest {
    /// Serve `name` with this pair as soon as it proves good.
    Load {
        /// Server name: the host part of the subscription's key.
        name: String,
        /// Private key.
        key: CertText,
        /// Certificate chain.
        crt: CertText,
        /// Authorities of client certificates; a leading `!` makes these mandatory.
        ca: Option<CertText>,
    },
    /// The subscription that gave `name` its files was renewed: these may have changed.
    LookAgain {
        /// Server name of the `Load`.
        name: String,
    },
    /// Serve `name` no longer from a subscription.
    Drop {
        /// Server name of the `Load`.
        name: String,
    },
}

/// Who takes requests for certificates.
pub trait CertDesk: Send {
    /// `name` is about to get traffic that only clients with a certificate may cause. Called before
    /// the table that says so is published; must not wait.
    fn seal(&self, name: &str);

    /// Takes a request; `false` if nobody carries it out any more.
    fn request(&self, request: CertRequest) -> bool;
}

/// Requests alone, for those who serve no certificates.
impl CertDesk for Sender<CertRequest> {
    fn seal(&self, _name: &str) {}

    fn request(&self, request: CertRequest) -> bool {
        self.send(request).is_ok()
    }
}

/// Whether senders prove by their user that a key is theirs.
fn owns_keys(config: &RegistryConfig) -> bool {
    config.credentials.as_ref().is_some_and(|rules| rules.owner_check == OwnerCheck::On)
}

/// Who may write to the sockets, and whether the kernel is asked who does.
fn who_sends(config: &SubscriberConfig) -> Result<(Senders, AskCredentials), SubscriberError> {
    let registry = &config.registry;
    let ask = match registry.credentials {
        Some(_) => AskCredentials::Yes,
        None => AskCredentials::No,
    };
    let senders = match (&registry.sign, &config.sign_dir) {
        (Some(_), None) => return Err(SubscriberError::NoSignDir),
        (Some(_), Some(_)) => Senders::Everybody,
        (None, _) if owns_keys(registry) => Senders::Everybody,
        (None, _) => Senders::Group,
    };
    Ok((senders, ask))
}

fn open_state_file(path: PathBuf) -> Result<StateFile, SubscriberError> {
    StateFile::at(path.clone()).map_err(|cause| SubscriberError::StateFile { path, cause })
}

/// Everything bound and nothing running.
pub struct Subscriber {
    shell: Shell,
}

impl Subscriber {
    /// Binds every socket, opens the key directory and publishes the static nodes.
    ///
    /// # Errors
    /// If one of these fails; sockets bound before it are closed again.
    pub fn bind(
        config: SubscriberConfig,
        writer: TableWriter,
        counters: Arc<SubscriptionCounters>,
        cert_desk: impl CertDesk + 'static,
    ) -> Result<Self, SubscriberError> {
        let (senders, ask) = who_sends(&config)?;
        let SubscriberConfig {
            binds,
            multicast_interfaces,
            resubscribe,
            sign_dir,
            owner_dirs,
            registry,
            static_nodes,
            handed_over,
            estate,
            state_file,
        } = config;
        let lease_ms = registry.lease_ms;
        if binds.len() > BINDS_MAX {
            return Err(SubscriberError::TooManyBinds { count: binds.len() });
        }
        let sign_directory = SignDirectory::open(sign_dir.clone()).map_err(|cause| {
            SubscriberError::SignDir { path: sign_dir.clone().unwrap_or_default(), cause }
        })?;
        let mut key_directories =
            KeyDirectories { keys: sign_directory, owners: OwnerDirectories(owner_dirs) };
        let bind = |addr| {
            DatagramSocket::bind(&addr, senders, ask, &multicast_interfaces, &estate)
                .map_err(|cause| SubscriberError::Bind { addr, cause })
        };
        let sockets = binds.into_iter().map(bind).collect::<Result<Vec<_>, _>>()?;
        let relay = Relay::open(&resubscribe)?;
        let mut registry = Registry::new(registry, writer);
        for (key, facts) in static_nodes {
            let text = key.to_string();
            registry
                .add_static(key, facts)
                .map_err(|cause| SubscriberError::Static { key: text, cause })?;
        }
        let mut key_watch = sign_dir.as_deref().map(KeyWatch::new);
        let clock = PausableClock::start();
        let state_file = state_file.map(open_state_file).transpose()?;
        let past = (handed_over, state_file.as_ref());
        let keys = &mut key_directories;
        let catch_up = past::learn(&mut registry, keys, clock.now(), lease_ms, past)?;
        if let Some(key_watch) = &mut key_watch {
            key_watch.note_unread(registry.watched_key_files());
        }
        let mut shell = Shell {
            sockets,
            registry,
            key_directories,
            key_watch,
            effects: Effects::new(Box::new(cert_desk), relay),
            counters,
            arena: Arena::new(),
            clock,
            catch_up,
            operated: Vec::new(),
            trail: Trail::new(),
            state_file,
            headroom: Arc::default(),
        };
        shell.turn(&[]);
        Ok(Self { shell })
    }

    /// Where the sockets are bound, in the order of the configuration, ports by the kernel known.
    #[must_use]
    pub fn local_addrs(&self) -> Vec<ListenAddr> {
        self.shell.sockets.iter().map(DatagramSocket::local_addr).collect()
    }

    /// Refuses new nodes while there is no memory for them.
    #[must_use]
    pub fn bounded_by(mut self, headroom: &Arc<Headroom>) -> Self {
        self.shell.headroom = headroom.clone();
        self
    }

    /// Starts the thread, and the state file as whoever the process is by now.
    ///
    /// # Errors
    /// If the system refuses a descriptor or the thread.
    pub fn spawn(mut self) -> Result<SubscriberHandle, SubscriberError> {
        self.shell.begin_state_file();
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        let wake = Arc::new(EventFd::from_flags(flags).map_err(io::Error::from)?);
        let (asks, asked) = mpsc::channel();
        let woken = Arc::clone(&wake);
        let thread = thread::Builder::new()
            .name("subscriber".into())
            .spawn(move || self.shell.run(&woken, &asked))?;
        Ok(SubscriberHandle { asks: Mutex::new(asks), wake, thread: Mutex::new(Some(thread)) })
    }
}

/// The running thread. Dropping the handle ends it too, without waiting.
#[derive(Debug)]
pub struct SubscriberHandle {
    asks: Mutex<Sender<Ask>>,
    wake: Arc<EventFd>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl SubscriberHandle {
    /// Asks the thread to end after its current turn. Its sockets close then.
    pub fn stop(&self) {
        self.ask(Ask::Stop);
    }

    /// [`Self::stop`], then waits for the end.
    pub fn join(&self) {
        self.stop();
        let thread = self.thread.lock().ok().and_then(|mut thread| thread.take());
        if let Some(thread) = thread {
            drop(thread.join());
        }
    }

    /// A copy of what the registry knows, made between two turns. `None` if the thread has ended
    /// or is too busy to answer within [`VIEW_WAIT_MS_MAX`].
    #[must_use]
    pub fn view(&self) -> Option<RegistryView> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.ask(Ask::View(reply));
        answer.recv_timeout(Duration::from_millis(VIEW_WAIT_MS_MAX)).ok()
    }

    /// Stops listening and writes everything down for a successor. From then on datagrams wait in
    /// the kernel and no lease ends, until [`Self::thaw`]; workers keep the table as it is.
    ///
    /// # Errors
    /// [`FreezeError`]; the thread goes on then, if it is there.
    pub fn freeze(&self) -> Result<Vec<u8>, FreezeError> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.ask(Ask::Freeze(reply));
        let wait = Duration::from_millis(FREEZE_WAIT_MS_MAX);
        answer.recv_timeout(wait).map_err(|error| match error {
            RecvTimeoutError::Disconnected => FreezeError::Ended,
            RecvTimeoutError::Timeout => {
                self.thaw();
                FreezeError::Busy
            }
        })
    }

    /// Goes on after a freeze whose successor did not come up: first with what waits in the kernel.
    pub fn thaw(&self) {
        self.ask(Ask::Thaw);
    }

    fn ask(&self, ask: Ask) {
        if let Ok(asks) = self.asks.lock()
            && asks.send(ask).is_ok()
        {
            // Full means a wake-up is waiting already.
            let _ = self.wake.write(1);
        }
    }
}

impl Drop for SubscriberHandle {
    fn drop(&mut self) {
        self.stop();
    }
}
