//! A head of HTTP/1 form, as HTTP nodes get it, turned into the request of a stream.

use std::io;

use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use http1_wire::{FieldSlots, Parsed, RequestFraming, parse_request};

/// A request ready to be sent on a stream.
pub struct Asked {
    /// Its head.
    pub request: Request<()>,
    /// Octets of its body, if that is known.
    pub left: Option<u64>,
    /// Bytes the head took.
    pub head_bytes: usize,
}

/// Reads the head that `forward_http` wrote.
///
/// # Errors
/// It cannot be said in HTTP/2.
pub fn read(bytes: &[u8]) -> io::Result<Asked> {
    let mut slots = FieldSlots::new();
    let head = match parse_request(bytes, &mut slots) {
        Ok(Parsed::Complete(head)) => head,
        Ok(Parsed::Partial) => return Err(io::ErrorKind::InvalidData.into()),
        Err(error) => return Err(invalid(error)),
    };
    let mut uri = Uri::builder().scheme("http").authority(head.host);
    // OPTIONS * has no path in HTTP/2's form of a URI but the asterisk.
    uri = uri.path_and_query(head.target.raw());
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(head.method.as_str().as_bytes()).map_err(invalid)?;
    *request.uri_mut() = uri.build().map_err(invalid)?;
    let fields = request.headers_mut();
    for (name, value) in head.fields.iter() {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(invalid)?;
        if !is_of_connection(&name) {
            fields.append(name, HeaderValue::from_bytes(value).map_err(invalid)?);
        }
    }
    // For this hop: what comes behind the node's body is passed on where its recipient can take it.
    fields.insert(header::TE, HeaderValue::from_static("trailers"));
    let left = match head.framing {
        RequestFraming::None => Some(0),
        RequestFraming::Length(bytes) => Some(bytes),
        RequestFraming::Chunked => None,
    };
    Ok(Asked { request, left, head_bytes: head.head_bytes })
}

/// What HTTP/2 says by other means (RFC 9113 8.2.2), or does not have.
fn is_of_connection(name: &HeaderName) -> bool {
    *name == header::HOST
        || *name == header::CONNECTION
        || *name == header::TRANSFER_ENCODING
        || *name == header::UPGRADE
        || *name == header::TE
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_said_without_what_belongs_to_connections() {
        let text =
            b"POST /a?b HTTP/1.1\r\nHost: a.example:8080\r\nX: 1\r\nX-Forwarded-For: 192.0.2.1\r\n\
            Transfer-Encoding: chunked\r\n\r\nbody";
        let asked = read(text).unwrap();
        assert_eq!(asked.request.uri(), "http://a.example:8080/a?b");
        assert_eq!(asked.left, None);
        assert_eq!(&text[asked.head_bytes..], b"body");
        let names: Vec<_> = asked.request.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x", "x-forwarded-for", "te"]);
    }

    #[test]
    fn the_asterisk_survives() {
        let asked = read(b"OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n").unwrap();
        assert_eq!(asked.request.uri().path(), "*");
        assert_eq!(asked.left, Some(0));
    }
}
