//! RTSP/1.0 request heads (RFC 2326 section 6), as far as a router must understand them.
//!
//! Only the first request of a connection is read here: it says whose the connection is. A head is
//! judged once it is complete, with the line and field rules of HTTP/1 heads, and never repaired.
//! Stricter than RFC 2326: lines end in CRLF, fields are not folded, `CSeq` is there exactly once,
//! the scheme is `rtsp` or `rtsps`, and the authority holds no userinfo.

use crate::Parsed;
use crate::Version;
use crate::fields::Fields;
use crate::framing::{Framing, FramingError, FramingFields};
use crate::head::{HeadEnd, HeadError, diagnose_fields, head_end};
use crate::limits::{FIELDS_MAX, METHOD_BYTES_MAX, RTSP_CSEQ_DIGITS_MAX, TARGET_BYTES_MAX};
use crate::octets::{is_token, trim_ows};
use crate::target::{TargetError, is_clean, split_authority, strip_scheme};

/// The only version there is; RTSP 2.0 (RFC 7826) has no users.
const VERSION: &[u8] = b"RTSP/1.0";
const PROTOCOL: &[u8] = b"RTSP/";

/// Storage for the fields of one RTSP head, on the stack of the caller.
pub struct RtspSlots<'b> {
    lines: [httparse::Header<'b>; FIELDS_MAX],
}

impl RtspSlots<'_> {
    /// Room for `FIELDS_MAX` fields.
    pub const fn new() -> Self {
        Self { lines: [httparse::EMPTY_HEADER; FIELDS_MAX] }
    }
}

impl Default for RtspSlots<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// The head of an RTSP request that kept every rule.
#[derive(Clone, Debug)]
pub struct RtspHead<'s, 'b> {
    /// What is asked; case matters.
    pub method: &'b str,
    /// Of which presentation.
    pub target: RtspTarget<'b>,
    /// The number its answer repeats.
    pub cseq: &'b str,
    /// Length of the body behind the head; zero without `Content-Length`.
    pub body_bytes: u64,
    /// All field lines in wire order.
    pub fields: Fields<'s, 'b>,
    /// Length of the head.
    pub head_bytes: usize,
}

/// What an RTSP request is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RtspTarget<'b> {
    /// As sent.
    pub raw: &'b [u8],
    /// `host[:port]`; `None` for `*`, which is the server as a whole.
    pub authority: Option<&'b [u8]>,
    /// Before the first `?`: `/` where the URL has none, or `*`.
    pub path: &'b [u8],
    /// After the first `?`.
    pub query: Option<&'b [u8]>,
}

/// Whether bytes that are no HTTP request begin an RTSP one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RtspStart {
    /// They do not.
    Absent,
    /// They may, once the first line is complete.
    Partial,
    /// They do; whether the head is sound is another question.
    Present,
}

/// Looks at the third word of the first line and nothing else.
pub fn rtsp_start(buf: &[u8]) -> RtspStart {
    let line_end = buf.iter().position(|octet| *octet == b'\n');
    let line = &buf[..line_end.unwrap_or(buf.len())];
    match line.splitn(3, |octet| *octet == b' ').nth(2) {
        Some(version) if version.starts_with(PROTOCOL) => RtspStart::Present,
        Some(start) if line_end.is_none() && PROTOCOL.starts_with(start) => RtspStart::Partial,
        _ => RtspStart::Absent,
    }
}

/// Parses the RTSP head at the start of `buf`, which may end anywhere.
///
/// # Errors
/// The first rule broken, once the head is complete; a line end that is not CRLF and a head past
/// `HEAD_BYTES_MAX` as soon as they are seen.
pub fn parse_rtsp<'s, 'b>(
    buf: &'b [u8],
    slots: &'s mut RtspSlots<'b>,
) -> Result<Parsed<RtspHead<'s, 'b>>, RtspError> {
    let HeadEnd::At(head_bytes) = head_end(buf, 0)? else { return Ok(Parsed::Partial) };
    let head = &buf[..head_bytes];
    let line_bytes = head.windows(2).position(|pair| pair == b"\r\n").ok_or(RtspError::Line)?;
    let (line, rest) = head.split_at(line_bytes);
    let lines = &rest[2..];
    let (method, target) = parse_line(line)?;
    let fields = match httparse::parse_headers(lines, &mut slots.lines) {
        Ok(httparse::Status::Complete((consumed, fields))) if consumed == lines.len() => {
            Fields { lines: fields }
        }
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooManyFields.into()),
        _ => return Err(diagnose_fields(lines).unwrap_or(HeadError::FieldName).into()),
    };
    let mut framing = FramingFields::default();
    let mut cseq = None;
    for (name, value) in fields.iter() {
        if name.eq_ignore_ascii_case("cseq") {
            let number = cseq_number(value).ok_or(RtspError::Cseq)?;
            if cseq.replace(number).is_some() {
                return Err(RtspError::Cseq);
            }
        } else if name.eq_ignore_ascii_case("content-length") {
            framing.note_length(value)?;
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(FramingError::CodingUnknown.into());
        }
    }
    let body_bytes = match framing.decide(Version::Http11)? {
        Some(Framing::Length(bytes)) => bytes,
        Some(Framing::Chunked) | None => 0,
    };
    let cseq = cseq.ok_or(RtspError::Cseq)?;
    Ok(Parsed::Complete(RtspHead { method, target, cseq, body_bytes, fields, head_bytes }))
}

/// The `CSeq` of a head that may be malformed elsewhere, for the answer that refuses it.
pub fn rtsp_cseq(buf: &[u8]) -> Option<&str> {
    let mut lines = buf.split(|octet| *octet == b'\n').skip(1);
    lines.find_map(|line| {
        let (name, value) = line.split_at_checked(b"cseq:".len())?;
        name.eq_ignore_ascii_case(b"cseq:")
            .then(|| cseq_number(trim_ows(value.strip_suffix(b"\r").unwrap_or(value))))?
    })
}

fn cseq_number(value: &[u8]) -> Option<&str> {
    let is_number =
        (1..=RTSP_CSEQ_DIGITS_MAX).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| is_number)
}

fn parse_line(line: &[u8]) -> Result<(&str, RtspTarget<'_>), RtspError> {
    let mut words = line.split(|octet| *octet == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(RtspError::Line);
    };
    if version != VERSION {
        let other = version.starts_with(PROTOCOL);
        return Err(if other { RtspError::Version } else { RtspError::Line });
    }
    let is_method =
        (1..=METHOD_BYTES_MAX).contains(&method.len()) && method.iter().copied().all(is_token);
    let method = std::str::from_utf8(method).ok().filter(|_| is_method).ok_or(RtspError::Line)?;
    Ok((method, parse_target(target)?))
}

fn parse_target(raw: &[u8]) -> Result<RtspTarget<'_>, TargetError> {
    if raw.len() > TARGET_BYTES_MAX {
        return Err(TargetError::TooLong);
    }
    if !is_clean(raw) {
        return Err(TargetError::Octet);
    }
    if raw == b"*" {
        return Ok(RtspTarget { raw, authority: None, path: raw, query: None });
    }
    let rest = strip_scheme(raw, b"rtsp://").or_else(|| strip_scheme(raw, b"rtsps://"));
    let (authority, path_and_query) = split_authority(rest.ok_or(TargetError::Form)?)?;
    let mut parts = path_and_query.splitn(2, |octet| *octet == b'?');
    let path = parts.next().filter(|path| !path.is_empty()).unwrap_or(b"/");
    Ok(RtspTarget { raw, authority: Some(authority), path, query: parts.next() })
}

/// Why an RTSP request was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RtspError {
    /// Not `method SP target SP version`, or a method that is not a short token.
    #[error("the RTSP request line is malformed")]
    Line,
    /// Another version than 1.0.
    #[error("the RTSP version is not supported")]
    Version,
    /// The target broke a rule.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A line or field broke a rule, or there is too much of it.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// No `CSeq`, more than one, or no number in it.
    #[error("CSeq is not there exactly once with a number")]
    Cseq,
    /// The end of the body is in doubt.
    #[error(transparent)]
    Framing(#[from] FramingError),
}

impl RtspError {
    /// Status of the answer: 400, 414, 431 or 505.
    pub const fn status(self) -> u16 {
        match self {
            Self::Line | Self::Cseq => 400,
            Self::Version => 505,
            Self::Target(error) => error.status(),
            Self::Head(error) => error.status(),
            Self::Framing(error) => error.status(),
        }
    }

    /// Name of its row in the reject table and of its counter.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Line => "rtsp_line",
            Self::Version => "rtsp_version",
            Self::Target(error) => error.label(),
            Self::Head(error) => error.label(),
            Self::Cseq => "rtsp_cseq",
            Self::Framing(error) => error.label(),
        }
    }
}

#[cfg(test)]
mod tests;
