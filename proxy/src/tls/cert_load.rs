//! Loads certificates on a thread of its own and publishes them to the [`CertStore`].
//!
//! Sources: the default pair (or one made at start), the operator's directory, and subscriptions.
//! Every file is looked at about once a second and read again when it changed. Only a pair that
//! parses, whose key belongs to its leaf and that is valid now replaces one that is being served;
//! whatever is broken is counted, said once, and leaves the served pair in place.
//!
//! Workers never wait for this thread, and nothing here runs on theirs. Called by the composition
//! root: `new`, `load_initial` before the first listener opens, then `spawn`.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use router_core::subscriber::CertRequest;
use rustls::crypto::CryptoProvider;

use super::cert_store::{CertChange, CertSource, CertStore, Layer, ServedName};
use super::limits::{NAMES_PER_LOOK, NAMES_POLLED_PER_ROUND_MAX, SUBSCRIBED_NAMES_MAX};
use super::self_signed::{SELF_SIGNED_NAMES, make_self_signed};

mod config;
pub mod confine;
mod directory;
mod outcome;
pub mod pair;
mod refresh;
#[cfg(test)]
mod tests;
mod thread;
mod tracked;

pub use config::{CertLoaderConfig, DefaultPair};
use confine::CertRoots;
use directory::{CertDirectory, Listing};
use outcome::{Outcome, Voice};
use pair::{CertError, PairBytes, parse_pair};
use refresh::Judge;
pub use thread::CertLoaderHandle;
use tracked::{Look, PairTexts, Tracked};

/// Why the router cannot start.
#[derive(Debug, thiserror::Error)]
pub enum CertLoadError {
    /// A certificate root is missing.
    #[error("certificate root {}: {cause}", path.display())]
    Root {
        /// As configured.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The default pair cannot be served.
    #[error("default certificate {} with key {}: {cause}", crt.display(), key.display())]
    Default {
        /// As configured.
        crt: PathBuf,
        /// As configured.
        key: PathBuf,
        /// Why.
        #[source]
        cause: CertError,
    },
    /// No certificate of last resort could be made.
    #[error("no self-signed certificate could be made: {0}")]
    SelfSigned(String),
    /// The certificate directory cannot be listed.
    #[error("certificate directory {}: {cause}", path.display())]
    Directory {
        /// As configured.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

/// Who names a certificate, and for which name. Ordered, so that polling can go on where it
/// stopped.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Slot {
    Default,
    Directory(ServedName),
    Subscription(ServedName),
}

/// The only writer of a [`CertStore`].
#[derive(Debug)]
pub struct CertLoader {
    config: CertLoaderConfig,
    store: CertStore,
    roots: CertRoots,
    directory: Option<CertDirectory>,
    tracked: BTreeMap<Slot, Tracked>,
    subscribed: usize,
    /// The slot looked at last.
    cursor: Option<Slot>,
    /// Names still to be looked at in this round.
    left_in_round: usize,
    provider: Arc<CryptoProvider>,
    voice: Voice,
}

impl CertLoader {
    /// Follows the links of the roots; reads nothing else yet.
    ///
    /// # Errors
    /// If a root is no directory.
    pub fn new(config: CertLoaderConfig, store: CertStore) -> Result<Self, CertLoadError> {
        let roots = CertRoots::new(&config.roots).map_err(|(index, cause)| {
            CertLoadError::Root { path: config.roots[index].clone(), cause }
        })?;
        Ok(Self {
            directory: config.dir.clone().map(CertDirectory::new),
            config,
            store,
            roots,
            tracked: BTreeMap::new(),
            subscribed: 0,
            cursor: None,
            left_in_round: 0,
            provider: Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
            voice: Voice::new(),
        })
    }

    /// Loads the default pair and the directory and publishes them as one generation.
    ///
    /// A broken pair in the directory is said and left out; an expired one is served with a
    /// warning, because nothing better is.
    ///
    /// # Errors
    /// If the default pair cannot be served or the directory cannot be listed.
    pub fn load_initial(&mut self) -> Result<(), CertLoadError> {
        let now_unix = unix_now();
        self.store.tickets().turn(now_unix);
        let mut changes = vec![self.load_default(now_unix)?];
        if let Some(directory) = &mut self.directory {
            let listing = directory.list(now_unix).map_err(|cause| CertLoadError::Directory {
                path: directory.path().into(),
                cause,
            })?;
            self.adopt(listing.unwrap_or_default(), &mut changes);
        }
        let judge = Judge::new(&self.roots, &self.provider, self.store.counters(), now_unix);
        let outcomes = judge.refresh_all(&mut self.tracked);
        let (mut loaded, looked_at) = (0, outcomes.len());
        for (slot, outcome) in outcomes {
            self.voice.say_bad(&slot, &outcome);
            loaded += usize::from(matches!(outcome, Outcome::Loaded { .. }));
            changes.extend(self.change(&slot, outcome));
        }
        if self.directory.is_some() {
            let failed = looked_at - loaded;
            tracing::info!(loaded, failed, "certificate directory read");
        }
        self.store.publish(changes);
        Ok(())
    }

    fn load_default(&mut self, now_unix: u64) -> Result<CertChange, CertLoadError> {
        let Some(DefaultPair { crt, key, ca }) = self.config.default.clone() else {
            return self.make_default(now_unix);
        };
        let ca = ca.as_ref().map(|(path, auth)| (&**path, *auth));
        let mut tracked = Tracked::new(CertSource::DefaultPair, PairTexts::files(&crt, &key, ca));
        let pair = match tracked.look(&self.roots, now_unix) {
            Look::Changed(pair) => parse_pair(&pair, CertSource::DefaultPair, &self.provider),
            Look::Unreadable(error) => Err(error),
            Look::Unchanged => unreachable!("a first look always reads"),
        };
        let entry = pair.map_err(|cause| CertLoadError::Default { crt, key, cause })?;
        if !entry.is_current(now_unix.cast_signed()) {
            tracing::warn!(not_after = entry.not_after, "default certificate is not valid now");
        }
        let entry = Arc::new(entry);
        tracked.serving = Some(Arc::clone(&entry));
        self.tracked.insert(Slot::Default, tracked);
        self.count(|counters| &counters.loads);
        Ok(CertChange::Default(entry))
    }

    fn make_default(&mut self, now_unix: u64) -> Result<CertChange, CertLoadError> {
        let broken = |error: &dyn std::fmt::Display| CertLoadError::SelfSigned(error.to_string());
        let made = make_self_signed(now_unix).map_err(|error| broken(&error))?;
        let pair = PairBytes { crt: made.crt_pem.into(), key: made.key_pem.into(), ca: None };
        let entry = parse_pair(&pair, CertSource::SelfSigned, &self.provider)
            .map_err(|error| broken(&error))?;
        // Worth a line only where somebody can see the certificate.
        if self.config.is_served {
            tracing::info!(names = ?SELF_SIGNED_NAMES, "default certificate is self-signed");
        }
        Ok(CertChange::Default(Arc::new(entry)))
    }

    /// Applies what the subscription thread asked for, as one generation. Of several requests for
    /// one name only the last counts, so a flapping node costs one load per batch.
    fn apply(&mut self, requests: impl IntoIterator<Item = CertRequest>) {
        let mut last_by_name = HashMap::new();
        for request in requests {
            let (CertRequest::Load { name, .. } | CertRequest::Drop { name }) = &request;
            match ServedName::parse(name) {
                Some(name) => drop(last_by_name.insert(name, request)),
                None => self.count(|counters| &counters.load_failures),
            }
        }
        let now_unix = unix_now();
        let mut changes = Vec::new();
        for (name, request) in last_by_name {
            let slot = Slot::Subscription(name.clone());
            match request {
                CertRequest::Drop { .. } => {
                    if self.tracked.remove(&slot).is_some() {
                        self.subscribed -= 1;
                    }
                    changes.push(CertChange::Remove(Layer::Subscribed, name));
                }
                CertRequest::Load { key, crt, ca, .. } => {
                    self.subscribe(&slot, PairTexts::subscribed(key, crt, ca));
                    changes.extend(self.refresh_and_say(&slot, now_unix));
                }
            }
        }
        self.store.publish(changes);
    }

    /// Remembers where a subscription's texts are. What it served before stays until the new
    /// texts prove good.
    fn subscribe(&mut self, slot: &Slot, texts: PairTexts) {
        if let Some(tracked) = self.tracked.get_mut(slot) {
            if tracked.texts != texts {
                tracked.retarget(texts);
            }
        } else if self.subscribed < SUBSCRIBED_NAMES_MAX {
            let tracked = Tracked::new(CertSource::Subscription, texts);
            self.tracked.insert(slot.clone(), tracked);
            self.subscribed += 1;
        } else {
            self.count(|counters| &counters.load_failures);
        }
    }

    /// Begins a round: the directory's listing, one generation at most. Then so many names' files
    /// are due for a look.
    fn begin_round(&mut self) {
        let now_unix = unix_now();
        self.store.tickets().turn(now_unix);
        let mut changes = Vec::new();
        if let Some(directory) = &mut self.directory {
            match directory.list(now_unix) {
                Ok(Some(listing)) => self.adopt(listing, &mut changes),
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, "certificate directory not listed"),
            }
        }
        self.store.publish(changes);
        self.left_in_round = self.tracked.len().min(NAMES_POLLED_PER_ROUND_MAX);
    }

    /// Looks at the next few names' files; one generation at most. Requests are served between two
    /// such steps, so that who brings a certificate does not wait for a round.
    fn look_on(&mut self) {
        let now_unix = unix_now();
        let slots = self.next_slots(self.left_in_round.min(NAMES_PER_LOOK));
        self.left_in_round = self.left_in_round.saturating_sub(slots.len().max(1));
        let mut changes = Vec::new();
        for slot in slots {
            changes.extend(self.refresh_and_say(&slot, now_unix));
        }
        self.store.publish(changes);
    }

    /// A whole round.
    #[cfg(test)]
    fn tick(&mut self) {
        self.begin_round();
        while self.left_in_round > 0 {
            self.look_on();
        }
    }

    /// Follows the directory: new names are tracked, names gone in two listings are dropped.
    fn adopt(&mut self, mut listing: Listing, changes: &mut Vec<CertChange>) {
        if listing.beyond_limit > 0 {
            tracing::warn!(names = listing.beyond_limit, "certificate directory holds too many");
        }
        let mut gone = Vec::new();
        let mut is_waiting = false;
        for (slot, tracked) in &mut self.tracked {
            let Slot::Directory(name) = slot else { continue };
            if let Some(texts) = listing.pairs.remove(name) {
                // Authorities that are being replaced may be missing for a moment, too.
                if tracked.texts.ca.is_some() && texts.ca.is_none() && tracked.scans_missing == 0 {
                    tracked.scans_missing = 1;
                    is_waiting = true;
                    continue;
                }
                tracked.scans_missing = 0;
                if tracked.texts != texts {
                    tracked.retarget(texts);
                }
            } else if !listing.halves.contains(name) {
                tracked.scans_missing += 1;
                is_waiting = true;
                if tracked.scans_missing >= 2 {
                    gone.push(name.clone());
                }
            }
        }
        for name in gone {
            tracing::info!(%name, "certificate left the directory");
            self.tracked.remove(&Slot::Directory(name.clone()));
            changes.push(CertChange::Remove(Layer::Operator, name));
        }
        for (name, texts) in listing.pairs {
            let tracked = Tracked::new(CertSource::Directory, texts);
            self.tracked.insert(Slot::Directory(name), tracked);
        }
        if let (true, Some(directory)) = (is_waiting, &mut self.directory) {
            directory.forget();
        }
    }

    /// The next names in turn, at most so many, each at most once.
    fn next_slots(&mut self, most: usize) -> Vec<Slot> {
        let after = self.cursor.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let up_to = self.cursor.as_ref().map_or(Bound::Excluded(&Slot::Default), Bound::Included);
        let rest = self.tracked.range((after, Bound::Unbounded));
        let wrapped = self.tracked.range((Bound::Unbounded, up_to));
        let slots: Vec<Slot> =
            rest.chain(wrapped).map(|(slot, _)| slot.clone()).take(most).collect();
        self.cursor = slots.last().cloned();
        slots
    }

    fn refresh_and_say(&mut self, slot: &Slot, now_unix: u64) -> Option<CertChange> {
        let judge = Judge::new(&self.roots, &self.provider, self.store.counters(), now_unix);
        let outcome = judge.refresh(slot, self.tracked.get_mut(slot)?);
        self.voice.say(slot, &outcome);
        self.change(slot, outcome)
    }

    /// The step of the store. A name whose clients were to be asked for a certificate is sealed until
    /// it loads: a less specific pair would not ask them.
    fn change(&self, slot: &Slot, outcome: Outcome) -> Option<CertChange> {
        match outcome {
            Outcome::Loaded { change, .. } => Some(change),
            Outcome::Unchanged => None,
            Outcome::Refused(_) => {
                let tracked = self.tracked.get(slot)?;
                let is_open = tracked.serving.is_some() || tracked.texts.ca.is_none();
                if is_open { None } else { slot.seal() }
            }
        }
    }

    fn count(&self, counter: impl Fn(&super::cert_store::CertCounters) -> &AtomicU64) {
        counter(self.store.counters()).fetch_add(1, Ordering::Relaxed);
    }
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
