//! Response heads of upstreams, under the same rules as requests; a refused one becomes a 502.
//!
//! Interim (1xx) heads are returned like final ones, without framing: the caller decides which of
//! them a client may see and reads on.

use crate::connection::{ConnectionError, ConnectionOptions};
use crate::fields::{Dropped, FieldSlots, Fields, ResponseField};
use crate::framing::{Framing, FramingError, FramingFields, ResponseFraming};
use crate::head::{HeadError, check_partial, diagnose_fields, scan};
use crate::limits::HEAD_BYTES_MAX;
use crate::{Parsed, Version};

/// What the response answers, as far as framing depends on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ResponseTo {
    /// HEAD: never a body, whatever the fields say.
    Head,
    /// Any other method.
    Other,
}

/// The head of a response that kept every rule.
#[derive(Clone, Debug)]
pub struct ResponseHead<'s, 'b> {
    /// In which version the upstream answered.
    pub version: Version,
    /// 100 to 999; RFC 9110 15 asks to treat 600 and above as 5xx, they travel as they are.
    pub status: u16,
    /// The reason phrase, often empty.
    pub reason: &'b [u8],
    /// All field lines, also those that do not travel on.
    pub fields: Fields<'s, 'b>,
    /// Length of the head; the body begins here.
    pub head_bytes: usize,
    /// Where the body ends.
    pub framing: ResponseFraming,
    /// `Content-Length` as stated: with HEAD and 304 it describes a body that is not there.
    pub stated_length: Option<u64>,
    /// Whether the upstream's connection may serve another exchange after the body.
    pub keep_alive: bool,
    /// Value of `Upgrade` in a 101.
    pub upgrade: Option<&'b [u8]>,
    pub(crate) dropped: Dropped,
}

impl<'s, 'b> ResponseHead<'s, 'b> {
    /// The fields that travel on, in wire order.
    ///
    /// Left out: the hop-by-hop fields and those `Connection` nominates, `Trailer`,
    /// `Proxy-Authenticate` (we are no proxy to the client), and the framing fields.
    pub fn forwarded_fields(&self) -> impl Iterator<Item = (&'b str, &'b [u8])> + use<'s, 'b> {
        self.dropped.kept(self.fields)
    }

    /// Whether this is a 1xx, after which the final head still has to come.
    pub const fn is_interim(&self) -> bool {
        self.status < 200
    }
}

/// Parses the head at the start of `buf`, which may end anywhere; costs as `parse_request`.
///
/// A missing reason phrase is accepted with and without the space before it.
///
/// # Errors
/// The first rule broken, in an order that is not promised.
pub fn parse_response<'s, 'b>(
    buf: &'b [u8],
    slots: &'s mut FieldSlots<'b>,
    request: ResponseTo,
) -> Result<Parsed<ResponseHead<'s, 'b>>, ResponseError> {
    // httparse would skip empty lines before the status line.
    if buf.first().is_some_and(|first| *first != b'H') {
        return Err(ResponseError::StatusLine);
    }
    let mut raw = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    match config.parse_response_with_uninit_headers(&mut raw, buf, &mut slots.slots) {
        Ok(httparse::Status::Complete(head_bytes)) => {
            interpret(&buf[..head_bytes], raw, request).map(Parsed::Complete)
        }
        Ok(httparse::Status::Partial) => {
            check_partial(buf)?;
            Ok(Parsed::Partial)
        }
        Err(error) => Err(diagnose(buf, error)),
    }
}

fn interpret<'s, 'b>(
    head: &'b [u8],
    raw: httparse::Response<'s, 'b>,
    request: ResponseTo,
) -> Result<ResponseHead<'s, 'b>, ResponseError> {
    if head.len() > HEAD_BYTES_MAX {
        return Err(HeadError::HeadTooLarge.into());
    }
    if scan(head).bare_line_break {
        return Err(HeadError::BareLineBreak.into());
    }
    let (Some(status @ 100..), Some(minor)) = (raw.code, raw.version) else {
        return Err(ResponseError::StatusLine);
    };
    let version = if minor == 1 { Version::Http11 } else { Version::Http10 };
    let fields = Fields { lines: raw.headers };
    let mut framing = FramingFields::default();
    let mut connection = ConnectionOptions::default();
    let mut dropped = Dropped::default();
    let mut upgrade = None;
    for (index, (name, value)) in fields.iter().enumerate() {
        match ResponseField::of(name) {
            ResponseField::EndToEnd => continue,
            ResponseField::ContentLength => framing.note_length(value)?,
            ResponseField::TransferEncoding => framing.note_coding(value)?,
            ResponseField::Connection => connection.note(value)?,
            ResponseField::Upgrade => upgrade = Some(value),
            ResponseField::Withheld => {}
        }
        dropped.drop_line(index);
    }
    dropped.drop_nominated(fields, connection);

    let stated = framing.decide(version)?;
    let framing = decide_framing(status, request, stated);
    Ok(ResponseHead {
        version,
        status,
        reason: reason(head),
        fields,
        head_bytes: head.len(),
        framing,
        stated_length: match stated {
            Some(Framing::Length(length)) => Some(length),
            _ => None,
        },
        keep_alive: connection.keep_alive(version)
            && framing != ResponseFraming::UntilClose
            && !announces_forbidden_body(status, stated),
        upgrade: upgrade.filter(|_| status == 101),
        dropped,
    })
}

/// RFC 9112 6.3, in its order.
fn decide_framing(status: u16, request: ResponseTo, stated: Option<Framing>) -> ResponseFraming {
    match (status, request, stated) {
        (_, ResponseTo::Head, _) | (..200 | 204 | 304, _, _) => ResponseFraming::None,
        (_, _, Some(Framing::Chunked)) => ResponseFraming::Chunked,
        (_, _, Some(Framing::Length(length))) => ResponseFraming::Length(length),
        (_, _, None) => ResponseFraming::UntilClose,
    }
}

/// A 1xx or 204 that frames a body has none, but its sender may believe otherwise and send one:
/// what follows on this connection cannot be trusted to be the next head.
fn announces_forbidden_body(status: u16, stated: Option<Framing>) -> bool {
    matches!(status, ..200 | 204) && !matches!(stated, None | Some(Framing::Length(0)))
}

/// The reason phrase out of the raw line, because httparse empties one with obs-text.
fn reason(head: &[u8]) -> &[u8] {
    let rest = head.get(b"HTTP/1.1 200".len()..).unwrap_or_default();
    let end = rest.iter().position(|octet| *octet == b'\r').unwrap_or(rest.len());
    rest[..end].strip_prefix(b" ").unwrap_or_default()
}

/// Names what is wrong with a head httparse refused.
#[cold]
fn diagnose(buf: &[u8], error: httparse::Error) -> ResponseError {
    let line_end = buf.iter().position(|octet| *octet == b'\n');
    let line = &buf[..line_end.unwrap_or(buf.len())];
    let text = line.strip_suffix(b"\r").unwrap_or(line);
    if text.contains(&b'\r') || (line_end.is_some() && text.len() == line.len()) {
        return HeadError::BareLineBreak.into();
    }
    match error {
        httparse::Error::TooManyHeaders => HeadError::TooManyFields.into(),
        httparse::Error::Version if text.starts_with(b"HTTP/") => ResponseError::Version,
        httparse::Error::HeaderName | httparse::Error::HeaderValue | httparse::Error::NewLine => {
            let fields = line_end.map_or(&buf[..0], |end| &buf[end + 1..]);
            diagnose_fields(fields).map_or(ResponseError::StatusLine, ResponseError::from)
        }
        _ => ResponseError::StatusLine,
    }
}

/// Why a response was refused. The client gets 502; the connection cannot be used further.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ResponseError {
    /// Not `version SP 3DIGIT [SP reason]`, a status below 100, or something before it.
    #[error("the status line is malformed")]
    StatusLine,
    /// An HTTP version other than 1.0 and 1.1.
    #[error("the HTTP version is not supported")]
    Version,
    /// A line or field broke a rule, or there is too much of it.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The end of the body is in doubt.
    #[error(transparent)]
    Framing(#[from] FramingError),
    /// `Connection` broke a rule.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

impl ResponseError {
    /// Status of the answer to the client.
    pub const fn status(self) -> u16 {
        502
    }

    /// Name of its row in the reject table and of its counter.
    pub const fn label(self) -> &'static str {
        match self {
            Self::StatusLine => "status_line",
            Self::Version => "response_version",
            Self::Head(error) => error.label(),
            Self::Framing(error) => error.label(),
            Self::Connection(error) => error.label(),
        }
    }
}

#[cfg(test)]
mod tests;
