//! The response of one client's stream: its heads in HTTP/2's form, then its body.

use std::{io, rc::Rc};

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header::CONTENT_LENGTH};
use http1_wire::{ReplyBody, ReplyEdit, ReplyFacts, ResponseHead};
use router_core::deadline::Watch;

use super::{
    body::{Outflow, SendHalf, Sending, gone, io_error},
    guard::Guard,
};

/// A response on its way to a client's stream.
pub struct StreamWriter {
    flow: Outflow,
    guard: Rc<Guard>,
}

impl StreamWriter {
    /// The way back of a stream.
    pub fn new(half: SendHalf, watch: Rc<Watch>, guard: Rc<Guard>) -> Self {
        Self { flow: Outflow { half, watch, left: None }, guard }
    }

    /// Sends an interim head.
    ///
    /// # Errors
    /// The stream is gone.
    pub fn interim(&mut self, status: u16, fields: HeaderMap) -> io::Result<()> {
        let mut sending = self.flow.half.0.borrow_mut();
        let Sending::Head(respond) = &mut *sending else { return Err(gone()) };
        self.guard.head_due();
        respond.send_informational(response(status, fields)?).map_err(io_error)
    }

    /// Sends the final head. A body of no octets ends the stream with it.
    ///
    /// # Errors
    /// The stream is gone.
    pub fn head(&mut self, status: u16, fields: HeaderMap, body: ReplyBody) -> io::Result<()> {
        let left = match body {
            ReplyBody::None => Some(0),
            ReplyBody::Length(bytes) => Some(bytes),
            ReplyBody::Chunked | ReplyBody::UntilClose => None,
        };
        let response = response(status, fields)?;
        let mut sending = self.flow.half.0.borrow_mut();
        let Sending::Head(respond) = &mut *sending else { return Err(gone()) };
        self.guard.head_due();
        let ends = left == Some(0);
        let stream = respond.send_response(response, ends).map_err(io_error)?;
        *sending = if ends { Sending::Ended } else { Sending::Body(stream) };
        self.flow.left = left;
        Ok(())
    }

    /// Sends the head of `head` as it goes to this stream.
    ///
    /// # Errors
    /// The stream is gone.
    pub fn relay_head(
        &mut self,
        head: &ResponseHead<'_, '_>,
        facts: &ReplyFacts,
    ) -> io::Result<()> {
        let body = facts.body;
        let mut fields = relayed_fields(head, &facts.edit)?;
        match head.status {
            // The handshake's answer: a stream that carries a WebSocket begins with 200 (RFC 8441).
            101 => {
                fields.remove("sec-websocket-accept");
                self.head(200, fields, ReplyBody::UntilClose)
            }
            100..=199 => self.interim(head.status, fields),
            _ => {
                let length = match body {
                    ReplyBody::Length(bytes) => Some(bytes),
                    ReplyBody::None if head.status != 204 => head.stated_length,
                    _ => None,
                };
                if let Some(length) = length {
                    let mut digits = itoa::Buffer::new();
                    let digits = HeaderValue::from_str(digits.format(length));
                    fields.insert(CONTENT_LENGTH, digits.map_err(io::Error::other)?);
                }
                self.head(head.status, fields, body)
            }
        }
    }

    /// As [`Outflow::write_all`].
    pub async fn write_all(&mut self, buffer: Vec<u8>, start: usize) -> (io::Result<()>, Vec<u8>) {
        self.flow.write_all(buffer, start).await
    }

    /// As [`Outflow::end`].
    ///
    /// # Errors
    /// The stream is gone.
    pub fn end(&mut self, trailers: Option<HeaderMap>) -> io::Result<()> {
        if trailers.is_some() {
            self.guard.head_due();
        }
        self.flow.end(trailers)
    }

    /// The deadlines of this stream.
    pub fn watch(&self) -> &Watch {
        self.flow.watch()
    }
}

fn response(status: u16, fields: HeaderMap) -> io::Result<Response<()>> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(status).map_err(io::Error::other)?;
    *response.headers_mut() = fields;
    Ok(response)
}

fn relayed_fields(head: &ResponseHead<'_, '_>, edit: &ReplyEdit<'_>) -> io::Result<HeaderMap> {
    let mut fields = HeaderMap::with_capacity(head.fields.len() + edit.added.len());
    let is_kept = |(name, _): &(&str, &[u8])| {
        !edit.dropped.iter().any(|dropped| dropped.eq_ignore_ascii_case(name))
    };
    for (name, value) in head.forwarded_fields().filter(is_kept).chain(edit.added.iter().copied()) {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(io::Error::other)?;
        fields.append(name, HeaderValue::from_bytes(value).map_err(io::Error::other)?);
    }
    Ok(fields)
}
