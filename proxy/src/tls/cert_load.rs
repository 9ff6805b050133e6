//! Loads certificates on a thread of its own and publishes them to the [`CertStore`].
//!
//! Sources: the default pair (or one made at start), the operator's directory, and subscriptions.
//! Changed files are noticed at once where they can be watched, and every file is looked at about once
//! a second. Only a pair that parses, whose key belongs to its leaf and that is valid now replaces one that is being served;
//! whatever is broken is counted, said once, and leaves the served pair in place.
//!
//! Workers never wait for this thread, and nothing here runs on theirs. Called by the composition
//! root: `new`, `load_initial` before the first listener opens, then `spawn`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use router_core::wall_clock::unix_now;
use rustls::crypto::CryptoProvider;

use super::cert_store::{CertChange, CertSource, CertStore, Seat, ServedName};
use super::self_signed::{SELF_SIGNED_NAMES, make_self_signed};

mod config;
pub mod confine;
mod directory;
mod errands;
mod expiry;
pub mod flaw;
mod links;
mod notice;
mod outcome;
pub mod pair;
mod reconfigure;
#[cfg(test)]
mod reconfigure_tests;
mod refresh;
mod reload;
mod rounds;
mod show;
mod subscriptions;
#[cfg(test)]
mod tests;
mod thread;
mod tracked;
mod watch;
#[cfg(test)]
mod watch_tests;

pub use config::{CertLoaderConfig, DefaultPair};
use confine::CertRoots;
use directory::CertDirectory;
pub use errands::{ErrandInbox, Errands, errands};
use flaw::{Flaw, Scrutiny};
use notice::{Chance, Notices};
use outcome::{Outcome, Voice};
use pair::{CertError, PairBytes, parse_pair};
pub use reconfigure::ReconfigureError;
use refresh::Judge;
pub use reload::{ReloadError, ReloadLine, ReloadReport, Reloadable};
pub use show::{LeafFacts, PairFacts};
pub use thread::CertLoaderHandle;
use tracked::{Look, PairTexts, Tracked};
use watch::FileWatch;

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
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Slot {
    Default(Seat),
    Directory(ServedName, Seat),
    Subscription(ServedName),
}

impl Slot {
    /// The name it serves; none for the default.
    fn name(&self) -> Option<&ServedName> {
        match self {
            Self::Default(_) => None,
            Self::Directory(name, _) | Self::Subscription(name) => Some(name),
        }
    }
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
    watch: FileWatch,
    notices: Notices,
    /// Pairs of the directory of which a file was missing when it was last looked for.
    vanished: BTreeSet<Slot>,
    /// The slot looked at last.
    cursor: Option<Slot>,
    /// Names still to be looked at in this round.
    left_in_round: usize,
    provider: Arc<CryptoProvider>,
    voice: Voice,
    /// When warnings of expiry are due again.
    expiry_due_unix: u64,
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
            watch: FileWatch::new(),
            notices: Notices::default(),
            vanished: BTreeSet::new(),
            cursor: None,
            left_in_round: 0,
            provider: Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
            voice: Voice::new(),
            expiry_due_unix: 0,
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
        let mut changes = self.load_defaults(now_unix)?;
        self.list_directory(now_unix, &mut changes)
            .map_err(|(path, cause)| CertLoadError::Directory { path, cause })?;
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

    fn load_defaults(&mut self, now_unix: u64) -> Result<Vec<CertChange>, CertLoadError> {
        let pairs = self.config.default.clone();
        if pairs.is_empty() {
            return self.make_default(now_unix).map(|change| vec![change]);
        }
        let seats = (0..).map(Seat);
        seats.zip(pairs).map(|(seat, pair)| self.load_default(seat, pair, now_unix)).collect()
    }

    fn load_default(
        &mut self,
        seat: Seat,
        pair: DefaultPair,
        now_unix: u64,
    ) -> Result<CertChange, CertLoadError> {
        let DefaultPair { crt, key, ca } = pair;
        let ca = ca.as_ref().map(|(path, auth)| (&**path, *auth));
        let mut tracked = Tracked::new(CertSource::DefaultPair, PairTexts::files(&crt, &key, ca));
        let pair = match tracked.look(&self.roots, now_unix) {
            Look::Changed(pair) => parse_pair(&pair, CertSource::DefaultPair, &self.provider),
            Look::Unreadable(error) => Err(error),
            Look::Unchanged => unreachable!("a first look always reads"),
        };
        let entry = pair.map_err(|cause| CertLoadError::Default { crt, key, cause })?;
        if let Some(flaw) = Flaw::of(&entry, None, now_unix.cast_signed(), Scrutiny::Signatures) {
            tracing::warn!(not_after = entry.not_after, "default certificate loaded, but {flaw}");
        }
        let entry = Arc::new(entry);
        tracked.serving = Some(Arc::clone(&entry));
        tracked.since_unix = Some(now_unix);
        self.tracked.insert(Slot::Default(seat), tracked);
        self.follow(&Slot::Default(seat));
        self.count(|counters| &counters.loads);
        Ok(CertChange::Default(seat, entry))
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
        Ok(CertChange::Default(Seat::PLAIN, Arc::new(entry)))
    }

    /// Looks at a name's files: the step of the store, if it is one.
    fn look(&mut self, slot: &Slot, chance: Chance, now_unix: u64) -> Option<CertChange> {
        let outcome = self.refresh(slot, chance, now_unix)?;
        self.change(slot, outcome)
    }

    fn refresh(&mut self, slot: &Slot, chance: Chance, now_unix: u64) -> Option<Outcome> {
        let judge = Judge::new(&self.roots, &self.provider, self.store.counters(), now_unix);
        let outcome = judge.refresh(slot, self.tracked.get_mut(slot)?, chance);
        self.voice.say(slot, &outcome);
        match outcome {
            Outcome::Unchanged => {}
            Outcome::Doubtful => self.notices.doubt(slot.clone(), Instant::now()),
            Outcome::Loaded { .. } | Outcome::Refused(_) => self.follow(slot),
        }
        Some(outcome)
    }

    /// The step of the store. A name whose clients were to be asked for a certificate is sealed until
    /// it loads: a less specific pair would not ask them.
    fn change(&self, slot: &Slot, outcome: Outcome) -> Option<CertChange> {
        match &outcome {
            Outcome::Loaded { .. } => self.store.troubles().clear(&slot.to_string()),
            Outcome::Refused(error) => {
                self.store.troubles().note(slot.to_string(), error.to_string());
            }
            Outcome::Unchanged | Outcome::Doubtful => {}
        }
        match outcome {
            Outcome::Loaded { change, .. } => Some(change),
            Outcome::Unchanged => None,
            Outcome::Refused(_) | Outcome::Doubtful => {
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
