//! Judging a request head: is it sound, whose is it, and what goes to the node.
//!
//! Everything that borrows the head or the route table happens here, between two awaits. What leaves
//! is a [`Plan`] of plain facts, the chosen node, and the bytes for it.

use std::sync::Arc;

use http1_wire::{
    FieldSlots, Method, Parsed, RequestError, RequestFraming, RequestHead, Version, decode_path,
    parse_request, via_count,
};
use route_table::{
    CanonicalHost, Dotsplit, HostBuf, KeyError, Node, PickRules, Proto, Route, Speech, Table,
    Tried, canonical_host,
};
use router_core::{
    buffer::{self, Use},
    deadline,
    metrics::Counter,
    upstream::retry::Replay,
};

pub use super::wish::Wish;

use super::{
    admission, client_auth,
    forward::Forward,
    forward_http, forward_uwsgi,
    gate::{self, Admitted},
    in_flight::Room,
    provenance::Provenance,
    raw_body::{self, BodyUntil},
    refusal::refuse,
    rejects,
    request_id::{self, RequestId, RequestIds},
    response::coding::Wanted,
    rtsp::{
        self, over_http,
        pairs::{Pair, Part},
    },
    sticky::StickyCookie,
    unserved,
    wake::Asleep,
};
use crate::{
    compress::{Accepted, Coding},
    context::{ConnFacts, Context, Scheme},
    policy::{Compression, PolicyId},
    traces::{Trace, TraceSlot},
};

pub use super::refusal::{Denial, Pace, Refusal, RefusedHead};

/// What a head came to.
pub enum Judged {
    /// More bytes are needed.
    Partial,
    /// The request is answered by this router.
    Refused(Refusal),
    /// The request goes to a node.
    Admitted(Plan),
    /// The request can wait for a vassal to start.
    Asleep(Box<Asleep>),
    /// It is no HTTP but an RTSP request.
    Rtsp(Box<rtsp::Call>),
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
    /// Where the request body ends, if the node is one for bodies without framing.
    pub until: BodyUntil,
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
    /// How the client asked.
    pub scheme: Scheme,
    /// The client takes trailers behind chunks.
    pub takes_trailers: bool,
    /// How the client likes the response coded.
    pub coding: Wanted,
    /// The name we gave it, if we did.
    pub id: Option<RequestId>,
    /// The cookie that leads the client back to the node.
    pub cookie: Option<Box<StickyCookie>>,
    /// The chosen node.
    pub node: Arc<Node>,
    /// The head for that node, ready to send.
    pub request: Vec<u8>,
}

/// How often a request may carry our own name in `Via`: a node may be a proxy to another key.
const OWN_VIA_MAX: usize = 3;

/// A body that was read completely before its node was asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Held {
    /// It was not.
    No,
    /// It was, and is this long.
    Bytes(u64),
}

/// What is known of an exchange whose head is judged.
#[derive(Debug)]
pub struct Round<'a> {
    /// The nodes that failed.
    pub tried: &'a Tried,
    /// Whether the body is here.
    pub held: Held,
    /// Its name, from the round before.
    pub id: Option<RequestId>,
    /// Its place in a trace, which the first round gives it.
    pub trace: &'a TraceSlot,
}

/// Judges the bytes received so far.
pub fn judge(ctx: &Context, conn: &ConnFacts, bytes: &[u8], round: &Round<'_>) -> Judged {
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
    if let Some(traces) = &ctx.traces {
        traces.note_request(round.trace, conn, &head);
    }
    match admit(ctx, conn, &head, &host, round) {
        Ok(plan) => Judged::Admitted(plan),
        Err(Denial::Asleep(sleeper)) => {
            let refusal = refuse(ctx, &head, Denial::Status(503));
            Judged::Asleep(Box::new(Asleep { sleeper: *sleeper, refusal }))
        }
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
    round: &Round<'_>,
) -> Result<Plan, Denial> {
    client_auth::check_host(ctx, conn, host.host())?;
    let rules = &ctx.shared.headers;
    if !rules.via.is_empty() && via_count(head, &rules.via) > OWN_VIA_MAX {
        ctx.shard.add(Counter::Looped, 1);
        return Err(Denial::Status(508));
    }
    let from = Provenance::of(&rules.trusted, conn, head, host);
    let Chosen { policy, admitted, room, cookie, node, part } =
        choose(ctx, conn, &from, head, host, round.tried)?;
    let kept = request_id::kept(conn, head).filter(|_| rules.request_ids == RequestIds::On);
    let id = match rules.request_ids {
        RequestIds::On if kept.is_none() => round.id.or_else(RequestId::random),
        _ => None,
    };
    let hex = id.map(RequestId::hex);
    let framing = match round.held {
        Held::No => head.framing,
        Held::Bytes(bytes) => RequestFraming::Length(bytes),
    };
    let wish = match part.as_ref().map(|(part, _)| *part) {
        None if raw_body::is_source(ctx.shared.policies.get(policy), head) => Wish::Source,
        part => Wish::of_part(head, part),
    };
    let until = raw_body::until(wish, head.framing, &node);
    let mut request = buffer::take(Use::Reply);
    let forward = Forward {
        ctx,
        conn,
        head,
        host,
        framing,
        wish,
        from: &from,
        request_id: kept.or(hex.as_ref().map(|hex| &hex[..])).unwrap_or_default(),
        trace: round.trace.get().map(Trace::told),
        policy: &ctx.shared.policies.get(policy).headers,
        node: &node,
    };
    write_head(&forward, &mut request)?;
    Ok(Plan {
        head_bytes: head.head_bytes,
        is_head: head.method == Method::Head,
        version: head.version,
        framing: head.framing,
        keep_alive: head.keep_alive,
        until,
        // Its body flows already: there is nothing more to agree to.
        wish: if until == BodyUntil::Closed { Wish::Http } else { wish },
        expect_continue: head.expect_continue || (wish == Wish::Source && raw_body::waits(head)),
        replay: replay(head.method),
        policy,
        admitted,
        room,
        cookie,
        pair: part.map(|(_, pair)| Box::new(pair)),
        scheme: from.scheme,
        takes_trailers: head.takes_trailers,
        coding: wanted_coding(head, &ctx.shared.policies.get(policy).compression),
        id,
        node,
        request,
    })
}

/// The head as the node wants it.
fn write_head(forward: &Forward<'_>, request: &mut Vec<u8>) -> Result<(), Denial> {
    match forward.node.facts.proto {
        // A WebSocket over HTTP/2 to a node is not built.
        Proto::H2c if Wish::of(forward.head) == Wish::WebSocket => Err(Denial::Status(501)),
        Proto::Http | Proto::H2c => {
            forward_http::write_head(forward, request);
            Ok(())
        }
        Proto::Uwsgi => Ok(forward_uwsgi::write_head(forward, request)?),
        // A protocol the table knows and this router does not.
        _ => Err(Denial::Status(502)),
    }
}

/// How the client likes the response coded, if the key has a use for that.
fn wanted_coding(head: &RequestHead<'_, '_>, rules: &Compression) -> Wanted {
    if !rules.is_on() {
        return Wanted::default();
    }
    let mut accepted = Accepted::default();
    for (name, value) in head.fields.iter() {
        if name.eq_ignore_ascii_case("accept-encoding") {
            accepted.note(value);
        }
    }
    Wanted { best: rules.choose(&accepted), gzip: accepted.takes(Coding::Gzip) }
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
    from: &Provenance<'_>,
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
    admission::check(head, host, from, policy)?;
    client_auth::check_key(ctx, conn, route.key())?;
    let admitted = if tried.is_first() {
        gate::pass(ctx, from.ip, route, id, policy).map_err(Denial::Shed)?
    } else {
        Admitted::default()
    };
    let sticky = ctx.shared.sticky.as_ref().zip(policy.resilience.sticky.as_deref());
    let rules = PickRules {
        now_ms: deadline::now_ms(),
        client: from.ip,
        in_flight_max: policy.resilience.node_connections_max,
        slow_start_ms: policy.resilience.slow_start.as_millis() as u64,
        wanted: sticky.and_then(|(secret, name)| ctx.tokens.wanted(secret, name, head, route)),
        speech: Speech::Requests,
    };
    let part = over_http::part_of(policy, head, route);
    let node = match &part {
        None => route.pick_by(&rules, tried),
        Some((part, pair)) => {
            over_http::choose(ctx, *part, pair, tried, || route.pick_by(&rules, tried))
        }
    };
    let Some(node) = node else {
        let sleeper = unserved::sleeper(ctx, route, tried, id, Speech::Requests, admitted);
        return Err(sleeper.map_or(Denial::Status(503), Denial::Asleep));
    };
    let cookie = sticky
        .filter(|_| rules.wanted != Some(node.id))
        .map(|(secret, _)| ctx.tokens.cookie(secret, route, &node));
    let room = Room::of(route, &policy.resilience);
    Ok(Chosen { policy: id, admitted, room, cookie, node, part })
}

/// What the route table has for a request.
struct Chosen {
    policy: PolicyId,
    admitted: Admitted,
    room: Option<Room>,
    cookie: Option<Box<StickyCookie>>,
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
