//! Judging a request head: is it sound, whose is it, and what goes to the node.
//!
//! Everything that borrows the head or the route table happens here, between two awaits. What leaves
//! is a [`Plan`] of plain facts, the chosen node, and the bytes for it.

use std::sync::Arc;

use http1_wire::{
    FieldSlots, Method, Parsed, RequestError, RequestFraming, RequestHead, TargetError, Version,
    decode_path, parse_request,
};
use route_table::{
    CanonicalHost, Dotsplit, HostBuf, KeyError, Node, PickRules, Proto, Route, Table, Tried,
    canonical_host,
};
use router_core::{
    buffer::{self, Use},
    deadline,
    metrics::Counter,
    upstream::retry::Replay,
};

pub use super::wish::Wish;

use super::{
    admission, client_auth, forward_http, forward_uwsgi,
    gate::{self, Admitted, Shed},
    in_flight::Room,
    rejects,
    reply::Text,
    rtsp::{
        self, over_http,
        pairs::{Pair, Part},
    },
};
use crate::{
    context::{ConnFacts, Context},
    policy::PolicyId,
};

/// What a head came to.
pub enum Judged {
    /// More bytes are needed.
    Partial,
    /// The request is answered by this router.
    Refused(Refusal),
    /// The request goes to a node.
    Admitted(Plan),
    /// It is no HTTP but an RTSP request.
    Rtsp(Box<rtsp::Call>),
}

/// A request answered by this router.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// Status of the answer.
    pub status: u16,
    /// What narrows it down for the reader; may be empty.
    pub detail: String,
    /// When the client may come again, in seconds; 0 leaves that open.
    pub retry_after_s: u32,
    /// Whether the answer is held back for a moment: the client asks too much.
    pub pace: Pace,
    /// Whether the answer carries its text, which one to HEAD never does (RFC 9110 9.3.2).
    pub text: Text,
    /// The head, if it kept all rules: then this counts as a request.
    pub head: Option<RefusedHead>,
}

/// When an answer is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pace {
    /// As soon as it is known.
    AtOnce,
    /// A little later, so that who is refused does not ask again as fast as it can.
    Held,
}

/// When a client may come again after an answer that says nothing better.
const fn retry_after(status: u16) -> u32 {
    if status == 503 { 5 } else { 0 }
}

/// The sound head of a refused request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RefusedHead {
    /// Bytes of it.
    pub head_bytes: usize,
    /// The client wants to keep the connection and no body is in the way.
    pub may_stay: bool,
}

impl Refusal {
    /// Without a sound head, of which `head` is what was received.
    pub fn closing(status: u16, detail: String, head: &[u8]) -> Self {
        let retry_after_s = retry_after(status);
        let text = Text::for_request(head);
        Self { status, detail, retry_after_s, pace: Pace::AtOnce, text, head: None }
    }
}

/// A request on its way to a node.
pub struct Plan {
    /// Bytes of the client's head.
    pub head_bytes: usize,
    /// The request was HEAD.
    pub is_head: bool,
    /// The client's version.
    pub version: Version,
    /// Where the request body ends.
    pub framing: RequestFraming,
    /// The client wants to keep the connection.
    pub keep_alive: bool,
    /// What the client wants to speak after this.
    pub wish: Wish,
    /// The client waits for `100 Continue` before it sends the body.
    pub expect_continue: bool,
    /// Whether the request can be sent twice while its body is untouched.
    pub replay: Replay,
    /// The rules of the key that routed it.
    pub policy: PolicyId,
    /// What counts it while it is under way.
    pub admitted: Admitted,
    /// Where to wait for a node with room, if the key's nodes are bounded.
    pub room: Option<Room>,
    /// The RTSP session it is half of.
    pub pair: Option<Box<Pair>>,
    /// The chosen node.
    pub node: Arc<Node>,
    /// The head for that node, ready to send.
    pub request: Vec<u8>,
}

/// A body that was read completely before its node was asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Held {
    /// It was not.
    No,
    /// It was, and is this long.
    Bytes(u64),
}

/// Judges the bytes received so far.
pub fn judge(ctx: &Context, conn: &ConnFacts, bytes: &[u8], tried: &Tried, held: Held) -> Judged {
    let mut slots = FieldSlots::new();
    let head = match parse_request(bytes, &mut slots) {
        Ok(Parsed::Partial) => return Judged::Partial,
        Ok(Parsed::Complete(head)) => head,
        Err(error) => {
            if error == RequestError::VersionSyntax
                && let Some(judged) = rtsp::judge(ctx, bytes)
            {
                return judged;
            }
            ctx.shard.count_head_reject(rejects::index(error.label()));
            let detail = error.to_string();
            return Judged::Refused(Refusal::closing(error.status(), detail, bytes));
        }
    };
    let mut host_buf = HostBuf::new();
    let host = match request_host(ctx, conn, &head, &mut host_buf) {
        Ok(host) => host,
        Err(error) => {
            ctx.shard.count_head_reject(rejects::index(rejects::HOST_SYNTAX));
            let detail = error.to_string();
            return Judged::Refused(Refusal::closing(400, detail, bytes));
        }
    };
    match admit(ctx, conn, &head, &host, tried, held) {
        Ok(plan) => Judged::Admitted(plan),
        Err(denial) => Judged::Refused(refuse(ctx, &head, denial)),
    }
}

/// Host, else SNI, else this machine (spec http-router.md 3.1).
pub fn request_host<'b>(
    ctx: &'b Context,
    conn: &'b ConnFacts,
    head: &RequestHead<'_, '_>,
    buf: &'b mut HostBuf,
) -> Result<CanonicalHost<'b>, KeyError> {
    let raw = if !head.host.is_empty() {
        head.host
    } else {
        conn.sni.as_deref().unwrap_or(&ctx.shared.hostname).as_bytes()
    };
    canonical_host(raw, buf)
}

fn admit(
    ctx: &Context,
    conn: &ConnFacts,
    head: &RequestHead<'_, '_>,
    host: &CanonicalHost<'_>,
    tried: &Tried,
    held: Held,
) -> Result<Plan, Denial> {
    client_auth::check_host(ctx, conn, host.host())?;
    let Chosen { policy, admitted, room, node, part } = choose(ctx, conn, head, host, tried)?;
    let framing = match held {
        Held::No => head.framing,
        Held::Bytes(bytes) => RequestFraming::Length(bytes),
    };
    let mut request = buffer::take(Use::Reply);
    match node.facts.proto {
        Proto::Http => forward_http::write_head(conn, head, host, framing, &mut request),
        Proto::Uwsgi => {
            forward_uwsgi::write_head(ctx, conn, head, host, framing, &node, &mut request)?;
        }
        // A protocol the table knows and this router does not.
        _ => return Err(Denial::Status(502)),
    }
    Ok(Plan {
        head_bytes: head.head_bytes,
        is_head: head.method == Method::Head,
        version: head.version,
        framing: head.framing,
        keep_alive: head.keep_alive,
        wish: Wish::of_part(head, part.as_ref().map(|(part, _)| *part)),
        expect_continue: head.expect_continue,
        replay: replay(head.method),
        policy,
        admitted,
        room,
        pair: part.map(|(_, pair)| Box::new(pair)),
        node,
        request,
    })
}

/// Idempotent methods (RFC 9110 section 9.2.2) may be sent again.
fn replay(method: Method<'_>) -> Replay {
    match method {
        Method::Get
        | Method::Head
        | Method::Put
        | Method::Delete
        | Method::Options
        | Method::Trace => Replay::Safe,
        Method::Post | Method::Patch | Method::Other(_) => Replay::Unsafe,
    }
}

fn choose(
    ctx: &Context,
    conn: &ConnFacts,
    head: &RequestHead<'_, '_>,
    host: &CanonicalHost<'_>,
    tried: &Tried,
) -> Result<Chosen, Denial> {
    let mut reader = ctx.table.borrow_mut();
    let table = reader.load();
    let route =
        route_of(table, head, host, ctx.shared.dotsplit).or_else(|| fallback(ctx, table, tried));
    let Some(route) = route else {
        ctx.shard.add(Counter::UnknownKey, 1);
        return Err(Denial::Status(404));
    };
    let id = ctx.shared.policies.id_of(route.key());
    let policy = ctx.shared.policies.get(id);
    admission::check(head, policy)?;
    client_auth::check_key(ctx, conn, route.key().host())?;
    let admitted = if tried.is_first() {
        gate::pass(ctx, conn, route, id, policy).map_err(Denial::Shed)?
    } else {
        Admitted::default()
    };
    let rules = PickRules {
        now_ms: deadline::now_ms(),
        client: conn.ip,
        in_flight_max: policy.resilience.node_connections_max,
        slow_start_ms: policy.resilience.slow_start.as_millis() as u64,
        wanted: None,
    };
    let part = over_http::part_of(policy, head, route);
    let node = match &part {
        None => route.pick_by(&rules, tried),
        Some((part, pair)) => {
            over_http::choose(ctx, *part, pair, tried, || route.pick_by(&rules, tried))
        }
    };
    let node = node.ok_or_else(|| {
        // After a failed attempt it is that failure which counts.
        ctx.shard.add(Counter::NoNode, u64::from(tried.is_empty()));
        Denial::Status(503)
    })?;
    Ok(Chosen { policy: id, admitted, room: Room::of(route, &policy.resilience), node, part })
}

/// What the route table has for a request.
struct Chosen {
    policy: PolicyId,
    admitted: Admitted,
    room: Option<Room>,
    node: Arc<Node>,
    part: Option<(Part, Pair)>,
}

/// The route of a request: by its path too, if any key has a mountpoint. The path is taken as an
/// application will see it; one that cannot be decoded belongs to no mountpoint.
pub fn route_of<'t>(
    table: &'t Table,
    head: &RequestHead<'_, '_>,
    host: &CanonicalHost<'_>,
    dotsplit: Dotsplit,
) -> Option<&'t Arc<Route>> {
    if !table.has_mounts() {
        return table.lookup(host, dotsplit);
    }
    let mut path = buffer::take(Use::Head);
    let decoded = decode_path(head.target.path(), &mut path).is_ok();
    let route = table.lookup_path(host, if decoded { &path } else { b"" }, dotsplit);
    buffer::give(Use::Head, path);
    route
}

/// The route of hosts that have none, if there is one.
pub fn fallback<'t>(ctx: &Context, table: &'t Table, tried: &Tried) -> Option<&'t Arc<Route>> {
    let route = table.get(ctx.shared.fallback_key.as_ref()?.as_str())?;
    ctx.shard.add(Counter::Fallback, u64::from(tried.is_first()));
    Some(route)
}

fn refuse(ctx: &Context, head: &RequestHead<'_, '_>, denial: Denial) -> Refusal {
    let (status, detail) = match &denial {
        Denial::Status(status) => (*status, String::new()),
        Denial::Path(error) => {
            ctx.shard.count_head_reject(rejects::index(error.label()));
            (error.status(), error.to_string())
        }
        Denial::Shed(shed) => (shed.status, shed.detail.to_owned()),
    };
    let (retry_after_s, pace) = match denial {
        Denial::Shed(shed) => (shed.retry_after_s, Pace::Held),
        _ => (retry_after(status), Pace::AtOnce),
    };
    Refusal {
        status,
        detail,
        retry_after_s,
        pace,
        text: if head.method == Method::Head { Text::Withheld } else { Text::Shown },
        head: Some(RefusedHead {
            head_bytes: head.head_bytes,
            may_stay: head.keep_alive && head.framing == RequestFraming::None,
        }),
    }
}

/// Why a sound head gets no node.
pub enum Denial {
    /// The status says it all.
    Status(u16),
    /// There are too many.
    Shed(Shed),
    /// Its path cannot be decoded, which a uwsgi node needs.
    Path(TargetError),
}

impl Denial {
    /// Status of the answer.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Status(status) => *status,
            Self::Path(error) => error.status(),
            Self::Shed(shed) => shed.status,
        }
    }
}
