//! Waiting for a node with room, as requests wait (`http::wait_room`).
//!
//! The client's connection is not read meanwhile, so a client is taken for gone as soon as it has
//! finished sending.

use router_core::{
    deadline,
    metrics::Counter,
    termination::{Phase, Side as FaultOf, Termination},
};

use super::{
    Errand, Line,
    choice::{Chosen, Unserved, choose},
};
use crate::{http::in_flight::InFlight, policy::Policy};

impl<E: Errand> Line<'_, E> {
    /// Counts this connection in at the chosen node, or at another one, now or when there is room.
    ///
    /// # Errors
    /// The queue is full, the time is over, or the client has left.
    pub(super) async fn begin(
        &mut self,
        chosen: &mut Chosen,
        policy: &Policy,
    ) -> Result<InFlight, Unserved> {
        let Some(room) = chosen.room.take() else { return Ok(InFlight::begin(&chosen.node)) };
        let (queues, rules) = (&self.ctx.queues, &policy.resilience);
        let most = rules.node_connections_max;
        if !queues.has(&room.key)
            && let Ok(begun) = InFlight::begin_below(&chosen.node, most, queues, &room)
        {
            return Ok(begun);
        }
        let Some(place) = queues.join(&room.key, &room.load, rules.queue_max) else {
            room.load.note_queue_refused();
            return Err(self.left_queue(FaultOf::Router, Counter::QueueFull, Unserved::Crowded));
        };
        self.ctx.shard.add(Counter::QueueWaits, 1);
        let due_ms = deadline::process_ms() + rules.queue_timeout.as_millis() as u64;
        loop {
            place.turn().await;
            if self.read.is_finished() {
                return Err(self.left_queue(FaultOf::Client, Counter::QueueLeft, Unserved::Left));
            }
            if place.is_first()
                && let Ok(again) = choose(self.ctx, &self.conn, &self.errand, &self.tried)
            {
                chosen.node = again.node;
                if let Ok(begun) = InFlight::begin_below(&chosen.node, most, queues, &room) {
                    return Ok(begun);
                }
            }
            if deadline::process_ms() >= due_ms {
                room.load.note_queue_refused();
                return Err(self.left_queue(
                    FaultOf::Router,
                    Counter::QueueTimeouts,
                    Unserved::Crowded,
                ));
            }
        }
    }

    fn left_queue(&mut self, side: FaultOf, counter: Counter, why: Unserved) -> Unserved {
        self.ctx.shard.count(counter);
        self.record.termination = Termination::new(side, Phase::Connect);
        why
    }
}
