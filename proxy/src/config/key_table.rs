//! From `[key."NAME"]` tables to policies: each begins as the policy of all keys and changes some of
//! it. A list in a table replaces the list of all keys; it never adds to it.

use std::collections::HashMap;
use std::time::Duration;

use route_table::RouteKey;

use super::catalog::{Opt, Section};
use super::problem::{Place, Problem};
use super::seen::Seen;
use super::{Given, Told, compression, headers, limits, on_demand, resilience, streams, values};
use crate::policy::Policy;

/// A table as it was written.
#[derive(Clone, Debug)]
pub struct KeyTable {
    /// The key.
    pub name: String,
    /// Where the key is written.
    pub place: Place,
    /// What the table says.
    pub given: Vec<Given>,
}

/// Turns tables into policies; what is wrong is added to `problems`.
pub fn settle(
    tables: Vec<KeyTable>,
    default: &Policy,
    told: &mut Told,
    problems: &mut Vec<Problem>,
) -> Vec<(RouteKey, Policy)> {
    let mut first_places: HashMap<RouteKey, Place> = HashMap::new();
    let mut keys = Vec::with_capacity(tables.len());
    for KeyTable { name, place, given } in tables {
        let mut policy = default.clone();
        let mut seen = Seen::default();
        let mut own = Told::default();
        for one in given {
            own.note(one.opt, &one.text);
            if let Err(problem) = take(&mut policy, &mut seen, one) {
                problems.push(problem);
            }
        }
        let key = match RouteKey::parse(name.as_bytes()) {
            Ok(key) => key,
            Err(error) => {
                problems.push(Problem::KeyName { place, read: name, why: error.to_string() });
                continue;
            }
        };
        if let Some(first) = first_places.get(&key) {
            let first = first.clone();
            problems.push(Problem::KeyTwice { place, key: key.to_string(), first });
            continue;
        }
        if keys.len() == limits::KEY_TABLES_MAX {
            problems.push(Problem::TooManyKeys { place });
            break;
        }
        first_places.insert(key.clone(), place);
        told.note_key(key.clone(), own);
        keys.push((key, policy));
    }
    keys
}

fn take(policy: &mut Policy, seen: &mut Seen, given: Given) -> Result<(), Problem> {
    let Given { opt, text, place } = given;
    seen.note(opt, &text, &place)?;
    if seen.count(opt) == 1 {
        clear(policy, opt);
    }
    set(policy, opt, &text).map_err(|why| Problem::Value { place, opt, read: text, why })
}

/// Sets an option with `Scope::Key`; a list gets one more entry.
///
/// # Errors
/// Why the text is no value of the option.
pub fn set(policy: &mut Policy, opt: Opt, text: &str) -> Result<(), String> {
    match opt {
        Opt::BodyBytesMax => policy.body_bytes_max = values::bytes_or_none(text)?,
        Opt::WakeMax | Opt::WakeTimeout => on_demand::set(&mut policy.on_demand, opt, text)?,
        _ if opt.facts().section == Section::Resilience => {
            resilience::set(&mut policy.resilience, opt, text)?;
        }
        _ if opt.facts().section == Section::Streams => {
            streams::set(&mut policy.streams, opt, text)?;
        }
        _ if opt.facts().section == Section::Compression => {
            compression::set(&mut policy.compression, opt, text)?;
        }
        _ if opt.facts().section == Section::Headers => {
            headers::set(&mut policy.headers, opt, text)?;
        }
        _ => *timeout(policy, opt) = values::duration(text, TIMEOUT.0, TIMEOUT.1)?,
    }
    Ok(())
}

/// Empties a list.
pub fn clear(policy: &mut Policy, opt: Opt) {
    match opt {
        Opt::HttpVar => policy.headers.http_vars.clear(),
        Opt::Compress => policy.compression.codings.clear(),
        Opt::CompressTypes => policy.compression.types.clear(),
        _ => {}
    }
}

fn timeout(policy: &mut Policy, opt: Opt) -> &mut Duration {
    let timeouts = &mut policy.timeouts;
    match opt {
        Opt::TimeoutHead => &mut timeouts.head,
        Opt::TimeoutKeepalive => &mut timeouts.keepalive,
        Opt::TimeoutBodyIdle => &mut timeouts.body_idle,
        Opt::TimeoutConnect => &mut timeouts.connect,
        Opt::TimeoutFirstByte => &mut timeouts.first_byte,
        Opt::TimeoutResponseIdle => &mut timeouts.response_idle,
        Opt::TimeoutWriteStall => &mut timeouts.write_stall,
        Opt::TimeoutTlsHandshake => &mut timeouts.tls_handshake,
        Opt::TimeoutTunnel => &mut timeouts.tunnel,
        Opt::TimeoutDrainTunnels => &mut timeouts.drain_tunnels,
        _ => &mut timeouts.drain,
    }
}

const TIMEOUT: (Duration, Duration) = (limits::TIMEOUT_MIN, limits::TIMEOUT_MAX);
