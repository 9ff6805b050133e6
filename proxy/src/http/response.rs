//! The way back: a node's response, judged and passed on to the client.

mod body;
pub mod coding;
mod direct;
mod edit;
mod encoded;
mod progressed;

use http::HeaderMap;
use http1_wire::{
    FieldSlots, NO_EDIT, Parsed, ReplyBody, ReplyFacts, ResponseFraming, ResponseHead, ResponseTo,
    Version, limits::HEAD_BYTES_MAX, parse_response, write_response_head,
};
use router_core::{
    buffer::{self, REPLY_BYTES, Use},
    deadline::Half,
    termination::Phase,
};

use super::{
    failure::{Cause, Failure},
    judge::Wish,
    raw_body,
    rtsp::over_http,
    trailers,
};
use crate::{
    client::ClientWriter, compress::Encoder, context::Scheme, node::NodeReader, policy::Policy,
};

pub use progressed::Progressed;

/// What the client asked, as far as the response depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// HEAD gets no body.
    pub is_head: bool,
    /// The client's version.
    pub version: Version,
    /// The client wants to keep its connection.
    pub keep_alive: bool,
    /// What the client wants to speak next.
    pub wish: Wish,
    /// How the client asked.
    pub scheme: Scheme,
    /// The client takes trailers behind chunks.
    pub takes_trailers: bool,
    /// How it likes the body coded.
    pub coding: coding::Wanted,
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
    /// Both sides speak something else from here on.
    pub switched: bool,
}

impl Finished {
    /// The exchange became a tunnel.
    const SWITCHED: Self =
        Self { client_stays: false, upstream_clean: false, request_done: true, switched: true };
}

/// The two ends of a response.
pub struct ResponsePump<'a> {
    /// Where it comes from.
    pub upstream: &'a mut NodeReader,
    /// Where it goes.
    pub writer: &'a mut ClientWriter,
    /// Deadlines and rules.
    pub policy: &'a Policy,
    /// What is known so far.
    pub progressed: &'a Progressed,
}

/// What a look at the upstream's bytes found.
enum Found {
    /// More bytes are needed.
    Nothing,
    /// An interim response is in the output; the final one has still to come.
    Interim,
    /// The node agreed to switch protocols; its answer is in the output.
    Switched,
    /// The head of the final response is in the output.
    Final(Begun),
}

/// A response head that was understood and written into the output.
struct Begun {
    framing: ResponseFraming,
    body: ReplyBody,
    upstream_keeps: bool,
    client_stays: bool,
    head_bytes: usize,
    encoder: Option<Box<Encoder>>,
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
            match self.judge(&mut input, asked, &mut output)? {
                Found::Final(begun) => break begun,
                Found::Nothing => input = self.receive_head(input).await?,
                Found::Interim => {
                    output = self.send(output).await?;
                    output.clear();
                }
                Found::Switched => {
                    output.extend_from_slice(&input);
                    buffer::give(Use::Reply, self.send(output).await?);
                    buffer::give(Use::Reply, input);
                    return Ok(Finished::SWITCHED);
                }
            }
        };
        let came = input.get(begun.head_bytes..).unwrap_or_default();
        let mut trailers = None;
        let clean = match begun.framing {
            // Boxed, so that the many responses that are passed on as they are do not carry its state.
            framing if let Some(encoder) = begun.encoder => {
                Box::pin(self.pump_encoded(came, output, framing, begun.body, encoder)).await?
            }
            ResponseFraming::None => {
                let silent = came.is_empty();
                buffer::give(Use::Reply, self.send(output).await?);
                silent
            }
            ResponseFraming::Length(bytes) => self.pump_length(came, output, bytes).await?,
            ResponseFraming::Chunked => {
                let clean;
                (clean, trailers) = self.pump_chunked(came, output, begun.body, asked).await?;
                clean
            }
            ResponseFraming::UntilClose => {
                self.pump_until_close(came, output, begun.body, asked).await?;
                false
            }
        };
        buffer::give(Use::Reply, input);
        self.end(trailers)?;
        Ok(Finished {
            client_stays: begun.client_stays,
            upstream_clean: clean && begun.upstream_keeps && !self.progressed.trailed.get(),
            request_done: self.progressed.request_done.get(),
            switched: false,
        })
    }

    /// Looks for the next head in `input` and takes it out if it is not the final one.
    fn judge(
        &mut self,
        input: &mut Vec<u8>,
        asked: Asked,
        output: &mut Vec<u8>,
    ) -> Result<Found, Failure> {
        let malformed =
            |cause| Failure::upstream(Phase::ResponseHead, 502, Cause::UpstreamHead(cause));
        loop {
            if input.is_empty() {
                return Ok(Found::Nothing);
            }
            let mut slots = FieldSlots::new();
            let to = if asked.is_head { ResponseTo::Head } else { ResponseTo::Other };
            let head = match parse_response(input, &mut slots, to).map_err(malformed)? {
                Parsed::Partial => return Ok(Found::Nothing),
                Parsed::Complete(head) => head,
            };
            let opens = match asked.wish {
                Wish::RtspListening => over_http::is_agreement(&head),
                Wish::Source => raw_body::is_agreement(&head),
                Wish::Http | Wish::WebSocket | Wish::RtspSending => false,
            };
            if opens {
                let spent = self.open(&head, asked, output)?;
                input.drain(..spent);
                return Ok(Found::Switched);
            }
            if !head.is_interim() {
                return self.begin(&head, asked, output).map(Found::Final);
            }
            let facts = ReplyFacts {
                client_version: asked.version,
                body: ReplyBody::None,
                keep_alive: asked.keep_alive,
                edit: NO_EDIT,
            };
            let found = match head.status {
                101 if !agrees(&head, asked) => {
                    let cause = Cause::UnaskedUpgrade;
                    return Err(Failure::upstream(Phase::ResponseHead, 502, cause));
                }
                101 => Some(Found::Switched),
                // The client was told to continue by us, and HTTP/1.0 knows no interim responses.
                100 => None,
                _ if asked.version == Version::Http10 => None,
                _ => Some(Found::Interim),
            };
            if found.is_some() {
                self.progressed.status.set(head.status);
                self.put_head(&head, &facts, output)?;
            }
            let spent = head.head_bytes;
            input.drain(..spent);
            if let Some(found) = found {
                return Ok(found);
            }
        }
    }

    /// The response never ends: what follows its head is not HTTP any more.
    fn open(
        &mut self,
        head: &ResponseHead<'_, '_>,
        asked: Asked,
        output: &mut Vec<u8>,
    ) -> Result<usize, Failure> {
        self.progressed.status.set(head.status);
        let body = ReplyBody::UntilClose;
        let client_version = asked.version;
        let facts = ReplyFacts { client_version, body, keep_alive: false, edit: NO_EDIT };
        self.put_head(head, &facts, output)?;
        Ok(head.head_bytes)
    }

    fn begin(
        &mut self,
        head: &ResponseHead<'_, '_>,
        asked: Asked,
        output: &mut Vec<u8>,
    ) -> Result<Begun, Failure> {
        self.progressed.status.set(head.status);
        let mut edit = edit::Edit::default();
        let mut scratch = Vec::new();
        let policy = self.policy;
        let encoder =
            coding::begin(&policy.compression, asked.coding, head, &mut scratch, &mut edit);
        // The coded length is not known before its end.
        let framing = if encoder.is_some() { ResponseFraming::UntilClose } else { head.framing };
        let body = if self.writer.is_stream() {
            // Bare payload, as to an HTTP/1.0 client, but its end is told.
            ReplyBody::relayed(framing, Version::Http10)
        } else {
            ReplyBody::relayed(framing, asked.version)
        };
        self.progressed.coding.set(encoder.as_ref().map(|encoder| encoder.coding()));
        let client_stays = asked.keep_alive
            && body != ReplyBody::UntilClose
            && self.progressed.request_done.get()
            && !router_core::deadline::is_draining();
        edit.secure(&policy.headers, asked.scheme);
        let cookie = self.progressed.cookie.take().zip(policy.resilience.sticky.as_deref());
        let cookie = cookie.map(|(cookie, name)| cookie.field(name, asked.scheme));
        if let Some(cookie) = &cookie {
            edit.add("Set-Cookie", cookie);
        }
        let facts = ReplyFacts {
            client_version: asked.version,
            body,
            keep_alive: client_stays,
            edit: edit.facts(),
        };
        self.put_head(head, &facts, output)?;
        Ok(Begun {
            framing: head.framing,
            body,
            upstream_keeps: head.keep_alive,
            client_stays,
            head_bytes: head.head_bytes,
            encoder,
        })
    }

    /// Writes a head into the output, or straight into the stream.
    fn put_head(
        &mut self,
        head: &ResponseHead<'_, '_>,
        facts: &ReplyFacts,
        output: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let ClientWriter::Stream(stream) = self.writer else {
            write_response_head(head, facts, output);
            return Ok(());
        };
        // Counted before, as every send.
        self.progressed.sent.set(self.progressed.sent.get() + head.head_bytes as u64);
        stream
            .relay_head(head, facts)
            .map_err(|_| Failure::client(Phase::ResponseHead, 400, Cause::ClientGone))
    }

    /// Ends the response where its bytes do not say so themselves.
    fn end(&mut self, trailers: Option<Box<HeaderMap>>) -> Result<(), Failure> {
        let ClientWriter::Stream(stream) = self.writer else { return Ok(()) };
        let trailers = trailers.or_else(|| trailers::of_stream(self.upstream.take_trailers()));
        stream
            .end(trailers.map(|trailers| *trailers))
            .map_err(|_| Failure::client(Phase::ResponseBody, 400, Cause::ClientGone))
    }

    async fn receive_head(&mut self, mut input: Vec<u8>) -> Result<Vec<u8>, Failure> {
        if input.len() == input.capacity() {
            // The parser refuses a head before it needs more than this.
            input.reserve_exact(HEAD_BYTES_MAX + REPLY_BYTES - input.len());
        }
        // While the request body is under way the node need not answer; its end sets the deadline.
        if self.progressed.request_done.get() {
            self.upstream.watch().arm(Half::Read, self.policy.timeouts.first_byte);
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

    fn note_answer(&self, received: usize) {
        self.progressed.note_answer(received);
    }

    async fn send(&mut self, buffer: Vec<u8>) -> Result<Vec<u8>, Failure> {
        // Counted before: once a send began, the client may have got some of it.
        self.progressed.sent.set(self.progressed.sent.get() + buffer.len() as u64);
        self.send_counted(buffer).await
    }

    async fn send_counted(&mut self, buffer: Vec<u8>) -> Result<Vec<u8>, Failure> {
        self.writer.watch().arm(Half::Write, self.policy.timeouts.write_stall);
        let (result, buffer) = self.writer.write_all(buffer, 0).await;
        self.writer.watch().disarm(Half::Write);
        result.map_err(|_| Failure::client_ended(Phase::ResponseBody, self.writer.watch()))?;
        Ok(buffer)
    }
}

/// Whether a 101 grants what the client asked for (RFC 6455 section 4.2.2).
fn agrees(head: &ResponseHead<'_, '_>, asked: Asked) -> bool {
    let granted = head.upgrade.is_some_and(|name| name.eq_ignore_ascii_case(b"websocket"));
    granted && asked.wish == Wish::WebSocket
}
