//! The pump of a request body: from the client to the node, one buffer at a time.
//!
//! It reads no further than the node takes, so a slow node slows its client and nobody else.

mod direct;
mod until_closed;

use std::{cell::Cell, ops::Range};

use http::HeaderMap;
use http1_wire::{CHUNK_END, ChunkScanner, ChunkState, RequestFraming, write_chunk_size_line};
use router_core::{
    buffer::{self, BODY_BYTES, Use},
    deadline::Half,
    termination::Phase,
};

use super::{
    body_rate::BodyRate,
    failure::{Cause, Failure},
    inbound::Inbound,
    trailers,
};
use crate::{client::ClientReader, config::Timeouts, node::NodeWriter};

/// How a request body ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BodyEnd {
    /// As most do, or on a stream, which ends by itself.
    Plain,
    /// With trailers behind a last chunk. A node that does not expect them there might take them for
    /// something else, so nothing more is sent on its connection.
    Trailed,
}

/// The two ends of a request body and its bounds.
pub struct BodyPump<'a> {
    /// Where it comes from.
    pub reader: &'a mut ClientReader,
    /// What was received of it together with the head.
    pub inbound: &'a mut Inbound,
    /// Where it goes.
    pub upstream: &'a mut NodeWriter,
    /// Deadlines.
    pub timeouts: &'a Timeouts,
    /// Most bytes it may have.
    pub body_bytes_max: Option<u64>,
    /// Least rate at which the client must send it.
    pub rate: BodyRate,
    /// Body bytes received so far, also for the one who looks while the pump runs.
    pub received: &'a Cell<u64>,
}

impl BodyPump<'_> {
    /// Moves the whole body.
    ///
    /// # Errors
    /// [`Failure`] of either side; then an unknown part of the body has reached the node.
    pub async fn run(mut self, framing: RequestFraming) -> Result<BodyEnd, Failure> {
        let trailers = match framing {
            RequestFraming::None => None,
            RequestFraming::Length(bytes) => {
                self.pump_length(bytes).await?;
                None
            }
            RequestFraming::Chunked if self.reader.is_stream() => self.pump_stream().await?,
            RequestFraming::Chunked => self.pump_chunked().await?,
        };
        let is_lone = trailers.is_some() && !self.upstream.is_stream();
        end_request(self.upstream, trailers.map(|trailers| *trailers))?;
        Ok(if is_lone { BodyEnd::Trailed } else { BodyEnd::Plain })
    }

    /// Moves bare payload to its end, and returns the trailers behind it; in chunks they are sent.
    async fn pump_stream(&mut self) -> Result<Option<Box<HeaderMap>>, Failure> {
        let chunked = !self.upstream.is_stream();
        let mut input = buffer::take(Use::Body);
        let mut output = buffer::take(Use::Body);
        let mut trailers = None;
        loop {
            let received;
            (input, received) =
                receive_or_end(self.reader, self.timeouts, input, BODY_BYTES / 2).await?;
            self.note_payload(received)?;
            if received == 0 {
                trailers = trailers::of_stream(self.reader.take_trailers());
            }
            if chunked && received > 0 {
                write_chunk(&input, &mut output);
            } else if chunked {
                trailers::write_end(trailers.as_deref(), &mut output);
            } else {
                std::mem::swap(&mut input, &mut output);
            }
            if !output.is_empty() {
                output = self.send(output).await?;
                output.clear();
            }
            input.clear();
            if received == 0 {
                buffer::give(Use::Body, input);
                buffer::give(Use::Body, output);
                return Ok(trailers);
            }
        }
    }

    /// Counts payload of a body whose length nobody stated.
    fn note_payload(&self, bytes: usize) -> Result<(), Failure> {
        self.received.set(self.received.get() + bytes as u64);
        if self.body_bytes_max.is_some_and(|most| self.received.get() > most) {
            return Err(Failure::router(Phase::RequestBody, 413, Cause::BodyTooLarge));
        }
        Ok(())
    }

    async fn pump_length(&mut self, mut left: u64) -> Result<(), Failure> {
        if let Some(way) = self.way() {
            return self.pump_direct(way, left).await;
        }
        let mut buffer = buffer::take(Use::Body);
        let here = self.inbound.bytes();
        let here = &here[..usize::try_from(left).unwrap_or(usize::MAX).min(here.len())];
        buffer.extend_from_slice(here);
        self.inbound.consume(buffer.len());
        loop {
            left -= buffer.len() as u64;
            self.received.set(self.received.get() + buffer.len() as u64);
            if !buffer.is_empty() {
                buffer = self.send(buffer).await?;
                buffer.clear();
            }
            if left == 0 {
                buffer::give(Use::Body, buffer);
                return Ok(());
            }
            let most = usize::try_from(left).unwrap_or(usize::MAX);
            buffer = self.receive(buffer, most).await?;
        }
    }

    /// As [`BodyPump::pump_stream`], from chunks.
    async fn pump_chunked(&mut self) -> Result<Option<Box<HeaderMap>>, Failure> {
        let (mut scanner, mut lines) = (ChunkScanner::new(), Vec::new());
        let mut trailers = None;
        let mut input = buffer::take(Use::Body);
        input.extend_from_slice(self.inbound.bytes());
        self.inbound.consume(input.len());
        let mut output = buffer::take(Use::Body);
        loop {
            let chunked = !self.upstream.is_stream();
            let scanned = scan_payload(&mut scanner, &input, |payload| {
                if chunked {
                    write_chunk(payload, &mut output);
                } else {
                    output.extend_from_slice(payload);
                }
            })
            .map_err(|error| Failure::client(Phase::RequestBody, 400, Cause::ClientBody(error)))?;
            self.note_payload(scanned.payload)?;
            lines.extend_from_slice(&input[scanned.trailer]);
            if scanned.ended {
                self.inbound.push_back(&input[scanned.consumed..]);
                trailers = trailers::of_lines(&lines);
                if chunked {
                    trailers::write_end(trailers.as_deref(), &mut output);
                }
            }
            if !output.is_empty() {
                output = self.send(output).await?;
                output.clear();
            }
            input.clear();
            if scanned.ended {
                buffer::give(Use::Body, input);
                buffer::give(Use::Body, output);
                return Ok(trailers);
            }
            // Half a buffer leaves room for the framing written anew.
            input = self.receive(input, BODY_BYTES / 2).await?;
        }
    }

    async fn receive(&mut self, buffer: Vec<u8>, most: usize) -> Result<Vec<u8>, Failure> {
        let before = buffer.len();
        self.rate.begin_wait();
        let buffer = receive_body(self.reader, self.timeouts, buffer, most).await?;
        self.rate.end_wait(buffer.len() - before)?;
        Ok(buffer)
    }

    async fn send(&mut self, buffer: Vec<u8>) -> Result<Vec<u8>, Failure> {
        send_request(self.upstream, self.timeouts, buffer).await
    }
}

/// Sends part of a request to its node, under the deadline of a write, and returns the buffer.
///
/// # Errors
/// [`Failure`] of the node.
pub async fn send_request(
    upstream: &mut NodeWriter,
    timeouts: &Timeouts,
    buffer: Vec<u8>,
) -> Result<Vec<u8>, Failure> {
    send_request_from(upstream, timeouts, buffer, 0).await
}

/// The same for what comes behind the first `sent` bytes of `buffer`.
///
/// # Errors
/// [`Failure`] of the node.
pub async fn send_request_from(
    upstream: &mut NodeWriter,
    timeouts: &Timeouts,
    buffer: Vec<u8>,
    sent: usize,
) -> Result<Vec<u8>, Failure> {
    if sent == buffer.len() {
        return Ok(buffer);
    }
    upstream.watch().arm(Half::Write, timeouts.write_stall);
    let (result, buffer) = upstream.write_all(buffer, sent).await;
    upstream.watch().disarm(Half::Write);
    result.map_err(|_| Failure::upstream_ended(Phase::RequestBody, upstream.watch()))?;
    Ok(buffer)
}

/// Tells a node that its request is complete, where the bytes do not say so themselves.
///
/// # Errors
/// [`Failure`] of the node.
pub fn end_request(upstream: &mut NodeWriter, trailers: Option<HeaderMap>) -> Result<(), Failure> {
    upstream
        .end_request(trailers)
        .map_err(|_| Failure::upstream_ended(Phase::RequestBody, upstream.watch()))
}

/// Receives some of a body from the client, under the deadline between two reads.
///
/// # Errors
/// [`Failure`] of the client; the end of the stream is one, since the body is not complete.
pub async fn receive_body(
    reader: &mut ClientReader,
    timeouts: &Timeouts,
    buffer: Vec<u8>,
    most: usize,
) -> Result<Vec<u8>, Failure> {
    match receive_or_end(reader, timeouts, buffer, most).await? {
        (_, 0) => Err(Failure::client_ended(Phase::RequestBody, reader.watch())),
        (buffer, _) => Ok(buffer),
    }
}

/// Receives some of a body, or zero bytes where the stream ends.
///
/// # Errors
/// [`Failure`] of the client.
pub async fn receive_or_end(
    reader: &mut ClientReader,
    timeouts: &Timeouts,
    buffer: Vec<u8>,
    most: usize,
) -> Result<(Vec<u8>, usize), Failure> {
    reader.watch().arm(Half::Read, timeouts.body_idle);
    let (result, buffer) = reader.read(buffer, most).await;
    reader.watch().disarm(Half::Read);
    match result {
        Ok(received) if received > 0 || reader.watch().expired().is_none() => {
            Ok((buffer, received))
        }
        _ => Err(Failure::client_ended(Phase::RequestBody, reader.watch())),
    }
}

/// What one input of a chunked body came to.
pub struct Rechunked {
    /// Bytes of the input that belong to the body.
    pub consumed: usize,
    /// Bytes of payload among them.
    pub payload: usize,
    /// The part of the input that belongs to lines of trailers.
    pub trailer: Range<usize>,
    /// Whether the body ended.
    pub ended: bool,
}

/// Writes payload as a chunk of our own making: what a client put into its framing never reaches a
/// node.
fn write_chunk(payload: &[u8], output: &mut Vec<u8>) {
    write_chunk_size_line(payload.len() as u64, output);
    output.extend_from_slice(payload);
    output.extend_from_slice(CHUNK_END);
}

/// Hands each run of payload in `input` to `sink`.
///
/// # Errors
/// The framing is malformed.
pub fn scan_payload(
    scanner: &mut ChunkScanner,
    input: &[u8],
    mut sink: impl FnMut(&[u8]),
) -> Result<Rechunked, http1_wire::ChunkError> {
    let mut scanned = Rechunked { consumed: 0, payload: 0, trailer: 0..0, ended: false };
    while scanned.consumed < input.len() && !scanned.ended {
        let rest = &input[scanned.consumed..];
        let step = scanner.next(rest)?;
        if !step.data.is_empty() {
            scanned.payload += step.data.len();
            sink(&rest[step.data]);
        }
        if !step.trailer.is_empty() {
            // Nothing is between two steps of one section, so this is all of it in this input.
            scanned.trailer =
                scanned.consumed + step.trailer.start..scanned.consumed + step.trailer.end;
        }
        scanned.consumed += step.consumed;
        scanned.ended = step.state == ChunkState::End;
    }
    Ok(scanned)
}
