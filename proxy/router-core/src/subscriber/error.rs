//! Why the subscription thread cannot start, or cannot be handed over.

use std::io;
use std::path::PathBuf;

use subscribe::StaticNodeError;

use super::limits::BINDS_MAX;
use crate::address::ListenAddr;

/// Why the thread cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SubscriberError {
    /// More sockets than [`BINDS_MAX`].
    #[error("{count} subscription sockets, allowed are {BINDS_MAX}")]
    TooManyBinds {
        /// As configured.
        count: usize,
    },
    /// Signatures are demanded without a directory of keys.
    #[error("signatures are demanded and no directory of keys is named")]
    NoSignDir,
    /// The directory of keys cannot be listed.
    #[error("key directory {}: {cause}", path.display())]
    SignDir {
        /// As configured.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A socket cannot be bound.
    #[error("subscription socket {addr}: {cause}")]
    Bind {
        /// As configured.
        addr: ListenAddr,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A node of the configuration cannot be added.
    #[error("node of {key}: {cause}")]
    Static {
        /// Its key.
        key: String,
        /// Why.
        #[source]
        cause: StaticNodeError,
    },
    /// What the predecessor handed over cannot be read.
    #[error("subscriptions of the predecessor: {0}")]
    HandedOver(#[from] subscribe::state::StateError),
    /// There is no place for the state file.
    #[error("state file {}: {cause}", path.display())]
    StateFile {
        /// As configured.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The system refuses a descriptor or a thread.
    #[error("subscription thread: {0}")]
    Thread(#[from] io::Error),
}

/// Why there is nothing to hand over.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FreezeError {
    /// The thread has ended.
    #[error("the subscription thread has ended")]
    Ended,
    /// It did not answer within [`FREEZE_WAIT_MS_MAX`](super::limits::FREEZE_WAIT_MS_MAX).
    #[error("the subscription thread is busy")]
    Busy,
}
