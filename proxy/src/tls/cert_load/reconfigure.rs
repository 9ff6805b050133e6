//! Other sources of certificates for a loader that runs.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use super::directory::CertDirectory;
use super::errands::{Errand, Errands};
use super::reload::Reloadable;
use super::{CertLoadError, CertLoader, CertLoaderConfig, CertRoots, Slot, unix_now};
use crate::tls::cert_store::{CertChange, Layer};

/// Why the sources are as they were.
#[derive(Debug, thiserror::Error)]
pub enum ReconfigureError {
    /// The loader would not start with them.
    #[error(transparent)]
    Refused(#[from] CertLoadError),
    /// It took longer than anybody waits. It may still be done.
    #[error("certificates are still being read; reload again")]
    Slow,
    /// The loader ended.
    #[error("the router is ending")]
    Ended,
}

impl Errands {
    /// Has the loader go by `config`, and waits at most `limit` until all it names was read.
    ///
    /// # Errors
    /// [`ReconfigureError`]
    pub fn reconfigure(
        &self,
        config: CertLoaderConfig,
        limit: Duration,
    ) -> Result<(), ReconfigureError> {
        let (reply, answer) = mpsc::sync_channel(1);
        if !self.send(Errand::Reconfigure(Box::new(config), reply)) {
            return Err(ReconfigureError::Ended);
        }
        match answer.recv_timeout(limit) {
            Ok(outcome) => Ok(outcome?),
            Err(RecvTimeoutError::Timeout) => Err(ReconfigureError::Slow),
            Err(RecvTimeoutError::Disconnected) => Err(ReconfigureError::Ended),
        }
    }
}

impl CertLoader {
    /// Serves nothing out of a directory any more.
    fn leave_directory(&mut self) {
        let (gone, kept) = std::mem::take(&mut self.tracked)
            .into_iter()
            .partition::<BTreeMap<_, _>, _>(|(slot, _)| matches!(slot, Slot::Directory(..)));
        self.tracked = kept;
        self.store.publish(gone.into_keys().filter_map(|slot| match slot {
            Slot::Directory(name, seat) => Some(CertChange::Remove(Layer::Operator, name, seat)),
            Slot::Default(_) | Slot::Subscription(_) => None,
        }));
    }

    /// Serves the default pairs of the configuration instead of those so far.
    ///
    /// # Errors
    /// If one of them cannot be served; nothing changed then.
    fn change_defaults(&mut self, now_unix: u64) -> Result<(), CertLoadError> {
        let is_default = |slot: &Slot| matches!(slot, Slot::Default(_));
        let before = self.tracked.extract_if(.., |slot, _| is_default(slot)).collect::<Vec<_>>();
        match self.load_defaults(now_unix) {
            Ok(changes) => {
                self.store.publish([CertChange::ForgetDefaults].into_iter().chain(changes));
                Ok(())
            }
            Err(error) => {
                self.tracked.retain(|slot, _| !is_default(slot));
                self.tracked.extend(before);
                Err(error)
            }
        }
    }

    /// Goes by `config`. What is served stays until something else proved good; names that are not in a
    /// new directory are dropped as if they had left the old one.
    ///
    /// # Errors
    /// If a root is none or the default pair cannot be served; then everything is as it was.
    pub(super) fn reconfigure(&mut self, config: CertLoaderConfig) -> Result<(), CertLoadError> {
        let roots = CertRoots::new(&config.roots).map_err(|(index, cause)| {
            CertLoadError::Root { path: config.roots[index].clone(), cause }
        })?;
        let now_unix = unix_now();
        let before = std::mem::replace(&mut self.config, config);
        if before.default != self.config.default
            && let Err(error) = self.change_defaults(now_unix)
        {
            self.config = before;
            return Err(error);
        }
        if before.dir != self.config.dir {
            self.directory = self.config.dir.clone().map(CertDirectory::new);
            if self.directory.is_none() {
                self.leave_directory();
            }
        }
        self.roots = roots;
        self.reload(&Reloadable::All, now_unix);
        Ok(())
    }
}
