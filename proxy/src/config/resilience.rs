//! What the options of section "When nodes fail or too much comes" mean.

use std::time::Duration;

use super::catalog::Opt;
use super::{limits, values};
use crate::policy::resilience::{Resilience, ServerErrors};

/// Sets an option of the section.
///
/// # Errors
/// Why the text is no value of the option.
pub fn set(rules: &mut Resilience, opt: Opt, text: &str) -> Result<(), String> {
    match opt {
        Opt::EjectFailures => rules.eject.failures = up_to(text, 0, limits::EJECT_FAILURES_MAX)?,
        Opt::EjectTime => rules.eject.ms = duration(text)?.as_millis() as u64,
        Opt::EjectTimeMax => rules.eject.ms_max = duration(text)?.as_millis() as u64,
        Opt::EjectOn5xx => {
            let on = values::switch(text)?;
            rules.server_errors = if on { ServerErrors::Failed } else { ServerErrors::Served };
        }
        Opt::SlowStart => rules.slow_start = or_none(text, Duration::ZERO, duration)?,
        Opt::NodeConnectionsMax => {
            rules.node_connections_max =
                or_none(text, u32::MAX, |text| up_to(text, 1, limits::BOUND_MAX))?;
        }
        Opt::QueueMax => rules.queue_max = up_to(text, 0, limits::QUEUE_MAX)?,
        Opt::QueueTimeout => rules.queue_timeout = duration(text)?,
        _ => return Err("no option of this section".to_owned()),
    }
    Ok(())
}

fn up_to(text: &str, least: usize, most: u32) -> Result<u32, String> {
    values::number(text, least, most as usize).map(|number| number as u32)
}

fn duration(text: &str) -> Result<Duration, String> {
    values::duration(text, limits::TIMEOUT_MIN, limits::TIMEOUT_MAX)
}

fn or_none<T>(
    text: &str,
    none: T,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, String> {
    if text == "none" { Ok(none) } else { read(text) }
}
