//! The node of a connection: by its errand's key, let in or not, and picked.

use std::sync::Arc;

use route_table::{Node, PickRules, RouteKey, Tried};
use router_core::{deadline, termination::Phase};
use tls_wire::Alert;

use super::Errand;
use crate::{
    context::{ConnFacts, Context},
    http::{
        gate::{self, Admitted},
        in_flight::Room,
        unserved,
    },
    on_demand::Sleeper,
    policy::PolicyId,
};

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

/// Why a connection has no node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unserved {
    /// Nobody has the key.
    UnknownKey,
    /// The key or the client asks too often.
    Early,
    /// Too many are under way, or no node is there.
    Crowded,
    /// Every node refused, or there is none left to try.
    Unreachable,
    /// The last node did not answer in time.
    Late,
    /// The client left while it waited.
    Left,
}

impl Unserved {
    /// What a client of TLS is told.
    pub const fn alert(self) -> Alert {
        match self {
            Self::UnknownKey => Alert::UnrecognizedName,
            _ => Alert::InternalError,
        }
    }

    /// What a client of HTTP would be told.
    pub const fn status(self) -> u16 {
        match self {
            Self::UnknownKey => 404,
            Self::Early => 429,
            Self::Crowded | Self::Left => 503,
            Self::Unreachable => 502,
            Self::Late => 504,
        }
    }

    /// The second letter of the access log.
    pub const fn phase(self) -> Phase {
        match self {
            Self::UnknownKey | Self::Early => Phase::RequestHead,
            _ => Phase::Connect,
        }
    }
}

/// Why no node is chosen.
pub enum NoNode {
    /// There is none; counted.
    Unserved(Unserved),
    /// A vassal of the key sleeps and can be waited for.
    Asleep(Box<Sleeper>),
}

/// Chooses a node that was not tried.
///
/// # Errors
/// [`NoNode`]; counted at the first try.
pub fn choose(
    ctx: &Context,
    conn: &ConnFacts,
    errand: &impl Errand,
    tried: &Tried,
) -> Result<Chosen, NoNode> {
    let mut reader = ctx.table.borrow_mut();
    let table = reader.load();
    let Some(route) = errand.route(ctx, conn, table, tried) else {
        if tried.is_first() {
            ctx.shard.count(errand.unknown(conn));
        }
        return Err(NoNode::Unserved(Unserved::UnknownKey));
    };
    let id = ctx.shared.policies.id_of(route.key());
    let policy = ctx.shared.policies.get(id);
    let client = errand.client(conn);
    let admitted = if tried.is_first() {
        gate::pass(ctx, client, &route, id, policy).map_err(|shed| {
            NoNode::Unserved(if shed.status == 429 { Unserved::Early } else { Unserved::Crowded })
        })?
    } else {
        Admitted::default()
    };
    let rules = PickRules {
        now_ms: deadline::now_ms(),
        client,
        in_flight_max: policy.resilience.node_connections_max,
        slow_start_ms: policy.resilience.slow_start.as_millis() as u64,
        speech: errand.speech(),
        ..PickRules::default()
    };
    let Some(node) = route.pick_by(&rules, tried) else {
        let sleeper = unserved::sleeper(ctx, &route, tried, id, errand.speech(), admitted);
        return Err(sleeper.map_or(NoNode::Unserved(Unserved::Crowded), NoNode::Asleep));
    };
    let room = Room::of(&route, &policy.resilience);
    Ok(Chosen { key: route.key().clone(), policy: id, admitted, room, node })
}
