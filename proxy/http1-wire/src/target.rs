//! Request targets: origin, absolute and asterisk form, their parts, and the decoded path.
//!
//! authority-form belongs to CONNECT, which is refused. A target is visible ASCII without `#`;
//! everything a recipient could trim, decode or cut in its own way stays out.

use crate::limits::{HOST_BYTES_MAX, TARGET_BYTES_MAX};
use crate::octets::is_host;
use crate::request::Method;

/// Which of the forms of RFC 9112 3.2 a target has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TargetForm {
    /// `/path?query`
    Origin,
    /// `http://authority/path?query`
    Absolute,
    /// `*`, only with OPTIONS
    Asterisk,
}

/// A request target and its parts; nothing is decoded.
#[derive(Clone, Copy, Debug)]
pub struct Target<'b> {
    raw: &'b [u8],
    form: TargetForm,
    authority: &'b [u8],
    /// Begins with `/`, or with `?` in absolute-form without a path, or is `*`.
    path_and_query: &'b [u8],
    path_bytes: usize,
}

impl<'b> Target<'b> {
    #[inline]
    pub(crate) fn parse(raw: &'b [u8], method: Method<'_>) -> Result<Self, TargetError> {
        if raw.len() > TARGET_BYTES_MAX {
            return Err(TargetError::TooLong);
        }
        if !is_clean(raw) {
            return Err(TargetError::Octet);
        }
        let (form, authority, path_and_query) = match raw {
            [b'/', ..] => (TargetForm::Origin, &raw[..0], raw),
            b"*" if method == Method::Options => (TargetForm::Asterisk, &raw[..0], raw),
            _ => {
                let (authority, path_and_query) = split_absolute(raw)?;
                let path_and_query = match path_and_query {
                    // RFC 9112 3.2.4: OPTIONS for the whole server, in absolute-form.
                    b"" if method == Method::Options => b"*",
                    b"" => b"/",
                    _ => path_and_query,
                };
                (TargetForm::Absolute, authority, path_and_query)
            }
        };
        let path_bytes = path_and_query.iter().position(|octet| *octet == b'?');
        let path_bytes = path_bytes.unwrap_or(path_and_query.len());
        Ok(Self { raw, form, authority, path_and_query, path_bytes })
    }

    /// The target as sent.
    pub const fn raw(&self) -> &'b [u8] {
        self.raw
    }

    /// Which form it has.
    pub const fn form(&self) -> TargetForm {
        self.form
    }

    /// `host[:port]` of absolute-form.
    pub fn authority(&self) -> Option<&'b [u8]> {
        (self.form == TargetForm::Absolute).then_some(self.authority)
    }

    /// Before the first `?`: `/` for an absolute-form target without a path, or `*`.
    pub fn path(&self) -> &'b [u8] {
        match &self.path_and_query[..self.path_bytes] {
            b"" => b"/",
            path => path,
        }
    }

    /// After the first `?`; later ones belong to it. `None` without any.
    pub fn query(&self) -> Option<&'b [u8]> {
        self.path_and_query.get(self.path_bytes + 1..)
    }

    /// Appends the target as an origin server expects it: origin-form, or `*`.
    #[inline]
    pub fn write_origin_form(&self, out: &mut Vec<u8>) {
        if self.path_bytes == 0 {
            out.push(b'/');
        }
        out.extend_from_slice(self.path_and_query);
    }
}

/// Visible ASCII without `#`, tested without branching.
#[inline]
pub(crate) fn is_clean(raw: &[u8]) -> bool {
    let mut bad = 0u8;
    for octet in raw {
        // 0x21..=0x7e maps to 0..=0x5d
        bad |= u8::from(octet.wrapping_sub(0x21) > 0x5d) | u8::from(*octet == b'#');
    }
    bad == 0
}

fn split_absolute(raw: &[u8]) -> Result<(&[u8], &[u8]), TargetError> {
    let rest = strip_scheme(raw, b"http://").or_else(|| strip_scheme(raw, b"https://"));
    split_authority(rest.ok_or(TargetError::Form)?)
}

/// Splits what follows the scheme into authority and the rest.
pub(crate) fn split_authority(rest: &[u8]) -> Result<(&[u8], &[u8]), TargetError> {
    let end = rest.iter().position(|octet| matches!(octet, b'/' | b'?')).unwrap_or(rest.len());
    let (authority, path_and_query) = rest.split_at(end);
    if !is_authority(authority) {
        return Err(TargetError::Authority);
    }
    Ok((authority, path_and_query))
}

pub(crate) fn strip_scheme<'b>(raw: &'b [u8], scheme: &[u8]) -> Option<&'b [u8]> {
    let (start, rest) = raw.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// Whether `text` consists of octets a host and port may have and is short enough for a key.
#[inline]
pub(crate) fn is_authority(text: &[u8]) -> bool {
    !text.is_empty() && text.len() <= HOST_BYTES_MAX && text.iter().copied().all(is_host)
}

/// Appends the decoded `path` of a target to `out`, as PATH_INFO has it.
///
/// `%XX` becomes its octet and then `.` and `..` segments are removed (RFC 3986 5.2.4), so that an
/// encoded dot segment climbs no further than a literal one: never above the root. `%2F` becomes
/// `/`; empty segments are kept; `*` stays `*`.
///
/// # Errors
/// [`TargetError::Escape`] for a `%` without two hex digits, [`TargetError::ControlOctet`] for an
/// escape of NUL or another control. `out` is then as it was.
pub fn decode_path(path: &[u8], out: &mut Vec<u8>) -> Result<(), TargetError> {
    let start = out.len();
    if !path.contains(&b'%') {
        out.extend_from_slice(path);
    } else if let Err(error) = unescape(path, out) {
        out.truncate(start);
        return Err(error);
    }
    let decoded = &out[start..];
    if decoded.first() == Some(&b'/') && decoded.windows(2).any(|pair| pair == b"/.") {
        remove_dot_segments(out, start);
    }
    Ok(())
}

fn unescape(path: &[u8], out: &mut Vec<u8>) -> Result<(), TargetError> {
    let mut parts = path.split(|octet| *octet == b'%');
    out.extend_from_slice(parts.next().unwrap_or_default());
    for part in parts {
        let (digits, rest) = part.split_first_chunk::<2>().ok_or(TargetError::Escape)?;
        let high = hex(digits[0]).ok_or(TargetError::Escape)?;
        let low = hex(digits[1]).ok_or(TargetError::Escape)?;
        let octet = high << 4 | low;
        if octet.is_ascii_control() {
            return Err(TargetError::ControlOctet);
        }
        out.push(octet);
        out.extend_from_slice(rest);
    }
    Ok(())
}

pub(crate) const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Works in place on `path[start..]`, which begins with `/`: what is written never overtakes what
/// is read.
fn remove_dot_segments(path: &mut Vec<u8>, start: usize) {
    let (mut read, mut write) = (start, start);
    while read < path.len() {
        debug_assert!(write <= read && path[read] == b'/');
        let end = path[read + 1..].iter().position(|octet| *octet == b'/');
        let end = end.map_or(path.len(), |step| read + 1 + step);
        let dots = match &path[read + 1..end] {
            b"." => true,
            b".." => {
                let parent = path[start..write].iter().rposition(|octet| *octet == b'/');
                write = start + parent.unwrap_or(0);
                true
            }
            _ => false,
        };
        if !dots {
            path.copy_within(read..end, write);
            write += end - read;
        } else if end == path.len() {
            path[write] = b'/';
            write += 1;
        }
        read = end;
    }
    path.truncate(write);
}

/// Why a target or a path in it was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TargetError {
    /// Longer than `TARGET_BYTES_MAX`.
    #[error("the request target is too long")]
    TooLong,
    /// An octet outside visible ASCII, or `#`: a fragment never travels.
    #[error("the request target contains a forbidden character")]
    Octet,
    /// Neither origin-form nor absolute-form of http or https; or `*` without OPTIONS.
    #[error("the request target has no known form")]
    Form,
    /// Absolute-form with userinfo, an empty host, or octets no host has.
    #[error("the request target's authority is malformed")]
    Authority,
    /// A `%` without two hex digits after it.
    #[error("the path contains a malformed escape")]
    Escape,
    /// An escape of NUL or another control.
    #[error("the path contains an encoded control character")]
    ControlOctet,
}

impl TargetError {
    /// Answer given to the client.
    pub const fn status(self) -> u16 {
        match self {
            Self::TooLong => 414,
            _ => 400,
        }
    }

    /// Name of its row in the reject table and of its counter.
    pub const fn label(self) -> &'static str {
        match self {
            Self::TooLong => "target_too_long",
            Self::Octet => "target_octet",
            Self::Form => "target_form",
            Self::Authority => "target_authority",
            Self::Escape => "path_escape",
            Self::ControlOctet => "path_control",
        }
    }
}

#[cfg(test)]
mod tests;
