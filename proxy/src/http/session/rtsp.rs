//! The part of a session that meets RTSP.

use router_core::metrics::Counter;

use super::{After, Session};
use crate::http::{
    exchange::Client,
    record::Record,
    rtsp::{self, Call, session::Ending},
};

impl Session {
    pub(super) async fn converse(&mut self, call: Call) -> After {
        self.ctx.shard.add(Counter::Requests, u64::from(call.verdict.is_ok()));
        let mut record = Record::begin(self.began, call.head_bytes);
        self.inbound.hold_head(call.head_bytes);
        let client = Client {
            conn: &self.conn,
            reader: &mut self.reader,
            writer: &mut self.writer,
            inbound: &mut self.inbound,
        };
        let ending = rtsp::session::serve(&self.ctx, client, call, &mut record).await;
        self.conclude(&record);
        match ending {
            Ending::Answered => After::Keep,
            Ending::Refused => After::Linger,
            Ending::Over => After::Abort,
        }
    }
}
