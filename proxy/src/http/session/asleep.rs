//! The part of a session that waits for vassals.

use std::pin::Pin;

use router_core::metrics::Counter;

use super::{After, Session};
use crate::http::{
    judge::Judged,
    record::Record,
    wake::{self, Asleep, Unplanned},
};

impl Session {
    /// Answers a request once its vassal is awake. Boxed, so that those with a node do not carry it.
    pub(super) fn answer_awake(
        &mut self,
        asleep: Asleep,
    ) -> Pin<Box<dyn Future<Output = After> + '_>> {
        Box::pin(async move {
            match self.wake(asleep).await {
                Ok(judged) => self.answer(judged).await,
                Err(after) => after,
            }
        })
    }

    /// What a request comes to whose vassal is waited for. `Err`: its client left.
    async fn wake(&mut self, asleep: Asleep) -> Result<Judged, After> {
        let (head_bytes, reader) = (asleep.head_bytes(), &self.reader);
        let bytes = self.inbound.bytes();
        match wake::first(&self.ctx, &self.conn, bytes, asleep, &self.trace, || reader.has_left())
            .await
        {
            Ok(plan) => Ok(Judged::Admitted(plan)),
            Err(Unplanned::Refused(refusal)) => Ok(Judged::Refused(refusal)),
            Err(Unplanned::Left | Unplanned::Asleep(_)) => {
                self.ctx.shard.add(Counter::Requests, 1);
                let mut record = Record::begin(self.began, head_bytes);
                record.termination = wake::client_gone().termination;
                self.inbound.hold_head(head_bytes);
                self.conclude(&record);
                Err(After::Abort)
            }
        }
    }
}
