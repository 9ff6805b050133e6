//! The body of a response: from the node to the client, one buffer at a time.
//!
//! What the node put into its framing never reaches the client: chunks are written anew, bytes past a
//! stated length are cut, and a body that ends with the connection becomes chunks where the client
//! knows them.

use http::HeaderMap;
use http1_wire::{CHUNK_END, ChunkScanner, ReplyBody, write_chunk_size_line};
use router_core::{
    buffer::{self, BODY_BYTES, Use},
    deadline::Half,
    termination::Phase,
};

use super::{Asked, ResponsePump};
use crate::http::{
    failure::{Cause, Failure},
    request_body::scan_payload,
    trailers,
};

/// Room before and after a stretch of body for the framing of one chunk.
const CHUNK_PREFIX: &[u8] = b"00000000\r\n";

impl ResponsePump<'_> {
    /// Passes `left` bytes of body on, the first of them behind the head in one send. Returns whether
    /// the upstream sent exactly that many.
    pub(super) async fn pump_length(
        &mut self,
        input: &[u8],
        mut output: Vec<u8>,
        mut left: u64,
    ) -> Result<bool, Failure> {
        let here = &input[..usize::try_from(left).unwrap_or(usize::MAX).min(input.len())];
        output.extend_from_slice(here);
        left -= here.len() as u64;
        if left > 0
            && let Some(way) = self.way()
        {
            // Boxed, so that the many responses that came whole do not carry its state.
            return Box::pin(self.pump_direct(way, output, left)).await.map(|()| true);
        }
        buffer::give(Use::Reply, self.send(output).await?);
        if left == 0 {
            return Ok(here.len() == input.len());
        }
        let mut buffer = buffer::take(Use::Body);
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX);
            buffer = self.receive_body(buffer, most).await?.0;
            left -= buffer.len() as u64;
            buffer = self.send(buffer).await?;
            buffer.clear();
        }
        buffer::give(Use::Body, buffer);
        Ok(true)
    }

    /// Passes chunks on, and returns also the trailers behind them; to a client of HTTP/1 they are sent
    /// if it takes them.
    pub(super) async fn pump_chunked(
        &mut self,
        input: &[u8],
        mut output: Vec<u8>,
        body: ReplyBody,
        asked: Asked,
    ) -> Result<(bool, Option<Box<HeaderMap>>), Failure> {
        let malformed =
            |error| Failure::upstream(Phase::ResponseBody, 502, Cause::UpstreamBody(error));
        let (mut scanner, mut lines) = (ChunkScanner::new(), Vec::new());
        let mut trailers = None;
        let mut buffer = buffer::take(Use::Body);
        buffer.extend_from_slice(input);
        loop {
            let scanned = scan_payload(&mut scanner, &buffer, |payload| {
                if body == ReplyBody::Chunked {
                    write_chunk_size_line(payload.len() as u64, &mut output);
                    output.extend_from_slice(payload);
                    output.extend_from_slice(CHUNK_END);
                } else {
                    output.extend_from_slice(payload);
                }
            })
            .map_err(malformed)?;
            lines.extend_from_slice(&buffer[scanned.trailer]);
            if scanned.ended {
                trailers = trailers::of_lines(&lines);
            }
            if scanned.ended && body == ReplyBody::Chunked {
                let taken = trailers.as_deref().filter(|_| asked.takes_trailers);
                trailers::write_end(taken, &mut output);
            }
            if !output.is_empty() {
                output = self.send(output).await?;
                output.clear();
            }
            if scanned.ended {
                let clean = scanned.consumed == buffer.len();
                buffer::give(Use::Body, buffer);
                buffer::give(Use::Reply, output);
                return Ok((clean, trailers));
            }
            buffer.clear();
            buffer = self.receive_body(buffer, BODY_BYTES).await?.0;
        }
    }

    /// Passes everything on until the upstream closes.
    pub(super) async fn pump_until_close(
        &mut self,
        input: &[u8],
        mut output: Vec<u8>,
        body: ReplyBody,
        asked: Asked,
    ) -> Result<(), Failure> {
        let chunked = body == ReplyBody::Chunked;
        if chunked && !input.is_empty() {
            write_chunk_size_line(input.len() as u64, &mut output);
            output.extend_from_slice(input);
            output.extend_from_slice(CHUNK_END);
        } else {
            output.extend_from_slice(input);
        }
        buffer::give(Use::Reply, self.send(output).await?);
        let mut buffer = buffer::take(Use::Body);
        loop {
            buffer.clear();
            if chunked {
                buffer.extend_from_slice(CHUNK_PREFIX);
            }
            let received;
            (buffer, received) =
                self.receive_or_end(buffer, BODY_BYTES - 2 * CHUNK_PREFIX.len()).await?;
            if received == 0 {
                break;
            }
            if chunked {
                let prefix = format_chunk_prefix(received);
                buffer[..CHUNK_PREFIX.len()].copy_from_slice(&prefix);
                buffer.extend_from_slice(CHUNK_END);
            }
            buffer = self.send(buffer).await?;
        }
        buffer.clear();
        if chunked {
            let trailers = trailers::of_stream(self.upstream.take_trailers());
            let taken = trailers.as_deref().filter(|_| asked.takes_trailers);
            trailers::write_end(taken, &mut buffer);
            buffer = self.send(buffer).await?;
        }
        buffer::give(Use::Body, buffer);
        Ok(())
    }

    /// Receives some of the body; its end is a failure.
    pub(super) async fn receive_body(
        &mut self,
        buffer: Vec<u8>,
        most: usize,
    ) -> Result<(Vec<u8>, usize), Failure> {
        let (buffer, received) = self.receive_or_end(buffer, most).await?;
        if received == 0 {
            return Err(Failure::upstream_ended(Phase::ResponseBody, self.upstream.watch()));
        }
        Ok((buffer, received))
    }

    /// Receives some of the body, or zero bytes at the end of the stream.
    pub(super) async fn receive_or_end(
        &mut self,
        buffer: Vec<u8>,
        most: usize,
    ) -> Result<(Vec<u8>, usize), Failure> {
        self.upstream.watch().arm(Half::Read, self.policy.timeouts.response_idle);
        let (result, buffer) = self.upstream.read(buffer, most).await;
        self.upstream.watch().disarm(Half::Read);
        match result {
            Ok(0) if self.upstream.watch().expired().is_some() => {}
            Ok(received) => {
                self.note_answer(received);
                return Ok((buffer, received));
            }
            Err(_) => {}
        }
        Err(Failure::upstream_ended(Phase::ResponseBody, self.upstream.watch()))
    }
}

/// `bytes` as eight hexadecimal digits and a line end; leading zeros are legal (RFC 9112 7.1).
pub(super) fn format_chunk_prefix(bytes: usize) -> [u8; CHUNK_PREFIX.len()] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut prefix = [0; CHUNK_PREFIX.len()];
    prefix.copy_from_slice(CHUNK_PREFIX);
    for (at, digit) in prefix[..8].iter_mut().enumerate() {
        *digit = HEX[bytes >> (28 - 4 * at) & 0xf];
    }
    prefix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_prefix_is_the_size_in_hex() {
        assert_eq!(&format_chunk_prefix(0x1_f0a3), b"0001f0a3\r\n");
    }
}
