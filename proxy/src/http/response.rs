//! The way back: a node's response, judged and passed on to the client.

use std::cell::Cell;

use http1_wire::{
    CHUNK_END, ChunkScanner, FieldSlots, LAST_CHUNK, Parsed, ReplyBody, ReplyFacts,
    ResponseFraming, ResponseTo, Version, limits::HEAD_BYTES_MAX, parse_response,
    write_chunk_size_line, write_response_head,
};
use router_core::{
    buffer::{self, BODY_BYTES, REPLY_BYTES, Use},
    deadline::Half,
    io::ReadHalf,
    termination::Phase,
    upstream::retry::Progress,
};

use super::{
    failure::{Cause, Failure},
    request_body::scan_payload,
};
use crate::{client::ClientWriter, config::Timeouts};

/// Room before and after a stretch of body for the framing of one chunk.
const CHUNK_PREFIX: &[u8] = b"00000000\r\n";

/// What the client asked, as far as the response depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// HEAD gets no body.
    pub is_head: bool,
    /// The client's version.
    pub version: Version,
    /// The client wants to keep its connection.
    pub keep_alive: bool,
}

/// What the others may know while a response is under way.
#[derive(Debug, Default)]
pub struct Progressed {
    /// Status of the response, once its head was understood.
    pub status: Cell<u16>,
    /// Bytes sent to the client.
    pub sent: Cell<u64>,
    /// Bytes of the request sent to the upstream, without a streamed body.
    pub asked: Cell<u64>,
    /// Bytes of the upstream's answer, or zero if not one came.
    pub answered: Cell<u64>,
    /// Whether the request body has been passed on completely.
    pub request_done: Cell<bool>,
}

impl Progressed {
    /// How far the exchange got, for the retry rule.
    pub fn progress(&self) -> Progress {
        if self.answered.get() > 0 { Progress::Answered } else { Progress::Sent }
    }
}

/// What remains after a complete response.
#[derive(Clone, Copy, Debug)]
pub struct Finished {
    /// The client was told that its connection stays.
    pub client_stays: bool,
    /// The upstream's connection is clean for another exchange.
    pub upstream_clean: bool,
    /// The client sent all of its request.
    pub request_done: bool,
}

/// The two ends of a response.
pub struct ResponsePump<'a> {
    /// Where it comes from.
    pub upstream: &'a mut ReadHalf,
    /// Where it goes.
    pub writer: &'a mut ClientWriter,
    /// Deadlines.
    pub timeouts: &'a Timeouts,
    /// What is known so far.
    pub progressed: &'a Progressed,
}

/// A response head that was understood and written into the output.
struct Begun {
    framing: ResponseFraming,
    body: ReplyBody,
    upstream_keeps: bool,
    client_stays: bool,
    head_bytes: usize,
}

impl ResponsePump<'_> {
    /// Receives one response and passes it on.
    ///
    /// # Errors
    /// [`Failure`]; nothing has been sent to the client while [`Progressed::sent`] is zero.
    pub async fn run(mut self, asked: Asked, mut output: Vec<u8>) -> Result<Finished, Failure> {
        let mut input = buffer::take(Use::Reply);
        output.clear();
        let begun = loop {
            if let Some(begun) = self.judge(&mut input, asked, &mut output)? {
                break begun;
            }
            input = self.receive_head(input).await?;
        };
        input.drain(..begun.head_bytes);
        let clean = match begun.framing {
            ResponseFraming::None => {
                let silent = input.is_empty();
                buffer::give(Use::Reply, self.send(output).await?);
                silent
            }
            ResponseFraming::Length(bytes) => self.pump_length(&input, output, bytes).await?,
            ResponseFraming::Chunked => self.pump_chunked(&input, output, begun.body).await?,
            ResponseFraming::UntilClose => {
                self.pump_until_close(&input, output, begun.body).await?;
                false
            }
        };
        buffer::give(Use::Reply, input);
        Ok(Finished {
            client_stays: begun.client_stays,
            upstream_clean: clean && begun.upstream_keeps,
            request_done: self.progressed.request_done.get(),
        })
    }

    /// Looks for a final head in `input`, dropping interim ones.
    fn judge(
        &self,
        input: &mut Vec<u8>,
        asked: Asked,
        output: &mut Vec<u8>,
    ) -> Result<Option<Begun>, Failure> {
        let malformed =
            |cause| Failure::upstream(Phase::ResponseHead, 502, Cause::UpstreamHead(cause));
        loop {
            if input.is_empty() {
                return Ok(None);
            }
            let mut slots = FieldSlots::new();
            let to = if asked.is_head { ResponseTo::Head } else { ResponseTo::Other };
            let head = match parse_response(input, &mut slots, to).map_err(malformed)? {
                Parsed::Partial => return Ok(None),
                Parsed::Complete(head) => head,
            };
            if head.status == 101 {
                let cause = Cause::UnaskedUpgrade;
                return Err(Failure::upstream(Phase::ResponseHead, 502, cause));
            }
            if head.is_interim() {
                let spent = head.head_bytes;
                input.drain(..spent);
                continue;
            }
            self.progressed.status.set(head.status);
            let body = ReplyBody::relayed(head.framing, asked.version);
            let client_stays = asked.keep_alive
                && body != ReplyBody::UntilClose
                && self.progressed.request_done.get()
                && !router_core::deadline::is_draining();
            let facts =
                ReplyFacts { client_version: asked.version, body, keep_alive: client_stays };
            write_response_head(&head, &facts, output);
            return Ok(Some(Begun {
                framing: head.framing,
                body,
                upstream_keeps: head.keep_alive,
                client_stays,
                head_bytes: head.head_bytes,
            }));
        }
    }

    async fn receive_head(&mut self, mut input: Vec<u8>) -> Result<Vec<u8>, Failure> {
        if input.len() == input.capacity() {
            // The parser refuses a head before it needs more than this.
            input.reserve_exact(HEAD_BYTES_MAX + REPLY_BYTES - input.len());
        }
        // While the request body is under way the node need not answer; its end sets the deadline.
        if self.progressed.request_done.get() {
            self.upstream.watch().arm(Half::Read, self.timeouts.first_byte);
        }
        let (result, input) = self.upstream.read(input, usize::MAX).await;
        match result {
            Ok(received) if received > 0 => {
                self.note_answer(received);
                Ok(input)
            }
            _ => Err(Failure::upstream_ended(Phase::ResponseHead, self.upstream.watch())),
        }
    }

    /// Passes `left` bytes of body on, the first of them behind the head in one send. Returns whether
    /// the upstream sent exactly that many.
    async fn pump_length(
        &mut self,
        input: &[u8],
        mut output: Vec<u8>,
        mut left: u64,
    ) -> Result<bool, Failure> {
        let here = &input[..usize::try_from(left).unwrap_or(usize::MAX).min(input.len())];
        output.extend_from_slice(here);
        left -= here.len() as u64;
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

    async fn pump_chunked(
        &mut self,
        input: &[u8],
        mut output: Vec<u8>,
        body: ReplyBody,
    ) -> Result<bool, Failure> {
        let malformed =
            |error| Failure::upstream(Phase::ResponseBody, 502, Cause::UpstreamBody(error));
        let mut scanner = ChunkScanner::new();
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
            if scanned.ended && body == ReplyBody::Chunked {
                output.extend_from_slice(LAST_CHUNK);
            }
            if !output.is_empty() {
                output = self.send(output).await?;
                output.clear();
            }
            if scanned.ended {
                let clean = scanned.consumed == buffer.len();
                buffer::give(Use::Body, buffer);
                buffer::give(Use::Reply, output);
                return Ok(clean);
            }
            buffer.clear();
            buffer = self.receive_body(buffer, BODY_BYTES).await?.0;
        }
    }

    /// Passes everything on until the upstream closes.
    async fn pump_until_close(
        &mut self,
        input: &[u8],
        mut output: Vec<u8>,
        body: ReplyBody,
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
            buffer.extend_from_slice(LAST_CHUNK);
            buffer = self.send(buffer).await?;
        }
        buffer::give(Use::Body, buffer);
        Ok(())
    }

    /// Receives some of the body; its end is a failure.
    async fn receive_body(
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
    async fn receive_or_end(
        &mut self,
        buffer: Vec<u8>,
        most: usize,
    ) -> Result<(Vec<u8>, usize), Failure> {
        self.upstream.watch().arm(Half::Read, self.timeouts.response_idle);
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

    fn note_answer(&self, received: usize) {
        self.progressed.answered.set(self.progressed.answered.get() + received as u64);
    }

    async fn send(&mut self, buffer: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let bytes = buffer.len() as u64;
        self.writer.watch().arm(Half::Write, self.timeouts.write_stall);
        // Counted before: once a send began, the client may have got some of it.
        self.progressed.sent.set(self.progressed.sent.get() + bytes);
        let (result, buffer) = self.writer.write_all(buffer, 0).await;
        self.writer.watch().disarm(Half::Write);
        result.map_err(|_| Failure::client_ended(Phase::ResponseBody, self.writer.watch()))?;
        Ok(buffer)
    }
}

/// `bytes` as eight hexadecimal digits and a line end; leading zeros are legal (RFC 9112 7.1).
fn format_chunk_prefix(bytes: usize) -> [u8; CHUNK_PREFIX.len()] {
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
