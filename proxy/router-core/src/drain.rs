//! Leaving without hurting anybody: the phase every worker of a process is in.
//!
//! A drain goes one way only: serving, then draining, then gone. The signal side moves the phase; the
//! workers look at it on their tick.

use std::sync::atomic::{AtomicU8, Ordering};

/// Where a router is between start and end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum DrainPhase {
    /// Accepting and serving.
    Serving = 0,
    /// No longer accepting; what is under way is finished.
    Draining = 1,
    /// The drain deadline passed: what is left is cut.
    Aborting = 2,
}

/// The phase, shared by the signal side and the workers.
#[derive(Debug, Default)]
pub struct Drain(AtomicU8);

impl Drain {
    /// The phase as of now.
    pub fn phase(&self) -> DrainPhase {
        match self.0.load(Ordering::Acquire) {
            0 => DrainPhase::Serving,
            1 => DrainPhase::Draining,
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
