//! Whether a request that is sound and has a key is served now: rates, and the share of its key.
//!
//! Judged once per request, from what refuses the most of a flood to what refuses the least. A
//! request that is let in is counted until its exchange ends. One that is not gets 429 or 503, and
//! gets it late (`session`): whoever asks too much waits, instead of asking again at once.

use std::{net::IpAddr, sync::Arc};

use route_table::{KeyLoad, Route};
use router_core::{clients::ClientId, deadline, fairness::Share, metrics::Counter};

use crate::{
    context::Context,
    policy::{Policy, PolicyId},
};

/// Seconds after which a refused client may come again, when nothing better is known.
const RETRY_AFTER_S: u32 = 1;
/// The longest such time that is told.
const RETRY_AFTER_S_MAX: u64 = 3600;

/// A request that was let in. Ends what was counted when it is dropped.
#[derive(Default)]
pub struct Admitted {
    key: Option<Arc<KeyLoad>>,
    share: Option<Share>,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if let Some(load) = &self.key {
            load.end();
        }
    }
}

/// A request that was not let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shed {
    /// 429 for too many requests in a time, 503 for too many at once.
    pub status: u16,
    /// `Retry-After` of the answer.
    pub retry_after_s: u32,
    /// What of, for the client.
    pub detail: &'static str,
}

impl Shed {
    fn too_early(wait_us: u64, detail: &'static str) -> Self {
        let seconds = wait_us.div_ceil(1_000_000).clamp(1, RETRY_AFTER_S_MAX);
        Self { status: 429, retry_after_s: seconds as u32, detail }
    }

    fn crowded(detail: &'static str) -> Self {
        Self { status: 503, retry_after_s: RETRY_AFTER_S, detail }
    }
}

/// Lets a request of `route` in, or not.
///
/// # Errors
/// [`Shed`]; counted.
pub fn pass(
    ctx: &Context,
    client: Option<IpAddr>,
    route: &Route,
    id: PolicyId,
    policy: &Policy,
) -> Result<Admitted, Shed> {
    let rules = &policy.resilience;
    if let (Some(rate), Some(ip), Some(rates)) =
        (rules.client_rate, client, &ctx.shared.client_rates)
    {
        let now_us = deadline::process_us();
        rates.arrive(ctx.shared.policies.scope_of(id), ClientId::of(ip), rate, now_us).map_err(
            |early| {
                ctx.shard.count(Counter::ShedClientRate);
                Shed::too_early(early.wait_us, "this client sends too many requests")
            },
        )?;
    }
    if let Some(rate) = rules.rate {
        route.load().arrive(rate, deadline::process_us()).map_err(|early| {
            ctx.shard.count(Counter::ShedKeyRate);
            Shed::too_early(early.wait_us, "this site gets too many requests")
        })?;
    }
    let mut admitted = Admitted::default();
    if rules.exchanges_max != u32::MAX {
        let load = route.load();
        if !load.begin_below(rules.exchanges_max) {
            load.note_shed();
            ctx.shard.count(Counter::ShedKeyExchanges);
            return Err(Shed::crowded("this site has too many requests under way"));
        }
        admitted.key = Some(load.clone());
    }
    admitted.share = ctx.fairness.enter(route.key().as_str());
    if admitted.share.is_none() {
        if let Some(load) = route.load_if_used() {
            load.note_shed();
        }
        ctx.shard.count(Counter::ShedWorkerShare);
        return Err(Shed::crowded("this site has its share of the router's requests under way"));
    }
    Ok(admitted)
}
