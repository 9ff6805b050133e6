//! Freshness of stamps, and the memory that keeps a datagram from counting twice.
//!
//! What has to be kept out: whoever sees a datagram on the wire can send it again, and can flip
//! its command, because the header is not signed (subscription spec 11.3). An honest unsubscribe
//! carries its sender's clock **plus one**, and otherwise the same items as a subscribe; with RSA,
//! which is deterministic, the unsubscribe of second `t` is therefore the same dictionary and the
//! same signature, byte for byte, as the subscribe of second `t + 1` (`tests/vectors.rs` pins it).
//! So a stamp must count at most once for a node, *whatever the command*. Per key and address, or per
//! key and vassal where the datagram names its vassal, so that an older one does not move it back:
//!
//! * A subscribe with stamp `S` is accepted if it is fresh, `S` is above every accepted subscribe,
//!   equals no accepted unsubscribe, and `S + 1` is not below the last accepted unsubscribe. The
//!   last clause lets a program that stops and starts within one second (`S = U - 1`) come back at
//!   once.
//! * An unsubscribe with stamp `U` is accepted if it is fresh and `U` is above every accepted stamp
//!   of either command.
//!
//! "Fresh" is at most the tolerance away from this clock, in both directions.
//!
//! What this costs an honest sender: the stamp of a node that announced, stopped and started all
//! within one second was used before its restart, so its first datagram is refused, and so is the
//! one a second later, which equals its unsubscribe. It is back with the next. Nothing on this wire
//! tells such a datagram from a replay.
//!
//! Marks outlive their nodes. One is forgotten when its newest stamp is no longer fresh, or, the
//! older half at once, when there are too many. Forgotten stamps raise the *floor*, below which no
//! node without a mark is accepted; so a clock that jumps back never makes a forgotten datagram
//! good again. While the clock is right the floor is below every fresh stamp and refuses nobody.
//! The memory ends with the process: see [`ReplayGuard::raise_floor`].

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::IpAddr;

use route_table::{Address, RouteKey};
use siphasher::sip128::{Hasher128 as _, SipHasher13};

use crate::datagram::Command;
use crate::reject::Reject;
use crate::state::record::{MARKS_PER_RECORD, MarkRecord, Record};

/// Names one key and address, or key and vassal, in 128 keyed bits. Two nodes that share one, which nobody can bring
/// about on purpose, would only refuse each other's equal stamps.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct MarkId([u64; 2]);

/// Whose stamps a mark keeps, inside of one key.
#[derive(Clone, Copy, Debug)]
pub enum MarkName<'n> {
    /// Those of a vassal, wherever it is.
    Vassal(&'n str),
    /// Those of an address.
    Address(&'n Address),
}

/// The memory of accepted stamps.
#[derive(Debug)]
pub struct ReplayGuard {
    marks: HashMap<MarkId, Mark>,
    hash_key: [u8; 16],
    floor: u64,
    highest: u64,
    tolerance_s: u64,
    marks_max: usize,
    swept_unix: u64,
}

/// The accepted stamps of one mark, as far as the rule can ask for them: a subscribe
/// below `unsubscribed - 1` is refused anyway, so older ones need not be known.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    /// Highest stamp accepted with a subscribe; 0 for none.
    subscribed: u64,
    /// Highest stamp accepted with an unsubscribe; 0 for none.
    unsubscribed: u64,
    /// Whether `unsubscribed - 1` was accepted with an unsubscribe too.
    unsubscribed_before: bool,
}

impl Mark {
    fn newest(&self) -> u64 {
        self.subscribed.max(self.unsubscribed)
    }

    fn admits(&self, command: Command, stamp: u64) -> bool {
        match command {
            Command::Unsubscribe => stamp > self.newest(),
            Command::Subscribe => {
                stamp > self.subscribed
                    && stamp != self.unsubscribed
                    && stamp.saturating_add(1) >= self.unsubscribed
                    && !(self.unsubscribed_before && stamp.saturating_add(1) == self.unsubscribed)
            }
        }
    }

    fn note(&mut self, command: Command, stamp: u64) {
        match command {
            Command::Subscribe => self.subscribed = stamp,
            Command::Unsubscribe => {
                self.unsubscribed_before = self.unsubscribed.saturating_add(1) == stamp;
                self.unsubscribed = stamp;
            }
        }
    }
}

impl ReplayGuard {
    /// Bounds the age and the lead of stamps anew, in seconds. Stamps that were too old before stay so.
    pub fn tolerate(&mut self, tolerance_s: u64) {
        if tolerance_s > self.tolerance_s {
            // Their marks may be forgotten.
            self.raise_floor(self.swept_unix.saturating_sub(self.tolerance_s));
        }
        self.tolerance_s = tolerance_s;
    }

    /// An empty memory. `tolerance_s` bounds the age and the lead of a stamp, in seconds.
    #[must_use]
    pub fn new(tolerance_s: u64, marks_max: usize) -> Self {
        Self {
            marks: HashMap::new(),
            hash_key: random_key(),
            floor: 0,
            highest: 0,
            tolerance_s,
            marks_max: marks_max.max(2),
            swept_unix: 0,
        }
    }

    /// The name under which a node's stamps are kept. What `name` is must follow from the signed
    /// items alone, so that one datagram always belongs to one mark.
    ///
    /// What is hashed is written out here, so that a successor names them alike whatever it was
    /// compiled with.
    #[must_use]
    pub fn mark_id(&self, key: &RouteKey, name: MarkName<'_>) -> MarkId {
        let mut hasher = SipHasher13::new_with_key(&self.hash_key);
        hasher.write(key.as_str().as_bytes());
        // No byte of a text, so no key and name read like another pair.
        let mut rest = |kind: u8, bytes: &[u8]| {
            hasher.write(&[0xff, kind]);
            hasher.write(bytes);
        };
        match name {
            MarkName::Vassal(name) => rest(b'v', name.as_bytes()),
            MarkName::Address(Address::Nowhere) => rest(b'n', &[]),
            MarkName::Address(Address::Unix(path)) => rest(b'u', path),
            MarkName::Address(Address::Abstract(name)) => rest(b'a', name),
            MarkName::Address(Address::Tcp(address)) => {
                match address.ip() {
                    IpAddr::V4(ip) => rest(b'4', &ip.octets()),
                    IpAddr::V6(ip) => rest(b'6', &ip.octets()),
                }
                hasher.write(&address.port().to_be_bytes());
            }
        }
        let hash = hasher.finish128();
        MarkId([hash.h1, hash.h2])
    }

    /// Whether a datagram may count, if its signature verifies. Remembers nothing.
    ///
    /// # Errors
    /// [`Reject::Stale`], [`Reject::Future`], [`Reject::Replayed`].
    pub fn admit(
        &self,
        now_unix: u64,
        command: Command,
        id: MarkId,
        stamp: u64,
    ) -> Result<(), Reject> {
        if stamp < now_unix.saturating_sub(self.tolerance_s) {
            return Err(Reject::Stale);
        }
        if stamp > now_unix.saturating_add(self.tolerance_s) {
            return Err(Reject::Future);
        }
        let admitted = match self.marks.get(&id) {
            Some(mark) => mark.admits(command, stamp),
            None => stamp > self.floor,
        };
        if admitted { Ok(()) } else { Err(Reject::Replayed) }
    }

    /// Remembers an admitted datagram after its signature verified. Earlier would let a forger
    /// burn the stamps of others.
    pub fn remember(&mut self, command: Command, id: MarkId, stamp: u64) {
        if self.marks.len() >= self.marks_max && !self.marks.contains_key(&id) {
            self.forget_older_half();
        }
        self.marks.entry(id).or_default().note(command, stamp);
        self.highest = self.highest.max(stamp);
    }

    /// Forgets what cannot be fresh any more. Does its work at most once per tolerance.
    pub fn sweep(&mut self, now_unix: u64) {
        if now_unix.abs_diff(self.swept_unix) <= self.tolerance_s {
            return;
        }
        self.swept_unix = now_unix;
        self.forget_below(now_unix.saturating_sub(self.tolerance_s));
    }

    /// Refuses stamps up to `unix` from nodes without a mark. A router that starts calls it with
    /// the last second that an earlier process may have accepted stamps of, or with
    /// [`ReplayGuard::highest`] of that process if it knows it.
    pub fn raise_floor(&mut self, unix: u64) {
        self.floor = self.floor.max(unix);
    }

    /// The highest stamp accepted so far: what a successor should raise its floor to.
    #[must_use]
    pub const fn highest(&self) -> u64 {
        self.highest
    }

    /// The floor: no node without a mark is accepted with a stamp up to it.
    #[must_use]
    pub const fn floor(&self) -> u64 {
        self.floor
    }

    /// Marks held.
    #[must_use]
    pub fn marks(&self) -> usize {
        self.marks.len()
    }

    /// Everything remembered, as a successor restores it.
    pub fn records(&self) -> impl Iterator<Item = Record<'static>> + '_ {
        let Self { hash_key: key, floor, highest, .. } = *self;
        let mut marks = self.marks.iter().map(|(MarkId([high, low]), mark)| MarkRecord {
            id: (*high, *low),
            subscribed: mark.subscribed,
            unsubscribed: mark.unsubscribed,
            unsubscribed_before: mark.unsubscribed_before,
        });
        let chunks = std::iter::from_fn(move || {
            let chunk: Vec<_> = marks.by_ref().take(MARKS_PER_RECORD).collect();
            (!chunk.is_empty()).then_some(Record::Marks(chunk))
        });
        std::iter::once(Record::Replay { key, floor, highest }).chain(chunks)
    }

    /// Takes over how a predecessor names its marks and what it forgot. Own marks are dropped, but
    /// no stamp that this memory refuses becomes good.
    pub fn restore(&mut self, key: [u8; 16], floor: u64, highest: u64) {
        self.forget_below(u64::MAX);
        self.hash_key = key;
        self.raise_floor(floor);
        self.highest = self.highest.max(highest);
    }

    /// Takes over one mark of a predecessor.
    pub fn restore_mark(&mut self, record: &MarkRecord) {
        let id = MarkId([record.id.0, record.id.1]);
        if self.marks.len() >= self.marks_max && !self.marks.contains_key(&id) {
            self.forget_older_half();
        }
        let MarkRecord { subscribed, unsubscribed, unsubscribed_before, .. } = *record;
        self.marks.insert(id, Mark { subscribed, unsubscribed, unsubscribed_before });
    }

    fn forget_older_half(&mut self) {
        let mut stamps: Vec<u64> = self.marks.values().map(Mark::newest).collect();
        let middle = stamps.len() / 2;
        let (_, median, _) = stamps.select_nth_unstable(middle);
        let median = *median;
        self.forget_below(median.saturating_add(1));
    }

    fn forget_below(&mut self, stamp: u64) {
        let mut floor = self.floor;
        self.marks.retain(|_, mark| {
            let keep = mark.newest() >= stamp;
            if !keep {
                floor = floor.max(mark.newest());
            }
            keep
        });
        self.floor = floor;
        if self.marks.capacity() > 4 * self.marks.len() + 1024 {
            self.marks.shrink_to(2 * self.marks.len());
        }
    }
}

/// A key that nobody outside of the process knows: `RandomState` has its own from the system, and
/// what it makes of numbers tells nothing of it.
fn random_key() -> [u8; 16] {
    let chance = RandomState::new();
    let (high, low) = (chance.hash_one(1_u8), chance.hash_one(2_u8));
    (u128::from(high) << 64 | u128::from(low)).to_le_bytes()
}

#[cfg(test)]
mod tests;
