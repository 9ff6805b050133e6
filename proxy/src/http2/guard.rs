//! Watches the frames of one client connection, and ends it when they are a flood.
//!
//! Received frames are walked before the codec sees them, sent ones before they leave. Streams tell
//! how they ended, because what a node broke is not the client's fault.

use std::cell::{Cell, RefCell};

use http2_wire::{Flood, FloodScore, FrameKind, FrameWalk};
use router_core::{
    deadline,
    metrics::{Counter, Shard},
};

/// The guard of one client connection, shared with its streams.
pub struct Guard {
    received: RefCell<FrameWalk>,
    sent: RefCell<FrameWalk>,
    score: RefCell<FloodScore>,
    /// HEADERS frames the streams have written and not yet sent. What is sent beyond them is the
    /// codec's own answer to a header list that was too large.
    heads_due: Cell<u32>,
    /// The flood that was found, after which nothing more is walked.
    found: Cell<Option<Flood>>,
}

impl Guard {
    /// A connection that begins now.
    pub fn new() -> Self {
        Self {
            received: RefCell::new(FrameWalk::from_client()),
            sent: RefCell::new(FrameWalk::from_server()),
            score: RefCell::new(FloodScore::new(deadline::now_ms())),
            heads_due: Cell::new(0),
            found: Cell::new(None),
        }
    }

    /// Walks received octets.
    ///
    /// # Errors
    /// The flood they complete; the codec must not see them.
    pub fn note_received(&self, mut bytes: &[u8]) -> Result<(), Flood> {
        if let Some(flood) = self.found.get() {
            return Err(flood);
        }
        let now = deadline::now_ms();
        let mut walk = self.received.borrow_mut();
        while let Some(frame) = walk.next(&mut bytes) {
            let noted = self.score.borrow_mut().note_received(&frame, now);
            noted.inspect_err(|flood| self.found.set(Some(*flood)))?;
        }
        Ok(())
    }

    /// Walks octets about to be sent.
    ///
    /// # Errors
    /// The flood they reveal.
    pub fn note_sent(&self, mut bytes: &[u8], shard: &Shard) -> Result<(), Flood> {
        let now = deadline::now_ms();
        let mut walk = self.sent.borrow_mut();
        while let Some(frame) = walk.next(&mut bytes) {
            if frame.kind == FrameKind::Headers {
                match self.heads_due.get().checked_sub(1) {
                    Some(due) => self.heads_due.set(due),
                    None => shard.count(Counter::Http2HeaderList),
                }
            }
            self.score.borrow_mut().note_sent(&frame, now)?;
        }
        Ok(())
    }

    /// A stream is about to send a head or trailers.
    pub fn head_due(&self) {
        self.heads_due.set(self.heads_due.get() + 1);
    }

    /// A stream ended as it should.
    pub fn note_answered(&self) {
        self.score.borrow_mut().note_answered();
    }

    /// A stream will be reset by us, which is not the client's fault.
    pub fn excuse_reset(&self) {
        self.score.borrow_mut().excuse_reset();
    }
}

impl Default for Guard {
    fn default() -> Self {
        Self::new()
    }
}

/// What counts a flood.
pub const fn counter(flood: Flood) -> Counter {
    match flood {
        Flood::Reset => Counter::Http2FloodReset,
        Flood::OwnReset => Counter::Http2FloodOwnReset,
        Flood::Continuation => Counter::Http2FloodContinuation,
        Flood::Settings => Counter::Http2FloodSettings,
        Flood::Ping => Counter::Http2FloodPing,
        Flood::EmptyData => Counter::Http2FloodEmptyData,
        Flood::WindowUpdate => Counter::Http2FloodWindowUpdate,
        Flood::Idle => Counter::Http2FloodIdle,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floods_are_counted_under_their_label() {
        use router_core::metrics::catalog::COUNTERS;
        for flood in Flood::ALL {
            let row = COUNTERS.iter().find(|(known, ..)| *known == counter(flood)).unwrap();
            assert_eq!(row.2, Some(flood.label()));
        }
    }
}
