//! What is counted when a key is there and nobody serves it.
//!
//! A vassal that sleeps is known by name and has no address; whoever starts vassals on demand would
//! be told here, and the request would wait.

use route_table::{Route, Tried};
use router_core::metrics::Counter;

use crate::context::Context;

/// Counts a request that found no node, once: after a failed attempt it is that failure which counts.
pub fn count(ctx: &Context, route: &Route, tried: &Tried) {
    let sleeps = route.nodes().is_empty() && !route.asleep().is_empty();
    let reason = if sleeps { Counter::Asleep } else { Counter::NoNode };
    ctx.shard.add(reason, u64::from(tried.is_empty()));
}
