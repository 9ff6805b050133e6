//! The HTTP router: TLS, HTTP/1 and the life of a request, on top of `router-core`.
//!
//! [`run`] is the composition root, used by the binary, the demo and the tests alike.

pub mod announce;
pub mod cli;
pub mod client;
pub mod compress;
pub mod config;
pub mod context;
pub mod control;
pub mod ctl;
pub mod demo;
pub mod explain;
pub mod front;
mod health;
pub mod http;
pub mod http2;
pub mod import;
pub mod introduction;
pub mod log_level;
pub mod node;
pub mod on_demand;
pub mod policy;
pub mod preface;
pub mod privileges;
#[cfg(test)]
mod reject_table;
pub mod relay;
pub mod reload;
pub mod sandbox;
pub mod serve;
pub mod shutdown;
pub mod sources;
pub mod startup;
pub mod stats;
pub mod systemd;
pub mod tls;
pub mod top;
pub mod traces;
pub mod upgrade;

use std::sync::Arc;

use route_table::Speech;
use router_core::{address::ListenAddr, estate::Estate, runtime::Driver};

pub use front::{Front, HttpFront};
pub use startup::RunError;

use config::{Settings, Source};
use context::{Relay, Scheme};
use control::{Inbox, audit::Audit};
use ctl::Desk;
use startup::{Running, Sockets};
use upgrade::{Birth, Launch};

/// What a router that serves has bound, ports by the kernel known.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Plain HTTP listeners.
    pub http: Vec<ListenAddr>,
    /// HTTPS listeners.
    pub https: Vec<ListenAddr>,
    /// Listeners whose TLS is passed on.
    pub tls_passthrough: Vec<ListenAddr>,
    /// Listeners whose bytes are passed on.
    pub tcp: Vec<ListenAddr>,
    /// Listeners of uwsgi packets.
    pub uwsgi: Vec<ListenAddr>,
    /// Subscription sockets.
    pub subscribe: Vec<ListenAddr>,
    /// The admin socket.
    pub admin: Option<ListenAddr>,
    /// The I/O driver in use.
    pub driver: Driver,
}

impl Ready {
    fn of(
        sockets: &Sockets,
        subscribe: Vec<ListenAddr>,
        admin: Option<ListenAddr>,
        driver: Driver,
    ) -> Self {
        Self {
            http: sockets.addresses(|role| role.relay.is_none() && role.scheme == Scheme::Http),
            https: sockets.addresses(|role| role.relay.is_none() && role.scheme == Scheme::Https),
            tls_passthrough: sockets.addresses(|role| role.relay == Some(Relay::Tls)),
            tcp: sockets.addresses(|role| matches!(role.relay, Some(Relay::Tcp(_)))),
            uwsgi: sockets.addresses(|role| role.scheme == Scheme::Uwsgi),
            subscribe,
            admin,
            driver,
        }
    }

    /// Listeners whose connections are passed on, with what they are for.
    #[must_use]
    pub fn relays(&self) -> Vec<(Speech, ListenAddr)> {
        let tls = self.tls_passthrough.iter().map(|addr| (Speech::Tls, addr.clone()));
        tls.chain(self.tcp.iter().map(|addr| (Speech::Tcp, addr.clone()))).collect()
    }
}

/// Runs a router that serves its clients by `front` until it is told to end.
///
/// `settings` are what `source` said; without a source there is nothing to reload from.
/// `on_ready` is called once, when everything is bound and serving.
///
/// # Errors
/// [`RunError`] if it cannot start.
pub fn run(
    settings: Settings,
    source: Option<Source>,
    front: impl Front,
    on_ready: impl FnOnce(&Ready),
) -> Result<(), RunError> {
    let launch = Launch::of_this_process();
    let (mut birth, estate) = Birth::begin()?;
    let begun = begin(settings, source, front, estate, &mut birth);
    let (mut running, inbox) = begun.inspect_err(|error| birth.failed(&error.to_string()))?;
    running.launch = launch;
    on_ready(&running.ready);
    match birth.serving() {
        Some(predecessor) => running.state.upgrades.follow(predecessor),
        None => running.manager.ready(),
    }
    running.manager.store(&running.estate);
    let how = shutdown::serve(&mut running, &inbox);
    shutdown::end(running, &inbox, how);
    Ok(())
}

fn begin(
    settings: Settings,
    source: Option<Source>,
    front: impl Front,
    estate: Estate,
    birth: &mut Birth,
) -> Result<(Running, Inbox), RunError> {
    privileges::seal(&settings.privileges).map_err(RunError::Privileges)?;
    let audit = Audit::default();
    let (orders, inbox) = control::channel(audit.clone());
    control::signals::watch(orders.clone()).map_err(RunError::Start)?;
    let estate = Arc::new(estate);
    let ctl = ctl::bind(&settings, &estate)?;
    let mut running = startup::start(settings, source, front, estate, birth)?;
    // Only now is the process the user whose file this is.
    if let Some(path) = &running.settings.ctl.audit_log {
        audit.write_to(path).map_err(RunError::AuditLog)?;
    }
    running.audit = audit;
    let desk = Arc::new(Desk::of(&running, orders));
    running.ctl = ctl.map(|ctl| ctl.spawn(desk)).transpose()?;
    Ok((running, inbox))
}
