//! The least rate of a request body: a client that trickles holds a node's time for nothing.
//!
//! Only the time is counted in which the router waited for the client. A node that is slow to read
//! slows the client down and is not the client's fault. Pure but for the clock of the worker.

use router_core::{
    deadline,
    termination::{Phase, Side, Termination},
};

use super::failure::{Cause, Failure};

/// Waiting that is forgiven before the rate must hold: a start, or a pause of a live stream.
const GRACE_MS: u64 = 10_000;

/// How fast one body has come so far.
#[derive(Clone, Copy, Debug)]
pub struct BodyRate {
    /// Bytes per second; 0: none.
    least: u64,
    bytes: u64,
    waited_ms: u64,
    since_ms: u64,
}

impl BodyRate {
    /// A body that must come at `least` bytes per second.
    pub const fn new(least: u64) -> Self {
        Self { least, bytes: 0, waited_ms: 0, since_ms: 0 }
    }

    /// The client is waited for.
    pub fn begin_wait(&mut self) {
        self.since_ms = deadline::now_ms();
    }

    /// Something came.
    ///
    /// # Errors
    /// [`Failure`] of the client: all in all it was too slow.
    pub fn end_wait(&mut self, bytes: usize) -> Result<(), Failure> {
        if self.has_fallen_behind(deadline::now_ms() - self.since_ms, bytes as u64) {
            return Err(Failure {
                termination: Termination::new(Side::ClientDeadline, Phase::RequestBody),
                status: 408,
                cause: Cause::BodySlow,
            });
        }
        Ok(())
    }

    /// More came, for which nobody had to wait.
    pub fn note(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    fn has_fallen_behind(&mut self, waited_ms: u64, bytes: u64) -> bool {
        self.bytes += bytes;
        self.waited_ms += waited_ms;
        self.waited_ms > GRACE_MS && self.bytes * 1000 / self.waited_ms < self.least
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trickle_is_ended_after_its_grace_and_a_steady_body_never() {
        let mut trickle = BodyRate::new(100);
        let lasted = (1..100).find(|_| trickle.has_fallen_behind(5_000, 30));
        assert_eq!(lasted, Some(3), "after 15 s");
        let mut steady = BodyRate::new(100);
        assert!((0..10_000).all(|_| !steady.has_fallen_behind(5_000, 600)));
    }

    #[test]
    fn time_the_node_took_and_bytes_that_came_early_are_the_clients_credit() {
        let mut early = BodyRate::new(100);
        assert!(!early.has_fallen_behind(0, 1_000_000));
        assert!((0..100).all(|_| !early.has_fallen_behind(60_000, 1)));
    }

    #[test]
    fn without_a_rate_nobody_is_too_slow() {
        let mut off = BodyRate::new(0);
        assert!((0..100).all(|_| !off.has_fallen_behind(3_600_000, 0)));
    }
}
