//! How far an attempt is, for whoever is not moving its bytes.

use std::{cell::Cell, time::Instant};

use router_core::upstream::retry::Progress;

use crate::{compress::Coding, http::sticky::CookieSlot, traces::TraceSlot};

/// What the others may know while a response is under way.
#[derive(Debug, Default)]
pub struct Progressed {
    /// Status of the response, once its head was understood.
    pub status: Cell<u16>,
    /// Bytes sent to the client.
    pub sent: Cell<u64>,
    /// Bytes of the request sent to the upstream, without a streamed body.
    pub asked: Cell<u64>,
    /// Bytes of the upstream's answer, or zero if not one came.
    pub answered: Cell<u64>,
    /// The cookie that goes with the response.
    pub cookie: CookieSlot,
    /// Whether the request body has been passed on completely.
    pub request_done: Cell<bool>,
    /// Whether trailers went behind that, on a connection that is no stream.
    pub trailed: Cell<bool>,
    /// The coding we gave the body.
    pub coding: Cell<Option<Coding>>,
    /// When the first byte of the answer came, if that is to be known.
    pub first_byte: Cell<Option<Instant>>,
    is_timed: bool,
}

impl Progressed {
    /// Of an attempt that is recorded, or is not.
    pub fn of(trace: &TraceSlot) -> Self {
        Self { is_timed: trace.recorded().is_some(), ..Self::default() }
    }

    /// Bytes of the answer came.
    pub fn note_answer(&self, received: usize) {
        if self.is_timed && self.answered.get() == 0 {
            self.first_byte.set(Some(Instant::now()));
        }
        self.answered.set(self.answered.get() + received as u64);
    }

    /// How far the exchange got, for the retry rule.
    pub fn progress(&self) -> Progress {
        if self.answered.get() > 0 { Progress::Answered } else { Progress::Sent }
    }
}
