//! Waiting for a vassal to start, as requests do (`on_demand`).

use router_core::termination::{Phase, Side as FaultOf, Termination};

use super::{
    Errand, Line,
    choice::{Chosen, NoNode, Unserved, choose},
};
use crate::on_demand::{NotAwake, until_awake};

impl<E: Errand> Line<'_, E> {
    /// The node of a connection that found none, once a vassal woke, if there is one to wake.
    ///
    /// # Errors
    /// There is none, it did not come in time, or the client has left; the record says which.
    pub(super) async fn wake(&mut self, none: NoNode) -> Result<Chosen, Unserved> {
        let mut sleeper = match none {
            NoNode::Unserved(unserved) => return Err(self.unserved(unserved)),
            NoNode::Asleep(sleeper) => sleeper,
        };
        let mut tried = self.tried;
        tried.note_counted();
        let again = || choose(self.ctx, &self.conn, &self.errand, &tried).ok();
        let outcome = until_awake(self.ctx, &mut sleeper, || self.read.is_finished(), again).await;
        match outcome {
            Ok(chosen) => Ok(Chosen { admitted: sleeper.admitted, ..chosen }),
            Err(NotAwake::Left) => {
                self.record.termination = Termination::new(FaultOf::Client, Phase::Connect);
                Err(Unserved::Left)
            }
            Err(_) => Err(self.unserved(Unserved::Crowded)),
        }
    }
}
