//! The score of a connection: what its frames cost us beyond what they move.
//!
//! HTTP/2 lets a peer cause work with a few octets: streams opened and reset at once (Rapid Reset,
//! CVE-2023-44487), streams we must reset (MadeYouReset, CVE-2025-8671), header blocks that never end
//! (CONTINUATION flood), frames that must be answered or that do nothing. Each such frame raises a
//! score that time and answered requests lower; above [`limits::SCORE_MAX`] the caller ends the
//! connection. The clock is an argument.

use crate::frames::{FrameHead, FrameKind};
use crate::limits;

/// What a connection was flooded with.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Flood {
    /// Streams the client reset.
    Reset,
    /// Streams we had to reset.
    OwnReset,
    /// A header block of too many CONTINUATION frames.
    Continuation,
    /// SETTINGS.
    Settings,
    /// PING.
    Ping,
    /// DATA without data.
    EmptyData,
    /// WINDOW_UPDATE without data that was sent.
    WindowUpdate,
    /// Frames that do nothing.
    Idle,
}

impl Flood {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Reset,
        Self::OwnReset,
        Self::Continuation,
        Self::Settings,
        Self::Ping,
        Self::EmptyData,
        Self::WindowUpdate,
        Self::Idle,
    ];

    /// Name of its counter's `kind`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::OwnReset => "made_you_reset",
            Self::Continuation => "continuation",
            Self::Settings => "settings",
            Self::Ping => "ping",
            Self::EmptyData => "empty_data",
            Self::WindowUpdate => "window_update",
            Self::Idle => "idle_frames",
        }
    }
}

/// The score of one connection.
#[derive(Clone, Debug)]
pub struct FloodScore {
    score: u32,
    /// What the score was raised by since it was zero, by kind.
    shares: [u32; Flood::ALL.len()],
    /// When the score was last lowered for time.
    lowered_ms: u64,
    /// CONTINUATION frames of the header block under way.
    continuations: u32,
    /// Resets of ours still to pass that are no fault of the peer.
    excused: u32,
}

impl FloodScore {
    /// A connection that begins at `now_ms`.
    pub const fn new(now_ms: u64) -> Self {
        Self { score: 0, shares: [0; 8], lowered_ms: now_ms, continuations: 0, excused: 0 }
    }

    /// Notes a frame of the peer.
    ///
    /// # Errors
    /// What the score rose above its bound with: end the connection.
    pub fn note_received(&mut self, frame: &FrameHead, now_ms: u64) -> Result<(), Flood> {
        if frame.kind != FrameKind::Continuation {
            self.continuations = 0;
        }
        let (cost, flood) = match frame.kind {
            FrameKind::Continuation => {
                self.continuations += 1;
                let many = self.continuations > limits::CONTINUATIONS_MAX;
                return if many { Err(Flood::Continuation) } else { Ok(()) };
            }
            FrameKind::Data if frame.length == 0 && !frame.ends_stream() => {
                (limits::COST_EMPTY_DATA, Flood::EmptyData)
            }
            FrameKind::Data | FrameKind::Headers => return Ok(()),
            FrameKind::RstStream => (limits::COST_RESET, Flood::Reset),
            FrameKind::Settings if frame.is_ack() => (limits::COST_IDLE_FRAME, Flood::Settings),
            FrameKind::Settings => (limits::COST_SETTINGS, Flood::Settings),
            FrameKind::Ping => (limits::COST_PING, Flood::Ping),
            FrameKind::WindowUpdate => (limits::COST_WINDOW_UPDATE, Flood::WindowUpdate),
            FrameKind::Priority
            | FrameKind::PushPromise
            | FrameKind::GoAway
            | FrameKind::Unknown => (limits::COST_IDLE_FRAME, Flood::Idle),
        };
        self.raise(cost, flood, now_ms)
    }

    /// Notes a frame of ours.
    ///
    /// # Errors
    /// As [`FloodScore::note_received`]: the peer makes us reset streams.
    pub fn note_sent(&mut self, frame: &FrameHead, now_ms: u64) -> Result<(), Flood> {
        match frame.kind {
            FrameKind::Data => {
                self.score = self.score.saturating_sub(limits::CREDIT_DATA_SENT);
                Ok(())
            }
            FrameKind::RstStream if self.excused > 0 => {
                self.excused -= 1;
                Ok(())
            }
            FrameKind::RstStream => self.raise(limits::COST_OWN_RESET, Flood::OwnReset, now_ms),
            _ => Ok(()),
        }
    }

    /// Notes that a response was sent to its end.
    pub fn note_answered(&mut self) {
        self.score = self.score.saturating_sub(limits::CREDIT_ANSWERED);
    }

    /// Announces a reset of ours that is no fault of the peer: a node broke off, or an answer came
    /// before the request was complete.
    pub fn excuse_reset(&mut self) {
        self.excused = (self.excused + 1).min(limits::STREAMS_MAX);
    }

    fn raise(&mut self, cost: u32, flood: Flood, now_ms: u64) -> Result<(), Flood> {
        let elapsed_ms = now_ms.saturating_sub(self.lowered_ms);
        let forgiven = elapsed_ms.saturating_mul(u64::from(limits::SCORE_FORGIVEN_PER_S)) / 1000;
        if forgiven > 0 {
            self.lowered_ms = now_ms;
            self.score = self.score.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX));
        }
        if self.score == 0 {
            self.shares = [0; Flood::ALL.len()];
        }
        self.score = self.score.saturating_add(cost);
        let share = &mut self.shares[flood as usize];
        *share = share.saturating_add(cost);
        if self.score > limits::SCORE_MAX { Err(self.main_flood()) } else { Ok(()) }
    }

    /// The kind that raised the score most: the last straw may be another.
    fn main_flood(&self) -> Flood {
        let shares = Flood::ALL.into_iter().zip(self.shares);
        shares.max_by_key(|(_, share)| *share).map_or(Flood::Idle, |(flood, _)| flood)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn frame(kind: FrameKind) -> FrameHead {
        FrameHead { length: 8, kind, flags: 0, stream: 1 }
    }

    fn count_until(kind: FrameKind, mut now_ms: impl FnMut(u32) -> u64) -> Option<(u32, Flood)> {
        let mut score = FloodScore::new(0);
        (0..100_000).find_map(|count| {
            score.note_received(&frame(kind), now_ms(count)).err().map(|flood| (count, flood))
        })
    }

    #[test]
    fn a_burst_of_each_costly_frame_is_a_flood_of_its_name() {
        for (kind, flood) in [
            (FrameKind::RstStream, Flood::Reset),
            (FrameKind::Settings, Flood::Settings),
            (FrameKind::Ping, Flood::Ping),
            (FrameKind::Continuation, Flood::Continuation),
            (FrameKind::WindowUpdate, Flood::WindowUpdate),
            (FrameKind::Priority, Flood::Idle),
            (FrameKind::Unknown, Flood::Idle),
        ] {
            let (count, found) = count_until(kind, |_| 0).expect("a flood");
            assert_eq!(found, flood);
            assert!(count < 2_001, "{kind:?} after {count}");
        }
    }

    #[test]
    fn cancelling_a_hundred_requests_each_second_goes_on_for_ever() {
        assert_eq!(count_until(FrameKind::RstStream, |count| u64::from(count) * 10), None);
        assert!(count_until(FrameKind::RstStream, u64::from).is_some());
    }

    #[test]
    fn heads_and_data_cost_nothing() {
        assert_eq!(count_until(FrameKind::Headers, |_| 0), None);
        assert_eq!(count_until(FrameKind::Data, |_| 0), None);
    }

    #[test]
    fn a_download_earns_its_window_updates() {
        let mut score = FloodScore::new(0);
        for _ in 0..100_000 {
            score.note_sent(&frame(FrameKind::Data), 0).unwrap();
            score.note_received(&frame(FrameKind::WindowUpdate), 0).unwrap();
            score.note_received(&frame(FrameKind::WindowUpdate), 0).unwrap();
        }
    }

    #[test]
    fn resets_we_are_made_to_send_are_a_flood_too() {
        let mut score = FloodScore::new(0);
        let reset = frame(FrameKind::RstStream);
        let flood = (0..1_000).find_map(|_| score.note_sent(&reset, 0).err());
        assert_eq!(flood, Some(Flood::OwnReset));
    }

    #[test]
    fn whoever_reads_its_answers_may_cancel_as_many() {
        let mut score = FloodScore::new(0);
        for _ in 0..100_000 {
            score.note_received(&frame(FrameKind::RstStream), 0).unwrap();
            score.note_answered();
        }
    }
}
