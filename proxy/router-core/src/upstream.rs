//! Connections to nodes: take an idle one or open a new one, and remember how the node did.

pub mod pool;
pub mod retry;

use std::{cell::RefCell, io, time::Duration};

use route_table::Node;

use crate::{
    deadline,
    io::{ReadHalf, WriteHalf, connect},
    metrics::{Counter, Shard},
};

use pool::Pool;

/// How long a node that refused a connection is skipped. Vassals announce every 10 s, so a node that
/// came back is tried well before its next announcement.
pub const COOLDOWN_MS: u64 = 3_000;

/// Whether a pooled connection came from the pool.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reuse {
    /// Just connected.
    Fresh,
    /// Served an exchange before; the upstream may have closed it meanwhile.
    Pooled,
}

/// A connection to a node, checked out for one exchange.
pub struct Upstream {
    /// Receiving half.
    pub read: ReadHalf,
    /// Sending half.
    pub write: WriteHalf,
    /// Where it came from.
    pub reuse: Reuse,
}

/// Which connections a checkout may give.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Checkout {
    /// An idle one if there is any.
    Any,
    /// Only a new connection will do.
    Fresh,
}

/// Checks out a connection to `node`.
///
/// # Errors
/// Of the connect. The node then cools down for [`COOLDOWN_MS`].
pub async fn checkout(
    node: &Node,
    how: Checkout,
    pool: &RefCell<Pool>,
    shard: &Shard,
    limit: Duration,
) -> io::Result<Upstream> {
    if how != Checkout::Fresh {
        let found = pool.borrow_mut().take(node.id);
        if let Some((read, write)) = found {
            shard.add(Counter::UpstreamReused, 1);
            return Ok(Upstream { read, write, reuse: Reuse::Pooled });
        }
    }
    shard.add(Counter::UpstreamConnects, 1);
    // Boxed, so that the exchanges that find an idle connection do not carry a connect's state.
    match Box::pin(connect(&node.facts.address, limit)).await {
        Ok((read, write)) => Ok(Upstream { read, write, reuse: Reuse::Fresh }),
        Err(error) => {
            shard.add(Counter::UpstreamConnectFailures, 1);
            node.load.note_failure(deadline::process_ms(), COOLDOWN_MS);
            Err(error)
        }
    }
}
