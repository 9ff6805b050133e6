//! The part of a session that meets RTSP.

use router_core::{access_log::AccessRecord, metrics::Counter};

use super::{After, Session, unix_ms};
use crate::{
    context::Scheme,
    http::{
        exchange::{Client, Record},
        rtsp::{self, Call, session::Ending},
    },
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

    /// Writes the line of an RTSP request; `false` if it is none.
    pub(super) fn log_rtsp(&self, record: &Record, duration_us: u64) -> bool {
        rtsp::log(&self.ctx, &self.conn, self.inbound.head(), |logged| {
            let node = record.node.as_ref().map_or("", |node| &node.facts.announced);
            self.ctx.log.write(&AccessRecord {
                at: unix_ms().saturating_sub(duration_us / 1000),
                client: &self.conn.client,
                method: logged.method,
                target: logged.target,
                host: logged.host,
                version: "RTSP/1.0",
                status: record.status,
                bytes_out: record.bytes_out,
                bytes_in: record.bytes_in,
                duration_us,
                connect_us: record.connect_us,
                key: if node.is_empty() { "" } else { logged.key },
                node,
                tls: self.conn.scheme == Scheme::Https,
                termination: record.termination,
                reused_upstream: false,
                request_id: b"",
            });
        })
    }
}
