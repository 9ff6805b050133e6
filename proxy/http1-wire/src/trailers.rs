//! Trailer fields: which of them may travel on, and how they are written behind a last chunk.
//!
//! A recipient may merge trailers into the head it has already acted upon, so fields that frame,
//! route, authenticate, modify a request or control a response never travel there (RFC 9110 6.5.1),
//! nor do those that only we may state.

use crate::fields::is_forwardable;
use crate::limits::{TRAILER_BYTES_MAX, TRAILER_FIELDS_MAX};
use crate::octets::{is_field_value, is_token, trim_ows};

/// Whether a field called `name` may travel behind a body.
pub fn is_trailer(name: &str) -> bool {
    let never = NEVER_TRAILERS.iter().any(|known| name.eq_ignore_ascii_case(known));
    !name.is_empty() && is_forwardable(name) && !never
}

/// The fields of a trailer section that may travel on, in wire order. `lines` are whole lines that
/// [`crate::ChunkScanner`] found sound.
pub fn trailer_fields(lines: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    let lines = lines.split(|octet| *octet == b'\n');
    lines.filter_map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let colon = line.iter().position(|octet| *octet == b':')?;
        let name = std::str::from_utf8(&line[..colon]).ok()?;
        is_trailer(name).then(|| (name, trim_ows(&line[colon + 1..])))
    })
}

/// Appends the last chunk and a trailer section of `fields`, of which those that may not travel, are
/// none of HTTP/1, or would pass its bounds are left out. Returns whether there were any.
pub fn write_last_chunk<'f>(
    fields: impl Iterator<Item = (&'f str, &'f [u8])>,
    out: &mut Vec<u8>,
) -> bool {
    out.extend_from_slice(b"0\r\n");
    let start = out.len();
    let is_sound = |(name, value): &(&str, &[u8])| {
        is_trailer(name)
            && name.bytes().all(is_token)
            && value.iter().copied().all(is_field_value)
            && *value == trim_ows(value)
    };
    for (name, value) in fields.filter(is_sound).take(TRAILER_FIELDS_MAX) {
        let line_bytes = name.len() + value.len() + b": \r\n".len();
        if out.len() - start + line_bytes + b"\r\n".len() > TRAILER_BYTES_MAX {
            break;
        }
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    let any = out.len() > start;
    out.extend_from_slice(b"\r\n");
    any
}

/// Beside the fields that never travel as they came.
const NEVER_TRAILERS: [&str; 38] = [
    "age",
    "authorization",
    "cache-control",
    "clear-site-data",
    "client-cert",
    "client-cert-chain",
    "content-encoding",
    "content-location",
    "content-range",
    "content-security-policy",
    "content-type",
    "cookie",
    "date",
    "expires",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "refresh",
    "retry-after",
    "set-cookie",
    "strict-transport-security",
    "te",
    "trailer",
    "vary",
    "warning",
    "www-authenticate",
    "x-accel-redirect",
    "x-client-cert-dn",
    "x-request-id",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ChunkScanner, ChunkState};

    fn passed(lines: &[u8]) -> Vec<(&str, &[u8])> {
        trailer_fields(lines).collect()
    }

    #[test]
    fn fields_travel_on_with_their_values_trimmed() {
        let lines = b"Checksum:  abc \r\nX:\r\nChecksum: d:e\r\n";
        let expected: [(&str, &[u8]); 3] = [("Checksum", b"abc"), ("X", b""), ("Checksum", b"d:e")];
        assert_eq!(passed(lines), expected);
    }

    #[test]
    fn what_frames_routes_authenticates_or_controls_never_travels() {
        for name in [
            "Content-Length",
            "Transfer-Encoding",
            "Host",
            "Connection",
            "TE",
            "Trailer",
            "Upgrade",
            "Expect",
            "Authorization",
            "Proxy-Authorization",
            "Cookie",
            "Set-Cookie",
            "Cache-Control",
            "If-None-Match",
            "Range",
            "Content-Type",
            "Location",
            "X-Forwarded-For",
            "X-Forwarded-Proto",
            "Forwarded",
            "X-Real-IP",
            "Via",
            "Proxy",
            "Client-Cert",
            "X_Y",
        ] {
            assert_eq!(passed(format!("{name}: 1\r\nX: 2\r\n").as_bytes()), [("X", &b"2"[..])]);
            let mut out = Vec::new();
            assert!(!write_last_chunk([(name, &b"1"[..])].into_iter(), &mut out));
            assert_eq!(out, crate::LAST_CHUNK, "{name}");
        }
    }

    /// What is written is a last chunk that our own scanner takes, whatever was to be written.
    #[test]
    fn what_is_written_is_sound_and_within_bounds() {
        let long = vec![b'x'; TRAILER_BYTES_MAX];
        let many = [("x", &b"1"[..]); 2 * TRAILER_FIELDS_MAX];
        let odd: [(&str, &[u8]); 5] =
            [("a b", b"1"), ("x", b"1\r\nevil: 1"), ("x", b" 1"), ("", b"1"), ("y", b"2")];
        for fields in [&many[..], &[("x", &long)], &odd, &[]] {
            let mut out = Vec::new();
            let any = write_last_chunk(fields.iter().copied(), &mut out);
            let step = ChunkScanner::new().next(&out).unwrap();
            assert_eq!((step.consumed, step.state), (out.len(), ChunkState::End));
            assert_eq!(any, !step.trailer.is_empty());
            let kept = trailer_fields(&out[step.trailer]).count();
            assert_eq!(kept, if fields.len() > 5 { TRAILER_FIELDS_MAX } else { usize::from(any) });
        }
    }

    #[test]
    fn lines_are_found_however_the_body_is_cut() {
        let body = b"1\r\na\r\n0\r\nChecksum: abc\r\nX: 1\r\n\r\nGET /";
        for cut in 0..body.len() {
            let (mut scanner, mut lines, mut at) = (ChunkScanner::new(), Vec::new(), 0);
            for end in [cut, body.len()] {
                while at < end && !scanner.is_at_end() {
                    let step = scanner.next(&body[at..end]).unwrap();
                    lines.extend_from_slice(&body[at..end][step.trailer]);
                    at += step.consumed;
                }
            }
            assert_eq!(lines, b"Checksum: abc\r\nX: 1\r\n", "cut at {cut}");
        }
    }
}
