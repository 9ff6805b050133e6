//! Whether a pair that parsed may be served, and what the log says of it.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use router_core::subscriber::line_budget::{Line, LineBudget};
use rustls::crypto::CryptoProvider;
use x509_parser::time::ASN1Time;

use super::Slot;
use super::expiry::{self, End};
use super::flaw::{Flaw, Scrutiny};
use super::pair::{CertError, PairBytes, parse_pair};
use super::tracked::Tracked;
use crate::tls::cert_store::{CertChange, CertEntry, Layer, Seat};
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
        oddity: Option<Flaw>,
        /// End of the validity, Unix time.
        not_after: i64,
    },
    /// Not to be served as it is, but it may not be whole yet.
    Doubtful,
    /// Not to be served; what was served before stays.
    Refused(CertError),
}

impl Outcome {
    pub(super) fn loaded(slot: &Slot, entry: Arc<CertEntry>, oddity: Option<Flaw>) -> Self {
        let not_after = entry.not_after;
        Self::Loaded { change: slot.change(entry), oddity, not_after }
    }
}

/// The entry to serve from now on, and what is wrong with it.
///
/// # Errors
/// If it does not parse, or more is wrong with it than with the one being served. Where nothing is
/// served yet, or nothing better, a flawed pair is: the client sees what is wrong with it.
pub(super) fn judge(
    slot: &Slot,
    tracked: &mut Tracked,
    pair: &PairBytes,
    provider: &Arc<CryptoProvider>,
    now_unix: i64,
    scrutiny: Scrutiny,
) -> Result<(Arc<CertEntry>, Option<Flaw>), CertError> {
    let entry = parse_pair(pair, tracked.source, provider)?;
    let flaw_of = |entry| Flaw::of(entry, slot.name(), now_unix, scrutiny);
    let flaw = flaw_of(&entry);
    if let (Some(flaw), Some(serving)) = (flaw, &tracked.serving)
        && Flaw::rank(Some(flaw)) > Flaw::rank(flaw_of(serving))
    {
        if entry.not_before > now_unix {
            // Its time will come without its file changing.
            tracked.forget_looks();
        }
        return Err(CertError::Worse(flaw));
    }
    Ok((Arc::new(entry), flaw))
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

    /// Says that a certificate is about to expire, or did.
    pub(super) fn say_expiry(&mut self, slot: &Slot, not_after: i64, end: End) {
        if self.may_write() {
            expiry::say(slot, &day(not_after), end);
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
            Self::Default(_) => None,
            Self::Directory(name, _) => Some(CertChange::Seal(Layer::Operator, name.clone())),
            Self::Subscription(name) => Some(CertChange::Seal(Layer::Subscribed, name.clone())),
        }
    }

    /// How `entry` becomes the one served for this slot.
    fn change(&self, entry: Arc<CertEntry>) -> CertChange {
        match self {
            Self::Default(seat) => CertChange::Default(*seat, entry),
            Self::Directory(name, seat) => {
                CertChange::Put(Layer::Operator, name.clone(), *seat, entry)
            }
            Self::Subscription(name) => {
                CertChange::Put(Layer::Subscribed, name.clone(), Seat::PLAIN, entry)
            }
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
            Self::Default(Seat::PLAIN) => f.write_str("default"),
            Self::Default(Seat(index)) => write!(f, "default {}", index + 1),
            Self::Directory(name, seat) => write!(f, "directory {name}{}", seat.suffix()),
            Self::Subscription(name) => write!(f, "subscription {name}"),
        }
    }
}
