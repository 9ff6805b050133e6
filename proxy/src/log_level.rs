//! How much is logged, changed while the router runs.
//!
//! The filter of log lines belongs to the process, so there is one of these. A call site that is off
//! costs one load, however often the level changes.

use std::sync::{Mutex, OnceLock, PoisonError};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{Registry, filter::Targets, reload};

/// Our crates. What libraries have to say is about packets, which are counted and not logged.
pub const OURS: [&str; 4] = ["proxy", "fastrouter", "router_core", "subscribe"];
/// Parts with a level of their own.
const PARTS_MAX: usize = 32;

static LEVELS: OnceLock<Mutex<Levels>> = OnceLock::new();

/// Levels in force, and where they take effect.
struct Levels {
    /// What the configuration says.
    configured: LevelFilter,
    base: LevelFilter,
    parts: Vec<(String, LevelFilter)>,
    filter: reload::Handle<Targets, Registry>,
}

/// The filter for log lines from `base` on. Later changes take effect in the first that was made.
pub fn filter(base: LevelFilter) -> reload::Layer<Targets, Registry> {
    let (layer, filter) = reload::Layer::new(targets(base, &[]));
    let _ = LEVELS.set(Mutex::new(Levels { configured: base, base, parts: Vec::new(), filter }));
    layer
}

/// The level of everything, then those of parts.
#[must_use]
pub fn levels() -> Vec<(Option<String>, LevelFilter)> {
    let Some(levels) = LEVELS.get() else { return Vec::new() };
    let levels = levels.lock().unwrap_or_else(PoisonError::into_inner);
    let parts = levels.parts.iter().map(|(part, level)| (Some(part.clone()), *level));
    std::iter::once((None, levels.base)).chain(parts).collect()
}

/// The configuration was read again. A level that it says now and did not before ends what operators
/// decided; otherwise that goes on.
pub fn follow(configured: LevelFilter) {
    let Some(levels) = LEVELS.get() else { return };
    let before = {
        let mut levels = levels.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut levels.configured, configured)
    };
    if before != configured {
        // Fails only if nothing is logged any more.
        let _ = set(configured, None);
    }
}

/// Logs from `level` on: everything, which ends the levels of parts, or one part.
///
/// # Errors
/// Why that is no part of the program.
pub fn set(level: LevelFilter, part: Option<&str>) -> Result<String, String> {
    let levels = LEVELS.get().ok_or("this process does not log")?;
    let mut levels = levels.lock().unwrap_or_else(PoisonError::into_inner);
    let mut parts = levels.parts.clone();
    let mut base = levels.base;
    match part {
        None => {
            base = level;
            parts.clear();
        }
        Some(part) => {
            check(part)?;
            parts.retain(|(known, _)| known != part);
            if parts.len() == PARTS_MAX {
                return Err(format!("{PARTS_MAX} parts have a level of their own already"));
            }
            parts.push((part.to_owned(), level));
        }
    }
    levels.filter.reload(targets(base, &parts)).map_err(|error| error.to_string())?;
    (levels.base, levels.parts) = (base, parts);
    Ok(match part {
        None => format!("log level is {level}"),
        Some(part) => format!("log level of {part} is {level}"),
    })
}

fn targets(base: LevelFilter, parts: &[(String, LevelFilter)]) -> Targets {
    let ours = Targets::new().with_targets(OURS.map(|name| (name, base)));
    ours.with_targets(parts.iter().map(|(part, level)| (part.clone(), *level)))
}

fn check(part: &str) -> Result<(), String> {
    let mut modules = part.split("::");
    let is_ours = modules.next().is_some_and(|name| OURS.contains(&name));
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    match is_ours && part.len() <= PART_BYTES_MAX && modules.all(is_name) {
        true => Ok(()),
        false => Err(format!("a target is one of {} or a module in one", OURS.join(", "))),
    }
}

const PART_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_modules_of_ours() {
        for part in ["proxy", "router_core::subscriber", "subscribe::registry::admission"] {
            assert_eq!(check(part), Ok(()), "{part}");
        }
        for part in ["", "hyper", "proxy::", "proxy::A=trace", "proxy,hyper"] {
            assert!(check(part).is_err(), "{part}");
        }
    }
}
