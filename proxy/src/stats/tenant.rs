//! What a tenant is told: its keys, as if there were no others, and nothing of the router.

use std::sync::Arc;

use route_table::Route;
use router_core::admin::access::{Tenant, Viewer};
use serde::Serialize;

use super::{RouterState, legacy, own};
use crate::context::Scheme;
use crate::tls::cert_store::{CertInfo, CertSource};

/// The parts of uWSGI's statistics that are about keys, and ours about them.
#[derive(Serialize)]
struct Stats<'a> {
    version: &'a str,
    static_nodes: Vec<legacy::StaticNode<'a>>,
    subscriptions: Vec<legacy::Subscription<'a>>,
    suzerain: Own<'a>,
}

#[derive(Serialize)]
struct Own<'a> {
    tenant: &'a str,
    keys: usize,
    nodes: usize,
    certificates: Vec<own::Certificate>,
}

/// `/stats` for a tenant.
pub(super) fn stats_json(state: &RouterState, tenant: &Arc<Tenant>, keys_max: usize) -> String {
    let viewer = Viewer::Tenant(Arc::clone(tenant));
    let table = state.table.snapshot();
    let mut routes: Vec<&Route> = viewer.routes(&table).collect();
    let (keys, nodes) = (routes.len(), routes.iter().map(|route| route.nodes().len()).sum());
    routes.sort_unstable_by_key(|route| route.key().as_str());
    routes.truncate(keys_max);
    let certs = state.certificates(&viewer);
    let certified = legacy::certified(&certs);
    let stats = Stats {
        version: state.process.version(),
        static_nodes: routes.iter().flat_map(|route| legacy::static_nodes(route)).collect(),
        subscriptions: routes.iter().filter_map(|r| legacy::subscription(r, &certified)).collect(),
        suzerain: Own {
            tenant: &tenant.name,
            keys,
            nodes,
            certificates: certs.iter().take(own::CERTIFICATES_MAX).map(own::certificate).collect(),
        },
    };
    serde_json::to_string_pretty(&stats).unwrap_or_default()
}

/// The certificates a viewer is shown: a tenant those of names that are its keys. One that was made for
/// want of another is shown only where somebody can meet it.
pub(super) fn certificates(state: &RouterState, viewer: &Viewer) -> Vec<CertInfo> {
    let mut certs = state.certs.list();
    let facts = state.facts.load();
    let has_https = facts.listeners.iter().any(|listener| listener.scheme == Scheme::Https);
    certs.retain(|cert| match (viewer, &cert.name) {
        (Viewer::Operator, None) => has_https || cert.source != CertSource::SelfSigned,
        (Viewer::Operator, Some(_)) => true,
        // A certificate of `*.shop.example` is what the key `.shop.example` is served with.
        (Viewer::Tenant(_), Some(name)) => viewer.sees(name.strip_prefix('*').unwrap_or(name)),
        (Viewer::Tenant(_), None) => false,
    });
    certs
}
