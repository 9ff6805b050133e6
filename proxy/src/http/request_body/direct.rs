//! A request body of known length between two sockets: what is there already moves in bursts.

use router_core::{
    buffer::{self, HEAD_BYTES, Use},
    burst::{self, Burst, Way, Window},
    termination::Phase,
    tunnel::{Sink, Source},
};

use super::{BodyPump, Failure, send_request};

impl BodyPump<'_> {
    /// The two sockets, if the bytes of the body pass between them as they are.
    pub(super) fn way(&self) -> Option<Way> {
        Some(Way { source: Source::socket(self.reader)?, sink: Sink::socket(self.upstream)? })
    }

    /// Moves `left` bytes. Only the next ones are waited for, with the smallest buffer.
    pub(super) async fn pump_direct(&mut self, way: Way, mut left: u64) -> Result<(), Failure> {
        let mut window = Window::of_body();
        let mut first = buffer::take(Use::Head);
        let here = self.inbound.bytes();
        let here = &here[..usize::try_from(left).unwrap_or(usize::MAX).min(here.len())];
        first.extend_from_slice(here);
        self.inbound.consume(first.len());
        self.note_received(first.len());
        left -= first.len() as u64;
        loop {
            let mut received = 0;
            let burst = burst::run(way, &first, left, &mut window, |stretch| received += stretch);
            left -= received as u64;
            self.note_received(received);
            self.rate.note(received);
            buffer::give(Use::Head, first);
            match burst {
                Burst::Paused => {}
                Burst::Blocked(rest, counted) => {
                    send_request(self.upstream, self.timeouts, rest).await?;
                    drop(counted);
                }
                Burst::SourceFailed => {
                    return Err(Failure::client_ended(Phase::RequestBody, self.reader.watch()));
                }
                Burst::SinkFailed => {
                    return Err(Failure::upstream_ended(Phase::RequestBody, self.upstream.watch()));
                }
            }
            if left == 0 {
                return Ok(());
            }
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(HEAD_BYTES);
            first = self.receive(buffer::take(Use::Head), most).await?;
            left -= first.len() as u64;
            self.note_received(first.len());
        }
    }

    fn note_received(&self, bytes: usize) {
        self.received.set(self.received.get() + bytes as u64);
    }
}
