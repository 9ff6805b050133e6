//! Whether there is memory for new work: one state of the process, and how it comes about.
//!
//! A thread of its own looks at what is used and at the caps that hold (`caps`). From a cap on, new
//! connections and new nodes are refused; below 95 % of it they are welcome again. What is there goes
//! on in any case: only an allocation that fails can end it, and this state is there so that none does.
//! Workers read one flag and a count when they accept, never per request. The count bounds a burst between
//! two looks: who accepted what the last look left room for waits until that took what it takes, and looks itself.

mod caps;
mod cgroup;
mod trim;

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    drain::{Drain, DrainPhase},
    metrics::{Collector, Page, catalog},
};
use caps::Caps;
use trim::Trim;

/// Distance between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// Distance between two looks when a cap is near, because a burst of connections fills fast.
const CLOSE_LOOK: Duration = Duration::from_millis(20);
/// Distance between two looks for a cap while there is none.
const IDLE_LOOK: Duration = Duration::from_secs(1);
/// What a new connection may take before the next look: buffers, and what its sockets hold in the kernel.
const BYTES_PER_ACCEPT: u64 = 256 * 1024;
/// Connections accepted between two looks at least; a look costs as much as a few of them.
const ACCEPTS_MIN: u64 = 16;
/// Accepts that are left where nothing limits memory.
const UNLIMITED: u64 = u64::MAX;
/// Share of a cap from which on it is near, in percent.
const NEAR_PERCENT: u64 = 80;
/// Share of a cap below which new work is welcome again, in percent.
const RESUME_PERCENT: u64 = 95;

/// How much memory the process may use before it refuses new work, as an operator says it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum MemoryMax {
    /// Nine tenths of what the control group or the limit of the address space allow.
    #[default]
    Auto,
    /// So many bytes of its own.
    Bytes(u64),
    /// It is not looked at.
    Off,
}

/// Who set a cap.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CapOf {
    /// The operator, by `memory-max`.
    Setting,
    /// The control group with this directory.
    Cgroup(PathBuf),
    /// `RLIMIT_AS`.
    AddressSpace,
}

impl std::fmt::Display for CapOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Setting => f.write_str("memory-max"),
            Self::Cgroup(path) => write!(f, "cgroup {}", path.display()),
            Self::AddressSpace => f.write_str("limit of the address space"),
        }
    }
}

/// One cap, and how far it is used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cap {
    /// Who set it.
    pub of: CapOf,
    /// Bytes that are used whatever the router does: others' in its group, or space that never comes back.
    pub base: u64,
    /// Bytes from which on new work is refused.
    pub refuse_from: u64,
    /// Bytes that count against it.
    pub used: u64,
}

impl Cap {
    /// Used part of what may be used beside the base, in percent.
    fn percent(&self) -> u64 {
        let [used, all] = [self.used, self.refuse_from].map(|all| all.saturating_sub(self.base));
        let percent = u128::from(used) * 100 / u128::from(all.max(1));
        u64::try_from(percent).unwrap_or(u64::MAX)
    }
}

/// The state, shared by whoever admits work and whoever tells of it.
#[derive(Debug, Default)]
pub struct Headroom {
    /// Written when the state turns; read on every accept.
    short: AtomicBool,
    shortages: AtomicU64,
    /// Connections that may be accepted before somebody must look.
    accepts_left: AtomicU64,
    caps: Mutex<Caps>,
    told: Mutex<Told>,
}

/// What control threads share.
#[derive(Debug, Default)]
struct Told {
    max: MemoryMax,
    nearest: Option<Cap>,
}

impl Headroom {
    /// Nothing was looked at yet.
    #[must_use]
    pub fn new(max: MemoryMax) -> Arc<Self> {
        let told = Mutex::new(Told { max, nearest: None });
        Arc::new(Self { told, ..Self::default() })
    }

    /// Whether new work is to be refused.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.short.load(Relaxed)
    }

    /// Whether a new connection is welcome, which is counted.
    #[must_use]
    pub fn admits(&self) -> bool {
        if self.is_short() {
            return false;
        }
        let one_less = |left| (left != UNLIMITED).then(|| u64::saturating_sub(left, 1));
        let _unlimited = self.accepts_left.fetch_update(Relaxed, Relaxed, one_less);
        true
    }

    /// Whether as many connections were welcome as the last look left room for: further ones had
    /// better wait for another look.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.accepts_left.load(Relaxed) == 0 && !self.is_short()
    }

    /// Looks out of turn, unless somebody just does.
    pub fn look_again(&self) {
        if let Ok(mut caps) = self.caps.try_lock() {
            let nearest = caps.nearest(self.max());
            drop(caps);
            self.note(nearest);
        }
    }

    /// Goes by `max` from the next look on.
    pub fn follow(&self, max: MemoryMax) {
        self.tell(|told| told.max = max);
    }

    /// The cap that is nearest, as of the last look; `None` without one.
    #[must_use]
    pub fn nearest(&self) -> Option<Cap> {
        self.tell(|told| told.nearest.clone())
    }

    fn max(&self) -> MemoryMax {
        self.tell(|told| told.max)
    }

    fn look(&self) -> Option<Cap> {
        let max = self.max();
        self.caps.lock().unwrap_or_else(PoisonError::into_inner).nearest(max)
    }

    fn tell<R>(&self, with: impl FnOnce(&mut Told) -> R) -> R {
        // Nothing panics while it holds the lock, and what is in there is whole at any time.
        with(&mut self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes what a look found; says when to look again.
    fn note(&self, nearest: Option<Cap>) -> Duration {
        self.accepts_left.store(nearest.as_ref().map_or(UNLIMITED, accepts), Relaxed);
        let is_short = nearest.as_ref().is_some_and(|cap| stays_short(cap, self.is_short()));
        if self.short.swap(is_short, Relaxed) != is_short {
            turned(is_short, nearest.as_ref());
            self.shortages.fetch_add(u64::from(is_short), Relaxed);
        }
        let next = match &nearest {
            None => IDLE_LOOK,
            Some(cap) if cap.percent() < NEAR_PERCENT => LOOK,
            Some(_) => CLOSE_LOOK,
        };
        self.tell(|told| told.nearest = nearest);
        next
    }
}

/// The rule: short from the cap on, and then until there is a little room.
fn stays_short(cap: &Cap, was_short: bool) -> bool {
    cap.used >= cap.refuse_from || (was_short && cap.percent() >= RESUME_PERCENT)
}

/// How many connections may come before somebody must look again.
fn accepts(cap: &Cap) -> u64 {
    (cap.refuse_from.saturating_sub(cap.used) / BYTES_PER_ACCEPT).max(ACCEPTS_MIN)
}

/// The one line of a turn.
fn turned(is_short: bool, cap: Option<&Cap>) {
    match cap {
        Some(Cap { of, refuse_from, used, .. }) if is_short => tracing::warn!(
            "memory is short: {} MiB of {} MiB ({of}); new connections and nodes are refused",
            mib(*used),
            mib(*refuse_from)
        ),
        Some(Cap { of, refuse_from, used, .. }) => tracing::info!(
            "memory is there again: {} MiB of {} MiB ({of}); new connections and nodes are welcome",
            mib(*used),
            mib(*refuse_from)
        ),
        None => tracing::info!("no memory cap holds any more; new connections are welcome"),
    }
}

fn mib(bytes: u64) -> u64 {
    bytes >> 20
}

/// Looks once and then, on a thread of its own, until the router ends.
///
/// # Errors
/// If the system refuses a thread.
pub fn watch(headroom: &Arc<Headroom>, drain: &Arc<Drain>) -> io::Result<()> {
    let mut next = headroom.note(headroom.look());
    if let Some(Cap { of, refuse_from, used, .. }) = headroom.nearest() {
        tracing::debug!("new work is refused from {refuse_from} B on ({of}), now {used} B");
    }
    let (headroom, drain) = (headroom.clone(), drain.clone());
    let mut trim = Trim::default();
    let look = move || {
        while drain.phase() < DrainPhase::Aborting {
            thread::sleep(next);
            let mut nearest = headroom.look();
            let is_full = nearest.as_ref().is_some_and(|cap| stays_short(cap, headroom.is_short()));
            // Nobody is refused for what only the allocator holds.
            if is_full && trim.if_due(Instant::now()) {
                nearest = headroom.look();
            }
            next = headroom.note(nearest);
        }
    };
    thread::Builder::new().name("headroom".into()).spawn(look).map(drop)
}

impl Collector for Headroom {
    fn collect(&self, page: &mut Page) {
        if let Some(cap) = self.nearest() {
            page.sample(&catalog::MEMORY_MAX, &[], cap.refuse_from);
            page.sample(&catalog::MEMORY_USED, &[], cap.used);
        }
        page.sample(&catalog::MEMORY_SHORT, &[], u64::from(self.is_short()));
        page.sample(&catalog::MEMORY_SHORTAGES, &[], self.shortages.load(Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(used: u64) -> Option<Cap> {
        Some(Cap { of: CapOf::Setting, base: 0, refuse_from: 1000, used })
    }

    #[test]
    fn work_is_refused_from_the_cap_on_and_welcome_when_there_is_a_little_room() {
        let headroom = Headroom::new(MemoryMax::Auto);
        let mut states = Vec::new();
        for bytes in [0, 999, 1000, 999, 950, 949, 999, 5000] {
            headroom.note(used(bytes));
            states.push(headroom.is_short());
        }
        assert_eq!(states, [false, false, true, true, true, false, false, true]);
        assert_eq!(headroom.shortages.load(Relaxed), 2);
        let nearly_all_base =
            Cap { of: CapOf::AddressSpace, base: 990, refuse_from: 1000, used: 998 };
        assert!(!stays_short(&nearly_all_base, true), "a little of what may be used is room");
        headroom.note(None);
        assert!(!headroom.is_short(), "a cap that is gone refuses nobody");
    }

    #[test]
    fn no_more_are_accepted_than_there_was_room_for_without_another_look() {
        let headroom = Headroom::new(MemoryMax::Bytes(1));
        let room = |bytes| Some(Cap { of: CapOf::Setting, base: 0, refuse_from: bytes, used: 0 });
        headroom.note(room(20 * BYTES_PER_ACCEPT));
        let accept = |_: &i32| !headroom.is_spent() && headroom.admits();
        assert_eq!((0..1000).take_while(accept).count(), 20);
        headroom.look_again();
        assert!(headroom.is_short(), "it saw that more than a byte is used");
        assert!(!headroom.is_spent(), "who comes now is refused and not kept waiting");
        headroom.follow(MemoryMax::Off);
        headroom.note(None);
        assert!((0..1000).all(|_| headroom.admits() && !headroom.is_spent()));
    }

    #[test]
    fn the_nearer_the_cap_the_sooner_the_next_look() {
        let headroom = Headroom::new(MemoryMax::Auto);
        assert_eq!(headroom.note(None), IDLE_LOOK);
        assert_eq!(headroom.note(used(799)), LOOK);
        assert_eq!(headroom.note(used(800)), CLOSE_LOOK);
    }
}
