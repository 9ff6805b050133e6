//! The head of a request to a node that speaks the uwsgi protocol: one packet of CGI-style vars.
//!
//! Names, order and values are those of uWSGI's http router (spec http-router.md 3.5), so that an
//! application cannot tell the two apart, minus its weaknesses: REMOTE_PORT is in the right byte
//! order, PATH_INFO holds no NUL and no climbing segments, names with `_` and `Proxy` are dropped, and
//! X-Forwarded-*, Forwarded and Via are ours.

use http1_wire::{RequestFraming, Version, decode_path, write_via};
use router_core::buffer::{self, Use};
use uwsgi_wire::{EncodeError, PacketWriter, WireKey};

use super::{
    forward::Forward,
    judge::{Denial, Wish},
    raw_body::packet_modifier1,
};
use crate::{context::Scheme, policy::ServerName};

/// A key that is put together when this is compiled.
macro_rules! key {
    ($name:literal) => {
        const { &WireKey::new($name) }
    };
}

/// Appends the packet for a uwsgi node.
///
/// # Errors
/// 400 for a path that cannot be decoded, 431 for vars past the 65,535 bytes of a packet.
pub fn write_head(forward: &Forward<'_>, out: &mut Vec<u8>) -> Result<(), Denial> {
    let mut path = buffer::take(Use::Head);
    let mut scratch = buffer::take(Use::Head);
    let outcome = match decode_path(forward.head.target.path(), &mut path) {
        Ok(()) => {
            write_packet(forward, &path, &mut scratch, out).map_err(|_too_long| Denial::Status(431))
        }
        Err(error) => Err(Denial::Path(error)),
    };
    buffer::give(Use::Head, scratch);
    buffer::give(Use::Head, path);
    outcome
}

fn write_packet(
    forward: &Forward<'_>,
    path: &[u8],
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let (policy, node) = (forward.policy, &forward.node.facts);
    let instead = |own: u8, announced: u8| if own > 0 { own } else { announced };
    let modifier1 = packet_modifier1(instead(policy.modifier1, node.modifier1));
    let modifier2 = instead(policy.modifier2, node.modifier2);
    let mut packet = PacketWriter::start(out, modifier1, modifier2)?;
    write_request_vars(forward, path, &mut packet)?;
    write_connection_vars(forward, &mut packet)?;
    write_header_vars(forward, &mut packet)?;
    write_forwarded_vars(forward, scratch, &mut packet)?;
    for var in &policy.http_vars {
        packet.pair(var.name.as_bytes(), var.value.as_bytes())?;
    }
    packet.finish();
    Ok(())
}

fn write_request_vars(
    forward: &Forward<'_>,
    path: &[u8],
    packet: &mut PacketWriter<'_>,
) -> Result<(), EncodeError> {
    let head = forward.head;
    packet.pair_of(key!("REQUEST_METHOD"), head.method.as_str().as_bytes())?;
    match head.target.query() {
        Some(query) => {
            packet.pair_of(key!("PATH_INFO"), path)?;
            packet.pair_of(key!("REQUEST_URI"), head.target.raw())?;
            packet.pair_of(key!("QUERY_STRING"), query)?;
        }
        None => {
            packet.pair_of(key!("REQUEST_URI"), head.target.raw())?;
            packet.pair_of(key!("PATH_INFO"), path)?;
            packet.pair_of(key!("QUERY_STRING"), b"")?;
        }
    }
    let protocol: &[u8] = match head.version {
        Version::Http10 => b"HTTP/1.0",
        Version::Http11 => b"HTTP/1.1",
    };
    packet.pair_of(key!("SERVER_PROTOCOL"), protocol)?;
    packet.pair_of(key!("SCRIPT_NAME"), b"")
}

fn write_connection_vars(
    forward: &Forward<'_>,
    packet: &mut PacketWriter<'_>,
) -> Result<(), EncodeError> {
    let from = forward.from;
    let server_name = match forward.policy.server_name {
        ServerName::Machine => &forward.ctx.shared.hostname,
        ServerName::HttpHost => forward.host.host(),
    };
    packet.pair_of(key!("SERVER_NAME"), server_name.as_bytes())?;
    packet.pair_of(key!("SERVER_PORT"), forward.conn.local_port.as_bytes())?;
    packet.pair_of(key!("UWSGI_ROUTER"), b"http")?;
    if from.scheme == Scheme::Https {
        packet.pair_of(key!("HTTPS"), b"on")?;
    }
    if let Some(cert) = &forward.conn.client_cert {
        packet.pair_of(key!("HTTPS_CLIENT_CERTIFICATE"), &cert.der)?;
        packet.pair_of(key!("HTTPS_DN"), cert.dn.as_bytes())?;
        if let Some(pem) = &cert.pem {
            packet.pair_of(key!("HTTPS_CC"), pem.as_bytes())?;
        }
    }
    packet.pair_of(key!("REMOTE_ADDR"), from.ip_text.as_bytes())?;
    packet.pair_of(key!("REMOTE_PORT"), itoa::Buffer::new().format(from.port).as_bytes())
}

/// The client's fields in order of first appearance. Fields of one name become one var, joined as
/// RFC 9110 section 5.2 joins lists, cookies as RFC 6265 does.
fn write_header_vars(
    forward: &Forward<'_>,
    packet: &mut PacketWriter<'_>,
) -> Result<(), EncodeError> {
    let named = !forward.request_id.is_empty();
    let is_ours = |name: &str| {
        (named && name.eq_ignore_ascii_case("x-request-id"))
            || forward.trace.is_some_and(|trace| trace.replaces(name))
    };
    let fields = || forward.head.forwarded_fields().filter(|(name, _)| !is_ours(name));
    packet.pair_of(key!("HTTP_HOST"), forward.host.host_port().as_bytes())?;
    match forward.framing {
        RequestFraming::None => {}
        RequestFraming::Length(bytes) => {
            packet.pair_of(key!("CONTENT_LENGTH"), itoa::Buffer::new().format(bytes).as_bytes())?;
        }
        // Written anew, as the chunks are.
        RequestFraming::Chunked => packet.pair_of(key!("HTTP_TRANSFER_ENCODING"), b"chunked")?,
    }
    if Wish::of(forward.head) == Wish::WebSocket {
        // What an application needs to answer the handshake (spec http-router.md 4.3).
        packet.pair_of(key!("HTTP_UPGRADE"), b"websocket")?;
        packet.pair_of(key!("HTTP_CONNECTION"), b"Upgrade")?;
    }
    if !may_repeat(fields().map(|(name, _)| name)) {
        return fields().try_for_each(|(name, value)| write_header_var(name, value, packet));
    }
    for (at, (name, value)) in fields().enumerate() {
        let same = |other: &(&str, &[u8])| other.0.eq_ignore_ascii_case(name);
        if fields().take(at).any(|other| same(&other)) {
            continue;
        }
        let later = fields().skip(at + 1);
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

/// Whether some name may be there twice, in any case. Most heads repeat none, and then need not be
/// compared name by name.
fn may_repeat<'n>(names: impl Iterator<Item = &'n str>) -> bool {
    let mut seen = [0u64; 16];
    for name in names {
        let [first, .., last] = name.as_bytes() else {
            // A name of one byte is rare enough.
            return true;
        };
        let letters = usize::from(first | 0x20) * 37 + usize::from(last | 0x20) * 5;
        let place = (letters + name.len() * 131) % (seen.len() * 64);
        let bit = 1 << (place % 64);
        if seen[place / 64] & bit != 0 {
            return true;
        }
        seen[place / 64] |= bit;
    }
    false
}

fn write_header_var(
    name: &str,
    value: &[u8],
    packet: &mut PacketWriter<'_>,
) -> Result<(), EncodeError> {
    if name.eq_ignore_ascii_case("content-type") {
        return packet.pair_of(key!("CONTENT_TYPE"), value);
    }
    packet.pair_mapped(b"HTTP_", name.as_bytes(), cgi_octet, value)
}

fn cgi_octet(octet: u8) -> u8 {
    if octet == b'-' { b'_' } else { octet.to_ascii_uppercase() }
}

fn write_forwarded_vars(
    forward: &Forward<'_>,
    scratch: &mut Vec<u8>,
    packet: &mut PacketWriter<'_>,
) -> Result<(), EncodeError> {
    let claims = forward.from.claims();
    claims.write_for(scratch);
    packet.pair_of(key!("HTTP_X_FORWARDED_FOR"), scratch)?;
    packet.pair_of(key!("HTTP_X_FORWARDED_PROTO"), claims.proto.as_bytes())?;
    packet.pair_of(key!("HTTP_X_FORWARDED_HOST"), claims.host.as_bytes())?;
    packet.pair_of(key!("HTTP_X_FORWARDED_PORT"), claims.port.as_bytes())?;
    scratch.clear();
    claims.write_forwarded(scratch);
    packet.pair_of(key!("HTTP_FORWARDED"), scratch)?;
    scratch.clear();
    write_via(forward.head, &forward.ctx.shared.headers.via, scratch);
    if !scratch.is_empty() {
        packet.pair_of(key!("HTTP_VIA"), scratch)?;
    }
    if !forward.request_id.is_empty() {
        packet.pair_of(key!("HTTP_X_REQUEST_ID"), forward.request_id)?;
    }
    if let Some(trace) = &forward.trace {
        packet.pair_of(key!("HTTP_TRACEPARENT"), &trace.parent.text())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::may_repeat;

    #[test]
    fn a_name_that_is_there_twice_is_always_noticed() {
        let names = ["Accept", "accept-language", "Accept-Encoding", "Cookie", "User-Agent", "x-a"];
        assert!(!may_repeat(names.into_iter()));
        for name in names {
            for again in [name.to_lowercase(), name.to_uppercase()] {
                assert!(may_repeat(names.into_iter().chain([&*again])), "{again}");
            }
        }
        assert!(may_repeat(["a"].into_iter()), "not looked at");
    }
}
