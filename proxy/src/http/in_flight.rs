//! The exchanges a node has in hand: counted in, counted out, and waited for when it is full.

use std::{rc::Rc, sync::Arc};

use route_table::{KeyLoad, Node, NodeBusy, Route, RouteKey};
use router_core::upstream::queue::Queues;

use crate::policy::resilience::Resilience;

/// A bound on the exchanges of each node of a key, and where to wait for room.
#[derive(Clone, Debug)]
pub struct Room {
    /// The key whose queue it is.
    pub key: RouteKey,
    /// Its counters over all workers.
    pub load: Arc<KeyLoad>,
}

impl Room {
    /// What a request of this route needs to wait for a node, if the nodes are bounded.
    pub fn of(route: &Route, rules: &Resilience) -> Option<Self> {
        (rules.node_connections_max != u32::MAX)
            .then(|| Self { key: route.key().clone(), load: route.load().clone() })
    }
}

/// Counts an exchange among those its node has in hand, for as long as it lives.
pub struct InFlight {
    node: Arc<Node>,
    /// Who is told that there is room again.
    waiting: Option<(Rc<Queues>, Room)>,
}

impl InFlight {
    /// One more, whatever the node has in hand.
    pub fn begin(node: &Arc<Node>) -> Self {
        node.load.begin();
        Self { node: node.clone(), waiting: None }
    }

    /// One more if the node has fewer than `most`.
    ///
    /// # Errors
    /// It has not.
    pub fn begin_below(
        node: &Arc<Node>,
        most: u32,
        queues: &Rc<Queues>,
        room: &Room,
    ) -> Result<Self, NodeBusy> {
        node.load.begin_below(most)?;
        Ok(Self { node: node.clone(), waiting: Some((queues.clone(), room.clone())) })
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.node.load.end();
        if let Some((queues, room)) = &self.waiting {
            queues.ended(&room.key, &room.load);
        }
    }
}
