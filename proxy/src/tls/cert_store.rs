//! Which certificate a server name gets: an immutable map, swapped whole, read by every worker.
//!
//! Order of choice for a name: exact name from the operator's directory, exact name from a
//! subscription, one-level wildcard from the directory, one-level wildcard from a subscription
//! (key `.example.com`), default pair. The more specific name wins, and between equals the
//! operator does: a subscription proves its key, but the directory belongs to whoever runs the
//! router.
//!
//! The store never parses, reads or judges anything; [`CertLoader`] does, on its own thread, and
//! is the only one that publishes. A name published is served by the next handshake. One publish
//! copies the pointers to the shards plus the shards it touches, so that a change among 100,000
//! names copies a few hundred entries.
//!
//! [`CertLoader`]: super::cert_load::CertLoader

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::limits::SERVED_NAME_BYTES_MAX;

pub mod entry;
#[cfg(test)]
mod handshake_tests;
pub mod names;
mod shards;
#[cfg(test)]
mod tests;

pub use entry::{CertEntry, CertId, CertInfo, CertSource, ClientAuth, ClientCa};
pub use names::{CertNames, ServedName};
use shards::Shards;

/// The certificates of this process. Clones share one map.
#[derive(Clone, Debug)]
pub struct CertStore {
    map: Arc<ArcSwap<CertMap>>,
    counters: Arc<CertCounters>,
}

/// What the store and its loader count. Written by the loader and by handshakes, read by metrics.
#[derive(Debug, Default)]
pub struct CertCounters {
    /// Swaps of the map.
    pub publishes: AtomicU64,
    /// Pairs that became servable, first or renewed.
    pub loads: AtomicU64,
    /// Pairs refused: unreadable, not parsable, mismatching or expired.
    pub load_failures: AtomicU64,
    /// Paths in subscriptions refused because they lie outside every certificate root.
    pub paths_refused: AtomicU64,
    /// Handshakes refused because the certificate demands client authentication.
    pub client_auth_refused: AtomicU64,
}

/// One generation of the store.
#[derive(Clone, Debug, Default)]
struct CertMap {
    default: Option<Arc<CertEntry>>,
    operator: Shards,
    subscribed: Shards,
}

/// Where a name of the store comes from; [`Layer::Operator`] wins between equal names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Layer {
    /// The certificate directory.
    Operator,
    /// Subscriptions.
    Subscribed,
}

/// One step from a generation of the store to the next.
#[derive(Debug)]
pub(super) enum CertChange {
    /// The pair for clients that name nothing, or nothing known.
    Default(Arc<CertEntry>),
    /// A name becomes served, or served by another pair.
    Put(Layer, ServedName, Arc<CertEntry>),
    /// A name stops being served from this layer.
    Remove(Layer, ServedName),
}

impl CertStore {
    /// A store that serves nothing yet: every handshake fails until the loader published.
    #[must_use]
    pub fn empty() -> Self {
        Self { map: Arc::default(), counters: Arc::default() }
    }

    /// The certificate a client that sends `sni` gets, `None` only while nothing was loaded.
    ///
    /// Case and one trailing dot of the name do not matter. The answer keeps its certificate
    /// alive and stays valid after a swap, so a session can hold what it authenticated.
    #[must_use]
    pub fn cert_id_for(&self, sni: Option<&str>) -> Option<CertId> {
        self.entry_for(sni).map(CertId)
    }

    /// The whole entry behind [`Self::cert_id_for`].
    #[must_use]
    pub fn entry_for(&self, sni: Option<&str>) -> Option<Arc<CertEntry>> {
        self.map.load().choose(sni).cloned()
    }

    /// Whether the certificate `id` names `host` (no port, any case, IPv6 in brackets or not).
    #[must_use]
    pub fn covers(&self, id: &CertId, host: &str) -> bool {
        id.0.names.cover(host)
    }

    /// Everything served, the default first, then by name. Copies; meant for stats.
    #[must_use]
    pub fn list(&self) -> Vec<CertInfo> {
        let map = self.map.load();
        let layers = [&map.operator, &map.subscribed];
        let mut named: Vec<CertInfo> = layers
            .into_iter()
            .flat_map(Shards::iter)
            .map(|(name, entry)| entry.describe(Some(name)))
            .collect();
        named.sort_by(|a, b| a.name.cmp(&b.name));
        let default = map.default.iter().map(|entry| entry.describe(None));
        default.chain(named).collect()
    }

    /// Names served, the default not counted.
    #[must_use]
    pub fn len(&self) -> usize {
        let map = self.map.load();
        map.operator.len() + map.subscribed.len()
    }

    /// Whether no name is served besides the default.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> &CertCounters {
        &self.counters
    }

    /// Publishes `changes` as one generation. Only the loader calls this: a second writer would
    /// lose changes.
    pub(super) fn publish(&self, changes: impl IntoIterator<Item = CertChange>) {
        let mut next = CertMap::clone(&self.map.load());
        let mut is_dirty = false;
        for change in changes {
            is_dirty = true;
            match change {
                CertChange::Default(entry) => next.default = Some(entry),
                CertChange::Put(layer, name, entry) => next.layer(layer).insert(name, entry),
                CertChange::Remove(layer, name) => next.layer(layer).remove(&name),
            }
        }
        if is_dirty {
            self.map.store(Arc::new(next));
            self.counters.publishes.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl CertMap {
    fn layer(&mut self, layer: Layer) -> &mut Shards {
        match layer {
            Layer::Operator => &mut self.operator,
            Layer::Subscribed => &mut self.subscribed,
        }
    }

    fn choose(&self, sni: Option<&str>) -> Option<&Arc<CertEntry>> {
        let mut buf = [0; SERVED_NAME_BYTES_MAX];
        sni.and_then(|name| canonical_sni(name, &mut buf))
            .and_then(|name| self.named(name))
            .or(self.default.as_ref())
    }

    fn named(&self, name: &str) -> Option<&Arc<CertEntry>> {
        let at = |key: &str| self.operator.get(key).or_else(|| self.subscribed.get(key));
        at(name).or_else(|| at(&name[name.find('.')?..]))
    }
}

impl ResolvesServerCert for CertStore {
    /// A pair whose client authentication is mandatory is refused here: this way of choosing has
    /// no say in whether the client is asked for a certificate, and serving without asking would
    /// open what the subscription wanted closed.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let map = self.map.load();
        let entry = map.choose(hello.server_name())?;
        if entry.client_ca.as_ref().is_some_and(|ca| ca.auth == ClientAuth::Required) {
            self.counters.client_auth_refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(Arc::clone(&entry.certified))
    }
}

/// Lower case, one trailing dot cut, on the caller's stack. `None` for a name no certificate is
/// kept under.
fn canonical_sni<'b>(sni: &str, buf: &'b mut [u8; SERVED_NAME_BYTES_MAX]) -> Option<&'b str> {
    let sni = sni.strip_suffix('.').unwrap_or(sni);
    let name = buf.get_mut(..sni.len()).filter(|name| !name.is_empty())?;
    name.copy_from_slice(sni.as_bytes());
    name.make_ascii_lowercase();
    std::str::from_utf8(name).ok()
}
