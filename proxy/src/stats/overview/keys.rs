//! One page of keys: found, ordered and cut here, whatever their number.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use route_table::{Intake, Node, NodeOrigin, Route};
use router_core::admin::{KeyOrder, KeySort, OverviewQuestion};
use serde::{Deserialize, Serialize};

use crate::stats::rates::Since;

/// Nodes listed of one key.
pub const NODES_MAX: usize = 16;

/// Keys that match, cut.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct KeyPage {
    /// Keys that match the search.
    pub matched: usize,
    /// Keys before the first row.
    pub offset: usize,
    /// The keys.
    pub rows: Vec<KeyRow>,
}

/// One key.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct KeyRow {
    /// Its name.
    pub key: String,
    /// Requests a second; `None` until two looks were taken.
    pub per_second: Option<f64>,
    /// Requests since it is known.
    pub requests: u64,
    /// Exchanges its nodes have in hand.
    pub in_flight: u64,
    /// Requests that wait for a node.
    pub waiting: u32,
    /// Requests its limits refused.
    pub refused: u64,
    /// Nodes, those that sleep included; more than are listed if cut.
    pub nodes_total: usize,
    /// Its nodes.
    pub nodes: Vec<NodeRow>,
}

/// One node.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct NodeRow {
    /// The address as announced; empty if it sleeps.
    pub node: String,
    /// The vassal's name, if it told one.
    pub vassal: Option<String>,
    /// What is spoken there.
    pub proto: String,
    /// Whether it is offered requests.
    pub state: NodeState,
    /// What holds it.
    pub lease: Lease,
    /// Share of the requests.
    pub weight: u32,
    /// Backup level.
    pub backup: u8,
    /// Exchanges in hand.
    pub in_flight: u32,
    /// Exchanges given to it.
    pub requests: u64,
    /// Failures noted.
    pub failures: u64,
}

/// Whether a node is offered requests.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeState {
    /// It is.
    Ready,
    /// Not for a while, after failures.
    Cooling,
    /// Not until a health check succeeds.
    Unhealthy,
    /// Not until an operator takes that back.
    Drained,
    /// It has no address.
    Asleep,
}

/// How long a node stays without a further word of it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lease {
    /// Configured, or added by an operator: for good.
    Static,
    /// So many milliseconds from now.
    LeftMs(u64),
}

/// Times that numbers are relative to.
pub(super) struct Clocks<'r> {
    /// For rates.
    pub(super) since: &'r Since<'r>,
    /// For nodes that are skipped.
    pub(super) now_ms: u64,
    /// For leases.
    pub(super) lease_ms: u64,
}

impl KeyPage {
    /// The page asked for.
    pub(super) fn of<'t>(
        routes: impl Iterator<Item = &'t Route>,
        question: &OverviewQuestion,
        clocks: &Clocks<'_>,
    ) -> Self {
        let OverviewQuestion { search, sort, order, offset, keys } = question;
        let last = offset + keys;
        let (mut matched, mut kept) = (0, BinaryHeap::with_capacity(last + 1));
        // Hosts are in lower case, mountpoints as they are.
        let lower = search.to_lowercase();
        let matches = |key: &str| key.contains(&lower) || key.contains(search.as_str());
        for route in routes.filter(|route| matches(route.key().as_str())) {
            matched += 1;
            kept.push(Place {
                rank: rank(*sort, *order, route, clocks.since),
                order: *order,
                route,
            });
            if kept.len() > last {
                kept.pop();
            }
        }
        let page = kept.into_sorted_vec().into_iter().skip(*offset);
        let rows = page.map(|place| KeyRow::of(place.route, clocks)).collect();
        Self { matched, offset: *offset, rows }
    }
}

impl KeyRow {
    fn of(route: &Route, clocks: &Clocks<'_>) -> Self {
        let load = route.load_if_used().map(|load| load.snapshot()).unwrap_or_default();
        let nodes = route.all_nodes();
        Self {
            key: route.key().to_string(),
            per_second: clocks.since.per_second(route),
            requests: route.hits(),
            in_flight: in_flight(route),
            waiting: load.waiting,
            refused: refused(route),
            nodes_total: route.nodes().len() + route.resting().len(),
            nodes: nodes.take(NODES_MAX).map(|node| NodeRow::of(node, clocks)).collect(),
        }
    }
}

impl NodeRow {
    fn of(node: &Node, clocks: &Clocks<'_>) -> Self {
        let (facts, load) = (&node.facts, node.load.snapshot());
        Self {
            node: facts.announced.to_string(),
            vassal: facts.vassal().map(str::to_owned),
            proto: facts.proto.as_str().to_owned(),
            state: match () {
                () if node.intake == Intake::Drained => NodeState::Drained,
                () if node.is_asleep() => NodeState::Asleep,
                () if load.is_unhealthy => NodeState::Unhealthy,
                () if load.cooling_until_ms > clocks.now_ms => NodeState::Cooling,
                () => NodeState::Ready,
            },
            lease: match facts.origin {
                NodeOrigin::Static | NodeOrigin::Operator => Lease::Static,
                NodeOrigin::Subscribed => {
                    Lease::LeftMs(node.load.due_ms().saturating_sub(clocks.lease_ms))
                }
            },
            weight: facts.weight,
            backup: facts.backup,
            in_flight: load.in_flight,
            requests: load.requests,
            failures: load.failures,
        }
    }
}

/// Exchanges the nodes of a key have in hand.
pub(super) fn in_flight(route: &Route) -> u64 {
    route.all_nodes().map(|node| u64::from(node.load.in_flight())).sum()
}

/// Requests the limits of a key refused.
pub(super) fn refused(route: &Route) -> u64 {
    let load = route.load_if_used().map(|load| load.snapshot()).unwrap_or_default();
    load.limited + load.shed + load.queue_refused
}

/// A number that rises along the page.
fn rank(sort: KeySort, order: KeyOrder, route: &Route, since: &Since<'_>) -> u64 {
    let most = match sort {
        KeySort::Key => 0,
        KeySort::Rate => since.gained(route).unwrap_or(0),
        KeySort::Requests => route.hits(),
        KeySort::Refused => refused(route),
        KeySort::InFlight => in_flight(route),
        KeySort::Nodes => (route.nodes().len() + route.resting().len()) as u64,
    };
    match order {
        KeyOrder::Natural => u64::MAX - most,
        KeyOrder::Reverse => most,
    }
}

/// Where a key stands: by rank, then by name, so that a quiet router's page stays as it is.
struct Place<'t> {
    rank: u64,
    order: KeyOrder,
    route: &'t Route,
}

impl Ord for Place<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_name = self.route.key().cmp(other.route.key());
        self.rank.cmp(&other.rank).then(match self.order {
            KeyOrder::Natural => by_name,
            KeyOrder::Reverse => by_name.reverse(),
        })
    }
}

impl PartialOrd for Place<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Place<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Place<'_> {}
