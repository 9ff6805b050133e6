//! What one reading of the configuration made, in the form requests are served by.

use std::{collections::HashMap, sync::Arc};

use route_table::{Dotsplit, RouteKey};
use router_core::clients::{ClientConnections, ClientRates};
use rustls::ServerConfig;

use crate::{
    config::{Http2, Timeouts, packets::Packets},
    http::{request_id::RequestIds, rtsp::pairs::Pairs, sticky::StickySecret},
    on_demand::emperor::Emperor,
    policy::{Policies, streams::Switch},
    sources::NamedSources,
    tls::{cert_store::CertStore, client_cert::PemExport},
};

/// Facts shared by all workers. A reload makes new ones; these never change.
pub struct Shared {
    /// Counts the reloads: that of the start is zero.
    pub generation: u64,
    /// What holds for uwsgi packets, if this router serves them.
    pub packets: Packets,
    /// Deadlines of connections, where no key is known; an exchange has those of its policy.
    pub timeouts: Timeouts,
    /// The rules of every key.
    pub policies: Policies,
    /// Where HTTP/2 is spoken to clients.
    pub http2: Http2,
    /// Who must begin a connection with a PROXY preface.
    pub named: NamedSources,
    /// Who is believed, and what requests are called.
    pub headers: HeaderRules,
    /// Whether parent-domain keys are looked up.
    pub dotsplit: Dotsplit,
    /// Key that serves hosts without one.
    pub fallback_key: Option<RouteKey>,
    /// Keys of the listeners of raw TCP, by number.
    pub tcp_keys: HashMap<u32, RouteKey>,
    /// What makes sticky cookies, if any policy has them.
    pub sticky: Option<StickySecret>,
    /// What each client asked lately, if any policy bounds that.
    pub client_rates: Option<Arc<ClientRates>>,
    /// The connections of each client and how many it may have, if they are bounded.
    pub client_connections: Option<(Arc<ClientConnections>, u32)>,
    /// Each worker's part of what is bounded for all.
    pub bounds: WorkerBounds,
    /// Whether connections to any node begin with a PROXY preface.
    pub introduces: Switch,
    /// Whether RTSP is spoken for any key.
    pub rtsp: Switch,
    /// RTSP sessions tunnelled in HTTP.
    pub rtsp_pairs: Arc<Pairs>,
    /// The machine's name: SERVER_NAME of the uwsgi vars, and the key of a request that names no host.
    pub hostname: String,
    /// TLS of the https listeners.
    pub tls: Arc<ServerConfig>,
    /// The certificates behind it.
    pub certs: CertStore,
    /// Whether uwsgi nodes get client certificates as PEM too.
    pub pem_export: PemExport,
    /// Who starts vassals that sleep, if anybody does.
    pub emperor: Option<Arc<Emperor>>,
}

/// What each worker may hold at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WorkerBounds {
    /// Heads that are not complete.
    pub heads: usize,
    /// Exchanges.
    pub exchanges: u32,
    /// Requests that wait for vassals.
    pub wakes: usize,
}

/// What holds for the fields of all requests, whatever their key.
pub struct HeaderRules {
    /// Proxies that may tell of clients.
    pub trusted: NamedSources,
    /// Our name in `Via`; empty: we do not show.
    pub via: String,
    /// Whether requests are named.
    pub request_ids: RequestIds,
}
