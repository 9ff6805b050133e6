//! Ticket keys as bytes, for the process that takes over from this one.
//!
//! One byte of version, one of the number of keys, then each key: its name, the second it was made
//! (big-endian), its secret. The two ends may be different builds, so what a reader does not know is
//! an error, never a guess.

use zeroize::Zeroizing;

use super::key::{NAME_BYTES, SECRET_BYTES, TicketKey};
use crate::tls::limits::TICKET_KEYS_MAX;

use std::sync::Arc;

/// Why bytes are no exported keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TicketKeysError {
    /// Made by a build that writes them otherwise.
    #[error("ticket keys of an unknown version")]
    Version,
    /// More keys than this build keeps.
    #[error("{count} ticket keys, allowed are {TICKET_KEYS_MAX}")]
    Count {
        /// As written.
        count: u8,
    },
    /// The bytes end early, or go on.
    #[error("ticket keys of another length than they say")]
    Length,
    /// The cipher does not want one of them.
    #[error("unusable ticket key")]
    Key,
}

const VERSION: u8 = 1;
const KEY_BYTES: usize = NAME_BYTES + size_of::<u64>() + SECRET_BYTES;

const _: () = assert!(TICKET_KEYS_MAX <= u8::MAX as usize);

pub(super) fn write(keys: &[Arc<TicketKey>]) -> Vec<u8> {
    let keys = &keys[..keys.len().min(TICKET_KEYS_MAX)];
    let mut bytes = Vec::with_capacity(2 + keys.len() * KEY_BYTES);
    bytes.extend_from_slice(&[VERSION, u8::try_from(keys.len()).unwrap_or(u8::MAX)]);
    for key in keys {
        bytes.extend_from_slice(key.name());
        bytes.extend_from_slice(&key.made_unix().to_be_bytes());
        bytes.extend_from_slice(key.secret());
    }
    bytes
}

pub(super) fn read(bytes: &[u8]) -> Result<Vec<TicketKey>, TicketKeysError> {
    let (&version, bytes) = bytes.split_first().ok_or(TicketKeysError::Length)?;
    if version != VERSION {
        return Err(TicketKeysError::Version);
    }
    let (&count, bytes) = bytes.split_first().ok_or(TicketKeysError::Length)?;
    if usize::from(count) > TICKET_KEYS_MAX {
        return Err(TicketKeysError::Count { count });
    }
    if bytes.len() != usize::from(count) * KEY_BYTES {
        return Err(TicketKeysError::Length);
    }
    bytes.chunks_exact(KEY_BYTES).map(read_key).collect()
}

fn read_key(bytes: &[u8]) -> Result<TicketKey, TicketKeysError> {
    let (name, bytes) = bytes.split_first_chunk().ok_or(TicketKeysError::Length)?;
    let (made, bytes) = bytes.split_first_chunk().ok_or(TicketKeysError::Length)?;
    let mut secret = Zeroizing::new([0; SECRET_BYTES]);
    secret.copy_from_slice(bytes.get(..SECRET_BYTES).ok_or(TicketKeysError::Length)?);
    TicketKey::new(*name, u64::from_be_bytes(*made), secret).ok_or(TicketKeysError::Key)
}
