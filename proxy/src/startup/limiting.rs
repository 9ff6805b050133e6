//! What the bounds on clients and keys need, and whether any policy needs it.

use crate::{config::Settings, http::sticky::StickySecret, policy::Policy};

/// Names this machine for good where systemd or D-Bus is; not told to others.
const MACHINE_ID: &str = "/etc/machine-id";
/// Shortest text of it that is believed.
const MACHINE_ID_BYTES_MIN: usize = 32;

/// Whether any policy has sticky sessions.
pub fn is_sticky(settings: &Settings) -> bool {
    policies(settings).any(|policy| policy.resilience.sticky.is_some())
}

/// What makes sticky cookies unless the operator named a secret: the machine's own, so that cookies
/// outlive a restart, else one by chance.
pub fn machine_secret() -> StickySecret {
    match std::fs::read(MACHINE_ID) {
        Ok(id) if id.trim_ascii().len() >= MACHINE_ID_BYTES_MIN => {
            StickySecret::new(id.trim_ascii())
        }
        _ => {
            let mut drawn = [0; 32];
            // Without randomness no TLS would run either; the value then only is guessable.
            let _ = aws_lc_rs::rand::fill(&mut drawn);
            StickySecret::new(&drawn)
        }
    }
}

/// Whether any policy bounds the requests of a client.
pub fn bounds_client_rates(settings: &Settings) -> bool {
    policies(settings).any(|policy| policy.resilience.client_rate.is_some())
}

fn policies(settings: &Settings) -> impl Iterator<Item = &Policy> {
    settings.keys.iter().map(|(_, policy)| policy).chain([&settings.policy])
}

/// Each worker's part of all connections.
pub fn worker_connections_max(settings: &Settings) -> u64 {
    (settings.limits.connections_max / settings.workers).max(1) as u64
}

/// Each worker's part of all exchanges.
pub fn worker_exchanges_max(settings: &Settings) -> u32 {
    let all = settings.limits.exchanges_max.unwrap_or(settings.limits.connections_max);
    u32::try_from(all.div_ceil(settings.workers)).unwrap_or(u32::MAX)
}

/// Each worker's part of all unfinished heads.
pub fn worker_heads_max(settings: &Settings) -> usize {
    let all = settings.limits.heads_max.unwrap_or(settings.limits.connections_max / 4);
    all.div_ceil(settings.workers).max(1)
}
