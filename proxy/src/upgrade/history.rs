//! How the upgrades went, over all processes that followed one another, and who still drains.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use router_core::metrics::{Collector, Page, catalog};
use serde::{Deserialize, Serialize};

use super::{
    lingering::forget_ended,
    message::{FromPredecessor, decode},
    successor::Predecessor,
};

/// Name of the part of the memory that the counts are.
pub const PART: &str = "upgrades";

/// Counts by outcome.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Tally {
    /// A new process took over.
    pub handed_over: u64,
    /// The new process did not come up.
    pub failed: u64,
    /// Not tried.
    pub refused: u64,
}

/// What the next process is told.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Passed {
    #[serde(flatten)]
    tally: Tally,
    lingering: Vec<Draining>,
}

/// A process that was replaced.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Draining {
    /// Its process id.
    pub pid: u32,
    /// When it ends at last, as Unix time.
    pub until_unix: u64,
}

/// What the statistics say of upgrades. Shared by the main thread and whoever asks.
#[derive(Debug, Default)]
pub struct History {
    handed_over: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
    predecessor: Mutex<Option<Predecessor>>,
    /// Processes before this one that have only tunnels left.
    lingering: Mutex<Vec<Draining>>,
}

/// What became of an upgrade.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Became {
    /// The new process did not come up.
    Failed,
    /// It was not tried.
    Refused,
}

impl History {
    /// Goes on with the counts of the process before, as [`Self::for_successor`] wrote them.
    #[must_use]
    pub fn after(counts: Option<&[u8]>) -> Self {
        let passed = counts.and_then(|bytes| serde_json::from_slice(bytes).ok());
        let Passed { tally, lingering } = passed.unwrap_or_default();
        Self {
            handed_over: tally.handed_over.into(),
            failed: tally.failed.into(),
            refused: tally.refused.into(),
            predecessor: Mutex::default(),
            lingering: Mutex::new(lingering),
        }
    }

    /// Counts.
    pub fn note(&self, became: Became) {
        let count = match became {
            Became::Failed => &self.failed,
            Became::Refused => &self.refused,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// The counts as they are once a successor serves, and who lingers, for it.
    #[must_use]
    pub fn for_successor(&self) -> Vec<u8> {
        let mut tally = self.tally();
        tally.handed_over += 1;
        let lingering = self.lingering();
        serde_json::to_vec(&Passed { tally, lingering }).unwrap_or_default()
    }

    /// The counts.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally {
            handed_over: self.handed_over.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    /// Notes who drains.
    pub fn follow(&self, predecessor: Predecessor) {
        *self.predecessor.lock().unwrap_or_else(PoisonError::into_inner) = Some(predecessor);
    }

    /// The process before this one, as long as it has more than tunnels.
    #[must_use]
    pub fn draining(&self) -> Option<Draining> {
        let mut known = self.predecessor.lock().unwrap_or_else(PoisonError::into_inner);
        let Predecessor { pid, until, channel } = known.as_ref()?;
        let until = until.duration_since(UNIX_EPOCH).unwrap_or_default();
        let draining = Draining { pid: *pid, until_unix: until.as_secs() };
        let lingers = channel
            .receive(Duration::ZERO)
            .is_ok_and(|received| matches!(decode(&received.bytes), Ok(FromPredecessor::Lingers)));
        if lingers {
            self.lingering.lock().unwrap_or_else(PoisonError::into_inner).push(draining);
        }
        if lingers || channel.is_ended() {
            *known = None;
            return None;
        }
        Some(draining)
    }

    /// Processes before this one that have only tunnels left, the newest last.
    #[must_use]
    pub fn lingering(&self) -> Vec<Draining> {
        // What the process before this one said last is still to be heard.
        let _ = self.draining();
        let mut lingering = self.lingering.lock().unwrap_or_else(PoisonError::into_inner);
        forget_ended(&mut lingering);
        lingering.clone()
    }
}

impl Collector for History {
    fn collect(&self, page: &mut Page) {
        let Tally { handed_over, failed, refused } = self.tally();
        page.sample(&catalog::UPGRADES, &["handed_over"], handed_over);
        page.sample(&catalog::UPGRADES, &["failed"], failed);
        page.sample(&catalog::UPGRADES, &["refused"], refused);
        let draining = u64::from(self.draining().is_some());
        page.sample(&catalog::PREDECESSOR_DRAINING, &[], draining);
        page.sample(&catalog::PREDECESSORS_LINGERING, &[], self.lingering().len() as u64);
    }
}

impl Draining {
    /// How long it may go on.
    #[must_use]
    pub fn left(&self) -> Duration {
        let until = UNIX_EPOCH + Duration::from_secs(self.until_unix);
        until.duration_since(SystemTime::now()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upgrade::{channel::Channel, message::encode};

    #[test]
    fn counts_go_on_in_the_next_process() {
        let history = History::default();
        history.note(Became::Failed);
        history.note(Became::Refused);
        history.note(Became::Refused);
        let next = History::after(Some(&history.for_successor()));
        assert_eq!(next.tally(), Tally { handed_over: 1, failed: 1, refused: 2 });
        assert_eq!(History::after(Some(b"nonsense")).tally(), Tally::default());
        assert_eq!(History::after(None).tally(), Tally::default());
    }

    #[test]
    fn a_process_drains_until_its_end_of_the_channel_closes() {
        let (near, far) = Channel::pair().unwrap();
        let history = History::default();
        assert!(history.draining().is_none());
        let until = SystemTime::now() + Duration::from_secs(60);
        history.follow(Predecessor { pid: 7, until, channel: near });
        let draining = history.draining().unwrap();
        assert_eq!(draining.pid, 7);
        assert!(draining.left() > Duration::from_secs(50));
        drop(far);
        assert!(history.draining().is_none());
        assert_eq!(history.lingering(), []);
    }

    #[test]
    fn a_process_with_only_tunnels_does_not_drain_but_is_known_to_all_that_follow() {
        let (near, far) = Channel::pair().unwrap();
        let history = History::default();
        let until = SystemTime::now() + Duration::from_secs(60);
        let pid = std::process::id();
        history.follow(Predecessor { pid, until, channel: near });
        Channel::of(far).send(&encode(&FromPredecessor::Lingers), &[]).unwrap();
        assert!(history.draining().is_none());
        let pids = |history: &History| -> Vec<u32> {
            history.lingering().iter().map(|one| one.pid).collect()
        };
        assert_eq!(pids(&history), [pid]);
        assert_eq!(pids(&History::after(Some(&history.for_successor()))), [pid]);
    }
}
