//! `nodes`: every node with its lease, what it is doing and who announced it.

use std::fmt;

use route_table::{Intake, Node, NodeOrigin, RouteKey};
use router_core::ctl::CtlRefusal;
use router_core::deadline;
use serde::Serialize;

use super::super::columns::{columns, printable};
use super::super::command::Listing;
use super::super::{Desk, no_such_key};
use super::write_rest;

/// The answer to `nodes`.
#[derive(Serialize)]
pub struct Nodes {
    total: usize,
    nodes: Vec<NodeRow>,
}

#[derive(Serialize)]
struct NodeRow {
    key: String,
    /// Where it is; empty if it sleeps.
    address: String,
    proto: &'static str,
    weight: u32,
    backup: u8,
    state: State,
    /// How long the lease holds; `None` without one.
    lease_ms: Option<u64>,
    /// Seconds since it was last announced; `None` without a lease.
    announced_s_ago: Option<u64>,
    in_flight: u32,
    requests: u64,
    failures: u64,
    cooling_ms: u64,
    /// `subscription`, `config` or `ctl`.
    origin: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    vassal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender: Option<Sender>,
}

/// Who sent the announcement that created the node, if the kernel was asked.
#[derive(Serialize)]
struct Sender {
    uid: u32,
    gid: u32,
    pid: u32,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Serving,
    Cooling,
    Unhealthy,
    Drained,
    Asleep,
}

/// The two clocks of a node's numbers.
struct Clock {
    /// Unknown if its owner is too busy to tell.
    lease_ms: Option<u64>,
    process_ms: u64,
    unix: u64,
}

/// The nodes of one key or of all.
///
/// # Errors
/// There is no such key.
pub fn nodes(desk: &Desk, listing: &Listing) -> Result<Nodes, CtlRefusal> {
    let table = desk.state.table.snapshot();
    let clock = Clock {
        lease_ms: desk.subscriber.now_ms(),
        process_ms: deadline::process_ms(),
        unix: router_core::wall_clock::unix_now(),
    };
    let routes: Vec<_> = match &listing.key {
        Some(key) => vec![table.get(key.as_str()).ok_or_else(|| no_such_key(key.as_str()))?],
        None => table.iter().collect(),
    };
    let total = routes.iter().map(|route| route.nodes().len() + route.resting().len()).sum();
    let all = routes.iter().flat_map(|route| route.all_nodes().map(|node| (route.key(), node)));
    let rows = all.take(listing.limit).map(|(key, node)| row(key, node, &clock));
    let mut nodes: Vec<NodeRow> = rows.collect();
    nodes.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(Nodes { total, nodes })
}

fn row(key: &RouteKey, node: &Node, clock: &Clock) -> NodeRow {
    let (facts, load) = (&node.facts, node.load.snapshot());
    let is_leased = facts.origin == NodeOrigin::Subscribed;
    let cooling_ms = load.cooling_until_ms.saturating_sub(clock.process_ms);
    let sender = facts.announcer.as_ref().and_then(|announcer| announcer.credentials);
    NodeRow {
        key: key.to_string(),
        address: facts.address.to_string(),
        proto: facts.proto.as_str(),
        weight: facts.weight,
        backup: facts.backup,
        state: match node.intake {
            Intake::Drained => State::Drained,
            _ if node.is_asleep() => State::Asleep,
            _ if load.is_unhealthy => State::Unhealthy,
            _ if cooling_ms > 0 => State::Cooling,
            _ => State::Serving,
        },
        lease_ms: clock
            .lease_ms
            .filter(|_| is_leased)
            .map(|now_ms| node.load.due_ms().saturating_sub(now_ms)),
        announced_s_ago: is_leased.then(|| clock.unix.saturating_sub(load.last_seen_unix)),
        in_flight: load.in_flight,
        requests: load.requests,
        failures: load.failures,
        cooling_ms,
        origin: match facts.origin {
            NodeOrigin::Subscribed => "subscription",
            NodeOrigin::Static => "config",
            NodeOrigin::Operator => "ctl",
        },
        vassal: facts.vassal().map(printable),
        sender: sender.map(|who| Sender { uid: who.uid, gid: who.gid, pid: who.pid }),
    }
}

impl fmt::Display for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = [
            "KEY",
            "ADDRESS",
            "PROTO",
            "WEIGHT",
            "STATE",
            "LEASE",
            "IN-FLIGHT",
            "REQUESTS",
            "FAILURES",
            "FROM",
        ];
        let rows: Vec<Vec<String>> = self.nodes.iter().map(NodeRow::cells).collect();
        f.write_str(&columns(&head, &rows))?;
        write_rest(f, self.nodes.len(), self.total)
    }
}

impl NodeRow {
    fn cells(&self) -> Vec<String> {
        let address = if self.address.is_empty() { "-" } else { &self.address };
        let backup =
            if self.backup > 0 { format!(" (backup {})", self.backup) } else { String::new() };
        let lease = self.lease_ms.map(|ms| format!("{}.{}s", ms / 1000, ms / 100 % 10));
        vec![
            self.key.clone(),
            printable(address),
            self.proto.to_owned(),
            self.weight.to_string(),
            format!("{}{backup}", self.state_text()),
            lease.unwrap_or_else(|| "-".to_owned()),
            self.in_flight.to_string(),
            self.requests.to_string(),
            self.failures.to_string(),
            self.from(),
        ]
    }

    fn state_text(&self) -> String {
        match self.state {
            State::Serving => "serving".to_owned(),
            State::Cooling => format!("cooling {}ms", self.cooling_ms),
            State::Unhealthy => "unhealthy".to_owned(),
            State::Drained => "drained".to_owned(),
            State::Asleep => "asleep".to_owned(),
        }
    }

    fn from(&self) -> String {
        let mut text = self.origin.to_owned();
        if let Some(vassal) = &self.vassal {
            text.push_str(&format!(", vassal {vassal}"));
        }
        if let Some(sender) = &self.sender {
            text.push_str(&format!(", uid {}, pid {}", sender.uid, sender.pid));
        }
        text
    }
}
