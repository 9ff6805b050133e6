//! A request body that ends when its client finishes sending.

use router_core::{
    buffer::{self, BODY_BYTES, Use},
    deadline::Half,
    termination::Phase,
    tunnel::Sink,
};

use super::{BodyPump, Failure, send_request};

impl BodyPump<'_> {
    /// Moves bytes as they come and tells the node of their end.
    ///
    /// # Errors
    /// [`Failure`] of either side.
    pub async fn run_until_closed(self) -> Result<(), Failure> {
        let timeouts = self.timeouts;
        let mut buffer = buffer::take(Use::Body);
        buffer.extend_from_slice(self.inbound.bytes());
        self.inbound.consume(buffer.len());
        loop {
            self.received.set(self.received.get() + buffer.len() as u64);
            if !buffer.is_empty() {
                buffer = send_request(self.upstream, timeouts, buffer).await?;
                buffer.clear();
            }
            self.reader.watch().arm(Half::Read, timeouts.tunnel);
            let result;
            (result, buffer) = self.reader.read(buffer, BODY_BYTES).await;
            self.reader.watch().disarm(Half::Read);
            let ended = matches!(result, Ok(0)) && self.reader.watch().expired().is_none();
            if ended {
                buffer::give(Use::Body, buffer);
                let told = self.upstream.finish().await;
                let watch = self.upstream.watch();
                return told.map_err(|_| Failure::upstream_ended(Phase::RequestBody, watch));
            }
            if !matches!(result, Ok(received) if received > 0) {
                return Err(Failure::client_ended(Phase::RequestBody, self.reader.watch()));
            }
        }
    }
}
