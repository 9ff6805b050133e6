//! How a connection waits for bytes: with a buffer where they are likely to come soon, else without.
//!
//! A read that is under way owns its buffer, so a connection that waits with one holds it for as long
//! as it is silent. Waiting without one costs an operation more once bytes come. So a connection holds
//! a buffer only while its last bytes followed those before within [`SOON_MS`], and only
//! [`HELD_MAX`] of a worker do: who is busy pays nothing, who rests holds nothing.

use std::cell::Cell;

use crate::deadline;

/// Bytes that follow others within this are soon followed by more.
pub const SOON_MS: u64 = 1_000;
/// Buffers that silent connections of one worker hold.
pub const HELD_MAX: usize = 512;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
}

/// A buffer that is held while nothing comes, counted for as long as this lives.
#[derive(Debug)]
pub struct Hold(());

impl Hold {
    fn begin() -> Option<Self> {
        let held = HELD.get();
        if held >= HELD_MAX {
            return None;
        }
        HELD.set(held + 1);
        Some(Self(()))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        HELD.set(HELD.get() - 1);
    }
}

/// The rhythm in which the bytes of one side come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pulse {
    pace: Pace,
    /// When the wait began.
    since_ms: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Pace {
    /// A new connection: who connects has something to say.
    Fresh,
    /// Nothing came yet, and nothing needs to.
    Unheard,
    /// Bytes come soon after others.
    Quick,
    /// They do not, or it is not known.
    Slow,
}

impl Pulse {
    /// Of a connection on which nothing came, and whose client has to speak first.
    pub const fn fresh() -> Self {
        Self { pace: Pace::Fresh, since_ms: 0 }
    }

    /// Of a side that may be silent for long.
    pub const fn unheard() -> Self {
        Self { pace: Pace::Unheard, since_ms: 0 }
    }

    /// A wait begins: with a buffer, if this answers one to be counted.
    pub fn rest(&mut self) -> Option<Hold> {
        self.since_ms = deadline::now_ms();
        match self.pace {
            Pace::Unheard | Pace::Slow => None,
            Pace::Fresh | Pace::Quick => Hold::begin(),
        }
    }

    /// It ended with bytes.
    pub fn beat(&mut self) {
        self.beat_at(deadline::now_ms());
    }

    fn beat_at(&mut self, now_ms: u64) {
        let soon = now_ms.saturating_sub(self.since_ms) < SOON_MS;
        self.pace = match self.pace {
            Pace::Slow | Pace::Quick if soon => Pace::Quick,
            // The first bytes may have been the last.
            _ => Pace::Slow,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_served_once_rests_without_a_buffer_and_who_goes_on_rests_with_one() {
        let mut pulse = Pulse::fresh();
        assert!(pulse.rest().is_some(), "its first request is awaited");
        pulse.beat();
        assert!(pulse.rest().is_none(), "it may have been the last");
        pulse.beat();
        assert!(pulse.rest().is_some());
        let mut pulse = Pulse::unheard();
        for _ in 0..2 {
            assert!(pulse.rest().is_none());
            pulse.beat();
        }
        assert!(pulse.rest().is_some());
    }

    #[test]
    fn who_was_silent_for_long_is_not_expected_soon() {
        let mut pulse = Pulse { pace: Pace::Quick, since_ms: 0 };
        pulse.beat_at(SOON_MS);
        assert!(pulse.rest().is_none());
    }

    #[test]
    fn buffers_of_silent_connections_are_bounded() {
        let mut quick = Pulse { pace: Pace::Quick, since_ms: 0 };
        let held: Vec<_> = (0..HELD_MAX).map(|_| quick.rest()).collect();
        assert!(held.iter().all(Option::is_some) && quick.rest().is_none());
        drop(held);
        assert!(quick.rest().is_some());
    }
}
