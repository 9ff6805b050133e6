//! The one place that decides where a body ends (RFC 9112 6.3).
//!
//! Anything two recipients could read differently is refused: a length beside a coding, a second
//! length even if equal, any coding but `chunked` alone, any coding in HTTP/1.0. Nothing is
//! repaired, because the repaired message is not the one a peer behind us would have seen.

use crate::Version;
use crate::limits::LENGTH_MAX;

/// Where the body of a request ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RequestFraming {
    /// Neither length nor coding: no body. Requests never end at the end of the connection.
    None,
    /// Exactly this many bytes; `Content-Length: 0` is `Length(0)`.
    Length(u64),
    /// Chunked coding.
    Chunked,
}

/// Where the body of a response ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ResponseFraming {
    /// No body: 1xx, 204, 304 and every answer to HEAD.
    None,
    /// Exactly this many bytes.
    Length(u64),
    /// Chunked coding.
    Chunked,
    /// Everything up to the end of the connection.
    UntilClose,
}

/// Collects the framing fields of one head; every method refuses what is ambiguous.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FramingFields {
    length: Option<u64>,
    chunked: bool,
}

impl FramingFields {
    pub(crate) fn note_length(&mut self, value: &[u8]) -> Result<(), FramingError> {
        let length = parse_length(value).ok_or(FramingError::LengthMalformed)?;
        match self.length.replace(length) {
            None => Ok(()),
            Some(_) => Err(FramingError::LengthRepeated),
        }
    }

    pub(crate) fn note_coding(&mut self, value: &[u8]) -> Result<(), FramingError> {
        if self.chunked {
            return Err(FramingError::CodingRepeated);
        }
        self.chunked = value.eq_ignore_ascii_case(b"chunked");
        if self.chunked { Ok(()) } else { Err(FramingError::CodingUnknown) }
    }

    /// The framing of a message that may have a body; `None` = neither field is there.
    pub(crate) fn decide(self, version: Version) -> Result<Option<Framing>, FramingError> {
        match (self.length, self.chunked) {
            (Some(_), true) => Err(FramingError::CodingWithLength),
            (None, true) if version == Version::Http10 => Err(FramingError::CodingInHttp10),
            (None, true) => Ok(Some(Framing::Chunked)),
            (Some(length), false) => Ok(Some(Framing::Length(length))),
            (None, false) => Ok(None),
        }
    }
}

/// What the framing fields said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
}

/// `1*DIGIT` up to [`LENGTH_MAX`]: no sign, no space, no list, not empty.
pub(crate) fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    let mut length = 0u64;
    for octet in value {
        let digit = octet.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        length = length.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    (length <= LENGTH_MAX).then_some(length)
}

/// Why the end of a body could not be decided beyond doubt.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FramingError {
    /// `Content-Length` is not 1*DIGIT, is a list, or is above `LENGTH_MAX`.
    #[error("Content-Length is malformed")]
    LengthMalformed,
    /// A second `Content-Length` field, equal or not.
    #[error("Content-Length is repeated")]
    LengthRepeated,
    /// `Transfer-Encoding` is anything but `chunked`.
    #[error("Transfer-Encoding is not exactly chunked")]
    CodingUnknown,
    /// A second `Transfer-Encoding` field.
    #[error("Transfer-Encoding is repeated")]
    CodingRepeated,
    /// Both fields in one message: the classic of request smuggling.
    #[error("Transfer-Encoding and Content-Length are both present")]
    CodingWithLength,
    /// HTTP/1.0 has no transfer codings (RFC 9112 6.1).
    #[error("Transfer-Encoding in HTTP/1.0")]
    CodingInHttp10,
}

impl FramingError {
    /// Answer given to a client that sent it; from an upstream the answer is 502.
    ///
    /// RFC 9112 6.1 suggests 501 for an unknown coding; 400 tells a sender apart from an
    /// attacker just as little and keeps every framing refusal alike.
    pub const fn status(self) -> u16 {
        400
    }

    /// Name of its row in the reject table and of its counter.
    pub const fn label(self) -> &'static str {
        match self {
            Self::LengthMalformed => "content_length",
            Self::LengthRepeated => "content_length_repeated",
            Self::CodingUnknown => "transfer_encoding",
            Self::CodingRepeated => "transfer_encoding_repeated",
            Self::CodingWithLength => "transfer_encoding_and_content_length",
            Self::CodingInHttp10 => "transfer_encoding_in_http10",
        }
    }
}
