//! Reading the vars of one packet.
//!
//! The key is chosen as uWSGI's fastrouter does (fastrouter spec,
//! section 2): `UWSGI_FASTROUTER_KEY` wherever it stands, else the last `HTTP_HOST`, else the first
//! `SERVER_NAME`; values longer than a key can be do not count.

use std::net::IpAddr;
use std::ops::Range;

use route_table::limits::KEY_BYTES_MAX;
use uwsgi_wire::{DictError, HEADER_BYTES, Header, Pair, Pairs};

/// Longest text of CONTENT_LENGTH: the digits of the largest number that is believed.
const LENGTH_DIGITS_MAX: usize = 18;

/// A part of the packet.
type Span = Range<usize>;

/// The facts of a request, as ranges of its packet.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Request {
    /// The text that names the key.
    pub key: Span,
    /// What named it.
    pub named_by: NamedBy,
    /// PATH_INFO: decoded, as the application will see it.
    pub path: Span,
    /// REQUEST_METHOD.
    pub method: Span,
    /// REQUEST_URI.
    pub target: Span,
    /// SERVER_PROTOCOL.
    pub protocol: Span,
    /// What follows the packet.
    pub body: Body,
    /// REMOTE_ADDR, if it is an address.
    pub client: Option<IpAddr>,
    /// REMOTE_PORT, as text.
    pub client_port: Span,
    /// HTTPS says that the client came by TLS.
    pub is_tls: bool,
    /// HTTP_UPGRADE or HTTP_TRANSFER_ENCODING announces what has no length.
    pub may_stream: bool,
}

/// The var that named the key.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum NamedBy {
    /// None.
    #[default]
    Nothing,
    /// `SERVER_NAME`.
    ServerName,
    /// `HTTP_HOST`.
    HttpHost,
    /// `UWSGI_FASTROUTER_KEY`.
    RouterKey,
}

/// What follows the packet.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Body {
    /// As many bytes as CONTENT_LENGTH says.
    Stated(u64),
    /// CONTENT_LENGTH is absent or empty, and something may come nevertheless: whatever does, until either
    /// side is done.
    #[default]
    Open,
}

/// Methods whose requests have no body unless they say so (RFC 9110 section 9.3).
const BODYLESS: [&[u8]; 4] = [b"GET", b"HEAD", b"OPTIONS", b"DELETE"];

/// Why a packet is no request.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RequestError {
    /// The dictionary is malformed.
    #[error(transparent)]
    Dict(#[from] DictError),
    /// CONTENT_LENGTH is no number.
    #[error("CONTENT_LENGTH is no number of at most {LENGTH_DIGITS_MAX} digits")]
    Length,
    /// PATH_INFO has a dot segment, so that it means another path than it says.
    #[error("PATH_INFO has a . or .. segment")]
    Path,
    /// No var names a key.
    #[error("no var names a key")]
    Nameless,
}

impl Request {
    /// Reads a whole packet, header included.
    ///
    /// # Errors
    /// [`RequestError`] names the first thing that is wrong.
    pub fn read(packet: &[u8]) -> Result<Self, RequestError> {
        let mut request = Self::default();
        for pair in Pairs::new(packet.get(HEADER_BYTES..).unwrap_or_default()) {
            request.note(&pair?)?;
        }
        let method = packet.get(request.method.clone()).unwrap_or_default();
        if request.body == Body::Open && !request.may_stream && BODYLESS.contains(&method) {
            request.body = Body::Stated(0);
        }
        let path = packet.get(request.path.clone()).unwrap_or_default();
        if path.split(|&byte| byte == b'/').any(|segment| matches!(segment, b"." | b"..")) {
            return Err(RequestError::Path);
        }
        match request.named_by {
            NamedBy::Nothing => Err(RequestError::Nameless),
            _ => Ok(request),
        }
    }

    fn note(&mut self, pair: &Pair<'_>) -> Result<(), RequestError> {
        let start = HEADER_BYTES + pair.offset + LENGTHS_BYTES + pair.key.len();
        let span = start..start + pair.value.len();
        match pair.key {
            b"UWSGI_FASTROUTER_KEY" => self.name(NamedBy::RouterKey, span),
            b"HTTP_HOST" => self.name(NamedBy::HttpHost, span),
            b"SERVER_NAME" if self.named_by < NamedBy::ServerName => {
                self.name(NamedBy::ServerName, span);
            }
            b"PATH_INFO" => self.path = span,
            b"REQUEST_METHOD" => self.method = span,
            b"REQUEST_URI" => self.target = span,
            b"SERVER_PROTOCOL" => self.protocol = span,
            b"REMOTE_PORT" => self.client_port = span,
            b"REMOTE_ADDR" => {
                let text = std::str::from_utf8(pair.value).ok();
                self.client = text.and_then(|text| text.parse().ok());
            }
            b"HTTPS" => self.is_tls = !matches!(pair.value, b"" | b"off" | b"0"),
            b"HTTP_UPGRADE" | b"HTTP_TRANSFER_ENCODING" => {
                self.may_stream |= !pair.value.is_empty()
            }
            b"CONTENT_LENGTH" => self.body = body(pair.value)?,
            _ => {}
        }
        Ok(())
    }

    fn name(&mut self, by: NamedBy, span: Span) {
        if by >= self.named_by && (1..=KEY_BYTES_MAX).contains(&span.len()) {
            (self.named_by, self.key) = (by, span);
        }
    }
}

/// Bytes of the two lengths in every pair.
const LENGTHS_BYTES: usize = 4;

fn body(value: &[u8]) -> Result<Body, RequestError> {
    if value.is_empty() {
        return Ok(Body::Open);
    }
    if value.len() > LENGTH_DIGITS_MAX || !value.iter().all(u8::is_ascii_digit) {
        return Err(RequestError::Length);
    }
    let digits = value.iter().map(|digit| u64::from(digit - b'0'));
    Ok(Body::Stated(digits.fold(0, |number, digit| number * 10 + digit)))
}

/// The length of the packet that begins so, once its header is there.
#[must_use]
pub fn packet_bytes(received: &[u8]) -> Option<usize> {
    let header = Header::decode(received.first_chunk()?);
    Some(HEADER_BYTES + usize::from(header.body_bytes))
}

/// Writes the modifiers of the chosen node over those of the web server (spec, section 2.5).
pub fn set_modifiers(packet: &mut [u8], modifier1: u8, modifier2: u8) {
    if let Some([first, _, _, second]) = packet.first_chunk_mut() {
        (*first, *second) = (modifier1, modifier2);
    }
}

#[cfg(test)]
mod tests;
