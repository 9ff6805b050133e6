//! The end of a connection that became a tunnel.

use super::{After, Session};
use crate::http::{record::Record, switched::Switched};

/// A tunnel that began, and what will be said of the exchange it came from.
pub(super) struct Tail {
    switched: Box<Switched>,
    record: Box<Record>,
}

impl Session {
    /// Begins the tunnel an exchange became.
    pub(super) async fn switch(&mut self, mut switched: Box<Switched>, record: Record) -> After {
        let mut record = Box::new(record);
        match switched.begin(&mut self.inbound).await {
            Ok(()) => {
                if self.ctx.log.enabled() || record.trace.recorded().is_some() {
                    self.inbound.keep_head_only();
                } else {
                    self.inbound.put_away();
                }
                After::Tunnel(Tail { switched, record })
            }
            Err(end) => {
                switched.note_end(end, &mut record);
                self.conclude(&record);
                After::Abort
            }
        }
    }

    /// Passes bytes on until both sides are done.
    pub(super) async fn pass(mut self: Box<Self>, tail: Tail) {
        let Tail { mut switched, mut record } = tail;
        let end = switched.run(&mut self.reader, &mut self.writer).await;
        switched.note_end(end, &mut record);
        self.conclude(&record);
    }
}
