//! From settings to what requests are served by: one generation per reading of the configuration.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, OnceLock},
};

use route_table::{RouteKey, TableHandle};
use router_core::clients::{ClientConnections, ClientRates};
use rustls::ServerConfig;

use super::limiting;
use crate::{
    config::{Http2, Settings, Via},
    context::{HeaderRules, Shared, WorkerBounds},
    http::{request_id::RequestId, rtsp::pairs::Pairs, sticky::StickySecret},
    introduction,
    on_demand::emperor::{Emperor, Standing},
    policy::{Policies, streams::rtsp_anywhere},
    sources::NamedSources,
    tls::{accept::ALPN_HTTP2, cert_store::CertStore, tickets::TicketScope},
};

/// Digits that tell the processes of many machines apart.
const VIA_DIGITS: usize = 12;

/// What all generations have in common: it counts, remembers or names for as long as the process runs.
pub struct Lasting {
    certs: CertStore,
    emperor: Option<Arc<Emperor>>,
    hostname: String,
    own_name: String,
    rtsp_pairs: Arc<Pairs>,
    machine_secret: OnceLock<StickySecret>,
    client_rates: OnceLock<Arc<ClientRates>>,
    client_connections: OnceLock<Arc<ClientConnections>>,
}

impl Lasting {
    /// Begins with `certs`, and starts the thread that asks the emperor if `settings` have one.
    ///
    /// # Errors
    /// That thread cannot start.
    pub fn new(
        settings: &Settings,
        certs: CertStore,
        table: &TableHandle,
        standing: &Arc<Standing>,
    ) -> io::Result<Self> {
        let at = settings.waking.emperor.as_ref();
        let emperor = at.map(|at| Emperor::start(at, table.clone(), standing.clone()));
        Ok(Self {
            certs,
            emperor: emperor.transpose()?.map(Arc::new),
            hostname: hostname(),
            own_name: own_name(),
            rtsp_pairs: Arc::default(),
            machine_secret: OnceLock::new(),
            client_rates: OnceLock::new(),
            client_connections: OnceLock::new(),
        })
    }

    /// What requests are served by with these settings.
    ///
    /// # Errors
    /// TLS refuses its own defaults.
    pub fn generation(
        &self,
        number: u64,
        settings: &Settings,
        tcp_keys: HashMap<u32, RouteKey>,
    ) -> Result<Shared, rustls::Error> {
        let limits = &settings.limits;
        Ok(Shared {
            generation: number,
            packets: settings.packets.clone(),
            timeouts: settings.policy.timeouts,
            policies: Policies::new(settings.policy.clone(), &settings.keys),
            sticky: limiting::is_sticky(settings).then(|| self.sticky_secret(settings)),
            client_rates: limiting::bounds_client_rates(settings)
                .then(|| self.client_rates.get_or_init(Arc::default).clone()),
            client_connections: limits
                .client_connections_max
                .map(|most| (self.client_connections.get_or_init(Arc::default).clone(), most)),
            bounds: WorkerBounds {
                heads: limiting::worker_heads_max(settings),
                exchanges: limiting::worker_exchanges_max(settings),
                wakes: settings.waking.waiting_max.div_ceil(settings.workers),
            },
            named: NamedSources::new(&settings.proxy_protocol),
            headers: self.header_rules(settings),
            dotsplit: settings.dotsplit,
            fallback_key: settings.fallback_key.clone(),
            introduces: introduction::wanted_anywhere(settings),
            tcp_keys,
            rtsp: rtsp_anywhere(settings),
            rtsp_pairs: self.rtsp_pairs.clone(),
            hostname: self.hostname.clone(),
            http2: settings.http2,
            tls: self.tls_config(settings.http2)?,
            certs: self.certs.clone(),
            pem_export: settings.pem_export,
            emperor: self.emperor.clone(),
        })
    }

    fn sticky_secret(&self, settings: &Settings) -> StickySecret {
        match &settings.sticky_secret {
            Some(secret) => StickySecret::new(secret),
            None => self.machine_secret.get_or_init(limiting::machine_secret).clone(),
        }
    }

    fn header_rules(&self, settings: &Settings) -> HeaderRules {
        HeaderRules {
            trusted: NamedSources::new(&settings.trusted_proxy),
            via: match &settings.via {
                Via::PerProcess => self.own_name.clone(),
                Via::Named(name) => name.clone(),
                Via::Off => String::new(),
            },
            request_ids: settings.request_ids,
        }
    }

    /// TLS 1.2 and 1.3 with tickets that every worker can open.
    fn tls_config(&self, http2: Http2) -> Result<Arc<ServerConfig>, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.certs.clone()));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        if http2 != Http2::Off {
            config.alpn_protocols.insert(0, ALPN_HTTP2.to_vec());
        }
        config.ticketer = self.certs.tickets().ticketer(TicketScope::OPEN);
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        Ok(Arc::new(config))
    }
}

/// A name in `Via` that no other process has.
fn own_name() -> String {
    let hex = RequestId::random().map(RequestId::hex).unwrap_or_default();
    let digits = hex.iter().take(VIA_DIGITS).map(|digit| char::from(*digit));
    format!("suzerain-{}", digits.collect::<String>())
}

/// The name of this machine.
pub fn hostname() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "localhost".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::{Current, Generations, Renewal, WorkerState};
    use route_table::TableWriter;
    use router_core::{
        access_log::{AccessLog, AccessLogTarget},
        metrics::Metrics,
    };

    fn lasting() -> (Lasting, TableHandle) {
        let (_, table) = TableWriter::new();
        let (settings, certs) = (Settings::default(), CertStore::empty());
        (Lasting::new(&settings, certs, &table, &Arc::default()).unwrap(), table)
    }

    /// Goal: a connection that is open finds the newest generation, however many it missed, and an
    /// exchange keeps its own.
    #[test]
    fn a_context_knows_whether_it_is_the_newest_and_never_changes() {
        let (lasting, table) = lasting();
        let of = |number| lasting.generation(number, &Settings::default(), HashMap::new()).unwrap();
        let (log, _writer) = AccessLog::open(AccessLogTarget::Off).unwrap();
        let all = Arc::new(Generations::new(Arc::new(of(0)), log.clone()));
        let shard = Metrics::with_head_rejects(1, &[]).shard(0);
        let state = WorkerState::new(table.reader(), log.sink(shard.clone()), None, shard);
        let current = Current::new(all.clone(), state);
        let first = current.context();
        assert!(first.newer().is_none() && current.renew() == Renewal::None);

        all.publish(of(1), log.clone());
        assert!(first.newer().is_none(), "a worker takes it between two requests");
        assert_eq!(current.renew(), Renewal::Renewed);
        let second = first.newer().unwrap();
        all.publish(of(2), log.clone());
        assert_eq!(current.renew(), Renewal::Renewed);
        assert_eq!([&first, &second].map(|it| it.newer().unwrap().shared.generation), [2, 2]);
        assert_eq!([&first, &second].map(|it| it.shared.generation), [0, 1]);
        first.held_bytes.set(7);
        assert_eq!(current.context().held_bytes.get(), 7, "a worker's state outlives them");
    }

    #[test]
    fn what_counts_and_names_is_the_same_in_all_generations() {
        let (lasting, _) = lasting();
        let mut settings = Settings::default();
        settings.limits.client_connections_max = Some(2);
        let older = lasting.generation(0, &settings, HashMap::new()).unwrap();
        settings.limits.client_connections_max = Some(9);
        let newer = lasting.generation(1, &settings, HashMap::new()).unwrap();
        let (counts, bounds): (Vec<_>, Vec<_>) =
            [&older, &newer].map(|it| it.client_connections.clone().unwrap()).into_iter().unzip();
        assert!(Arc::ptr_eq(&counts[0], &counts[1]) && bounds == [2, 9]);
        assert_eq!(older.headers.via, newer.headers.via);
    }
}
