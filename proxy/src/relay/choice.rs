//! The node of a connection, by the name its client asks for or by the key of its listener.

use std::sync::Arc;

use route_table::{
    CanonicalHost, HostBuf, Node, PickRules, Route, RouteKey, Speech, Table, Tried, canonical_host,
};
use router_core::{deadline, metrics::Counter, termination::Phase};
use tls_wire::Alert;

use crate::{
    context::{ConnFacts, Context, Relay},
    http::{
        gate::{self, Admitted},
        in_flight::Room,
        judge::fallback,
        unserved,
    },
    policy::PolicyId,
};

/// The port clients of HTTPS do not name.
const HTTPS_PORT: &str = "443";

/// What the route table has for a connection.
pub struct Chosen {
    /// The key that led there.
    pub key: RouteKey,
    /// Its rules.
    pub policy: PolicyId,
    /// The place among the exchanges of the key.
    pub admitted: Admitted,
    /// Where the node counts what it has in hand, if that is bounded.
    pub room: Option<Room>,
    /// The node.
    pub node: Arc<Node>,
}

/// Why there is no node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unserved {
    /// What a client of TLS is told.
    pub alert: Alert,
    /// The second letter of the access log.
    pub phase: Phase,
}

impl Unserved {
    const UNKNOWN: Self = Self { alert: Alert::UnrecognizedName, phase: Phase::RequestHead };
    const EARLY: Self = Self { alert: Alert::InternalError, phase: Phase::RequestHead };
    const CROWDED: Self = Self { alert: Alert::InternalError, phase: Phase::Connect };
}

/// Chooses a node that was not tried.
///
/// # Errors
/// [`Unserved`]; counted at the first try.
pub fn choose(
    ctx: &Context,
    conn: &ConnFacts,
    relay: Relay,
    tried: &Tried,
) -> Result<Chosen, Unserved> {
    let mut reader = ctx.table.borrow_mut();
    let table = reader.load();
    let Some(route) = route_of(ctx, table, conn, relay, tried) else {
        if tried.is_first() {
            let nameless = relay.speech() == Speech::Tls && conn.sni.is_none();
            let counter = if nameless { Counter::HelloNameless } else { Counter::UnknownKey };
            ctx.shard.count(counter);
        }
        return Err(Unserved::UNKNOWN);
    };
    let id = ctx.shared.policies.id_of(route.key());
    let policy = ctx.shared.policies.get(id);
    let admitted = if tried.is_first() {
        gate::pass(ctx, conn.ip, route, id, policy)
            .map_err(|shed| if shed.status == 429 { Unserved::EARLY } else { Unserved::CROWDED })?
    } else {
        Admitted::default()
    };
    let rules = PickRules {
        now_ms: deadline::now_ms(),
        client: conn.ip,
        in_flight_max: policy.resilience.node_connections_max,
        slow_start_ms: policy.resilience.slow_start.as_millis() as u64,
        speech: relay.speech(),
        ..PickRules::default()
    };
    let Some(node) = route.pick_by(&rules, tried) else {
        unserved::count(ctx, route, tried);
        return Err(Unserved::CROWDED);
    };
    let room = Room::of(route, &policy.resilience);
    Ok(Chosen { key: route.key().clone(), policy: id, admitted, room, node })
}

fn route_of<'t>(
    ctx: &Context,
    table: &'t Table,
    conn: &ConnFacts,
    relay: Relay,
    tried: &Tried,
) -> Option<&'t Arc<Route>> {
    match relay {
        Relay::Tcp(number) => table.get(ctx.shared.tcp_keys.get(usize::from(number))?.as_str()),
        Relay::Tls => {
            let mut buf = HostBuf::new();
            let named = match conn.sni.as_deref() {
                // A name that cannot be a key is nobody's, also where there is a fallback.
                Some(name) => Some(wanted_host(name, &conn.local_port, &mut buf)?),
                None => None,
            };
            named
                .and_then(|host| table.lookup(&host, ctx.shared.dotsplit))
                .or_else(|| fallback(ctx, table, tried))
        }
    }
}

/// The host a client of HTTPS will name inside: with the port, unless it is the usual one. So the same
/// keys serve a name here and where TLS ends at the router.
fn wanted_host<'b>(name: &str, port: &str, buf: &'b mut HostBuf) -> Option<CanonicalHost<'b>> {
    if port.is_empty() || port == HTTPS_PORT {
        return canonical_host(name.as_bytes(), buf).ok();
    }
    let with_port = format!("{name}:{port}");
    let longest = canonical_host(with_port.as_bytes(), &mut HostBuf::new()).is_ok();
    let text = if longest { &with_port } else { name };
    canonical_host(text.as_bytes(), buf).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(name: &str, port: &str) -> Option<String> {
        let mut buf = HostBuf::new();
        wanted_host(name, port, &mut buf).map(|host| host.host_port().to_owned())
    }

    #[test]
    fn a_name_is_looked_up_as_the_host_of_its_requests_would_be() {
        assert_eq!(wanted("A.example.", "443").as_deref(), Some("a.example"));
        assert_eq!(wanted("a.example", "8443").as_deref(), Some("a.example:8443"));
        assert_eq!(wanted("a.example", "").as_deref(), Some("a.example"));
        assert_eq!(wanted("a..example", "8443"), None);
        let long = "a".repeat(255);
        assert_eq!(wanted(&long, "8443"), Some(long));
    }
}
