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
pub mod demo;
pub mod explain;
pub mod front;
mod health;
pub mod http;
pub mod http2;
pub mod import;
pub mod introduction;
pub mod node;
pub mod on_demand;
pub mod policy;
pub mod preface;
pub mod privileges;
#[cfg(test)]
mod reject_table;
pub mod relay;
pub mod serve;
pub mod shutdown;
pub mod sources;
pub mod startup;
pub mod stats;
pub mod systemd;
pub mod tls;
pub mod traces;

use std::sync::Arc;

use route_table::Speech;
use router_core::{address::ListenAddr, runtime::Driver};

pub use front::{Front, HttpFront};
pub use startup::RunError;

use config::Settings;

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
    /// Listeners whose connections are passed on, with what they are for.
    #[must_use]
    pub fn relays(&self) -> Vec<(Speech, ListenAddr)> {
        let tls = self.tls_passthrough.iter().map(|addr| (Speech::Tls, addr.clone()));
        tls.chain(self.tcp.iter().map(|addr| (Speech::Tcp, addr.clone()))).collect()
    }
}

/// Runs a router that serves its clients by `front` until it is told to end.
///
/// `on_ready` is called once, when everything is bound and serving.
///
/// # Errors
/// [`RunError`] if it cannot start.
pub fn run(
    settings: Settings,
    front: impl Front,
    on_ready: impl FnOnce(&Ready),
) -> Result<(), RunError> {
    privileges::seal(&settings.privileges).map_err(RunError::Privileges)?;
    let (orders, inbox) = control::channel();
    control::signals::watch(orders).map_err(RunError::Start)?;
    let running = startup::start(&settings, front, Arc::new(systemd::given()))?;
    on_ready(&running.ready);
    let how = shutdown::serve(&running, &inbox);
    shutdown::end(running, &inbox, how, settings.policy.timeouts.drain);
    Ok(())
}
