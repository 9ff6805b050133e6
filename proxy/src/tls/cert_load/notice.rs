//! Names whose files changed, until it is time to look at them.
//!
//! A certificate and its key are two files, written one after the other. So a change is looked at once
//! no further one came for [`SETTLE`]; and a pair that is refused then is looked at again after
//! [`DOUBT`], before anybody is told: as a rule its other half has come by then.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::Slot;

/// How long files must be left alone before they are looked at.
const SETTLE: Duration = Duration::from_millis(10);
/// How long they are waited for at most.
const SETTLE_MAX: Duration = Duration::from_millis(100);
/// How long half a pair may be without anybody being told.
const DOUBT: Duration = Duration::from_secs(1);

/// What is to be looked at, and when.
#[derive(Debug, Default)]
pub(super) struct Notices {
    changed: BTreeSet<Slot>,
    /// When the first and the last of the changes were noticed.
    since: Option<(Instant, Instant)>,
    /// Refused once; the earliest first.
    doubts: VecDeque<(Instant, Slot)>,
    doubted: BTreeSet<Slot>,
}

/// Whether a pair that is refused gets another look before anybody is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Chance {
    /// Something changed: it may not be all of it.
    First,
    /// It had time to become whole.
    Last,
}

impl Notices {
    /// Files of `slot` changed.
    pub(super) fn note(&mut self, slot: Slot, now: Instant) {
        self.changed.insert(slot);
        let first = self.since.map_or(now, |(first, _)| first);
        self.since = Some((first, now));
    }

    /// A pair was refused at its first look.
    pub(super) fn doubt(&mut self, slot: Slot, now: Instant) {
        if self.doubted.insert(slot.clone()) {
            self.doubts.push_back((now + DOUBT, slot));
        }
    }

    /// Whether somebody else will look at it soon.
    pub(super) fn expects(&self, slot: &Slot) -> bool {
        self.changed.contains(slot) || self.doubted.contains(slot)
    }

    /// When [`Notices::due`] has something.
    pub(super) fn due_at(&self) -> Option<Instant> {
        let settled = self.since.map(|(first, last)| (last + SETTLE).min(first + SETTLE_MAX));
        let doubt = self.doubts.front().map(|(due, _)| *due);
        [settled, doubt].into_iter().flatten().min()
    }

    /// At most `most` names to look at now.
    pub(super) fn due(&mut self, now: Instant, most: usize) -> Vec<(Slot, Chance)> {
        let mut due = Vec::new();
        while due.len() < most
            && let Some((_, slot)) = self.doubts.pop_front_if(|(due, _)| *due <= now)
        {
            self.doubted.remove(&slot);
            due.push((slot, Chance::Last));
        }
        let is_settled =
            self.since.is_some_and(|(first, last)| now >= (last + SETTLE).min(first + SETTLE_MAX));
        while is_settled
            && due.len() < most
            && let Some(slot) = self.changed.pop_first()
        {
            due.push((slot, Chance::First));
        }
        if self.changed.is_empty() {
            self.since = None;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::cert_store::ServedName;

    fn slot(name: &str) -> Slot {
        Slot::Subscription(ServedName::parse(name).expect("a name"))
    }

    #[test]
    fn a_change_is_looked_at_when_it_is_over_but_not_put_off_for_ever() {
        let start = Instant::now();
        let mut notices = Notices::default();
        assert_eq!((notices.due_at(), notices.due(start, 9)), (None, vec![]));
        notices.note(slot("a"), start);
        assert_eq!(notices.due_at(), Some(start + SETTLE));
        let mut now = start;
        while now + SETTLE / 2 < start + SETTLE_MAX {
            now += SETTLE / 2;
            notices.note(slot("b"), now);
            assert_eq!(notices.due(now, 9), vec![], "still written");
        }
        let due = notices.due(start + SETTLE_MAX, 1);
        assert_eq!(due, [(slot("a"), Chance::First)]);
        assert_eq!(notices.due(start + SETTLE_MAX, 9), [(slot("b"), Chance::First)]);
        assert_eq!(notices.due_at(), None);
    }

    #[test]
    fn what_was_refused_is_looked_at_once_more_a_second_later() {
        let start = Instant::now();
        let mut notices = Notices::default();
        notices.doubt(slot("a"), start);
        notices.doubt(slot("a"), start + DOUBT / 2);
        assert!(notices.expects(&slot("a")));
        assert_eq!(notices.due(start + DOUBT / 2, 9), vec![]);
        assert_eq!(notices.due_at(), Some(start + DOUBT));
        assert_eq!(notices.due(start + DOUBT, 9), [(slot("a"), Chance::Last)]);
        assert!(!notices.expects(&slot("a")));
        assert_eq!(notices.due_at(), None);
    }
}
