//! What an operator may set: the typed, bounded result of a config file and flags.
//!
//! [`load`] reads everything before anything is bound and reports every problem it finds at once,
//! each with its place and what is allowed. Options are declared once, in [`catalog`]: flags,
//! file keys, `--help` and `docs/CONFIG.md` all come from there. A flag replaces the value of the
//! file; it never adds to a list of the file. What a `[key."NAME"]` table says stays as it is.

pub mod catalog;
mod client_limits;
mod compression;
mod ctl;
mod draft;
mod file;
pub mod fixed;
mod headers;
mod key_table;
pub mod limits;
mod on_demand;
pub mod packets;
mod privileges;
pub mod problem;
mod program;
mod reference;
mod resilience;
mod seen;
mod senders;
mod similar;
mod source;
mod streams;
mod tenants;
mod told;
mod traces;
pub mod units;
pub(crate) mod values;
mod warning;

use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use route_table::{Address, Algorithm, Dotsplit, Opening, Proto, RouteKey};
use router_core::access_log::AccessLogSettings;
use router_core::address::ListenAddr;
use router_core::runtime::IoChoice;
use subscribe::{AllowRule, Digest};
use tracing::level_filters::LevelFilter;

pub use client_limits::ClientLimits;
pub use ctl::Ctl;
pub use on_demand::Waking;
pub use privileges::{Account, Capability, Privileges, Seccomp};
pub use problem::{ConfigError, Place, Problem};
pub use program::Program;
pub use reference::render as reference;
pub use senders::Senders;
pub use source::Source;
pub use tenants::Viewers;
pub use told::Told;
pub use warning::Warning;

use crate::http::request_id::RequestIds;
use crate::policy::Policy;
use crate::tls::cert_load::DefaultPair;
use crate::tls::client_cert::PemExport;
use crate::traces::TraceSettings;
use catalog::Opt;
use packets::Packets;

/// Everything `run` needs, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whose they are.
    pub program: Program,
    /// What was written to make them.
    pub told: Told,
    /// Plain HTTP listeners.
    pub http: Vec<ListenAddr>,
    /// HTTPS listeners.
    pub https: Vec<ListenAddr>,
    /// Listeners whose TLS is passed on.
    pub tls_passthrough: Vec<ListenAddr>,
    /// Listeners whose bytes are passed on.
    pub tcp: Vec<RawListener>,
    /// Where uwsgi packets come from and go to.
    pub packets: Packets,
    /// Where HTTP/2 is spoken to clients.
    pub http2: Http2,
    /// Who must begin every connection with a PROXY preface.
    pub proxy_protocol: Vec<ProxySource>,
    /// Proxies that may tell of clients.
    pub trusted_proxy: Vec<ProxySource>,
    /// Our name in `Via`.
    pub via: Via,
    /// Whether requests are named.
    pub request_ids: RequestIds,
    /// Subscription sockets: UDP, or unix datagram.
    pub subscribe: Vec<ListenAddr>,
    /// How subscriptions prove themselves; `None` takes unsigned ones.
    pub sign_check: Option<SignCheck>,
    /// Who may send subscriptions.
    pub senders: Senders,
    /// How far a signed stamp may be from the router's clock, either way.
    pub sign_tolerance: Duration,
    /// How long a subscription holds without renewal.
    pub tolerance: Duration,
    /// Whether `.example.org` also takes `a.example.org`.
    pub dotsplit: Dotsplit,
    /// Serves the hosts that have no key.
    pub fallback_key: Option<RouteKey>,
    /// Of keys whose first announcement names none.
    pub algorithm: Algorithm,
    /// The pair for names without their own; `None`: self-signed.
    pub default_cert: Vec<DefaultPair>,
    /// Directory of `NAME.crt` and `NAME.key`, perhaps with `NAME.ca`.
    pub cert_dir: Option<PathBuf>,
    /// Directories that certificate paths of subscriptions may point into.
    pub cert_root: Vec<PathBuf>,
    /// Whether uwsgi nodes get client certificates as PEM too.
    pub pem_export: PemExport,
    /// Addresses a subscription may bring; empty: the default of `UpstreamPolicy`.
    pub upstream_allow: Vec<AllowRule>,
    /// Nodes that need no subscription.
    pub route: Vec<StaticRoute>,
    /// Where health, stats and metrics are served.
    pub admin: Option<ListenAddr>,
    /// Who may look there.
    pub viewers: Viewers,
    /// Who controls it.
    pub ctl: Ctl,
    /// Worker threads, one per core unless set.
    pub workers: usize,
    /// Which kernel interface moves the bytes.
    pub io: IoChoice,
    /// Where the line per request goes, and how it is written.
    pub access_log: AccessLogSettings,
    /// Which requests are traced.
    pub traces: TraceSettings,
    /// How much the router says about itself on standard error.
    pub log_level: LevelFilter,
    /// Unsigned subscriptions on an address others can reach are wanted.
    pub allow_unsigned: bool,
    /// The rules of every key that has none of its own.
    pub policy: Policy,
    /// The rules of single keys; none occurs twice.
    pub keys: Vec<(RouteKey, Policy)>,
    /// What makes the values of sticky cookies; `None`: the machine's own secret.
    pub sticky_secret: Option<Box<[u8]>>,
    /// Bounds on what clients may use.
    pub limits: ClientLimits,
    /// Who starts vassals on demand.
    pub waking: Waking,
    /// What the process may do once it serves.
    pub privileges: Privileges,
}

/// Digest of the signatures and the directory of the public keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignCheck {
    /// Fixed by the operator, as in uWSGI; the sender cannot choose.
    pub digest: Digest,
    /// Holds `KEY.pem` for each key.
    pub dir: PathBuf,
}

/// A listener whose connections all go to one key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RawListener {
    /// Where it listens.
    pub listen: ListenAddr,
    /// The key.
    pub key: RouteKey,
    /// The key is the address, so that whoever announces it can mean nothing but this listener.
    pub names_itself: bool,
}

/// Where HTTP/2 is spoken to clients.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Http2 {
    /// Nowhere.
    Off,
    /// On HTTPS listeners, by ALPN.
    #[default]
    Tls,
    /// There, and on plain listeners by prior knowledge.
    All,
}

/// Proxies in front of the router, by where they connect from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ProxySource {
    /// Every address of a network.
    Net(IpNet),
    /// Whoever connects to a unix socket of the router.
    Unix,
}

/// The name of this router in `Via`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Via {
    /// One that no other process has.
    #[default]
    PerProcess,
    /// The operator's.
    Named(String),
    /// None: requests that go in circles are not known.
    Off,
}

/// A node the operator wrote down.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StaticRoute {
    /// The key it serves.
    pub key: RouteKey,
    /// Where it listens.
    pub address: Address,
    /// The address as written.
    pub announced: String,
    /// What it speaks.
    pub proto: Proto,
    /// What connections to it begin with.
    pub opening: Opening,
    /// Its share against the key's other nodes, 1 or more.
    pub weight: u32,
}

/// Deadlines of every phase of a connection and an exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// For a complete request head once its first byte came.
    pub head: Duration,
    /// Between two requests of a client connection.
    pub keepalive: Duration,
    /// Between two reads of a request body.
    pub body_idle: Duration,
    /// For a connect to one node.
    pub connect: Duration,
    /// From the sent request to the first byte of the response.
    pub first_byte: Duration,
    /// Between two reads of a response.
    pub response_idle: Duration,
    /// For one write to make progress.
    pub write_stall: Duration,
    /// For a whole TLS handshake.
    pub tls_handshake: Duration,
    /// Between two bytes of a tunnel, in either direction.
    pub tunnel: Duration,
    /// For running exchanges to finish after the signal to stop.
    pub drain: Duration,
    /// For tunnels to finish once another process took over, if that is longer.
    pub drain_tunnels: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            keepalive: Duration::from_secs(75),
            body_idle: Duration::from_secs(60),
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(60),
            response_idle: Duration::from_secs(60),
            write_stall: Duration::from_secs(60),
            tls_handshake: Duration::from_secs(10),
            tunnel: Duration::from_secs(3600),
            drain: Duration::from_secs(30),
            drain_tunnels: Duration::from_secs(3600),
        }
    }
}

impl Default for Settings {
    /// The defaults of the catalogue: no listener at all, so not yet something to run.
    fn default() -> Self {
        Self {
            program: Program::default(),
            told: Told::default(),
            http: Vec::new(),
            https: Vec::new(),
            tls_passthrough: Vec::new(),
            tcp: Vec::new(),
            packets: Packets::default(),
            http2: Http2::default(),
            proxy_protocol: Vec::new(),
            trusted_proxy: Vec::new(),
            via: Via::default(),
            request_ids: RequestIds::default(),
            subscribe: Vec::new(),
            sign_check: None,
            senders: Senders::default(),
            sign_tolerance: Duration::from_secs(60),
            tolerance: Duration::from_secs(17),
            dotsplit: Dotsplit::Off,
            fallback_key: None,
            algorithm: Algorithm::default(),
            default_cert: Vec::new(),
            pem_export: PemExport::Off,
            cert_dir: None,
            cert_root: Vec::new(),
            upstream_allow: Vec::new(),
            route: Vec::new(),
            admin: None,
            viewers: Viewers::default(),
            ctl: Ctl::default(),
            workers: cores(),
            io: IoChoice::Auto,
            access_log: AccessLogSettings::default(),
            traces: TraceSettings::default(),
            log_level: LevelFilter::INFO,
            allow_unsigned: false,
            policy: Policy::default(),
            keys: Vec::new(),
            sticky_secret: None,
            limits: ClientLimits::default(),
            waking: Waking::default(),
            privileges: Privileges::default(),
        }
    }
}

impl Settings {
    /// What is allowed but deserves a word to the operator.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        warning::of(self)
    }
}

/// One value as it was written, before it means anything.
#[derive(Clone, Debug)]
pub struct Given {
    /// The option it is for.
    pub opt: Opt,
    /// The value's text; a switch is `true` or `false`.
    pub text: String,
    /// Where it was written.
    pub place: Place,
}

/// Reads the file, lays the flags over it and checks the result.
///
/// # Errors
/// Everything that is wrong with the file and the flags, in one [`ConfigError`].
pub fn load(
    program: Program,
    file: Option<&Path>,
    flags: Vec<Given>,
) -> Result<Settings, ConfigError> {
    let mut problems = Vec::new();
    let file::Written { mut given, keys, tenants: viewers } = match file {
        Some(path) => file::read(program, path, &mut problems),
        None => file::Written::default(),
    };
    given.retain(|of_file: &Given| !flags.iter().any(|flag| flag.opt == of_file.opt));
    given.extend(flags);
    let mut settings = draft::settle(program, given, keys, &mut problems);
    tenants::settle(viewers, &mut settings, &mut problems);
    problems.sort_by_key(Problem::position);
    if problems.is_empty() { Ok(settings) } else { Err(ConfigError { problems }) }
}

/// Settings out of the text of a file.
#[cfg(test)]
pub(crate) fn read_text(program: Program, text: &str) -> Settings {
    let mut problems = Vec::new();
    let file::Written { given, keys, .. } =
        file::parse(program, Path::new("test.toml"), text, &mut problems);
    let settings = draft::settle(program, given, keys, &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    settings
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(limits::WORKERS_MAX)
}

#[cfg(test)]
mod tests;
