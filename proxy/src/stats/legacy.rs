//! The statistics of uWSGI's routers, field for field (subscription spec, section 10).
//!
//! What this router does not have (weighted-round-robin credit) or was not told (who sent) is there as
//! 0 or empty, because readers of the original index without asking. All numbers are integers.

use std::collections::HashSet;

use nix::unistd::{getgid, getuid};
use route_table::{Intake, Node, NodeOrigin, Route, Table};
use router_core::deadline;
use serde::Serialize;

use super::RouterState;
use crate::config::Program;
use crate::tls::cert_store::{CertInfo, CertSource};

/// The top level.
#[derive(Serialize)]
pub(super) struct Stats<'a> {
    version: &'a str,
    pid: u32,
    uid: u32,
    gid: u32,
    cwd: String,
    active_sessions: u64,
    /// Under the name of the router that the program succeeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fastrouter: Option<Vec<String>>,
    static_nodes: Vec<StaticNode<'a>>,
    subscriptions: Vec<Subscription<'a>>,
    cheap: u8,
}

#[derive(Serialize)]
pub(super) struct StaticNode<'a> {
    name: &'a str,
    /// Ours: a configured node serves one key here.
    key: &'a str,
    hits: u64,
    grace: u64,
    /// Ours: an operator keeps new requests from it.
    drained: bool,
}

#[derive(Serialize)]
pub(super) struct Subscription<'a> {
    key: &'a str,
    hash: u32,
    hits: u64,
    sni_enabled: u8,
    algo: &'static str,
    nodes: Vec<SubscribedNode<'a>>,
}

#[derive(Serialize)]
struct SubscribedNode<'a> {
    name: &'a str,
    vassal: &'a str,
    modifier1: u8,
    modifier2: u8,
    last_check: u64,
    pid: u32,
    uid: u32,
    gid: u32,
    requests: u64,
    last_requests: u32,
    tx: u64,
    rx: u64,
    cores: u32,
    load: u32,
    weight: u32,
    backup: u8,
    proto: &'static str,
    wrr: u32,
    #[serde(rename = "ref")]
    references: u32,
    failcnt: u64,
    death_mark: u8,
    /// Ours: failures since its last success.
    failures_in_row: u32,
    /// Ours: times failures took it out.
    ejections: u64,
    /// Ours: health checks keep it out.
    unhealthy: bool,
    /// Ours: milliseconds this node is still skipped.
    cooling_ms: u64,
    /// Ours: an operator keeps new requests from it.
    drained: bool,
}

impl<'a> Stats<'a> {
    pub(super) fn of(
        state: &'a RouterState,
        table: &'a Table,
        certs: &[CertInfo],
        keys_max: usize,
    ) -> Self {
        let mut routes: Vec<&Route> = table.iter().map(|route| &**route).take(keys_max).collect();
        routes.sort_unstable_by_key(|route| route.key().as_str());
        let certified = certified(certs);
        let facts = state.facts.load();
        let clients = facts.listeners.iter().map(|listener| listener.address.to_string());
        let relays = facts.relays.iter().map(|(_, address)| address.to_string());
        let subscribe = facts.subscribe.iter().map(ToString::to_string);
        let all = Some(clients.chain(relays).chain(subscribe).collect());
        let (http, fastrouter) = match state.program {
            Program::Suzerain => (all, None),
            Program::Fastrouter => (None, all),
        };
        Self {
            version: state.process.version(),
            pid: std::process::id(),
            uid: getuid().as_raw(),
            gid: getgid().as_raw(),
            cwd: std::env::current_dir()
                .map_or_else(|_| String::new(), |dir| dir.display().to_string()),
            active_sessions: state.metrics.connections_open(),
            http,
            fastrouter,
            static_nodes: routes.iter().flat_map(|route| static_nodes(route)).collect(),
            subscriptions: routes.iter().filter_map(|r| subscription(r, &certified)).collect(),
            cheap: 0,
        }
    }
}

/// Names with a certificate of a subscription.
pub(super) fn certified(certs: &[CertInfo]) -> HashSet<&str> {
    let by_subscription = |cert: &&CertInfo| cert.source == CertSource::Subscription;
    certs.iter().filter(by_subscription).filter_map(|cert| cert.name.as_deref()).collect()
}

pub(super) fn static_nodes(route: &Route) -> impl Iterator<Item = StaticNode<'_>> {
    let configured = route.all_nodes().filter(|n| n.facts.origin != NodeOrigin::Subscribed);
    configured.map(|node| StaticNode {
        name: &node.facts.announced,
        key: route.key().as_str(),
        hits: node.load.snapshot().requests,
        grace: 0,
        drained: node.intake == Intake::Drained,
    })
}

/// A key that has subscribed nodes; one served by configured nodes alone is no subscription.
pub(super) fn subscription<'a>(
    route: &'a Route,
    certified: &HashSet<&str>,
) -> Option<Subscription<'a>> {
    let now_ms = deadline::process_ms();
    let subscribed = route.all_nodes().filter(|n| n.facts.origin == NodeOrigin::Subscribed);
    let nodes: Vec<_> = subscribed.map(|node| subscribed_node(node, now_ms)).collect();
    let key = route.key().as_str();
    (!nodes.is_empty()).then(|| Subscription {
        key,
        hash: bucket(key.as_bytes()),
        hits: route.hits(),
        sni_enabled: u8::from(certified.contains(route.key().host())),
        algo: route.algorithm().as_str(),
        nodes,
    })
}

fn subscribed_node(node: &Node, now_ms: u64) -> SubscribedNode<'_> {
    let (facts, load) = (&node.facts, node.load.snapshot());
    let cooling_ms = load.cooling_until_ms.saturating_sub(now_ms);
    let announcer = facts.announcer.as_deref();
    let sender = announcer.and_then(|announcer| announcer.credentials).unwrap_or_default();
    SubscribedNode {
        name: &facts.announced,
        vassal: facts.vassal().unwrap_or_default(),
        modifier1: facts.modifier1,
        modifier2: facts.modifier2,
        last_check: load.last_seen_unix,
        pid: sender.pid,
        uid: sender.uid,
        gid: sender.gid,
        requests: load.requests,
        last_requests: load.requests_lately,
        tx: load.tx_bytes,
        rx: load.rx_bytes,
        cores: load.cores,
        load: load.backlog,
        weight: facts.weight,
        backup: facts.backup,
        // One letter, as on the wire: `u`, `h`.
        proto: facts.proto.as_str().get(..1).unwrap_or_default(),
        wrr: 0,
        references: load.in_flight,
        failcnt: load.failures,
        death_mark: u8::from(cooling_ms > 0 || load.is_unhealthy),
        failures_in_row: load.failures_in_row,
        ejections: load.ejections,
        unhealthy: load.is_unhealthy,
        cooling_ms,
        drained: node.intake == Intake::Drained,
    }
}

/// The hash bucket of a key in uWSGI's table: DJB33-XOR modulo 65535 (spec 4.1). Means nothing
/// here; shown because readers show it.
pub(super) fn bucket(key: &[u8]) -> u32 {
    key.iter().fold(5381_u32, |hash, byte| hash.wrapping_mul(33) ^ u32::from(*byte)) % 65_535
}
