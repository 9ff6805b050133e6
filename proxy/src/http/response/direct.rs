//! A response body of known length between two sockets: what is there already moves in bursts.

use router_core::{
    buffer::{self, HEAD_BYTES, Use},
    burst::{self, Burst, Way, Window},
    termination::Phase,
    tunnel::{Sink, Source},
};

use super::ResponsePump;
use crate::http::failure::Failure;

impl ResponsePump<'_> {
    /// The two sockets, if the bytes of the body pass between them as they are.
    pub(super) fn way(&self) -> Option<Way> {
        Some(Way { source: Source::socket(self.upstream)?, sink: Sink::socket(self.writer)? })
    }

    /// Sends `first`, and `left` bytes of body behind it. What the node has sent by then leaves together
    /// with the head; only the next bytes are waited for, with the smallest buffer.
    pub(super) async fn pump_direct(
        &mut self,
        way: Way,
        mut first: Vec<u8>,
        mut left: u64,
    ) -> Result<(), Failure> {
        let (mut window, mut size) = (Window::of_body(), Use::Reply);
        loop {
            let mut received = 0;
            let burst = burst::run(way, &first, left, &mut window, |stretch| received += stretch);
            left -= received as u64;
            self.note_answer(received);
            self.progressed.sent.set(self.progressed.sent.get() + (first.len() + received) as u64);
            buffer::give(size, first);
            match burst {
                Burst::Paused => {}
                Burst::Blocked(rest, counted) => {
                    self.send_counted(rest).await?;
                    drop(counted);
                }
                Burst::SourceFailed => {
                    let watch = self.upstream.watch();
                    return Err(Failure::upstream_ended(Phase::ResponseBody, watch));
                }
                Burst::SinkFailed => {
                    let watch = self.writer.watch();
                    return Err(Failure::client_ended(Phase::ResponseBody, watch));
                }
            }
            if left == 0 {
                return Ok(());
            }
            size = Use::Head;
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(HEAD_BYTES);
            (first, received) = self.receive_body(buffer::take(size), most).await?;
            left -= received as u64;
        }
    }
}
