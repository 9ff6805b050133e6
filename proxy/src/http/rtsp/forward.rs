//! The head of an RTSP request for a uwsgi node: one packet, after which the connection is raw.
//!
//! Vars as of an HTTP request (`forward_uwsgi`), with what RTSP changes: SERVER_PROTOCOL, and a
//! PATH_INFO that is the path of the URL. uWSGI's router sends PATH_INFO twice and lets the second one
//! count; here there is one.

use http1_wire::{RtspHead, TargetError, decode_path, is_forwardable};
use route_table::{CanonicalHost, Node};
use router_core::buffer::{self, Use};
use uwsgi_wire::{EncodeError, PacketWriter};

use crate::{
    context::{ConnFacts, Context, Scheme},
    http::raw_body::packet_modifier1,
};

/// Why there is no packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PacketError {
    /// The path cannot be decoded.
    #[error(transparent)]
    Path(#[from] TargetError),
    /// The vars pass the bounds of a packet.
    #[error(transparent)]
    Vars(#[from] EncodeError),
}

impl PacketError {
    /// Status of the answer.
    pub const fn status(self) -> u16 {
        match self {
            Self::Path(error) => error.status(),
            Self::Vars(_) => 431,
        }
    }
}

/// Appends the packet for a uwsgi node.
///
/// # Errors
/// [`PacketError`].
pub fn write_packet(
    ctx: &Context,
    conn: &ConnFacts,
    head: &RtspHead<'_, '_>,
    host: &CanonicalHost<'_>,
    node: &Node,
    out: &mut Vec<u8>,
) -> Result<(), PacketError> {
    let mut path = buffer::take(Use::Head);
    let outcome = match decode_path(head.target.path, &mut path) {
        Err(error) => Err(error.into()),
        Ok(()) => write_vars(ctx, conn, head, host, node, &path, out).map_err(PacketError::from),
    };
    buffer::give(Use::Head, path);
    outcome
}

fn write_vars(
    ctx: &Context,
    conn: &ConnFacts,
    head: &RtspHead<'_, '_>,
    host: &CanonicalHost<'_>,
    node: &Node,
    path: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let mut packet =
        PacketWriter::start(out, packet_modifier1(node.facts.modifier1), node.facts.modifier2)?;
    packet.pair(b"REQUEST_METHOD", head.method.as_bytes())?;
    packet.pair(b"REQUEST_URI", head.target.raw)?;
    packet.pair(b"PATH_INFO", path)?;
    packet.pair(b"QUERY_STRING", head.target.query.unwrap_or_default())?;
    packet.pair(b"SERVER_PROTOCOL", b"RTSP/1.0")?;
    packet.pair(b"SCRIPT_NAME", b"")?;
    packet.pair(b"SERVER_NAME", ctx.shared.hostname.as_bytes())?;
    packet.pair(b"SERVER_PORT", conn.local_port.as_bytes())?;
    packet.pair(b"UWSGI_ROUTER", b"http")?;
    if conn.scheme == Scheme::Https {
        packet.pair(b"HTTPS", b"on")?;
    }
    packet.pair(b"REMOTE_ADDR", conn.client_ip().as_bytes())?;
    packet.pair(b"REMOTE_PORT", itoa::Buffer::new().format(conn.client_port).as_bytes())?;
    packet.pair(b"HTTP_HOST", host.host_port().as_bytes())?;
    if head.body_bytes > 0 {
        packet.pair(b"CONTENT_LENGTH", itoa::Buffer::new().format(head.body_bytes).as_bytes())?;
    }
    let to_cgi = |octet: u8| if octet == b'-' { b'_' } else { octet.to_ascii_uppercase() };
    for (at, (name, value)) in head.fields.iter().enumerate() {
        let repeated =
            || head.fields.iter().take(at).any(|(other, _)| other.eq_ignore_ascii_case(name));
        // Of a repeated field the first counts: nothing of RTSP is a list that a router may join.
        if !is_forwardable(name) || repeated() {
            continue;
        }
        if name.eq_ignore_ascii_case("content-type") {
            packet.pair(b"CONTENT_TYPE", value)?;
        } else {
            packet.pair_mapped(b"HTTP_", name.as_bytes(), to_cgi, value)?;
        }
    }
    packet.pair(b"HTTP_X_FORWARDED_FOR", conn.client_ip().as_bytes())?;
    packet.finish();
    Ok(())
}
