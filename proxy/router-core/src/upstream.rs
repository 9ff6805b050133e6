//! Connections to nodes: take an idle one or open a new one, and remember how the node did.

pub mod pool;
pub mod queue;
pub mod retry;

use std::{cell::RefCell, io, time::Duration};

use route_table::{EjectRules, Node};

use crate::{
    deadline::{self, Half},
    io::{ReadHalf, WriteHalf, connect, connect_now},
    metrics::{Counter, Shard},
};

use pool::Pool;

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
pub enum Checkout<'a> {
    /// An idle one if there is any.
    Any,
    /// Only a new connection will do.
    Fresh,
    /// Only a new connection will do, and these bytes were sent on it: it belongs to one client.
    Introduced(&'a [u8]),
}

/// Checks out a connection to `node`.
///
/// # Errors
/// Of the connect. Unless ejections are off, the node is then out at once.
pub async fn checkout(
    node: &Node,
    how: Checkout<'_>,
    pool: &RefCell<Pool>,
    shard: &Shard,
    limit: Duration,
    eject: EjectRules,
) -> io::Result<Upstream> {
    if how == Checkout::Any {
        let found = pool.borrow_mut().take(node.id);
        if let Some((read, write)) = found {
            shard.add(Counter::UpstreamReused, 1);
            return Ok(Upstream { read, write, reuse: Reuse::Pooled });
        }
    }
    shard.add(Counter::UpstreamConnects, 1);
    let outcome = match how {
        Checkout::Introduced(_) => None,
        Checkout::Any | Checkout::Fresh => connect_now(&node.facts.address),
    };
    let outcome = match outcome {
        Some(outcome) => outcome,
        // Boxed, so that the exchanges that need not wait do not carry a connect's state.
        None => Box::pin(dial(node, how, limit)).await,
    };
    match outcome {
        Ok((read, write)) => Ok(Upstream { read, write, reuse: Reuse::Fresh }),
        Err(error) => {
            shard.add(Counter::UpstreamConnectFailures, 1);
            note_failure(node, eject.without_patience(), shard);
            Err(error)
        }
    }
}

/// A new connection to `node`, introduced if it is to be.
///
/// # Errors
/// Of the connect, or of the first send on it: either way the node knows of no request.
pub async fn dial(
    node: &Node,
    how: Checkout<'_>,
    limit: Duration,
) -> io::Result<(ReadHalf, WriteHalf)> {
    let (read, mut write) = match connect_now(&node.facts.address) {
        Some(outcome) => outcome?,
        None => connect(&node.facts.address, limit).await?,
    };
    if let Checkout::Introduced(preface) = how {
        write.watch().arm(Half::Write, limit);
        let (result, _) = write.write_all(preface.to_vec(), 0).await;
        write.watch().disarm(Half::Write);
        result?;
    }
    Ok((read, write))
}

/// The node failed: it may be out for a while now.
pub fn note_failure(node: &Node, eject: EjectRules, shard: &Shard) {
    let ejected = node.load.note_failure(deadline::process_ms(), eject);
    shard.add(Counter::UpstreamEjections, u64::from(ejected));
}
