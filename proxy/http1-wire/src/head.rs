//! The rules every HTTP/1 head keeps whatever its start line: line ends, field syntax, size.
//!
//! httparse tokenises and is lenient about line ends, so the raw bytes are checked here too. The
//! check is one branch-free pass over the head. Classifying what is wrong happens only after
//! something was found wrong: a second, slower walk that exists to name the reason.

use crate::limits::HEAD_BYTES_MAX;
use crate::octets::{is_field_value, is_ows, is_token};

/// What a scan for the end of a head found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HeadEnd {
    /// The head takes this many bytes, final empty line included.
    At(usize),
    /// No empty line yet. The next scan may begin at this offset.
    Partial(usize),
}

/// Finds the end of the head in `buf`, where the bytes before `from` were scanned before.
///
/// A caller whose client sends its head in many small pieces scans each byte once by passing the
/// offset of the last [`HeadEnd::Partial`], and parses only when the end is there. A line end
/// that is not CRLF is refused as soon as it is seen.
///
/// # Errors
/// [`HeadError::BareLineBreak`], or [`HeadError::HeadTooLarge`] past [`HEAD_BYTES_MAX`].
pub fn head_end(buf: &[u8], from: usize) -> Result<HeadEnd, HeadError> {
    let mut at = from.min(buf.len());
    while let Some(step) = buf[at..].iter().position(|octet| matches!(octet, b'\r' | b'\n')) {
        at += step;
        match &buf[at..] {
            [b'\r'] => break,
            [b'\r', b'\n', ..] => {}
            _ => return Err(HeadError::BareLineBreak),
        }
        at += 2;
        // The CRLF before may lie in an earlier piece, but it is still in the buffer.
        if at >= 4 && buf[..at].ends_with(b"\r\n\r\n") {
            return if at > HEAD_BYTES_MAX {
                Err(HeadError::HeadTooLarge)
            } else {
                Ok(HeadEnd::At(at))
            };
        }
    }
    let scanned = if buf.last() == Some(&b'\r') { buf.len() - 1 } else { buf.len() };
    if buf.len() >= HEAD_BYTES_MAX {
        return Err(HeadError::HeadTooLarge);
    }
    Ok(HeadEnd::Partial(scanned))
}

/// What one pass over the raw bytes of a head says about all of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Scan {
    /// Some CR has no LF after it, or some LF no CR before it. A CR at the very end is not yet
    /// known to be bare.
    pub(crate) bare_line_break: bool,
    /// Some `_` stands somewhere: only then are names looked through for it.
    pub(crate) underscore: bool,
}

/// Looks at every pair of neighbouring octets without branching, so that it compiles to vector
/// instructions.
pub(crate) fn scan(head: &[u8]) -> Scan {
    let Some(rest) = head.get(1..) else {
        return Scan { bare_line_break: false, underscore: false };
    };
    let (mut bare, mut underscore) = (0u8, u8::from(head[0] == b'_'));
    for (before, after) in head.iter().zip(rest) {
        bare |= u8::from(*before == b'\r') ^ u8::from(*after == b'\n');
        underscore |= u8::from(*after == b'_');
    }
    Scan { bare_line_break: bare != 0 || head[0] == b'\n', underscore: underscore != 0 }
}

/// Checks a head that is not complete yet: what can be refused now must not wait for a deadline.
pub(crate) fn check_partial(buf: &[u8]) -> Result<(), HeadError> {
    if scan(buf).bare_line_break {
        return Err(HeadError::BareLineBreak);
    }
    if buf.len() >= HEAD_BYTES_MAX {
        return Err(HeadError::HeadTooLarge);
    }
    Ok(())
}

/// Names the first thing wrong in the field lines `lines` (all after the start line), if any.
/// The last line may be cut short.
pub(crate) fn diagnose_fields(lines: &[u8]) -> Option<HeadError> {
    for line in lines.split_inclusive(|octet| *octet == b'\n') {
        let (text, is_cut) = match line {
            [text @ .., b'\r', b'\n'] => (text, false),
            [.., b'\n'] => return Some(HeadError::BareLineBreak),
            [text @ .., b'\r'] => (text, false),
            text => (text, true),
        };
        if text.is_empty() && !is_cut {
            return None;
        }
        if text.contains(&b'\r') {
            return Some(HeadError::BareLineBreak);
        }
        let error = diagnose_field(text);
        if error.is_some() {
            return error;
        }
        if !is_cut && !text.contains(&b':') {
            return Some(HeadError::FieldName);
        }
    }
    None
}

fn diagnose_field(line: &[u8]) -> Option<HeadError> {
    if line.first().copied().is_some_and(is_ows) {
        return Some(HeadError::ObsFold);
    }
    let end = line.iter().position(|octet| !is_token(*octet))?;
    match line[end..] {
        [b':', ..] if end == 0 => Some(HeadError::FieldName),
        [b':', ref value @ ..] => {
            let clean = value.iter().copied().all(is_field_value);
            (!clean).then_some(HeadError::FieldValue)
        }
        [b' ' | b'\t', ..] => Some(HeadError::SpaceBeforeColon),
        _ => Some(HeadError::FieldName),
    }
}

/// Why a head was refused, whichever side sent it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HeadError {
    /// A CR without LF or an LF without CR (RFC 9112 2.2 lets a recipient accept these; no).
    #[error("a line does not end in CRLF")]
    BareLineBreak,
    /// A field line continued on the next line (RFC 9112 5.2).
    #[error("a field line is folded")]
    ObsFold,
    /// An empty field name, or an octet in it that is not a token's; a line without a colon.
    #[error("a field name is malformed")]
    FieldName,
    /// Whitespace between the name and the colon (RFC 9112 5.1).
    #[error("whitespace stands before a field's colon")]
    SpaceBeforeColon,
    /// NUL or another control in a value; HTAB is allowed.
    #[error("a field value contains a control character")]
    FieldValue,
    /// More than `FIELDS_MAX` field lines.
    #[error("too many fields")]
    TooManyFields,
    /// More than `HEAD_BYTES_MAX` bytes.
    #[error("the head is too large")]
    HeadTooLarge,
}

impl HeadError {
    /// Answer given to a client that sent it; from an upstream the answer is 502.
    pub const fn status(self) -> u16 {
        match self {
            Self::TooManyFields | Self::HeadTooLarge => 431,
            _ => 400,
        }
    }

    /// Name of its row in the reject table and of its counter.
    pub const fn label(self) -> &'static str {
        match self {
            Self::BareLineBreak => "bare_cr_or_lf",
            Self::ObsFold => "obs_fold",
            Self::FieldName => "field_name",
            Self::SpaceBeforeColon => "space_before_colon",
            Self::FieldValue => "field_value",
            Self::TooManyFields => "too_many_fields",
            Self::HeadTooLarge => "head_too_large",
        }
    }
}
