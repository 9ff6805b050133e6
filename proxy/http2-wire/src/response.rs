//! The head of an HTTP/2 response as an HTTP/1.1 head, for what reads responses of all nodes.
//!
//! As with requests, the rules are those of `http1_wire`; here is only what HTTP/2 says otherwise.

/// What a node's response begins with.
#[derive(Clone, Copy, Debug)]
pub struct ResponseParts {
    /// `:status`
    pub status: u16,
    /// Whether the stream ended with the head: there is no body and there are no trailers.
    pub ended: bool,
}

/// Appends the HTTP/1.1 head of a response.
///
/// A body of unstated length is left to end with the stream, as one that ends with the connection. An
/// ended response that may have a body says that it has none, so that its own end can be passed on in
/// one piece with its head (gRPC's Trailers-Only).
pub fn write_response<'f>(
    parts: &ResponseParts,
    fields: impl Iterator<Item = (&'f str, &'f [u8])>,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"HTTP/1.1 ");
    let digit = |unit: u16| b'0' + (parts.status / unit % 10) as u8;
    out.extend_from_slice(&[digit(100), digit(10), digit(1)]);
    out.extend_from_slice(b" \r\n");
    let mut states_length = false;
    for (name, value) in fields {
        states_length |= name == "content-length";
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    let may_have_body = parts.status >= 200 && parts.status != 204 && parts.status != 304;
    if parts.ended && !states_length && may_have_body {
        out.extend_from_slice(b"content-length: 0\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use http1_wire::{FieldSlots, Parsed, ResponseFraming, ResponseTo, parse_response};

    fn framing(parts: ResponseParts, fields: &[(&str, &[u8])]) -> ResponseFraming {
        let mut out = Vec::new();
        write_response(&parts, fields.iter().copied(), &mut out);
        let mut slots = FieldSlots::new();
        match parse_response(&out, &mut slots, ResponseTo::Other) {
            Ok(Parsed::Complete(head)) => head.framing,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn bodies_end_with_the_stream_unless_their_length_is_stated() {
        let open = ResponseParts { status: 200, ended: false };
        assert_eq!(framing(open, &[("x", b"1")]), ResponseFraming::UntilClose);
        assert_eq!(framing(open, &[("content-length", b"7")]), ResponseFraming::Length(7));
        let ended = ResponseParts { ended: true, ..open };
        assert_eq!(framing(ended, &[("grpc-status", b"5")]), ResponseFraming::Length(0));
        assert_eq!(framing(ResponseParts { status: 204, ..ended }, &[]), ResponseFraming::None);
    }
}
