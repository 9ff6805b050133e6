//! Log lines on standard error: compact, coloured only on a terminal.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

use crate::{config::values, log_level};

/// Where the level may come from when no flag gives it.
pub const ENVIRONMENT: &str = "SUZERAIN_LOG";

/// The level of the environment, if it names one.
pub fn from_environment() -> Option<LevelFilter> {
    std::env::var(ENVIRONMENT).ok().and_then(|text| values::log_level(&text).ok())
}

/// Starts logging at `level`. A second call changes nothing.
pub fn start(level: LevelFilter) {
    let terminal = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer()
        .compact()
        .with_target(false)
        .with_ansi(terminal && std::env::var_os("NO_COLOR").is_none())
        .with_writer(std::io::stderr);
    let _ = tracing_subscriber::registry().with(log_level::filter(level)).with(lines).try_init();
}
