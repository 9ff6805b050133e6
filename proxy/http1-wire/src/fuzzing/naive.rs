//! Decoders written to be evidently right: what the fuzz targets compare the codec with.
//!
//! They read whole messages, copy freely and share nothing with the codec but octet classes and
//! limits.

use crate::limits::{
    CHUNK_EXTENSION_BYTES_MAX, CHUNK_LINE_BYTES_MAX, CHUNK_SIZE_DIGITS_MAX, LENGTH_MAX,
    TRAILER_BYTES_MAX, TRAILER_FIELDS_MAX,
};
use crate::octets::{is_field_value, is_token};

/// What the naive decoder made of a body. When it is cut in a line, that line is not judged.
#[derive(Debug)]
pub(super) enum Naive {
    Cut { payload: Vec<u8> },
    End { payload: Vec<u8>, consumed: usize },
    Refused,
}

/// Decodes a body that is there as a whole, line by line (RFC 9112 7.1).
pub(super) fn naive_chunked(body: &[u8]) -> Naive {
    let mut payload = Vec::new();
    let (mut at, mut extension_bytes) = (0, 0);
    loop {
        let Some(line) = line_at(body, at) else { return Naive::Cut { payload } };
        at += line.len() + 2;
        let (size, extension) = match line.iter().position(|octet| *octet == b';') {
            Some(semicolon) => (&line[..semicolon], &line[semicolon + 1..]),
            None => (line, &line[..0]),
        };
        extension_bytes += extension.len();
        let too_long = !extension.is_empty() && line.len() > CHUNK_LINE_BYTES_MAX;
        let clean = extension.iter().all(|octet| matches!(octet, b'\t' | b' '..=b'~'));
        if too_long || !clean || extension_bytes > CHUNK_EXTENSION_BYTES_MAX {
            return Naive::Refused;
        }
        match naive_size(size) {
            None => return Naive::Refused,
            Some(0) => break,
            Some(size) => {
                let rest = &body[at..];
                let here = usize::try_from(size).unwrap_or(usize::MAX).min(rest.len());
                payload.extend_from_slice(&rest[..here]);
                match &rest[here..] {
                    [] | [b'\r'] => return Naive::Cut { payload },
                    [b'\r', b'\n', ..] => at += here + 2,
                    _ => return Naive::Refused,
                }
            }
        }
    }
    match naive_trailers(&body[at..]) {
        Trailers::Cut => Naive::Cut { payload },
        Trailers::End(bytes) => Naive::End { payload, consumed: at + bytes },
        Trailers::Refused => Naive::Refused,
    }
}

fn naive_size(digits: &[u8]) -> Option<u64> {
    let hex = digits.iter().all(u8::is_ascii_hexdigit) && digits.len() <= CHUNK_SIZE_DIGITS_MAX;
    let text = std::str::from_utf8(digits).ok().filter(|_| hex)?;
    u64::from_str_radix(text, 16).ok().filter(|size| *size <= LENGTH_MAX)
}

/// What stands between the last chunk and the end of the body.
enum Trailers {
    Cut,
    End(usize),
    Refused,
}

fn naive_trailers(section: &[u8]) -> Trailers {
    let mut at = 0;
    for fields in 0.. {
        let Some(line) = line_at(section, at) else { return Trailers::Cut };
        at += line.len() + 2;
        if at > TRAILER_BYTES_MAX {
            return Trailers::Refused;
        }
        if line.is_empty() {
            return Trailers::End(at);
        }
        let mut parts = line.splitn(2, |octet| *octet == b':');
        let (name, value) = (parts.next().unwrap_or_default(), parts.next());
        let named = !name.is_empty() && name.iter().all(|octet| is_token(*octet) && *octet != b'_');
        let valued = value.is_some_and(|value| value.iter().copied().all(is_field_value));
        if fields >= TRAILER_FIELDS_MAX || !named || !valued {
            return Trailers::Refused;
        }
    }
    Trailers::Cut
}

/// The line that begins at `at`, without its CRLF; `None` if its end is not there.
fn line_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let rest = bytes.get(at..)?;
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    Some(&rest[..end])
}

/// Whether a path segment is `.` or `..`.
pub(super) fn is_dots(segment: &[u8]) -> bool {
    matches!(segment, b"." | b"..")
}

/// `%XX` as its octet; nothing for a malformed escape or one of a control.
pub(super) fn naive_unescape(path: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(octet) = path.get(at) {
        if *octet != b'%' {
            out.push(*octet);
            at += 1;
            continue;
        }
        let digits =
            path.get(at + 1..at + 3).filter(|two| two.iter().all(u8::is_ascii_hexdigit))?;
        let octet = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        if octet < b' ' || octet == 0x7f {
            return None;
        }
        out.push(octet);
        at += 3;
    }
    Some(out)
}

/// RFC 3986 5.2.4 over a stack of segments.
pub(super) fn naive_path(unescaped: &[u8]) -> Vec<u8> {
    let segments: Vec<&[u8]> = unescaped[1..].split(|octet| *octet == b'/').collect();
    let mut kept: Vec<&[u8]> = Vec::new();
    for (index, segment) in segments.iter().enumerate() {
        if *segment == b".." {
            kept.pop();
        }
        if !is_dots(segment) {
            kept.push(segment);
        } else if index + 1 == segments.len() {
            kept.push(b"");
        }
    }
    [b"/", &*kept.join(&b'/')].concat()
}
