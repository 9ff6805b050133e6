//! How much is done: a short run among the other tests, the whole one with `make soak`.

use std::time::Duration;

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Requests and WebSocket messages per second, all kinds together.
    pub rate: u32,
    /// Certificates replaced on disk.
    pub swaps: u32,
    /// Configuration files changed and read again.
    pub reloads: u32,
    /// Programs that took over.
    pub upgrades: u32,
    /// Successors that fail, of each kind.
    pub failures: u32,
    /// Subscriptions and withdrawals, each by one datagram.
    pub changes: u32,
    /// Pause between two of these events.
    pub pause: Duration,
    /// Open WebSockets.
    pub websockets: u32,
}

/// Some of everything, in about half a minute, with unoptimised code on both sides.
const QUICK: Scale = Scale {
    rate: 300,
    swaps: 4,
    reloads: 4,
    upgrades: 2,
    failures: 1,
    changes: 12,
    pause: Duration::from_millis(300),
    websockets: 8,
};

/// What an operator may do in a bad week, in about two minutes.
const WHOLE: Scale = Scale {
    rate: 2_000,
    swaps: 20,
    reloads: 20,
    upgrades: 5,
    failures: 1,
    changes: 100,
    pause: Duration::from_millis(400),
    websockets: 40,
};

impl Scale {
    /// `SUZERAIN_SOAK=whole` asks for the whole run.
    pub fn from_environment() -> Self {
        match std::env::var("SUZERAIN_SOAK").as_deref() {
            Ok("whole") => WHOLE,
            _ => QUICK,
        }
    }
}
