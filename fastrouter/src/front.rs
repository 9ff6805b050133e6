//! What serves the connections of web servers on each worker.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use proxy::{
    Front,
    config::packets::{FallbackOn, OnFailure},
    context::{ConnFacts, Current, Renewal, Role, Shared},
    serve,
    sources::NamedSources,
};
use route_table::Node;
use router_core::{
    io::Accepted,
    metrics::Counter,
    worker::{Admitted, Service},
};

use crate::{
    hold::HoldRules,
    session,
    spare::{NamedSockets, fallbacks},
};

/// Serves uwsgi packets.
#[derive(Clone, Copy, Debug, Default)]
pub struct PacketFront;

impl Front for PacketFront {
    type Service = PacketService;

    fn service(&self, current: Current) -> PacketService {
        let rules = Rc::new(WorkerRules::new(&current.context().shared));
        PacketService { current, rules: rules.into(), swept_ms: Cell::new(0) }
    }
}

/// The rules of one worker in one generation.
pub struct WorkerRules {
    /// Who may connect.
    pub peers: NamedSources,
    /// Sockets by name.
    pub sockets: Rc<NamedSockets>,
    /// Tried when no node could be connected to.
    pub fallback: Vec<Arc<Node>>,
    /// Whether they serve unknown keys too.
    pub fallback_on: FallbackOn,
    /// How bodies are received before a node is chosen, if they are.
    pub hold: Option<HoldRules>,
    /// Whether any key bounds its bodies.
    pub bounds_bodies: bool,
    /// What a request that cannot be served gets.
    pub on_failure: OnFailure,
}

impl WorkerRules {
    fn new(shared: &Shared) -> Self {
        let packets = &shared.packets;
        let dir = packets.post_buffering_dir.clone().unwrap_or_else(std::env::temp_dir);
        let hold = packets.post_buffering.map(|memory_max| HoldRules { memory_max, dir });
        Self {
            peers: NamedSources::new(&packets.peers()),
            sockets: Rc::new(NamedSockets::new(packets)),
            fallback: fallbacks(packets),
            fallback_on: packets.fallback_on,
            hold,
            bounds_bodies: shared.policies.iter().any(|rules| rules.body_bytes_max.is_some()),
            on_failure: packets.on_failure,
        }
    }
}

/// The router on one worker.
pub struct PacketService {
    current: Current,
    rules: RefCell<Rc<WorkerRules>>,
    swept_ms: Cell<u64>,
}

impl Service for PacketService {
    type Role = Role;

    async fn serve(self: Rc<Self>, accepted: Accepted, role: Role, _admitted: Admitted) {
        let (ctx, rules) = (self.current.context(), self.rules.borrow().clone());
        if !rules.peers.contains(accepted.peer) {
            return ctx.shard.count(Counter::PacketPeer);
        }
        let conn = ConnFacts::new(accepted.peer, role);
        session::serve(ctx, rules, accepted, conn).await;
    }

    fn tick(&self, now_ms: u64) {
        if serve::tick(&self.current, &self.swept_ms, now_ms) == Renewal::Renewed {
            let rules = WorkerRules::new(&self.current.context().shared);
            self.rules.replace(Rc::new(rules));
        }
    }
}
