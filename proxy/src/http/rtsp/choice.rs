//! The node of an RTSP connection, chosen by the URL of its first request.

use std::sync::Arc;

use http1_wire::RtspHead;
use route_table::{HostBuf, Node, PickRules, Proto, Speech, Tried};
use router_core::{
    buffer::{self, Use},
    deadline,
    metrics::Counter,
};

use super::{forward, request_host, route_of};
use crate::{
    context::{ConnFacts, Context},
    http::{
        client_auth,
        gate::{self, Admitted},
        in_flight::Room,
        unserved,
    },
    policy::{PolicyId, streams::Switch},
};

/// What the route table has for a request.
pub struct Chosen {
    /// The rules of its key.
    pub policy: PolicyId,
    /// Its place among the requests of its key.
    pub admitted: Admitted,
    /// Where its node counts what it has in hand, if that is bounded.
    pub room: Option<Room>,
    /// The node.
    pub node: Arc<Node>,
    /// The head for it; empty for a node that takes the client's bytes as they are.
    pub request: Vec<u8>,
}

/// Chooses a node that was not tried.
///
/// # Errors
/// The status to answer with.
pub fn choose(
    ctx: &Context,
    conn: &ConnFacts,
    head: &RtspHead<'_, '_>,
    tried: &Tried,
) -> Result<Chosen, u16> {
    let mut buf = HostBuf::new();
    let host = request_host(ctx, conn, head, &mut buf).map_err(|_malformed| 400u16)?;
    client_auth::check_host(ctx, conn, host.host()).map_err(|denial| denial.status())?;
    let mut reader = ctx.table.borrow_mut();
    let route = route_of(ctx, reader.load(), head, &host, tried);
    let with_policy = route.map(|route| (route, ctx.shared.policies.id_of(route.key())));
    // A key that does not speak RTSP has nothing to be found by it.
    let speaks = |id: &PolicyId| ctx.shared.policies.get(*id).streams.rtsp == Switch::On;
    let Some((route, id)) = with_policy.filter(|(_, id)| speaks(id)) else {
        ctx.shard.add(Counter::UnknownKey, 1);
        return Err(404);
    };
    client_auth::check_key(ctx, conn, route.key()).map_err(|denial| denial.status())?;
    let policy = ctx.shared.policies.get(id);
    if policy.body_bytes_max.is_some_and(|most| head.body_bytes > most) {
        return Err(413);
    }
    let admitted = if tried.is_first() {
        gate::pass(ctx, conn.ip, route, id, policy).map_err(|shed| shed.status)?
    } else {
        Admitted::default()
    };
    let rules = PickRules {
        now_ms: deadline::now_ms(),
        client: conn.ip,
        in_flight_max: policy.resilience.node_connections_max,
        slow_start_ms: policy.resilience.slow_start.as_millis() as u64,
        wanted: None,
        speech: Speech::Requests,
    };
    let Some(node) = route.pick_by(&rules, tried) else {
        unserved::count(ctx, route, tried);
        return Err(503);
    };
    let mut request = buffer::take(Use::Reply);
    match node.facts.proto {
        Proto::Http => {}
        Proto::Uwsgi => forward::write_packet(ctx, conn, head, &host, &node, &mut request)
            .map_err(forward::PacketError::status)?,
        _ => return Err(502),
    }
    Ok(Chosen { policy: id, admitted, room: Room::of(route, &policy.resilience), node, request })
}
