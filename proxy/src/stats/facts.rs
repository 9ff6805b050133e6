//! What the statistics say of the configuration; a reload replaces it.

use route_table::{Dotsplit, RouteKey, Speech};
use router_core::address::ListenAddr;

use crate::Ready;
use crate::config::Settings;
use crate::context::Scheme;
use crate::explain::Listening;

/// Addresses as bound, and how hosts are looked up.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Client listeners.
    pub listeners: Vec<Listening>,
    /// Listeners whose connections are passed on, with what they are for.
    pub relays: Vec<(Speech, ListenAddr)>,
    /// Subscription sockets.
    pub subscribe: Vec<ListenAddr>,
    /// Whether suffix keys serve.
    pub dotsplit: Dotsplit,
    /// The key that serves hosts without one.
    pub fallback_key: Option<RouteKey>,
}

impl Facts {
    /// As bound and configured.
    #[must_use]
    pub fn of(ready: &Ready, settings: &Settings) -> Self {
        let plain = ready.http.iter().map(|address| (Scheme::Http, address));
        let tls = ready.https.iter().map(|address| (Scheme::Https, address));
        let packets = ready.uwsgi.iter().map(|address| (Scheme::Uwsgi, address));
        let all = plain.chain(tls).chain(packets);
        Self {
            listeners: all
                .map(|(scheme, address)| Listening { scheme, address: address.clone() })
                .collect(),
            relays: ready.relays(),
            subscribe: ready.subscribe.clone(),
            dotsplit: settings.dotsplit,
            fallback_key: settings.fallback_key.clone(),
        }
    }
}
