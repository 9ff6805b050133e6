//! Reload: the configuration is read again, and what differs is applied.
//!
//! All of it or nothing: what can fail is done first, and only then anything changes. What a running
//! router cannot change is named and stays (`config::fixed`). Runs on the main thread, between two
//! other orders.

mod admin;
mod apply;
mod difference;
mod history;
#[cfg(test)]
mod live;

use std::fmt::Write as _;

use router_core::{
    admin::AdminError, drain::DrainPhase, listener::ListenError, subscriber::SubscriberError,
};
use tracing::{error, info};

pub use difference::Difference;
pub use history::{Ending, History};

use crate::{
    config::ConfigError,
    control::Outcome,
    startup::{Running, admin_cause},
    tls::cert_load::ReconfigureError,
};

/// Why nothing was reloaded.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The router is about to end.
    #[error("the router is draining")]
    Draining,
    /// The settings were made by the program and not written anywhere.
    #[error("this router has no configuration that could be read again")]
    NoSource,
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// A subscription socket cannot be bound, or a key directory or node is wrong.
    #[error(transparent)]
    Subscriber(#[from] SubscriberError),
    /// The access log cannot be opened.
    #[error("cannot open the access log: {0}")]
    AccessLog(#[source] std::io::Error),
    /// The admin socket cannot be bound.
    #[error("{0}{why}", why = admin_cause(.0))]
    Admin(#[from] AdminError),
    /// A certificate that is named cannot be served.
    #[error(transparent)]
    Certificates(#[from] ReconfigureError),
    /// A listener cannot be bound.
    #[error("{0}: {cause}", cause = .0.cause)]
    Listen(#[from] ListenError),
}

/// Reads the configuration again and applies it. Answers with a sentence about what changed, or with
/// everything that is wrong.
pub fn reload(running: &mut Running) -> Outcome {
    let (ending, outcome) = match attempt(running) {
        Ok(difference) => {
            let ending = if difference.is_empty() { Ending::Unchanged } else { Ending::Applied };
            let mut told = String::from("reloaded: ");
            if running.source.as_ref().is_some_and(|source| source.file().is_none()) {
                told.push_str("there is no config file, so only the flags were read again; ");
            }
            let _ = write!(told, "{difference}");
            info!("{told}");
            (ending, Ok(told))
        }
        Err(why) => {
            let told = why.to_string();
            error!("not reloaded, nothing changed:");
            told.lines().for_each(|line| error!("{line}"));
            (Ending::Refused, Err(told))
        }
    };
    running.state.reloads.note(ending);
    outcome
}

fn attempt(running: &mut Running) -> Result<Difference, ReloadError> {
    if running.state.drain.phase() != DrainPhase::Serving {
        return Err(ReloadError::Draining);
    }
    let mut next = running.source.as_ref().ok_or(ReloadError::NoSource)?.read()?;
    let mut difference = Difference::settle(&running.settings, &mut next);
    // Token files say something else under the same name.
    let access = next.viewers.access();
    if !difference.is_empty() {
        difference.listeners = apply::apply(running, next)?;
    }
    if let Some(admin) = &running.admin {
        admin.admit_by(access);
    }
    Ok(difference)
}
