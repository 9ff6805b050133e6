//! Which certificate a server name gets: an immutable map, swapped whole, read by every worker.
//!
//! Order of choice for a name: exact name from the operator's directory, exact name from a
//! subscription, one-level wildcard from the directory, one-level wildcard from a subscription
//! (key `.example.com`), default pair. The more specific name wins, and between equals the
//! operator does: a subscription proves its key, but the directory belongs to whoever runs the
//! router.
//!
//! A name may have several pairs, for clients that verify one kind of signatures but not another.
//!
//! A name whose pair demands a client authority that was never loaded is sealed: served to nobody,
//! rather than by a less specific pair to everybody.
//!
//! The store never parses, reads or judges anything; [`CertLoader`] does, on its own thread, and
//! publishes; the subscription thread only seals. A name published is served by the next handshake. One publish
//! copies the pointers to the shards plus the shards it touches, so that a change among 100,000
//! names copies a few hundred entries.
//!
//! [`CertLoader`]: super::cert_load::CertLoader

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::limits::SERVED_NAME_BYTES_MAX;
use super::tickets::TicketKeys;

mod client_ca;
pub mod entry;
mod expiries;
#[cfg(test)]
mod handshake_tests;
pub mod names;
mod pair_set;
mod shards;
#[cfg(test)]
mod tests;
mod troubles;

pub use client_ca::{ClientAuth, ClientCa, ClientCaError};
pub use entry::{CertEntry, CertId, CertInfo, CertSource};
pub use expiries::{EXPIRY_DAYS, Expiries};
pub use names::{CertNames, ServedName};
use pair_set::PairSet;
pub use pair_set::Seat;
use shards::{Served, Shards};
pub use troubles::{Trouble, Troubles};

/// The certificates of this process. Clones share one map.
#[derive(Clone, Debug)]
pub struct CertStore {
    map: Arc<ArcSwap<CertMap>>,
    /// Whether any name is not for everybody, so that requests need not look while none is.
    is_guarding: Arc<AtomicBool>,
    /// Held by whoever makes the next generation.
    writing: Arc<Mutex<()>>,
    counters: Arc<CertCounters>,
    tickets: Arc<TicketKeys>,
    troubles: Arc<Troubles>,
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
    /// Directories watched now.
    pub directories_watched: AtomicU64,
    /// Handshakes refused because the client's certificate was missing or not acceptable.
    pub client_auth_refused: AtomicU64,
}

/// One generation of the store.
#[derive(Clone, Debug, Default)]
struct CertMap {
    default: PairSet,
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
    /// A pair for clients that name nothing, or nothing known.
    Default(Seat, Arc<CertEntry>),
    /// The pairs for such clients so far are none any more; others follow.
    ForgetDefaults,
    /// A name becomes served, or served by another pair.
    Put(Layer, ServedName, Seat, Arc<CertEntry>),
    /// A name is served to nobody, unless this layer serves it already.
    Seal(Layer, ServedName),
    /// A name stops being served by the pair of this seat; a sealed one is open again.
    Remove(Layer, ServedName, Seat),
}

impl CertStore {
    /// A store that serves nothing yet: every handshake fails until the loader published.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            map: Arc::default(),
            is_guarding: Arc::default(),
            writing: Arc::default(),
            counters: Arc::default(),
            tickets: Arc::default(),
            troubles: Arc::default(),
        }
    }

    /// The certificate a client that sends `sni` gets, `None` while nothing was loaded and for a
    /// sealed name.
    ///
    /// Case and one trailing dot of the name do not matter. The answer keeps its certificate
    /// alive and stays valid after a swap, so a session can hold what it authenticated.
    #[must_use]
    pub fn cert_id_for(&self, sni: Option<&str>) -> Option<CertId> {
        self.entry_for(sni).map(CertId)
    }

    /// The whole entry behind [`Self::cert_id_for`]: of several the one that most clients get.
    #[must_use]
    pub fn entry_for(&self, sni: Option<&str>) -> Option<Arc<CertEntry>> {
        self.map.load().choose(sni)?.preferred().cloned()
    }

    /// The entry for the client that says this: of several pairs the first it can verify.
    #[must_use]
    pub fn entry_for_client(&self, hello: &ClientHello<'_>) -> Option<Arc<CertEntry>> {
        self.map.load().choose(hello.server_name())?.fitting(hello).cloned()
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
            .flat_map(Shards::pairs)
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

    /// Pairs that are not served as their files are.
    #[must_use]
    pub fn troubles(&self) -> &Troubles {
        &self.troubles
    }

    /// The keys of the sessions that were opened with these certificates.
    #[must_use]
    pub fn tickets(&self) -> &Arc<TicketKeys> {
        &self.tickets
    }

    /// Whether any name asks clients for a certificate, or is sealed.
    #[must_use]
    pub fn is_guarding(&self) -> bool {
        self.is_guarding.load(Ordering::Relaxed)
    }

    /// What `host` wants of clients, now. Never called while [`Self::is_guarding`] is false.
    #[must_use]
    pub fn guard_of(&self, host: &str) -> Guard {
        self.map.load().choose(Some(host)).map_or(Guard::Sealed, |pairs| {
            let required = Some(ClientAuth::Required);
            let is_required = pairs.iter().any(|entry| entry.client_auth() == required);
            if is_required { Guard::Required } else { Guard::Open }
        })
    }

    /// Whether the handshake that gave `held` wanted of the client what `host` wants now.
    #[must_use]
    pub fn demands_as(&self, held: &CertId, host: &str) -> bool {
        let map = self.map.load();
        map.choose(Some(host)).is_some_and(|now| demand_as(now, held.entry()))
    }

    /// Whether a connection that was given `held` for the name `sni` may ask for `host`.
    ///
    /// Another name needs the same certificate (RFC 9110, 7.4). What is wanted of clients must be
    /// what it was at the handshake, and a client that was asked for a certificate showed it for
    /// one name only.
    #[must_use]
    pub fn vouches(&self, held: &CertId, sni: Option<&str>, host: &str) -> bool {
        let is_same_name = sni == Some(host);
        if is_same_name && !self.is_guarding() && held.entry().client_ca.is_none() {
            return true;
        }
        let map = self.map.load();
        let Some(now) = map.choose(Some(host)) else { return false };
        let asks = held.entry().client_ca.is_some();
        let is_among = || now.iter().any(|entry| entry.fingerprint == held.entry().fingerprint);
        demand_as(now, held.entry()) && (is_same_name || is_among() && (sni.is_none() || !asks))
    }

    /// Serves `name` to nobody until its first pair is published, unless it is served already.
    /// Called by the subscription thread before a key that wants client certificates gets traffic.
    pub fn seal(&self, name: &str) {
        let Some(name) = ServedName::parse(name) else { return };
        if self.map.load().subscribed.get(name.as_str()).is_none() {
            self.publish([CertChange::Seal(Layer::Subscribed, name)]);
        }
    }

    /// Publishes `changes` as one generation.
    pub(super) fn publish(&self, changes: impl IntoIterator<Item = CertChange>) {
        let mut changes = changes.into_iter().peekable();
        if changes.peek().is_none() {
            return;
        }
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = CertMap::clone(&self.map.load());
        for change in changes {
            match change {
                CertChange::ForgetDefaults => next.default = PairSet::default(),
                CertChange::Default(seat, entry) => next.default = next.default.with(seat, entry),
                CertChange::Put(layer, name, seat, entry) => {
                    let layer = next.layer(layer);
                    let pairs = match layer.get(name.as_str()) {
                        Some(Served::Pairs(pairs)) => pairs.with(seat, entry),
                        Some(Served::Sealed) | None => PairSet::default().with(seat, entry),
                    };
                    layer.insert(name, Served::Pairs(pairs));
                }
                CertChange::Seal(layer, name) => {
                    let layer = next.layer(layer);
                    if layer.get(name.as_str()).is_none() {
                        layer.insert(name, Served::Sealed);
                    }
                }
                CertChange::Remove(layer, name, seat) => {
                    let layer = next.layer(layer);
                    let rest = match layer.get(name.as_str()) {
                        Some(Served::Pairs(pairs)) => pairs.without(seat),
                        Some(Served::Sealed) | None => None,
                    };
                    match rest {
                        Some(rest) => layer.insert(name, Served::Pairs(rest)),
                        None => layer.remove(&name),
                    }
                }
            }
        }
        let is_guarding = next.is_guarding();
        // Requests look from the moment on at which there may be something to see.
        if is_guarding {
            self.is_guarding.store(true, Ordering::SeqCst);
        }
        self.map.store(Arc::new(next));
        if !is_guarding {
            self.is_guarding.store(false, Ordering::SeqCst);
        }
        self.counters.publishes.fetch_add(1, Ordering::Relaxed);
    }
}

/// Whom a host is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Guard {
    /// Everybody.
    Open,
    /// Clients with a certificate.
    Required,
    /// Nobody, for now.
    Sealed,
}

impl CertMap {
    fn layer(&mut self, layer: Layer) -> &mut Shards {
        match layer {
            Layer::Operator => &mut self.operator,
            Layer::Subscribed => &mut self.subscribed,
        }
    }

    fn is_guarding(&self) -> bool {
        self.operator.guarded() + self.subscribed.guarded() > 0
            || self.default.iter().any(|entry| entry.client_ca.is_some())
    }

    /// Those that serve a name; `None` while nobody may be served under it.
    fn choose(&self, sni: Option<&str>) -> Option<&PairSet> {
        let mut buf = [0; SERVED_NAME_BYTES_MAX];
        let named =
            sni.and_then(|name| canonical_sni(name, &mut buf)).and_then(|name| self.named(name));
        match named {
            Some(Served::Pairs(pairs)) => Some(pairs),
            Some(Served::Sealed) => None,
            None => self.default.preferred().map(|_| &self.default),
        }
    }

    fn named(&self, name: &str) -> Option<&Served> {
        let at = |key: &str| self.operator.get(key).or_else(|| self.subscribed.get(key));
        at(name).or_else(|| at(&name[name.find('.')?..]))
    }
}

impl ResolvesServerCert for CertStore {
    /// For handshakes that ask the client for nothing. A pair with client authorities has a
    /// configuration of its own; if it comes up here, it was published after that was chosen, and
    /// the client may try again.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let map = self.map.load();
        let entry = map.choose(hello.server_name())?.fitting(&hello)?;
        entry.client_ca.is_none().then(|| Arc::clone(&entry.certified))
    }
}

/// Whether all of them want of clients what `held` wanted: while one is replaced they may differ.
fn demand_as(now: &PairSet, held: &CertEntry) -> bool {
    now.iter().all(|entry| entry.client_ca == held.client_ca)
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
