//! What the options of section "When nodes fail or too much comes" mean.

use std::ops::RangeInclusive;
use std::time::Duration;

use route_table::Rate;

use super::catalog::Opt;
use super::{ClientLimits, limits, values};
use crate::http::sticky::is_cookie_name;
use crate::policy::health::Probe;
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
        Opt::RateLimit => rules.rate = or_none(text, None, |text| rate(text).map(Some))?,
        Opt::ClientRateLimit => {
            rules.client_rate = or_none(text, None, |text| rate(text).map(Some))?;
        }
        Opt::Sticky => {
            rules.sticky = or_none(text, None, |text| match is_cookie_name(text) {
                true => Ok(Some(text.into())),
                false => Err("not the name of a cookie".to_owned()),
            })?;
        }
        Opt::HealthCheck => {
            rules.health.probe = or_none(text, None, |text| match text {
                "connect" => Ok(Some(Probe::Connect)),
                _ if is_path(text) => Ok(Some(Probe::Get(text.into()))),
                _ => Err("neither a path nor connect".to_owned()),
            })?;
        }
        Opt::HealthInterval => rules.health.interval = duration(text)?,
        Opt::HealthTimeout => rules.health.timeout = duration(text)?,
        Opt::HealthRise => rules.health.rules.rise = up_to(text, 1, limits::CHECKS_MAX)?,
        Opt::HealthFall => rules.health.rules.fall = up_to(text, 1, limits::CHECKS_MAX)?,
        Opt::HealthStatus => rules.health.status = statuses(text)?,
        Opt::BodyRateMin => {
            rules.body_rate_min = values::bytes_or_none(text)?.unwrap_or_default();
        }
        Opt::KeyExchangesMax => {
            rules.exchanges_max =
                or_none(text, u32::MAX, |text| up_to(text, 1, limits::BOUND_MAX))?;
        }
        _ => return Err("no option of this section".to_owned()),
    }
    Ok(())
}

/// Sets an option of the section that holds for the whole router.
///
/// # Errors
/// Why the text is no value of the option.
pub fn set_router(bounds: &mut ClientLimits, opt: Opt, text: &str) -> Result<(), String> {
    match opt {
        Opt::HeadsMax => {
            bounds.heads_max = or_none(text, None, |text| {
                values::number(text, 1, limits::CONNECTIONS_MAX).map(Some)
            })?;
        }
        Opt::ExchangesMax => {
            bounds.exchanges_max = or_none(text, None, |text| {
                values::number(text, limits::EXCHANGES_LEAST, limits::CONNECTIONS_MAX).map(Some)
            })?;
        }
        _ => {
            bounds.client_connections_max =
                or_none(text, None, |text| up_to(text, 1, limits::BOUND_MAX).map(Some))?;
        }
    }
    Ok(())
}

/// The bytes of a file that nobody else can guess.
///
/// # Errors
/// It cannot be read, or is too short to be a secret.
pub fn secret(path: &str) -> Result<Box<[u8]>, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    match bytes.len() {
        limits::SECRET_BYTES_MIN..=limits::SECRET_BYTES_MAX => Ok(bytes.into()),
        other => Err(format!("{path}: {other} bytes")),
    }
}

/// What may stand in a request line as it is.
fn is_path(text: &str) -> bool {
    text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

/// `200` or `200-399`.
fn statuses(text: &str) -> Result<RangeInclusive<u16>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let status = |text| up_to(text, 200, 599).map(|status| status as u16);
    let (first, last) = (status(first)?, status(last)?);
    if first <= last { Ok(first..=last) } else { Err("the first is above the last".to_owned()) }
}

/// `N/s`, `N/m` or `N/h`, then optionally `,burst=N`; without it a second's worth, at least one.
fn rate(text: &str) -> Result<Rate, String> {
    let (rate, burst) = match text.split_once(",burst=") {
        Some((rate, burst)) => (rate, Some(up_to(burst, 1, limits::BOUND_MAX)?)),
        None => (text, None),
    };
    let (count, unit) = rate.split_once('/').ok_or("there is no / between number and unit")?;
    let count = up_to(count, 1, limits::BOUND_MAX)?;
    let per_s: u32 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(format!("the unit \"{unit}\" is none of s, m and h")),
    };
    let burst = burst.unwrap_or((count / per_s).max(1));
    Ok(Rate::new(count.into(), u64::from(per_s) * 1_000_000, burst.into()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_a_unit_and_perhaps_a_burst() {
        assert_eq!(rate("100/s"), Ok(Rate::new(100, 1_000_000, 100)));
        assert_eq!(rate("90/m,burst=7"), Ok(Rate::new(90, 60_000_000, 7)));
        assert_eq!(rate("5/h"), Ok(Rate::new(5, 3_600_000_000, 1)));
        for wrong in ["", "100", "0/s", "1/d", "1/s,burst=0", "-1/s", "1/s,burst", "1.5/s"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
