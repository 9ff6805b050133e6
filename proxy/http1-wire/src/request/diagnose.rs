//! Names what is wrong with a request head that httparse refused.
//!
//! httparse says where it stumbled; the reject table wants to know over what. This walk over the
//! raw bytes is never on the way of a good request and is bounded by the size of the head.

use super::RequestError;
use crate::head::{HeadError, diagnose_fields};
use crate::octets::is_token;
use crate::target::TargetError;

/// Names what is wrong with a head httparse refused; `error` says where it stumbled.
#[cold]
pub(super) fn diagnose(buf: &[u8], error: httparse::Error) -> RequestError {
    let line_end = buf.iter().position(|octet| *octet == b'\n');
    let mut line = &buf[..line_end.unwrap_or(buf.len())];
    match (line.strip_suffix(b"\r"), line_end) {
        (Some(rest), _) => line = rest,
        (None, Some(_)) => return HeadError::BareLineBreak.into(),
        (None, None) => {}
    }
    if line.contains(&b'\r') {
        return HeadError::BareLineBreak.into();
    }
    match error {
        httparse::Error::TooManyHeaders => HeadError::TooManyFields.into(),
        httparse::Error::Version => diagnose_version(line, line_end.is_some()),
        httparse::Error::Token => diagnose_tokens(line),
        httparse::Error::HeaderName | httparse::Error::HeaderValue | httparse::Error::NewLine => {
            let fields = line_end.map_or(&buf[..0], |end| &buf[end + 1..]);
            diagnose_fields(fields).map_or(RequestError::RequestLine, RequestError::from)
        }
        httparse::Error::Status => RequestError::RequestLine,
    }
}

fn diagnose_tokens(line: &[u8]) -> RequestError {
    let method = line.split(|octet| *octet == b' ').next().unwrap_or_default();
    if method.is_empty() || !method.iter().copied().all(is_token) {
        return RequestError::Method;
    }
    if method == b"CONNECT" {
        return RequestError::Connect;
    }
    let rest = line.get(method.len() + 1..).unwrap_or_default();
    let odd = |octet: &u8| !matches!(octet, b' ' | b'!'..=b'~');
    if rest.iter().any(odd) { TargetError::Octet.into() } else { RequestError::RequestLine }
}

/// HTTP/1.x with another x, and other majors, are versions we do not speak (505); what does not
/// even look like a version is no HTTP.
fn diagnose_version(line: &[u8], line_is_complete: bool) -> RequestError {
    if line.starts_with(b"CONNECT ") {
        return RequestError::Connect;
    }
    let version = line.splitn(3, |octet| *octet == b' ').nth(2).unwrap_or_default();
    match version.strip_prefix(b"HTTP/") {
        Some([major, b'.', minor]) if major.is_ascii_digit() && minor.is_ascii_digit() => {
            RequestError::VersionUnsupported
        }
        Some([major] | [major, b'.']) if major.is_ascii_digit() && !line_is_complete => {
            RequestError::VersionUnsupported
        }
        _ => RequestError::VersionSyntax,
    }
}
