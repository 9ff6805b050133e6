//! What an operator may change in the registry of a running router.
//!
//! The thread that owns the registry makes the change between two turns, so that it is never at odds
//! with a datagram. Whoever asked waits for the answer, which comes once the table that says so
//! is published.

use std::sync::mpsc::{self, SyncSender};
use std::time::Duration;

use route_table::{Address, Intake, NodeFacts, RouteKey};
use subscribe::{Registry, StaticNodeError};

use super::SubscriberHandle;
use super::limits::{OPERATION_WAIT_MS_MAX, VIEW_WAIT_MS_MAX};
use super::thread_loop::Ask;

/// A change of the registry that no datagram asks for.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Give these nodes new requests, or not.
    SetIntake(Intake, Vec<(RouteKey, Address)>),
    /// Add a node without a lease.
    Add(RouteKey, NodeFacts),
    /// Delete the node of an operator at this address.
    Delete(RouteKey, Address),
}

/// Why an operation was not done.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OperationError {
    /// The node cannot be added.
    #[error("{0}")]
    Add(#[from] StaticNodeError),
    /// There is no such node.
    #[error("no operator added a node of this address to the key")]
    NotOperators,
    /// An upgrade is under way, and the successor would not know of it.
    #[error("an upgrade is under way: try again when it is over")]
    Frozen,
    /// The thread has ended or is too busy; it may still be done then.
    #[error("the subscription thread does not answer")]
    NoAnswer,
}

/// How many nodes an operation changed.
pub type Operated = Result<usize, OperationError>;

/// An operation that was done and is not published yet.
pub(super) struct Pending {
    reply: SyncSender<Operated>,
    operated: Operated,
}

impl Pending {
    pub fn new(registry: &mut Registry, operation: Operation, reply: SyncSender<Operated>) -> Self {
        Self { reply, operated: operate(registry, operation) }
    }

    /// Who no longer waits does not miss it.
    pub fn answer(self) {
        drop(self.reply.try_send(self.operated));
    }
}

fn operate(registry: &mut Registry, operation: Operation) -> Operated {
    match operation {
        Operation::SetIntake(intake, nodes) => {
            let changed =
                nodes.iter().filter(|(key, at)| registry.set_intake(key, at, intake) == Some(true));
            Ok(changed.count())
        }
        Operation::Add(key, facts) => Ok(registry.add_operators(key, facts).map(|()| 1)?),
        Operation::Delete(key, at) => match registry.remove_operators(&key, &at) {
            true => Ok(1),
            false => Err(OperationError::NotOperators),
        },
    }
}

impl SubscriberHandle {
    /// Makes a change and waits until workers see it with their next look at the table.
    ///
    /// # Errors
    /// [`OperationError`].
    pub fn operate(&self, operation: Operation) -> Operated {
        let (reply, answer) = mpsc::sync_channel(1);
        self.ask(Ask::Operate(operation, reply));
        let limit = Duration::from_millis(OPERATION_WAIT_MS_MAX);
        answer.recv_timeout(limit).unwrap_or(Err(OperationError::NoAnswer))
    }

    /// Milliseconds on the clock of leases. `None` if the thread has ended or is too busy.
    #[must_use]
    pub fn now_ms(&self) -> Option<u64> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.ask(Ask::Clock(reply));
        answer.recv_timeout(Duration::from_millis(VIEW_WAIT_MS_MAX)).ok()
    }
}
