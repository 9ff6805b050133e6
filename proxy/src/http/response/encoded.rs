//! The body of a response that is compressed on its way: payload of the node in, coded payload in the
//! client's framing out, one step at a time.

use http1_wire::{CHUNK_END, ChunkScanner, LAST_CHUNK, ReplyBody, ResponseFraming};
use router_core::{
    buffer::{self, Use},
    termination::Phase,
};

use super::{ResponsePump, body::format_chunk_prefix};
use crate::{
    compress::Encoder,
    http::{
        failure::{Cause, Failure},
        request_body::scan_payload,
    },
};

/// Payload coded between two awaits: bounds how long other connections of the worker wait.
const STEP_BYTES: usize = 16 * 1024;

/// Where the payload ends in what the node sends.
enum Payload {
    /// After this many bytes more.
    Length(u64),
    /// With the last chunk.
    Chunked(ChunkScanner),
    /// With the connection.
    UntilClose,
}

impl Payload {
    fn of(framing: ResponseFraming) -> Self {
        match framing {
            ResponseFraming::None => Self::Length(0),
            ResponseFraming::Length(bytes) => Self::Length(bytes),
            ResponseFraming::Chunked => Self::Chunked(ChunkScanner::new()),
            ResponseFraming::UntilClose => Self::UntilClose,
        }
    }

    /// Hands the payload in `input` to `sink`. Returns the bytes that belong to the body, and whether
    /// it ended.
    fn take(
        &mut self,
        input: &[u8],
        mut sink: impl FnMut(&[u8]),
    ) -> Result<(usize, bool), Failure> {
        match self {
            Self::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                sink(&input[..here]);
                *left -= here as u64;
                Ok((here, *left == 0))
            }
            Self::Chunked(scanner) => {
                let scanned = scan_payload(scanner, input, sink).map_err(|error| {
                    Failure::upstream(Phase::ResponseBody, 502, Cause::UpstreamBody(error))
                })?;
                Ok((scanned.consumed, scanned.ended))
            }
            Self::UntilClose => {
                sink(input);
                Ok((input.len(), false))
            }
        }
    }
}

impl ResponsePump<'_> {
    /// Passes a body on, compressed; the head goes with its first bytes. Returns whether the upstream
    /// sent exactly that body.
    pub(super) async fn pump_encoded(
        &mut self,
        input: &[u8],
        mut output: Vec<u8>,
        framing: ResponseFraming,
        body: ReplyBody,
        mut encoder: Box<Encoder>,
    ) -> Result<bool, Failure> {
        let mut payload = Payload::of(framing);
        let mut buffer = buffer::take(Use::Body);
        buffer.extend_from_slice(input);
        let mut coded = buffer::take(Use::Body);
        let mut closed = false;
        loop {
            coded.clear();
            let (taken, ended) = payload.take(&buffer, |run| encoder.push(run, &mut coded))?;
            let ended = ended || closed;
            match ended {
                true => encoder.finish(&mut coded),
                false if taken > 0 => encoder.flush(&mut coded),
                false => {}
            }
            frame(&coded, ended, body, &mut output);
            if !output.is_empty() {
                output = self.send(output).await?;
                output.clear();
            }
            if ended {
                let clean = !closed && taken == buffer.len();
                buffer::give(Use::Body, buffer);
                buffer::give(Use::Body, coded);
                buffer::give(Use::Reply, output);
                return Ok(clean);
            }
            buffer.clear();
            let most = match payload {
                Payload::Length(left) => {
                    usize::try_from(left).unwrap_or(STEP_BYTES).min(STEP_BYTES)
                }
                Payload::Chunked(_) | Payload::UntilClose => STEP_BYTES,
            };
            let received;
            (buffer, received) = self.receive_or_end(buffer, most).await?;
            if received == 0 {
                if !matches!(payload, Payload::UntilClose) {
                    return Err(Failure::upstream_ended(
                        Phase::ResponseBody,
                        self.upstream.watch(),
                    ));
                }
                closed = true;
            }
        }
    }
}

/// Appends coded payload as the client reads it.
fn frame(coded: &[u8], ended: bool, body: ReplyBody, output: &mut Vec<u8>) {
    if body != ReplyBody::Chunked {
        output.extend_from_slice(coded);
        return;
    }
    if !coded.is_empty() {
        output.extend_from_slice(&format_chunk_prefix(coded.len()));
        output.extend_from_slice(coded);
        output.extend_from_slice(CHUNK_END);
    }
    if ended {
        output.extend_from_slice(LAST_CHUNK);
    }
}
