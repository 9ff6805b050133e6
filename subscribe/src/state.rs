//! The written form of a registry: what an upgrade hands over, and what survives a crash.
//!
//! A state is a run of frames (`frame`), each of which holds one record (`record`). The first says
//! which version wrote it, so that another version refuses what it cannot read instead of guessing.
//! Whoever reads a state takes it for bytes from outside: a cut or changed one is an error and never
//! a panic, and what a record says is checked like a datagram (`registry/restore.rs`). A state that
//! grows with every change is a journal (`journal`).
//!
//! Counters of nodes (requests, failures, cooling) are not part of it.

pub(crate) mod frame;
mod journal;
pub(crate) mod record;

pub use journal::{compact, replay};
pub use record::VERSION;

/// Why a state cannot be read. Nothing of it counts then.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StateError {
    /// It does not begin as one.
    #[error("not a subscription state")]
    Foreign,
    /// Another version wrote it.
    #[error("state of version {version}, this program reads {VERSION}")]
    Version {
        /// As it says.
        version: u32,
    },
    /// It ends before its end.
    #[error("state is cut short")]
    Cut,
    /// A frame is longer than any that is written.
    #[error("frame of {bytes} bytes in state")]
    Long {
        /// As it says.
        bytes: usize,
    },
    /// A checksum does not fit, or a record does not decode.
    #[error("state is damaged")]
    Damaged,
    /// Something follows the end.
    #[error("{bytes} bytes follow the end of the state")]
    Surplus {
        /// How many.
        bytes: usize,
    },
}
