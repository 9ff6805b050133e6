//! Log lines on standard error: compact, coloured only on a terminal.

use std::{io::IsTerminal, sync::OnceLock};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Registry, filter::Targets, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

use crate::config::values;

/// Our crates. What libraries have to say is about packets, which are counted and not logged.
const OURS: [&str; 4] = ["proxy", "fastrouter", "router_core", "subscribe"];

/// Where the level may come from when no flag gives it.
pub const ENVIRONMENT: &str = "SUZERAIN_LOG";

/// The level of the environment, if it names one.
pub fn from_environment() -> Option<LevelFilter> {
    std::env::var(ENVIRONMENT).ok().and_then(|text| values::log_level(&text).ok())
}

static LEVEL: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Logs at `level` from now on, if logging was started.
pub fn set(level: LevelFilter) {
    if let Some(handle) = LEVEL.get() {
        // Fails only if the subscriber is gone, and then nothing is logged anyway.
        let _ = handle.reload(ours(level));
    }
}

fn ours(level: LevelFilter) -> Targets {
    Targets::new().with_targets(OURS.map(|name| (name, level)))
}

/// Starts logging at `level`. A second call changes nothing.
pub fn start(level: LevelFilter) {
    let terminal = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer()
        .compact()
        .with_target(false)
        .with_ansi(terminal && std::env::var_os("NO_COLOR").is_none())
        .with_writer(std::io::stderr);
    let (ours, handle) = reload::Layer::new(ours(level));
    if tracing_subscriber::registry().with(ours).with(lines).try_init().is_ok() {
        let _ = LEVEL.set(handle);
    }
}
