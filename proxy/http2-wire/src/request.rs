//! The head of an HTTP/2 request as an HTTP/1.1 head.
//!
//! What can be said in HTTP/2 and not in HTTP/1, or said twice, is decided here; everything else is
//! left to `http1_wire::parse_request`, which reads what is written here by the rules all requests
//! are under. The fields come from a codec that let no CR, LF or NUL and no upper case through; this
//! is checked again, because whatever slipped through would be another request.

use crate::limits::FIELDS_MAX;

/// The pseudo-header fields of a request (RFC 9113 8.3.1) and what else decides its head.
#[derive(Clone, Copy, Debug)]
pub struct RequestParts<'a> {
    /// `:method`
    pub method: &'a str,
    /// `:authority`
    pub authority: Option<&'a str>,
    /// `:path`, with its query; empty for a plain CONNECT.
    pub path: &'a str,
    /// `:protocol` of an extended CONNECT (RFC 8441).
    pub protocol: Option<&'a str>,
    /// Whether a body follows.
    pub body: HeadBody,
    /// The `Sec-WebSocket-Key` of the handshake an extended CONNECT becomes: 16 random bytes in
    /// base64. The client has none, since HTTP/2 needs no proof that its peer speaks WebSocket.
    pub websocket_key: &'a str,
}

/// Whether a body follows a head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HeadBody {
    /// The stream ended with the head.
    None,
    /// DATA frames follow, as many octets as `content-length` says if it is there.
    Follows,
}

/// Why a head was refused before HTTP/1 rules could judge it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RequestRefusal {
    /// More than [`FIELDS_MAX`] fields.
    #[error("too many header fields")]
    TooManyFields,
    /// A field of HTTP/1 connections (RFC 9113 8.2.2), or `te` with more than `trailers`.
    #[error("a field that HTTP/2 does not have")]
    ConnectionField,
    /// A name with upper case or no token, or a value with CR, LF, NUL or whitespace around it
    /// (RFC 9113 8.2.1).
    #[error("a header field is malformed")]
    FieldMalformed,
    /// `host` is there twice, or beside an `:authority` it differs from (RFC 9113 8.3.1).
    #[error("host disagrees with :authority")]
    HostDisagrees,
    /// An extended CONNECT for another protocol than `websocket`, or one with a length.
    #[error("the protocol of the extended CONNECT is not supported")]
    ProtocolUnknown,
    /// A pseudo-header field that cannot be written into a request line.
    #[error("a pseudo-header field is malformed")]
    PseudoMalformed,
}

impl RequestRefusal {
    /// Status of the answer.
    pub const fn status(self) -> u16 {
        match self {
            Self::TooManyFields => 431,
            Self::ProtocolUnknown => 501,
            _ => 400,
        }
    }

    /// Name of its row in the reject table and of its counter.
    pub const fn label(self) -> &'static str {
        match self {
            Self::TooManyFields => "http2_too_many_fields",
            Self::ConnectionField => "http2_connection_field",
            Self::FieldMalformed => "http2_field",
            Self::HostDisagrees => "http2_host_disagrees",
            Self::ProtocolUnknown => "http2_protocol",
            Self::PseudoMalformed => "http2_pseudo_field",
        }
    }

    /// Every refusal.
    pub const ALL: [Self; 6] = [
        Self::TooManyFields,
        Self::ConnectionField,
        Self::FieldMalformed,
        Self::HostDisagrees,
        Self::ProtocolUnknown,
        Self::PseudoMalformed,
    ];
}

/// Appends the HTTP/1.1 head of a request; on an error `out` holds part of one.
///
/// `fields` gives the fields in their order, each time anew.
///
/// A body of unstated length becomes a chunked one. Cookie crumbs are joined (RFC 9113 8.2.3). An
/// extended CONNECT for a WebSocket becomes the handshake of RFC 6455.
///
/// # Errors
/// [`RequestRefusal`], the first rule broken.
pub fn write_request<'f, I: Iterator<Item = (&'f str, &'f [u8])>>(
    parts: &RequestParts<'f>,
    fields: impl Fn() -> I,
    out: &mut Vec<u8>,
) -> Result<(), RequestRefusal> {
    let websocket = match parts.protocol {
        None => false,
        Some(name) if name.eq_ignore_ascii_case("websocket") && parts.method == "CONNECT" => true,
        Some(_) => return Err(RequestRefusal::ProtocolUnknown),
    };
    let method = if websocket { "GET" } else { parts.method };
    for text in [method, parts.path] {
        // Without an early end, so that many octets are looked at at once.
        if text.bytes().fold(false, |bad, octet| bad | (octet <= b' ') | (octet == 0x7f)) {
            return Err(RequestRefusal::PseudoMalformed);
        }
    }
    let found = Found::among(parts, fields())?;
    if websocket && found.states_length {
        return Err(RequestRefusal::ProtocolUnknown);
    }
    out.extend_from_slice(method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(parts.path.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    if let Some(host) = found.host {
        write_field("host", host, out);
    }
    for (name, value) in fields().filter(|(name, _)| !matches!(*name, "host" | "cookie")) {
        write_field(name, value, out);
    }
    if found.has_cookie {
        write_cookie(fields(), out);
    }
    if websocket {
        out.extend_from_slice(b"connection: upgrade\r\nupgrade: websocket\r\n");
        write_field("sec-websocket-key", parts.websocket_key.as_bytes(), out);
    } else if parts.body == HeadBody::Follows && !found.states_length {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// What a walk over the fields found.
struct Found<'f> {
    host: Option<&'f [u8]>,
    states_length: bool,
    has_cookie: bool,
}

impl<'f> Found<'f> {
    fn among(
        parts: &RequestParts<'f>,
        fields: impl Iterator<Item = (&'f str, &'f [u8])>,
    ) -> Result<Self, RequestRefusal> {
        let host = parts.authority.map(str::as_bytes);
        let mut found = Self { host, states_length: false, has_cookie: false };
        let mut host_fields = 0;
        let mut count = 0;
        for (name, value) in fields {
            check_octets(name, value)?;
            match name {
                "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding"
                | "upgrade" => return Err(RequestRefusal::ConnectionField),
                "te" if !value.eq_ignore_ascii_case(b"trailers") => {
                    return Err(RequestRefusal::ConnectionField);
                }
                "host" => {
                    host_fields += 1;
                    let same = found.host.is_none_or(|host| host.eq_ignore_ascii_case(value));
                    if host_fields > 1 || !same {
                        return Err(RequestRefusal::HostDisagrees);
                    }
                    found.host = Some(value);
                }
                "content-length" => found.states_length = true,
                // Crumbs are one field to HTTP/1; `write_cookie` bounds nothing the codec did not.
                "cookie" => {
                    found.has_cookie = true;
                    continue;
                }
                _ => {}
            }
            count += 1;
            if count > FIELDS_MAX {
                return Err(RequestRefusal::TooManyFields);
            }
        }
        // An authority goes into a field, so it is under the rules of one.
        match found.host {
            Some(host) => check_octets("host", host).map(|()| found),
            None => Ok(found),
        }
    }
}

fn check_octets(name: &str, value: &[u8]) -> Result<(), RequestRefusal> {
    let is_name = name.bytes().fold(true, |good, octet| good & IS_NAME[usize::from(octet)]);
    let breaks = |octet: u8| (octet == b'\r') | (octet == b'\n') | (octet == 0);
    let broken = value.iter().fold(false, |bad, octet| bad | breaks(*octet));
    let ends = [value.first(), value.last()];
    let padded = ends.into_iter().flatten().any(u8::is_ascii_whitespace);
    if name.is_empty() || !is_name || broken || padded {
        return Err(RequestRefusal::FieldMalformed);
    }
    Ok(())
}

/// The octets of a name: those of a token (RFC 9110 5.6.2) without upper case.
const IS_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut octet = 0;
    while octet < table.len() {
        let letter = octet as u8;
        table[octet] = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        octet += 1;
    }
    let others = b"!#$%&'*+-.^_`|~";
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
};

fn write_field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn write_cookie<'f>(fields: impl Iterator<Item = (&'f str, &'f [u8])>, out: &mut Vec<u8>) {
    let mut joint: &[u8] = b"cookie: ";
    for (_, crumb) in fields.filter(|(name, _)| *name == "cookie") {
        out.extend_from_slice(joint);
        out.extend_from_slice(crumb);
        joint = b"; ";
    }
    if joint == b"; " {
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: RequestParts<'_> = RequestParts {
        method: "GET",
        authority: Some("a.example"),
        path: "/p?q",
        protocol: None,
        body: HeadBody::None,
        websocket_key: "AAAAAAAAAAAAAAAAAAAAAA==",
    };

    fn write<'f>(
        parts: &RequestParts<'f>,
        fields: &[(&'f str, &'f str)],
    ) -> Result<String, RequestRefusal> {
        let mut out = Vec::new();
        let fields = || fields.iter().map(|(name, value)| (*name, value.as_bytes()));
        write_request(parts, fields, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_request_becomes_its_http1_head() {
        assert_eq!(
            write(&PLAIN, &[("accept", "*/*"), ("x", "1")]).unwrap(),
            "GET /p?q HTTP/1.1\r\nhost: a.example\r\naccept: */*\r\nx: 1\r\n\r\n"
        );
    }

    #[test]
    fn cookie_crumbs_are_joined() {
        let head = write(&PLAIN, &[("cookie", "a=1"), ("x", "1"), ("cookie", "b=2")]).unwrap();
        assert!(head.ends_with("x: 1\r\ncookie: a=1; b=2\r\n\r\n"), "{head}");
    }

    #[test]
    fn a_body_of_unstated_length_is_chunked_and_a_stated_one_is_not() {
        let post = RequestParts { method: "POST", body: HeadBody::Follows, ..PLAIN };
        assert!(write(&post, &[]).unwrap().contains("transfer-encoding: chunked\r\n"));
        let stated = write(&post, &[("content-length", "5")]).unwrap();
        assert!(stated.contains("content-length: 5\r\n") && !stated.contains("chunked"));
    }

    #[test]
    fn fields_of_http1_connections_are_refused() {
        for name in ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"]
        {
            let refusal = write(&PLAIN, &[(name, "close")]).unwrap_err();
            assert_eq!(refusal, RequestRefusal::ConnectionField);
        }
        assert_eq!(write(&PLAIN, &[("te", "gzip")]), Err(RequestRefusal::ConnectionField));
        assert!(write(&PLAIN, &[("te", "trailers")]).is_ok());
    }

    #[test]
    fn host_may_stand_for_the_authority_but_not_against_it() {
        let bare = RequestParts { authority: None, ..PLAIN };
        assert!(write(&bare, &[("host", "b.example")]).unwrap().contains("host: b.example\r\n"));
        assert!(write(&PLAIN, &[("host", "A.example")]).is_ok());
        assert_eq!(write(&PLAIN, &[("host", "b.example")]), Err(RequestRefusal::HostDisagrees));
        let twice = [("host", "a.example"), ("host", "a.example")];
        assert_eq!(write(&PLAIN, &twice), Err(RequestRefusal::HostDisagrees));
    }

    #[test]
    fn nothing_can_break_out_of_its_line() {
        for (name, value) in
            [("x", "1\r\ny: 2"), ("x", "\n"), ("x\r\ny", "1"), ("X", "1"), ("", "")]
        {
            assert_eq!(write(&PLAIN, &[(name, value)]), Err(RequestRefusal::FieldMalformed));
        }
        for path in ["/a b", "/a\r\nx: 1", "/\0"] {
            let parts = RequestParts { path, ..PLAIN };
            assert_eq!(write(&parts, &[]), Err(RequestRefusal::PseudoMalformed));
        }
        let parts = RequestParts { authority: Some("a\r\nx: 1"), ..PLAIN };
        assert_eq!(write(&parts, &[]), Err(RequestRefusal::FieldMalformed));
    }

    #[test]
    fn an_extended_connect_becomes_a_websocket_handshake() {
        let connect = RequestParts {
            method: "CONNECT",
            protocol: Some("websocket"),
            body: HeadBody::Follows,
            ..PLAIN
        };
        let head = write(&connect, &[("sec-websocket-version", "13")]).unwrap();
        assert!(head.starts_with("GET /p?q HTTP/1.1\r\n") && !head.contains("chunked"), "{head}");
        assert!(head.contains("upgrade: websocket\r\n"), "{head}");
        let other = RequestParts { protocol: Some("connect-udp"), ..connect };
        assert_eq!(write(&other, &[]), Err(RequestRefusal::ProtocolUnknown));
        let get = RequestParts { method: "GET", ..connect };
        assert_eq!(write(&get, &[]), Err(RequestRefusal::ProtocolUnknown));
    }

    #[test]
    fn fields_are_counted_without_crumbs() {
        let many = vec![("x", "1"); FIELDS_MAX];
        assert!(write(&PLAIN, &many).is_ok());
        let crumbs = vec![("cookie", "a=1"); FIELDS_MAX + 50];
        assert!(write(&PLAIN, &crumbs).is_ok());
        let more = vec![("x", "1"); FIELDS_MAX + 1];
        assert_eq!(write(&PLAIN, &more), Err(RequestRefusal::TooManyFields));
    }
}
