//! Leaving without hurting anybody: the phase every worker of a process is in.
//!
//! It goes one way only: preparing, serving, leaving, draining, tunnels only, gone. The main thread moves the phase; the
//! workers look at it on their tick.

use std::sync::atomic::{AtomicU8, Ordering};

/// Where a router is between start and end.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum DrainPhase {
    /// Everything is there, and nothing is accepted yet.
    Preparing = 0,
    /// Accepting and serving.
    Serving = 1,
    /// No longer accepting, as another process does. What is under way is finished, and connections
    /// that wait for a request may still send one, whose answer tells them to go.
    Leaving = 2,
    /// No longer accepting; what is under way is finished, what waits for a request is ended.
    Draining = 3,
    /// Tunnels may go on, everything else is cut.
    Tunnels = 4,
    /// The drain deadline passed: what is left is cut.
    Aborting = 5,
}

/// The phase, shared by the signal side and the workers.
#[derive(Debug)]
pub struct Drain(AtomicU8);

impl Default for Drain {
    /// Of a router that serves.
    fn default() -> Self {
        Self(AtomicU8::new(DrainPhase::Serving as u8))
    }
}

impl Drain {
    /// Of a router that does not serve yet.
    #[must_use]
    pub const fn preparing() -> Self {
        Self(AtomicU8::new(DrainPhase::Preparing as u8))
    }

    /// The phase as of now.
    pub fn phase(&self) -> DrainPhase {
        match self.0.load(Ordering::Acquire) {
            0 => DrainPhase::Preparing,
            1 => DrainPhase::Serving,
            2 => DrainPhase::Leaving,
            3 => DrainPhase::Draining,
            4 => DrainPhase::Tunnels,
            _ => DrainPhase::Aborting,
        }
    }

    /// Moves to `phase`; never back.
    pub fn advance(&self, phase: DrainPhase) {
        self.0.fetch_max(phase as u8, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phase_never_goes_back() {
        let drain = Drain::default();
        drain.advance(DrainPhase::Aborting);
        drain.advance(DrainPhase::Draining);
        assert_eq!(drain.phase(), DrainPhase::Aborting);
    }
}
