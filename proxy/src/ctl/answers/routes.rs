//! `routes`: the keys, what spreads their requests and which rules they have.

use std::fmt;

use route_table::Route;
use router_core::ctl::CtlRefusal;
use router_core::deadline;
use serde::Serialize;

use super::super::columns::columns;
use super::super::command::Listing;
use super::super::{Desk, no_such_key};
use super::write_rest;
use crate::policy::PolicyId;

/// The answer to `routes`.
#[derive(Serialize)]
pub struct Routes {
    keys: usize,
    routes: Vec<RouteRow>,
}

#[derive(Serialize)]
struct RouteRow {
    key: String,
    /// Nodes that can be given requests.
    nodes: usize,
    /// Of these, how many failures or health checks keep out.
    out: usize,
    drained: usize,
    asleep: usize,
    algorithm: &'static str,
    requests: u64,
    in_flight: u32,
    /// `own` if the configuration has a table for the key, else `default`.
    policy: &'static str,
}

/// One key or all.
///
/// # Errors
/// There is no such key.
pub fn routes(desk: &Desk, listing: &Listing) -> Result<Routes, CtlRefusal> {
    let table = desk.state.table.snapshot();
    let mut routes: Vec<RouteRow> = match &listing.key {
        Some(key) => {
            let route = table.get(key.as_str()).ok_or_else(|| no_such_key(key.as_str()))?;
            vec![row(desk, route)]
        }
        None => table.iter().take(listing.limit).map(|route| row(desk, route)).collect(),
    };
    routes.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    let keys = if listing.key.is_some() { 1 } else { table.len() };
    Ok(Routes { keys, routes })
}

fn row(desk: &Desk, route: &Route) -> RouteRow {
    let now_ms = deadline::process_ms();
    RouteRow {
        key: route.key().to_string(),
        nodes: route.nodes().len(),
        out: route.nodes().iter().filter(|node| node.load.is_out(now_ms)).count(),
        drained: route.drained().count(),
        asleep: route.asleep().count(),
        algorithm: route.algorithm().as_str(),
        requests: route.hits(),
        in_flight: route.all_nodes().map(|node| node.load.in_flight()).sum(),
        policy: match desk.generations.newest().policies.id_of(route.key()) {
            PolicyId::DEFAULT => "default",
            _ => "own",
        },
    }
}

impl fmt::Display for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = [
            "KEY",
            "NODES",
            "OUT",
            "DRAINED",
            "ASLEEP",
            "BALANCE",
            "REQUESTS",
            "IN-FLIGHT",
            "POLICY",
        ];
        let rows: Vec<Vec<String>> = self.routes.iter().map(cells).collect();
        f.write_str(&columns(&head, &rows))?;
        write_rest(f, self.routes.len(), self.keys)
    }
}

fn cells(route: &RouteRow) -> Vec<String> {
    vec![
        route.key.clone(),
        route.nodes.to_string(),
        route.out.to_string(),
        route.drained.to_string(),
        route.asleep.to_string(),
        route.algorithm.to_owned(),
        route.requests.to_string(),
        route.in_flight.to_string(),
        route.policy.to_owned(),
    ]
}
