//! An operator's wish to have certificates read again, and what came of it.

use std::fmt;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use serde::Serialize;

use super::errands::{Errand, Errands};
use super::notice::Chance;
use super::{CertLoader, Outcome, Slot};
use crate::tls::cert_store::ServedName;
use crate::tls::limits::RELOAD_LINES_MAX;

/// What is to be read again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reloadable {
    /// Everything.
    All,
    /// The default pair.
    Default,
    /// Whatever is served under this name.
    Name(ServedName),
}

/// What reading again came to.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct ReloadReport {
    /// Pairs that were read.
    pub read: usize,
    /// Pairs that are served from now on.
    pub loaded: usize,
    /// Pairs that are as they were.
    pub unchanged: usize,
    /// Pairs that cannot be served; what was served before stays.
    pub refused: usize,
    /// Pairs that were loaded or refused, each with its reason; a bounded number.
    pub lines: Vec<ReloadLine>,
}

/// One pair of a [`ReloadReport`].
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ReloadLine {
    /// Who gave the pair, and for which name.
    pub name: String,
    /// `loaded`, `unchanged` or `refused`.
    pub outcome: &'static str,
    /// Why it was refused, or what a client will stumble over.
    pub why: Option<String>,
}

/// Why an operator was not told what came of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReloadError {
    /// It goes on, and takes longer than the operator waits.
    #[error("certificates are still being read")]
    Slow,
    /// The loader ended.
    #[error("the router is ending")]
    Ended,
}

impl Reloadable {
    /// `None` is everything, `default` the default pair. A word no host is called is an error.
    ///
    /// # Errors
    /// The word itself.
    pub fn parse(word: Option<&str>) -> Result<Self, String> {
        match word {
            None => Ok(Self::All),
            Some("default") => Ok(Self::Default),
            Some(name) => ServedName::parse(name).map(Self::Name).ok_or_else(|| name.to_owned()),
        }
    }

    pub(super) fn means(&self, slot: &Slot) -> bool {
        match self {
            Self::All => true,
            Self::Default => matches!(slot, Slot::Default(_)),
            Self::Name(name) => slot.name() == Some(name),
        }
    }
}

/// The word it was parsed from.
impl fmt::Display for Reloadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Default => f.write_str("default"),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl Errands {
    /// Has files read again whatever they look like, and waits at most `limit` for what came of it.
    ///
    /// # Errors
    /// [`ReloadError`]; the files may still be read then.
    pub fn reload(&self, what: Reloadable, limit: Duration) -> Result<ReloadReport, ReloadError> {
        let (reply, answer) = mpsc::sync_channel(1);
        if !self.send(Errand::Reload(what, reply)) {
            return Err(ReloadError::Ended);
        }
        answer_within(&answer, limit)
    }
}

pub(super) fn answer_within<T>(answer: &Receiver<T>, limit: Duration) -> Result<T, ReloadError> {
    answer.recv_timeout(limit).map_err(|error| match error {
        RecvTimeoutError::Timeout => ReloadError::Slow,
        RecvTimeoutError::Disconnected => ReloadError::Ended,
    })
}

impl CertLoader {
    /// Reads again what is meant, as one generation.
    pub(super) fn reload(&mut self, what: &Reloadable, now_unix: u64) -> ReloadReport {
        let mut changes = Vec::new();
        if let Some(directory) = &mut self.directory {
            directory.forget();
        }
        if let Err((path, error)) = self.list_directory(now_unix, &mut changes) {
            tracing::warn!(path = %path.display(), %error, "certificate directory not listed");
        }
        let meant = self.tracked.keys().filter(|slot| what.means(slot));
        let slots: Vec<Slot> = meant.cloned().collect();
        let mut report = ReloadReport::default();
        for slot in slots {
            if let Some(tracked) = self.tracked.get_mut(&slot) {
                tracked.read_again();
            }
            let Some(outcome) = self.refresh(&slot, Chance::Last, now_unix) else { continue };
            report.note(&slot, &outcome, self.complaint(&slot));
            changes.extend(self.change(&slot, outcome));
        }
        self.store.publish(changes);
        report
    }

    fn complaint(&self, slot: &Slot) -> Option<String> {
        self.tracked.get(slot)?.complaint.clone()
    }
}

impl ReloadReport {
    fn note(&mut self, slot: &Slot, outcome: &Outcome, complaint: Option<String>) {
        self.read += 1;
        let (word, count, why) = match outcome {
            Outcome::Loaded { oddity, .. } => {
                ("loaded", &mut self.loaded, oddity.map(|flaw| flaw.to_string()))
            }
            // It was refused before, and is what it was.
            Outcome::Unchanged if complaint.is_some() => ("refused", &mut self.refused, complaint),
            Outcome::Unchanged => ("unchanged", &mut self.unchanged, None),
            Outcome::Refused(error) => ("refused", &mut self.refused, Some(error.to_string())),
            Outcome::Doubtful => ("refused", &mut self.refused, complaint),
        };
        *count += 1;
        let is_worth_a_line = word != "unchanged" || self.read == 1;
        if is_worth_a_line && self.lines.len() < RELOAD_LINES_MAX {
            self.lines.push(ReloadLine { name: slot.to_string(), outcome: word, why });
        }
    }
}
