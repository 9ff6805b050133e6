//! What is left of an exchange whose two sides agreed to speak something else: a tunnel.
//!
//! It lasts far longer than the exchange and needs far less, so it is handed back to whoever owns the
//! client's connection, and the exchange with all its state is gone.

use std::sync::Arc;

use route_table::Node;
use router_core::tunnel::{self, Side, TunnelBytes, TunnelEnd, TunnelLimits};

use super::{
    gate::Admitted, in_flight::InFlight, inbound::Inbound, record::Record, rtsp::pairs::Open,
};
use crate::{
    client::{ClientReader, ClientWriter},
    config::Timeouts,
    node::NodeConn,
};

/// What counts a tunnel among what its key, its node and its RTSP session have in hand.
#[derive(Default)]
pub struct Counted {
    /// Of the key.
    pub admitted: Admitted,
    /// Of the node.
    pub in_flight: Option<InFlight>,
    /// Of the session it is half of.
    pub session: Option<Open>,
}

/// A tunnel that may begin.
pub struct Switched {
    node: Arc<Node>,
    upstream: NodeConn,
    limits: TunnelLimits,
    moved: TunnelBytes,
    _counted: Counted,
}

impl Switched {
    /// A tunnel to `upstream`, which is `node`'s.
    pub fn new(
        node: Arc<Node>,
        upstream: NodeConn,
        timeouts: &Timeouts,
        counted: Counted,
    ) -> Box<Self> {
        let limits = TunnelLimits::new(timeouts.tunnel, timeouts.write_stall);
        let moved = TunnelBytes::default();
        Box::new(Self { node, upstream, limits, moved, _counted: counted })
    }

    /// Sends what the client sent ahead of the node's agreement, which was kept back until now.
    ///
    /// # Errors
    /// How the tunnel ended.
    pub async fn begin(&mut self, inbound: &mut Inbound) -> Result<(), TunnelEnd> {
        let early = inbound.bytes().to_vec();
        inbound.consume(early.len());
        self.moved.from_first.set(early.len() as u64);
        let (result, _) = self.upstream.write.write_all(early, 0).await;
        result.map_err(|_| TunnelEnd::Second)
    }

    /// Passes opaque bytes on until both sides are done.
    pub async fn run(&mut self, reader: &mut ClientReader, writer: &mut ClientWriter) -> TunnelEnd {
        let client = Side { source: reader, sink: writer };
        let node = Side { source: &mut self.upstream.read, sink: &mut self.upstream.write };
        tunnel::run(client, node, self.limits, &self.moved).await
    }

    /// Notes how it ended.
    pub fn note_end(&self, end: TunnelEnd, record: &mut Record) {
        let moved = &self.moved;
        record.bytes_in += moved.from_first.get();
        record.bytes_out += moved.from_second.get();
        self.node.load.add_bytes(moved.from_second.get(), moved.from_first.get());
        record.termination = end.termination();
    }

    /// All of it: for connections that have no other state to be rid of.
    pub async fn pass(
        mut self: Box<Self>,
        reader: &mut ClientReader,
        writer: &mut ClientWriter,
        inbound: &mut Inbound,
        record: &mut Record,
    ) {
        let end = match self.begin(inbound).await {
            Ok(()) => self.run(reader, writer).await,
            Err(end) => end,
        };
        self.note_end(end, record);
    }
}
