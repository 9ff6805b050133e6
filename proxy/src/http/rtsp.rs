//! RTSP/1.0 on the HTTP listeners: who is asked for, and how the router itself answers.
//!
//! RTSP is a conversation with one server: the first request of a connection chooses a node, and
//! from that node's first answer on everything passes through unread (`session`). Only bytes that
//! are no HTTP request come here, so HTTP pays nothing for it.

mod choice;
mod forward;
pub mod over_http;
pub mod pairs;
pub mod session;

use http1_wire::{Parsed, RtspHead, RtspSlots, RtspStart, decode_path, parse_rtsp, rtsp_start};
use route_table::{CanonicalHost, HostBuf, KeyError, Route, Table, Tried, canonical_host};
use router_core::buffer::{self, Use};

use super::{
    judge::{Judged, fallback},
    rejects,
    reply::wording,
};
use crate::{
    context::{ConnFacts, Context},
    policy::streams::Switch,
};

/// An RTSP request as far as it is known before a node is looked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Call {
    /// Bytes of the head; of what was received, if that is no sound head.
    pub head_bytes: usize,
    /// Bytes of the body behind it, or why the head is refused.
    pub verdict: Result<u64, Refused>,
}

/// An RTSP request answered by this router.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    /// Status of the answer.
    pub status: u16,
    /// Whether the next request begins where this one ended.
    pub may_stay: bool,
}

impl Refused {
    /// The request is answered and the connection closed.
    pub const fn closing(status: u16) -> Self {
        Self { status, may_stay: false }
    }
}

/// Judges bytes that are no HTTP request. `None` if they are no RTSP request either, or RTSP is not
/// wanted here.
#[cold]
pub fn judge(ctx: &Context, bytes: &[u8]) -> Option<Judged> {
    if ctx.shared.rtsp == Switch::Off {
        return None;
    }
    match rtsp_start(bytes) {
        RtspStart::Absent => return None,
        RtspStart::Partial => return Some(Judged::Partial),
        RtspStart::Present => {}
    }
    let mut slots = RtspSlots::new();
    let call = match parse_rtsp(bytes, &mut slots) {
        Ok(Parsed::Partial) => return Some(Judged::Partial),
        Ok(Parsed::Complete(head)) => {
            Call { head_bytes: head.head_bytes, verdict: Ok(head.body_bytes) }
        }
        Err(error) => {
            ctx.shard.count_head_reject(rejects::index(error.label()));
            Call { head_bytes: bytes.len(), verdict: Err(Refused::closing(error.status())) }
        }
    };
    Some(Judged::Rtsp(Box::new(call)))
}

/// The host a request is for: that of its URL; for `*`, which names none, what stands in for a
/// missing Host.
fn request_host<'b>(
    ctx: &'b Context,
    conn: &'b ConnFacts,
    head: &RtspHead<'_, '_>,
    buf: &'b mut HostBuf,
) -> Result<CanonicalHost<'b>, KeyError> {
    let substitute = || conn.sni.as_deref().unwrap_or(&ctx.shared.hostname).as_bytes();
    canonical_host(head.target.authority.unwrap_or_else(substitute), buf)
}

/// The route of a request, by its path too where keys have mountpoints.
fn route_of<'t>(
    ctx: &Context,
    table: &'t Table,
    head: &RtspHead<'_, '_>,
    host: &CanonicalHost<'_>,
    tried: &Tried,
) -> Option<&'t std::sync::Arc<Route>> {
    let mut path = buffer::take(Use::Head);
    let decoded = decode_path(head.target.path, &mut path).is_ok();
    let route = table.lookup_path(host, if decoded { &path } else { b"" }, ctx.shared.dotsplit);
    buffer::give(Use::Head, path);
    route.or_else(|| fallback(ctx, table, tried))
}

/// What the access log says about a request head.
pub struct Logged<'a> {
    /// The method.
    pub method: &'a str,
    /// The target as sent.
    pub target: &'a [u8],
    /// The canonical host.
    pub host: &'a str,
    /// The key it leads to.
    pub key: &'a str,
}

/// Hands the facts of an RTSP head to `write`, empty ones if it is not sound. Says whether it is one
/// at all.
pub fn log(ctx: &Context, conn: &ConnFacts, head: &[u8], write: impl FnOnce(Logged<'_>)) -> bool {
    if ctx.shared.rtsp == Switch::Off || rtsp_start(head) != RtspStart::Present {
        return false;
    }
    let mut slots = RtspSlots::new();
    let Ok(Parsed::Complete(head)) = parse_rtsp(head, &mut slots) else {
        write(Logged { method: "", target: b"", host: "", key: "" });
        return true;
    };
    let mut buf = HostBuf::new();
    let host = request_host(ctx, conn, &head, &mut buf).ok();
    let mut counted = Tried::default();
    counted.note_counted();
    let mut table = ctx.table.borrow_mut();
    let route = host.as_ref().and_then(|host| route_of(ctx, table.load(), &head, host, &counted));
    write(Logged {
        method: head.method,
        target: head.target.raw,
        host: host.as_ref().map_or("", |host| host.host_port()),
        key: route.map_or("", |route| route.key().as_str()),
    });
    true
}

/// Appends the answer to a request whose `CSeq` was `cseq`, if it was understood.
fn write_answer(status: u16, cseq: Option<&str>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"RTSP/1.0 ");
    out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    out.push(b' ');
    let reason = if status == 505 { "RTSP Version Not Supported" } else { wording(status).0 };
    out.extend_from_slice(reason.as_bytes());
    if let Some(cseq) = cseq {
        out.extend_from_slice(b"\r\nCSeq: ");
        out.extend_from_slice(cseq.as_bytes());
    }
    out.extend_from_slice(b"\r\n\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_repeats_the_number_it_answers() {
        let mut out = Vec::new();
        write_answer(404, Some("12"), &mut out);
        assert_eq!(out, b"RTSP/1.0 404 Not Found\r\nCSeq: 12\r\n\r\n");
        out.clear();
        write_answer(505, None, &mut out);
        assert_eq!(out, b"RTSP/1.0 505 RTSP Version Not Supported\r\n\r\n");
    }
}
