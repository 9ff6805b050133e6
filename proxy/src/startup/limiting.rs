//! What the bounds on clients and keys need, made at start and only if they are set.

use std::sync::Arc;

use router_core::clients::{ClientConnections, ClientRates};

use crate::{config::Settings, http::sticky::StickySecret};

/// Names this machine for good where systemd or D-Bus is; not told to others.
const MACHINE_ID: &str = "/etc/machine-id";
/// Shortest text of it that is believed.
const MACHINE_ID_BYTES_MIN: usize = 32;

/// What makes sticky cookies, if any policy has them: from the secret of the operator, else from
/// the machine's own, so that cookies outlive a restart, else by chance.
pub fn sticky(settings: &Settings) -> Option<StickySecret> {
    let mut policies = settings.keys.iter().map(|(_, policy)| policy).chain([&settings.policy]);
    policies.any(|policy| policy.resilience.sticky.is_some()).then(|| {
        if let Some(secret) = &settings.sticky_secret {
            return StickySecret::new(secret);
        }
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
    })
}

/// The table of client rates, if any policy bounds them.
pub fn client_rates(settings: &Settings) -> Option<ClientRates> {
    let mut policies = settings.keys.iter().map(|(_, policy)| policy).chain([&settings.policy]);
    policies.any(|policy| policy.resilience.client_rate.is_some()).then(ClientRates::default)
}

/// The counts of client connections, if they are bounded.
pub fn client_connections(settings: &Settings) -> Option<Arc<ClientConnections>> {
    let most = settings.limits.client_connections_max?;
    Some(Arc::new(ClientConnections::new(most)))
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
