//! The keys of session tickets: shared by all workers, replaced on time, passed on by an upgrade.
//!
//! A ticket is the state of a session, sealed for the client to bring back. Whoever has the key of a
//! ticket can read the sessions it stands for, so a key seals for [`TICKET_KEY_PERIOD_S`], opens for as
//! long again, and is forgotten. Handshakes read the keys without a lock; [`TicketKeys::turn`], called
//! about once a second by the certificate loader, is the only one that replaces them.
//!
//! Tickets have a [`TicketScope`]: one issued where clients are asked for a certificate is of no use
//! elsewhere. Without randomness there are no keys, and handshakes issue no tickets.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::pki_types::UnixTime;
use rustls::server::ProducesTickets;

use super::limits::{TICKET_KEY_PERIOD_S, TICKET_KEYS_MAX};

mod blob;
mod key;
#[cfg(test)]
mod tests;

pub use blob::TicketKeysError;
use key::TicketKey;
pub use key::TicketScope;

/// The ticket keys of this process. Share it behind an `Arc`.
#[derive(Default)]
pub struct TicketKeys {
    ring: ArcSwap<Ring>,
    /// Held by whoever makes the next ring.
    turning: Mutex<()>,
}

/// The keys in use, the newest first. Only that one seals.
#[derive(Clone, Default)]
struct Ring(Vec<Arc<TicketKey>>);

impl TicketKeys {
    /// Makes a new key when the newest is due, and forgets those that open nothing any more.
    ///
    /// If the system has no randomness, it says so, and the keys there are stay as they are.
    pub fn turn(&self, now_unix: u64) {
        if self.ring.load().is_settled(now_unix) {
            return;
        }
        let _turning = self.turning.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Ring::clone(&self.ring.load());
        next.0.retain(|key| key.opens_at(now_unix));
        if next.sealing(now_unix).is_none() {
            match TicketKey::random(now_unix) {
                Some(key) => next.0.insert(0, Arc::new(key)),
                None => tracing::warn!("no randomness for a new key of session tickets"),
            }
        }
        next.0.truncate(TICKET_KEYS_MAX);
        self.ring.store(Arc::new(next));
    }

    /// The keys for another process that is to open the tickets of this one, and to issue tickets
    /// this one opens. **Secret**: to be handed over, never written anywhere.
    #[must_use]
    pub fn export(&self) -> Vec<u8> {
        blob::write(&self.ring.load().0)
    }

    /// Takes over what another process exported: its newest key seals from now on, unless it is due.
    /// Keys this process made before still open. Answers how many keys were taken over.
    ///
    /// # Errors
    /// If the bytes are not those of an export; nothing changes then.
    pub fn import(&self, exported: &[u8], now_unix: u64) -> Result<usize, TicketKeysError> {
        let mut keys = blob::read(exported)?;
        keys.retain(|key| key.opens_at(now_unix));
        let taken = keys.len();
        let _turning = self.turning.lock().unwrap_or_else(PoisonError::into_inner);
        let own = self.ring.load_full();
        let is_new = |key: &&Arc<TicketKey>| !keys.iter().any(|taken| taken.name() == key.name());
        let own: Vec<_> = own.0.iter().filter(is_new).cloned().collect();
        let mut next: Vec<_> = keys.into_iter().map(Arc::new).chain(own).collect();
        next.truncate(TICKET_KEYS_MAX);
        self.ring.store(Arc::new(Ring(next)));
        Ok(taken)
    }

    /// What a TLS configuration issues and opens its tickets with.
    #[must_use]
    pub fn ticketer(self: &Arc<Self>, scope: TicketScope) -> Arc<dyn ProducesTickets> {
        Arc::new(Ticketer { keys: Arc::clone(self), scope })
    }

    fn seal(&self, scope: &TicketScope, state: &[u8], now_unix: u64) -> Option<Vec<u8>> {
        self.ring.load().sealing(now_unix)?.seal(scope, state)
    }

    fn open(&self, scope: &TicketScope, ticket: &[u8], now_unix: u64) -> Option<Vec<u8>> {
        let ring = self.ring.load();
        let key = ring.0.iter().find(|key| key.issued(ticket))?;
        key.opens_at(now_unix).then(|| key.open(scope, ticket)).flatten()
    }
}

impl Ring {
    /// The key of new tickets. It is the newest or none: an older one would make tickets that soon
    /// open no more.
    fn sealing(&self, now_unix: u64) -> Option<&TicketKey> {
        self.0.first().filter(|key| key.seals_at(now_unix)).map(|key| &**key)
    }

    /// Whether nothing is to be done now.
    fn is_settled(&self, now_unix: u64) -> bool {
        self.sealing(now_unix).is_some() && self.0.iter().all(|key| key.opens_at(now_unix))
    }
}

/// Written by hand: keys must not reach a log through `{:?}`.
impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketKeys").field("keys", &self.ring.load().0.len()).finish()
    }
}

/// The keys, as one TLS configuration uses them.
#[derive(Debug)]
struct Ticketer {
    keys: Arc<TicketKeys>,
    scope: TicketScope,
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    /// Told to clients. A ticket opens for this long if it was issued under a new key, else less long.
    fn lifetime(&self) -> u32 {
        u32::try_from(2 * TICKET_KEY_PERIOD_S).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.keys.seal(&self.scope, plain, UnixTime::now().as_secs())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.keys.open(&self.scope, cipher, UnixTime::now().as_secs())
    }
}
