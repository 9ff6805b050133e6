//! The head of a request to a node that speaks the uwsgi protocol: one packet of CGI-style vars.
//!
//! Names, order and values are those of uWSGI's http router (spec http-router.md 3.5), so that an
//! application cannot tell the two apart, minus its weaknesses: REMOTE_PORT is in the right byte
//! order, PATH_INFO holds no NUL and no climbing segments, names with `_` and `Proxy` are dropped, and
//! X-Forwarded-* are ours.

use http1_wire::{RequestFraming, RequestHead, Version, decode_path};
use route_table::{CanonicalHost, Node};
use router_core::buffer::{self, Use};
use uwsgi_wire::{EncodeError, PacketWriter};

use super::judge::{Denial, Wish};
use crate::context::{ConnFacts, Context, Scheme};

/// Appends the packet for a uwsgi node.
///
/// # Errors
/// 400 for a path that cannot be decoded, 431 for vars past the 65,535 bytes of a packet.
pub fn write_head(
    ctx: &Context,
    conn: &ConnFacts,
    head: &RequestHead<'_, '_>,
    host: &CanonicalHost<'_>,
    framing: RequestFraming,
    node: &Node,
    out: &mut Vec<u8>,
) -> Result<(), Denial> {
    let mut path = buffer::take(Use::Head);
    let outcome = match decode_path(head.target.path(), &mut path) {
        Ok(()) => {
            let facts = Facts { ctx, conn, head, host, framing, path: &path };
            write_packet(&facts, node, out).map_err(|_too_long| Denial::Status(431))
        }
        Err(error) => Err(Denial::Path(error)),
    };
    buffer::give(Use::Head, path);
    outcome
}

struct Facts<'a> {
    ctx: &'a Context,
    conn: &'a ConnFacts,
    head: &'a RequestHead<'a, 'a>,
    host: &'a CanonicalHost<'a>,
    framing: RequestFraming,
    path: &'a [u8],
}

fn write_packet(facts: &Facts<'_>, node: &Node, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let mut packet = PacketWriter::start(out, node.facts.modifier1, node.facts.modifier2)?;
    write_request_vars(facts, &mut packet)?;
    write_connection_vars(facts, &mut packet)?;
    write_header_vars(facts, &mut packet)?;
    write_forwarded_vars(facts, &mut packet)?;
    packet.finish();
    Ok(())
}

fn write_request_vars(facts: &Facts<'_>, packet: &mut PacketWriter<'_>) -> Result<(), EncodeError> {
    let head = facts.head;
    packet.pair(b"REQUEST_METHOD", head.method.as_str().as_bytes())?;
    match head.target.query() {
        Some(query) => {
            packet.pair(b"PATH_INFO", facts.path)?;
            packet.pair(b"REQUEST_URI", head.target.raw())?;
            packet.pair(b"QUERY_STRING", query)?;
        }
        None => {
            packet.pair(b"REQUEST_URI", head.target.raw())?;
            packet.pair(b"PATH_INFO", facts.path)?;
            packet.pair(b"QUERY_STRING", b"")?;
        }
    }
    let protocol: &[u8] = match head.version {
        Version::Http10 => b"HTTP/1.0",
        Version::Http11 => b"HTTP/1.1",
    };
    packet.pair(b"SERVER_PROTOCOL", protocol)?;
    packet.pair(b"SCRIPT_NAME", b"")
}

fn write_connection_vars(
    facts: &Facts<'_>,
    packet: &mut PacketWriter<'_>,
) -> Result<(), EncodeError> {
    let conn = facts.conn;
    packet.pair(b"SERVER_NAME", facts.ctx.shared.hostname.as_bytes())?;
    packet.pair(b"SERVER_PORT", conn.local_port.as_bytes())?;
    packet.pair(b"UWSGI_ROUTER", b"http")?;
    if conn.scheme == Scheme::Https {
        packet.pair(b"HTTPS", b"on")?;
    }
    if let Some(cert) = &conn.client_cert {
        packet.pair(b"HTTPS_CLIENT_CERTIFICATE", &cert.der)?;
        packet.pair(b"HTTPS_DN", cert.dn.as_bytes())?;
        if let Some(pem) = &cert.pem {
            packet.pair(b"HTTPS_CC", pem.as_bytes())?;
        }
    }
    packet.pair(b"REMOTE_ADDR", conn.client_ip().as_bytes())?;
    packet.pair(b"REMOTE_PORT", itoa::Buffer::new().format(conn.client_port).as_bytes())
}

/// The client's fields in order of first appearance. Fields of one name become one var, joined as
/// RFC 9110 section 5.2 joins lists, cookies as RFC 6265 does.
fn write_header_vars(facts: &Facts<'_>, packet: &mut PacketWriter<'_>) -> Result<(), EncodeError> {
    packet.pair(b"HTTP_HOST", facts.host.host_port().as_bytes())?;
    if let RequestFraming::Length(bytes) = facts.framing {
        packet.pair(b"CONTENT_LENGTH", itoa::Buffer::new().format(bytes).as_bytes())?;
    }
    if Wish::of(facts.head) == Wish::WebSocket {
        // What an application needs to answer the handshake (spec http-router.md 4.3).
        packet.pair(b"HTTP_UPGRADE", b"websocket")?;
        packet.pair(b"HTTP_CONNECTION", b"Upgrade")?;
    }
    for (at, (name, value)) in facts.head.forwarded_fields().enumerate() {
        let same = |other: &(&str, &[u8])| other.0.eq_ignore_ascii_case(name);
        if facts.head.forwarded_fields().take(at).any(|other| same(&other)) {
            continue;
        }
        let later = facts.head.forwarded_fields().skip(at + 1);
        let mut repeats = later.filter(same).map(|(_, value)| value).peekable();
        if repeats.peek().is_none() {
            write_header_var(name, value, packet)?;
            continue;
        }
        let joint: &[u8] = if name.eq_ignore_ascii_case("cookie") { b"; " } else { b", " };
        let mut joined = value.to_vec();
        for repeat in repeats {
            joined.extend_from_slice(joint);
            joined.extend_from_slice(repeat);
        }
        write_header_var(name, &joined, packet)?;
    }
    Ok(())
}

fn write_header_var(
    name: &str,
    value: &[u8],
    packet: &mut PacketWriter<'_>,
) -> Result<(), EncodeError> {
    if name.eq_ignore_ascii_case("content-type") {
        return packet.pair(b"CONTENT_TYPE", value);
    }
    packet.pair_mapped(b"HTTP_", name.as_bytes(), cgi_octet, value)
}

fn cgi_octet(octet: u8) -> u8 {
    if octet == b'-' { b'_' } else { octet.to_ascii_uppercase() }
}

fn write_forwarded_vars(
    facts: &Facts<'_>,
    packet: &mut PacketWriter<'_>,
) -> Result<(), EncodeError> {
    let conn = facts.conn;
    packet.pair(b"HTTP_X_FORWARDED_FOR", conn.client_ip().as_bytes())?;
    packet.pair(b"HTTP_X_FORWARDED_PROTO", conn.scheme.name().as_bytes())?;
    packet.pair(b"HTTP_X_FORWARDED_HOST", facts.host.host_port().as_bytes())?;
    packet.pair(b"HTTP_X_FORWARDED_PORT", conn.local_port.as_bytes())
}
