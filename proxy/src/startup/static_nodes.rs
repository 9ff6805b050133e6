//! The nodes the operator wrote down, as the table has them.

use route_table::{NodeFacts, NodeOrigin, RouteKey};

use crate::config::StaticRoute;

/// The facts of one.
pub fn facts(route: &StaticRoute) -> (RouteKey, NodeFacts) {
    let facts = NodeFacts {
        address: route.address.clone(),
        announced: route.announced.clone().into(),
        proto: route.proto,
        opening: route.opening,
        modifier1: 0,
        modifier2: 0,
        weight: route.weight,
        backup: 0,
        origin: NodeOrigin::Static,
        announcer: None,
    };
    (route.key.clone(), facts)
}
