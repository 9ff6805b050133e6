//! What a request for a URL would get, and why not when it would get nothing.
//!
//! Reads snapshots and changes nothing: no turn is taken, no hit counted, no connection opened. It
//! names the same lookups in the same order as `Table::lookup_path`; a test holds the two together. The
//! answer serves people (`Display`) and programs (serde).

mod certificate;
mod nodes;
mod text;
mod url;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use http1_wire::decode_path;
use route_table::limits::DOTSPLIT_LOOKUPS_MAX;
use route_table::{
    CanonicalHost, Dotsplit, HostBuf, KeyError, MountKeys, Node, Route, RouteKey, Speech, Table,
    canonical_host,
};
use router_core::address::ListenAddr;
use router_core::admin::access::Viewer;
use serde::{Deserialize, Serialize};

pub use certificate::{CertLookup, CertSummary};
pub use nodes::{NodeStanding, Standing};
pub use url::UrlError;

use crate::context::Scheme;
use crate::policy::streams::Switch;
use url::Parts;

/// A client listener, as far as an explanation cares.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listening {
    /// Plain or TLS.
    pub scheme: Scheme,
    /// Where.
    pub address: ListenAddr,
}

/// What an explanation is made from.
pub struct Sources<'a> {
    /// The route table as published.
    pub table: &'a Table,
    /// Whether suffix keys serve.
    pub dotsplit: Dotsplit,
    /// The key that serves hosts without one.
    pub fallback_key: Option<&'a RouteKey>,
    /// All client listeners.
    pub listeners: &'a [Listening],
    /// The certificates.
    pub certs: &'a dyn CertLookup,
    /// The clock of `NodeLoad`.
    pub now_ms: u64,
    /// The wall clock, in seconds.
    pub now_unix: u64,
    /// Whether vassals that sleep are woken.
    pub on_demand: Switch,
    /// Who asks: keys it is not shown are as if they were not there.
    pub viewer: &'a Viewer,
}

/// What a request for one URL would get.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Explanation {
    /// The URL asked about.
    pub url: String,
    /// The Host a client would send for it, in canonical form; `None` if no key can be that.
    pub host: Option<String>,
    /// Listeners a client following the URL would reach, if it resolves to this machine.
    pub listeners: Vec<String>,
    /// Keys looked up, in order, up to the first that is there.
    pub lookups: Vec<Lookup>,
    /// The key that routes it.
    pub key: Option<String>,
    /// How that key's requests are spread.
    pub algorithm: Option<String>,
    /// Requests that key has routed.
    pub hits: Option<u64>,
    /// The key's nodes, each with its standing.
    pub nodes: Vec<NodeStanding>,
    /// The certificate a client would be shown; `None` for plain HTTP too.
    pub certificate: Option<CertSummary>,
    /// The status this router itself would answer with; `None` if a node answers.
    pub status: Option<u16>,
    /// What stands in the way, the first obstacle first; empty if nothing does.
    pub problems: Vec<String>,
}

/// One key that was looked up.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Lookup {
    /// The key.
    pub key: String,
    /// Whether the table has it.
    pub found: bool,
    /// Whether it was looked up because the host has no key of its own.
    pub fallback: bool,
}

/// Explains one URL.
///
/// # Errors
/// [`UrlError`] if the text is no http or https URL, or no key the viewer is shown could serve it. A URL that only cannot be served is explained.
pub fn explain(url: &str, sources: &Sources<'_>) -> Result<Explanation, UrlError> {
    let parts = Parts::parse(url)?;
    let mut told = Explanation {
        url: url.to_owned(),
        host: None,
        listeners: Vec::new(),
        lookups: Vec::new(),
        key: None,
        algorithm: None,
        hits: None,
        nodes: Vec::new(),
        certificate: None,
        status: None,
        problems: Vec::new(),
    };
    tell_listeners(&mut told, &parts, sources);
    let mut buf = HostBuf::new();
    match sent_host(&parts, &mut buf) {
        Ok(host) => {
            let route = look_up(&mut told.lookups, &host, parts.path, sources);
            if told.lookups.is_empty() {
                return Err(UrlError::Foreign);
            }
            told.host = Some(host.host_port().to_owned());
            if parts.scheme == Scheme::Https && !is_behind_web_server(sources) {
                certificate::tell(&mut told, host.host(), sources);
            }
            tell_route(&mut told, route, sources);
        }
        Err(error) => {
            told.status = Some(400);
            told.problems.push(format!("no request can name this host: {error}"));
        }
    }
    Ok(told)
}

/// The Host a client sends: it leaves the scheme's own port out (RFC 9110 section 4.2.3).
fn sent_host<'b>(parts: &Parts<'_>, buf: &'b mut HostBuf) -> Result<CanonicalHost<'b>, KeyError> {
    let is_default = parts.port == parts.scheme_port();
    let raw = if is_default { parts.host } else { parts.authority };
    canonical_host(raw.as_bytes(), buf)
}

/// Whether URLs are those of web servers that pass requests on in packets.
fn is_behind_web_server(sources: &Sources<'_>) -> bool {
    sources.listeners.iter().any(|listener| listener.scheme == Scheme::Uwsgi)
}

fn tell_listeners(told: &mut Explanation, parts: &Parts<'_>, sources: &Sources<'_>) {
    if is_behind_web_server(sources) {
        told.listeners = sources.listeners.iter().map(|l| l.address.to_string()).collect();
        return;
    }
    let scheme = parts.scheme;
    let of_scheme: Vec<_> =
        sources.listeners.iter().filter(|listener| listener.scheme == scheme).collect();
    let reached = of_scheme.iter().filter(|listener| match &listener.address {
        ListenAddr::Tcp(address) => address.port() == parts.port,
        ListenAddr::Unix(_) => false,
    });
    told.listeners = reached.map(|listener| listener.address.to_string()).collect();
    if of_scheme.is_empty() {
        told.problems.push(format!("no listener takes {}", scheme.name()));
    } else if told.listeners.is_empty() {
        let ports: Vec<_> = of_scheme.iter().map(|l| l.address.to_string()).collect();
        let (name, port, ports) = (scheme.name(), parts.port, ports.join(", "));
        told.problems.push(format!("{name} is taken on {ports}, not on port {port}"));
    }
}

fn tell_route(told: &mut Explanation, route: Option<&Route>, sources: &Sources<'_>) {
    let Some(route) = route else {
        if let Viewer::Tenant(_) = sources.viewer {
            told.problems.push("none of your keys serves this host".to_owned());
            return;
        }
        told.status = Some(404);
        told.problems.push("no node has subscribed to this host, nor is one configured".to_owned());
        return;
    };
    told.key = Some(route.key().as_str().to_owned());
    told.algorithm = Some(route.algorithm().as_str().to_owned());
    told.hits = Some(route.hits());
    told.nodes = nodes::standings(route.nodes(), sources.now_ms, sources.now_unix);
    if told.nodes.is_empty() {
        told.status = Some(503);
        let wakes = sources.on_demand == Switch::On && route.asleep().any(takes_requests);
        if route.nodes().is_empty() && wakes {
            told.status = None;
        }
        told.problems.push(nobody_serves(route, wakes).to_owned());
    } else if told.nodes.iter().all(NodeStanding::is_out) {
        let count = told.nodes.len();
        told.problems
            .push(format!("all {count} nodes are out after failures; they are tried all the same"));
    }
    told.nodes.extend(nodes::foreign(route.nodes(), sources));
    told.nodes.extend(nodes::asleep(route.asleep(), sources));
    told.nodes.extend(nodes::drained(route.drained(), sources));
}

/// Why no node of the key is given the request.
fn nobody_serves(route: &Route, wakes: bool) -> &'static str {
    let (sleeps, drained) = (route.asleep().next().is_some(), route.drained().next().is_some());
    match (sleeps, drained) {
        _ if !route.nodes().is_empty() => {
            "the key's nodes speak TLS or raw TCP, for listeners that pass that on"
        }
        (true, _) if wakes => {
            "the key has only vassals that sleep: a request has one spawned and waits"
        }
        (true, false) => "the key has only vassals without an address",
        (_, true) => "an operator drained every node of the key that has an address",
        (false, false) => "the key has no node",
    }
}

fn takes_requests(node: &Arc<Node>) -> bool {
    Speech::Requests.suits(node.facts.proto)
}

/// The lookups of `Table::lookup_path`, written down.
fn look_up<'t>(
    lookups: &mut Vec<Lookup>,
    host: &CanonicalHost<'_>,
    path: &str,
    sources: &Sources<'t>,
) -> Option<&'t Route> {
    let name = host.host();
    let with_port = host.port().is_some().then(|| host.host_port());
    let mut decoded = Vec::new();
    if sources.table.has_mounts() && decode_path(path.as_bytes(), &mut decoded).is_err() {
        decoded.clear();
    }
    let mounts: Vec<_> =
        with_port.into_iter().chain([name]).map(|name| MountKeys::new(name, &decoded)).collect();
    let mounts = mounts.iter().flat_map(MountKeys::longest_first);
    let is_name = !name.starts_with('[');
    let dots = name.bytes().enumerate().filter(|(_, byte)| *byte == b'.').map(|(at, _)| at);
    let suffixes = dots
        .take(DOTSPLIT_LOOKUPS_MAX - 1)
        .filter(|_| is_name && sources.dotsplit == Dotsplit::On)
        .filter_map(|at| name.get(at..));
    let own = mounts.chain(with_port).chain([name]).chain(suffixes).map(|key| (key, false));
    let fallback = sources.fallback_key.map(|key| (key.as_str(), true));
    let shown = |(key, _): &(&str, bool)| sources.viewer.sees(key);
    own.chain(fallback).filter(shown).find_map(|(key, fallback)| {
        let route = sources.table.get(key);
        lookups.push(Lookup { key: key.to_owned(), found: route.is_some(), fallback });
        route.map(|route| &**route)
    })
}
