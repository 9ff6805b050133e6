//! What becomes of a request whose key is there and has nobody to serve it.
//!
//! A vassal that sleeps is known by name and has no address. If an emperor can be asked to start it
//! the request waits (`on_demand`); otherwise it is counted.

use std::sync::Arc;

use route_table::{Route, Speech, Tried};
use router_core::metrics::Counter;

use super::gate::Admitted;
use crate::{context::Context, on_demand::Sleeper, policy::PolicyId};

/// Counts a request that found no node, once: after a failed attempt it is that failure which counts.
pub fn count(ctx: &Context, route: &Route, tried: &Tried) {
    let sleeps = route.nodes().is_empty() && route.asleep().next().is_some();
    let reason = if sleeps { Counter::Asleep } else { Counter::NoNode };
    ctx.shard.add(reason, u64::from(tried.is_empty()));
}

/// A request that found no node and can wait for a vassal. `None`: it cannot, and is counted.
#[cold]
pub fn sleeper(
    ctx: &Context,
    route: &Arc<Route>,
    tried: &Tried,
    policy: PolicyId,
    speech: Speech,
    admitted: Admitted,
) -> Option<Box<Sleeper>> {
    let sleeper = Sleeper::of(ctx, route, policy, speech, admitted);
    if sleeper.is_none() {
        count(ctx, route, tried);
    }
    sleeper
}
