//! One attempt of an exchange: the request to one node and its response back.

use std::{future::poll_fn, pin::pin, task::Poll};

use http::HeaderMap;
use router_core::{
    deadline::Half,
    termination::{Phase, Side},
    upstream::Reuse,
};

use super::{
    body_rate::BodyRate,
    failure::{Cause, Failure},
    inbound::Inbound,
    raw_body::BodyUntil,
    request_body::{BodyEnd, BodyPump, end_request, send_request, send_request_from},
    response::{Asked, Finished, Progressed, ResponsePump},
};
use crate::{
    client::{ClientReader, ClientWriter},
    config::Timeouts,
    node::NodeConn,
    policy::Policy,
};

/// What tells a client to go on with its body (RFC 9110 section 10.1.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Whether the client waits for `100 Continue`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expecting {
    /// It sends its body anyway.
    Nothing,
    /// It waits.
    Continue,
}

/// Everything one attempt touches.
pub struct Attempt<'a> {
    /// The client's bytes.
    pub reader: &'a mut ClientReader,
    /// The way back to the client.
    pub writer: &'a mut ClientWriter,
    /// What was received and not consumed.
    pub inbound: &'a mut Inbound,
    /// The node's connection.
    pub upstream: &'a mut NodeConn,
    /// Deadlines and bounds.
    pub policy: &'a Policy,
    /// What others may know meanwhile.
    pub progressed: &'a Progressed,
    /// Body bytes received by a streaming attempt.
    pub received: &'a std::cell::Cell<u64>,
}

impl Attempt<'_> {
    /// Sends a request whose bytes are all here, then passes the response on.
    ///
    /// # Errors
    /// [`Failure`] of either side.
    pub async fn whole(mut self, request: Vec<u8>, asked: Asked) -> Result<Finished, Failure> {
        self.progressed.asked.set(request.len() as u64);
        let request = self.send_whole(request).await?;
        end_request(&mut self.upstream.write, None)?;
        self.progressed.request_done.set(true);
        let watch = self.upstream.read.watch_handle();
        watch.mind(self.writer.watch(), self.policy.streams.gone_when);
        let pump = ResponsePump {
            upstream: &mut self.upstream.read,
            writer: self.writer,
            policy: self.policy,
            progressed: self.progressed,
        };
        let outcome = pump.run(asked, request).await;
        let client_is_gone = watch.stop_minding();
        if client_is_gone && outcome.is_err() {
            let answered = self.progressed.status.get() > 0;
            let phase = if answered { Phase::ResponseBody } else { Phase::ResponseHead };
            return Err(Failure::client(phase, 400, Cause::ClientGone));
        }
        outcome
    }

    /// Sends all of a request, on a new connection by a plain call, as far as that goes: its node then wakes
    /// once, for the connection and what comes on it.
    async fn send_whole(&mut self, request: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let (write, timeouts) = (&mut self.upstream.write, &self.policy.timeouts);
        let sent = match self.upstream.reuse {
            // An error comes again with the rest, which is then not empty.
            Reuse::Fresh => write.send_now(&request).unwrap_or(0),
            Reuse::Pooled => 0,
        };
        send_request_from(write, timeouts, request, sent).await
    }

    /// Sends a head, then its body while the response may come at any time.
    ///
    /// A response that ends before the body does is complete: the rest of the body is not wanted.
    ///
    /// # Errors
    /// [`Failure`] of either side.
    pub async fn streaming(
        self,
        head: Vec<u8>,
        until: BodyUntil,
        expecting: Expecting,
        asked: Asked,
    ) -> Result<Finished, Failure> {
        self.progressed.asked.set(head.len() as u64);
        let head = send_request(&mut self.upstream.write, &self.policy.timeouts, head).await?;
        if expecting == Expecting::Continue && self.inbound.bytes().is_empty() {
            send_continue(self.writer, &self.policy.timeouts).await?;
        }
        let watch = self.upstream.read.watch_handle();
        let pump = BodyPump {
            reader: self.reader,
            inbound: self.inbound,
            upstream: &mut self.upstream.write,
            timeouts: &self.policy.timeouts,
            body_bytes_max: self.policy.body_bytes_max,
            rate: BodyRate::new(self.policy.resilience.body_rate_min),
            received: self.received,
        };
        let mut body = pin!(async {
            match until {
                BodyUntil::Framed(framing) => pump.run(framing).await,
                BodyUntil::Closed => pump.run_until_closed().await.map(|()| BodyEnd::Plain),
            }
        });
        let mut response = pin!(
            ResponsePump {
                upstream: &mut self.upstream.read,
                writer: self.writer,
                policy: self.policy,
                progressed: self.progressed,
            }
            .run(asked, head)
        );
        let mut body_ended = false;
        poll_fn(|cx| {
            if !body_ended && let Poll::Ready(outcome) = body.as_mut().poll(cx) {
                body_ended = true;
                match outcome {
                    Ok(end) => {
                        self.progressed.trailed.set(end == BodyEnd::Trailed);
                        self.progressed.request_done.set(true);
                        watch.arm(Half::Read, self.policy.timeouts.first_byte);
                    }
                    // The node stopped reading; what it has to say about that is still to come.
                    Err(failure) if is_upstreams(&failure) => {
                        watch.arm(Half::Read, self.policy.timeouts.first_byte);
                    }
                    Err(failure) => return Poll::Ready(Err(failure)),
                }
            }
            response.as_mut().poll(cx)
        })
        .await
    }
}

fn is_upstreams(failure: &Failure) -> bool {
    matches!(failure.termination.side, Side::Upstream | Side::UpstreamDeadline)
}

/// Tells the client to go on with its body, under the deadline of a write.
///
/// # Errors
/// [`Failure`] of the client.
pub async fn send_continue(writer: &mut ClientWriter, timeouts: &Timeouts) -> Result<(), Failure> {
    let gone = |_| Failure::client(Phase::RequestBody, 400, Cause::ClientGone);
    if let ClientWriter::Stream(stream) = writer {
        return stream.interim(100, HeaderMap::new()).map_err(gone);
    }
    writer.watch().arm(Half::Write, timeouts.write_stall);
    let (result, _) = writer.write_all(CONTINUE.to_vec(), 0).await;
    writer.watch().disarm(Half::Write);
    result.map_err(|_| Failure::client_ended(Phase::RequestBody, writer.watch()))
}
