//! Chunked request bodies for nodes that must know the length first.
//!
//! The uwsgi protocol has no chunked coding, so such a body is held in memory until it is complete:
//! bounded per request and per worker.

use http1_wire::ChunkScanner;
use router_core::{
    buffer::{self, BODY_BYTES, Use},
    termination::Phase,
};

use super::{
    body_rate::BodyRate,
    failure::{Cause, Failure},
    inbound::Inbound,
    request_body::{receive_body, receive_or_end, scan_payload},
};
use crate::{client::ClientReader, context::Context, policy::Policy};

/// Largest chunked body passed to a uwsgi node; a larger one gets 413.
pub const HELD_BODY_BYTES_MAX: usize = 1024 * 1024;
/// Held bodies of one worker together; a request that would pass it gets 503.
pub const HELD_WORKER_BYTES_MAX: usize = 64 * 1024 * 1024;

const _: () = assert!(HELD_BODY_BYTES_MAX + BODY_BYTES <= HELD_WORKER_BYTES_MAX);

/// A complete body in memory.
pub struct HeldBody<'c> {
    ctx: &'c Context,
    policy: &'c Policy,
    bytes: Vec<u8>,
    accounted: usize,
}

impl<'c> HeldBody<'c> {
    /// Receives a whole chunked body.
    ///
    /// # Errors
    /// [`Failure`] of the client, 413 past [`HELD_BODY_BYTES_MAX`], 503 past the worker's share.
    pub async fn receive(
        ctx: &'c Context,
        policy: &'c Policy,
        reader: &mut ClientReader,
        inbound: &mut Inbound,
    ) -> Result<Self, Failure> {
        let mut held = Self { ctx, policy, bytes: Vec::new(), accounted: 0 };
        let mut scanner = ChunkScanner::new();
        let mut rate = BodyRate::new(policy.resilience.body_rate_min);
        let mut input = buffer::take(Use::Body);
        input.extend_from_slice(inbound.bytes());
        inbound.consume(input.len());
        if reader.is_stream() {
            return held.receive_stream(reader, input).await;
        }
        loop {
            let scanned =
                scan_payload(&mut scanner, &input, |payload| held.bytes.extend_from_slice(payload))
                    .map_err(|e| Failure::client(Phase::RequestBody, 400, Cause::ClientBody(e)))?;
            held.account()?;
            if scanned.ended {
                inbound.push_back(&input[scanned.consumed..]);
                buffer::give(Use::Body, input);
                return Ok(held);
            }
            input.clear();
            rate.begin_wait();
            input = receive_body(reader, &policy.timeouts, input, BODY_BYTES).await?;
            rate.end_wait(input.len())?;
        }
    }

    /// Receives a body that comes as bare payload.
    async fn receive_stream(
        mut self,
        reader: &mut ClientReader,
        mut input: Vec<u8>,
    ) -> Result<Self, Failure> {
        loop {
            self.bytes.extend_from_slice(&input);
            self.account()?;
            input.clear();
            let received;
            (input, received) =
                receive_or_end(reader, &self.policy.timeouts, input, BODY_BYTES).await?;
            if received == 0 {
                buffer::give(Use::Body, input);
                return Ok(self);
            }
        }
    }

    /// The body.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn account(&mut self) -> Result<(), Failure> {
        let most = self.policy.body_bytes_max.unwrap_or(u64::MAX);
        if self.bytes.len() > HELD_BODY_BYTES_MAX || self.bytes.len() as u64 > most {
            return Err(Failure::router(Phase::RequestBody, 413, Cause::BodyTooLarge));
        }
        let worker = &self.ctx.held_bytes;
        worker.set(worker.get() - self.accounted + self.bytes.capacity());
        self.accounted = self.bytes.capacity();
        if worker.get() > HELD_WORKER_BYTES_MAX {
            return Err(Failure::router(Phase::RequestBody, 503, Cause::HeldBodies));
        }
        Ok(())
    }
}

impl Drop for HeldBody<'_> {
    fn drop(&mut self) {
        self.ctx.held_bytes.set(self.ctx.held_bytes.get() - self.accounted);
    }
}
