//! Whether a pair that parsed may be served, and what the log says of it.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use router_core::subscriber::line_budget::{Line, LineBudget};
use rustls::crypto::CryptoProvider;
use x509_parser::time::ASN1Time;

use super::Slot;
use super::pair::{CertError, PairBytes, parse_pair};
use super::tracked::Tracked;
use crate::tls::cert_store::{CertChange, CertEntry, Layer};
use crate::tls::limits::{LOADER_LINES_BURST, LOADER_LINES_PER_S};

/// What one look at a name's files came to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Nothing new, also no new complaint.
    Unchanged,
    /// To be published.
    Loaded {
        /// The step of the store.
        change: CertChange,
        /// What a client will stumble over.
        oddity: Option<&'static str>,
        /// End of the validity, Unix time.
        not_after: i64,
    },
    /// Not to be served as it is, but it may not be whole yet.
    Doubtful,
    /// Not to be served; what was served before stays.
    Refused(CertError),
}

impl Outcome {
    pub(super) fn loaded(slot: &Slot, entry: Arc<CertEntry>, now_unix: i64) -> Self {
        let is_named = match slot {
            Slot::Default => true,
            Slot::Directory(name) | Slot::Subscription(name) => entry.names.cover(name.as_str()),
        };
        let oddity = match (entry.is_current(now_unix), is_named) {
            (false, _) => Some("it is not valid now"),
            (true, false) => Some("it does not name the host it is served for"),
            (true, true) => None,
        };
        let not_after = entry.not_after;
        Self::Loaded { change: slot.change(entry), oddity, not_after }
    }
}

/// The entry to serve from now on.
///
/// # Errors
/// If it does not parse, or is not valid now while the one being served is. Where nothing is
/// served yet, or nothing better, an expired pair is: the client sees what is wrong with it.
pub(super) fn judge(
    tracked: &mut Tracked,
    pair: &PairBytes,
    provider: &Arc<CryptoProvider>,
    now_unix: i64,
) -> Result<Arc<CertEntry>, CertError> {
    let entry = parse_pair(pair, tracked.source, provider)?;
    let serves_current = tracked.serving.as_ref().is_some_and(|old| old.is_current(now_unix));
    if serves_current && !entry.is_current(now_unix) {
        if entry.not_before > now_unix {
            // Its time will come without its file changing.
            tracked.forget_looks();
        }
        return Err(CertError::NotCurrent { not_after: entry.not_after });
    }
    Ok(Arc::new(entry))
}

/// The loader's log lines, bounded.
#[derive(Debug)]
pub(super) struct Voice {
    lines: LineBudget,
    began: Instant,
}

impl Voice {
    pub(super) fn new() -> Self {
        let lines = LineBudget::new(LOADER_LINES_BURST, LOADER_LINES_PER_S);
        Self { lines, began: Instant::now() }
    }

    /// Says whatever there is to say.
    pub(super) fn say(&mut self, slot: &Slot, outcome: &Outcome) {
        if let Outcome::Loaded { not_after, oddity: None, .. } = outcome
            && self.may_write()
        {
            tracing::info!(name = slot.to_string(), until = %day(*not_after), "certificate loaded");
        }
        self.say_bad(slot, outcome);
    }

    /// Says only what an operator should look at.
    pub(super) fn say_bad(&mut self, slot: &Slot, outcome: &Outcome) {
        match outcome {
            Outcome::Loaded { oddity: Some(oddity), not_after, .. } if self.may_write() => {
                let until = day(*not_after);
                tracing::warn!(name = slot.to_string(), %until, "certificate loaded, but {oddity}");
            }
            Outcome::Refused(error) if self.may_write() => {
                tracing::warn!(name = slot.to_string(), %error, "certificate not loaded");
            }
            Outcome::Unchanged
            | Outcome::Loaded { .. }
            | Outcome::Doubtful
            | Outcome::Refused(_) => {}
        }
    }

    fn may_write(&mut self) -> bool {
        let now_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        match self.lines.take(now_ms) {
            Line::Write => true,
            Line::WriteAfter(withheld) => {
                tracing::warn!(withheld, "lines about certificates not written");
                true
            }
            Line::Withhold => false,
        }
    }
}

impl Slot {
    /// How this slot comes to be served to nobody. The default pair always loads, or nothing starts.
    pub(super) fn seal(&self) -> Option<CertChange> {
        match self {
            Self::Default => None,
            Self::Directory(name) => Some(CertChange::Seal(Layer::Operator, name.clone())),
            Self::Subscription(name) => Some(CertChange::Seal(Layer::Subscribed, name.clone())),
        }
    }

    /// How `entry` becomes the one served for this slot.
    fn change(&self, entry: Arc<CertEntry>) -> CertChange {
        match self {
            Self::Default => CertChange::Default(entry),
            Self::Directory(name) => CertChange::Put(Layer::Operator, name.clone(), entry),
            Self::Subscription(name) => CertChange::Put(Layer::Subscribed, name.clone(), entry),
        }
    }
}

/// The day of a Unix time, for people; the seconds where there is no such day.
fn day(unix: i64) -> String {
    let time = ASN1Time::from_timestamp(unix);
    time.map_or_else(|_| unix.to_string(), |time| time.to_datetime().date().to_string())
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Directory(name) => write!(f, "directory {name}"),
            Self::Subscription(name) => write!(f, "subscription {name}"),
        }
    }
}
