//! Waiting for a node with room, when all nodes of a key have as much in hand as they may.
//!
//! Bounded in number and time. While a request waits its client's connection is not read, so a
//! client is taken for gone as soon as it has finished sending: nothing is asked of a node for
//! somebody who will not see the answer.

use router_core::{deadline, metrics::Counter, termination::Phase};

use super::{
    exchange::Exchange,
    failure::{Cause, Failure},
    in_flight::{InFlight, Room},
    judge::{Held, Plan},
};

impl Exchange<'_> {
    /// Counts this exchange in at the node of the plan, or at another one, now or when there is
    /// room.
    ///
    /// # Errors
    /// [`Failure`]: the queue is full, the time is over, or the client has left.
    pub(super) async fn wait_for_room(
        &mut self,
        plan: &mut Plan,
        room: Room,
        held: Held,
    ) -> Result<InFlight, Failure> {
        let (queues, rules) = (&self.ctx.queues, &self.policy.resilience);
        let most = rules.node_connections_max;
        if !queues.has(&room.key)
            && let Ok(begun) = InFlight::begin_below(&plan.node, most, queues, &room)
        {
            return Ok(begun);
        }
        let Some(place) = queues.join(&room.key, &room.load, rules.queue_max) else {
            room.load.note_queue_refused();
            self.ctx.shard.add(Counter::QueueFull, 1);
            return Err(Failure::router(Phase::Connect, 503, Cause::QueueFull));
        };
        self.ctx.shard.add(Counter::QueueWaits, 1);
        let since = self.trace_wait();
        let due_ms = deadline::process_ms() + rules.queue_timeout.as_millis() as u64;
        loop {
            place.turn().await;
            if self.client.reader.has_left() {
                self.ctx.shard.add(Counter::QueueLeft, 1);
                return Err(Failure::client(Phase::Connect, 400, Cause::ClientGone));
            }
            if place.is_first()
                && let Ok(again) = self.judge_again(held)
            {
                *plan = again;
                if let Ok(begun) = InFlight::begin_below(&plan.node, most, queues, &room) {
                    self.trace_waited(since);
                    return Ok(begun);
                }
            }
            if deadline::process_ms() >= due_ms {
                room.load.note_queue_refused();
                self.ctx.shard.add(Counter::QueueTimeouts, 1);
                return Err(Failure::router(Phase::Connect, 503, Cause::QueueSlow));
            }
        }
    }
}
