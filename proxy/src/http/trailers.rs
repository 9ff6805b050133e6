//! Trailers between bodies of two versions: lines of HTTP/1, a map for streams of HTTP/2.
//!
//! Nothing here is touched by a body without trailers. What may travel is `http1_wire`'s rule, for
//! both versions.

use http::{HeaderMap, HeaderName, HeaderValue};
use http1_wire::{LAST_CHUNK, is_trailer, trailer_fields, write_last_chunk};

/// The trailers in these lines of a chunked body, `None` if none of them may travel.
pub fn of_lines(lines: &[u8]) -> Option<Box<HeaderMap>> {
    let mut trailers = HeaderMap::new();
    for (name, value) in trailer_fields(lines) {
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes())
            && let Ok(value) = HeaderValue::from_bytes(value)
        {
            trailers.append(name, value);
        }
    }
    (!trailers.is_empty()).then(|| Box::new(trailers))
}

/// Those of a stream's trailers that may travel, `None` if there are none.
pub fn of_stream(trailers: Option<HeaderMap>) -> Option<Box<HeaderMap>> {
    let mut trailers = trailers?;
    if !trailers.keys().all(|name| is_trailer(name.as_str())) {
        let kept = trailers.drain();
        let mut named = None;
        let mut passed = HeaderMap::new();
        for (name, value) in kept {
            // A name stands before the first of its values only.
            named = name.or(named);
            if let Some(name) = named.as_ref().filter(|name| is_trailer(name.as_str())) {
                passed.append(name.clone(), value);
            }
        }
        trailers = passed;
    }
    (!trailers.is_empty()).then(|| Box::new(trailers))
}

/// Appends the end of a chunked body. Returns whether anything stands between its last chunk and its
/// end.
pub fn write_end(trailers: Option<&HeaderMap>, out: &mut Vec<u8>) -> bool {
    let Some(trailers) = trailers else {
        out.extend_from_slice(LAST_CHUNK);
        return false;
    };
    let fields = trailers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    write_last_chunk(fields, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_travel_is_left_out_between_streams_too() {
        let mut trailers = HeaderMap::new();
        for (name, value) in [("grpc-status", "0"), ("set-cookie", "a"), ("x", "1")] {
            trailers.append(name, HeaderValue::from_static(value));
        }
        trailers.append("set-cookie", HeaderValue::from_static("b"));
        trailers.append("x", HeaderValue::from_static("2"));
        let passed = of_stream(Some(trailers)).unwrap();
        assert_eq!(passed.len(), 3);
        assert_eq!(passed["grpc-status"], "0");
        assert_eq!(passed.get_all("x").iter().collect::<Vec<_>>(), ["1", "2"]);
        let mut forbidden = HeaderMap::new();
        forbidden.append("cookie", HeaderValue::from_static("a"));
        assert!(of_stream(Some(forbidden)).is_none());
    }

    #[test]
    fn lines_become_a_map_and_lines_again() {
        let trailers = of_lines(b"Checksum: abc\r\nHost: evil\r\n").unwrap();
        let mut out = Vec::new();
        assert!(write_end(Some(&trailers), &mut out));
        assert_eq!(out, b"0\r\nchecksum: abc\r\n\r\n");
        assert!(of_lines(b"Host: evil\r\n").is_none());
    }
}
