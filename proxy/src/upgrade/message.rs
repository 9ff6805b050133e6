//! What the two processes say to each other.
//!
//! JSON, so that a process can leave out what it does not know and ignore what it does not expect.
//! The two may be of different versions: [`PROTOCOL`] rises only when one could not understand the other.

use router_core::estate::Owner;
use serde::{Deserialize, Serialize};

/// Version of the conversation.
pub const PROTOCOL: u32 = 1;

/// Said by the new process.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FromSuccessor {
    /// It runs, and its configuration is right.
    Hello {
        /// [`PROTOCOL`].
        protocol: u32,
        /// Of the program.
        version: String,
    },
    /// It has loaded and bound what takes time, and waits for the memory of the old one.
    Prepared,
    /// It accepts.
    Serving,
    /// It gives up.
    Failed {
        /// In a sentence for people.
        why: String,
    },
}

/// Said by the old process.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FromPredecessor {
    /// Bound sockets, as the descriptors of this message.
    Sockets {
        /// Whose each is.
        owners: Vec<SocketOwner>,
        /// Whether more of these messages follow.
        more: bool,
    },
    /// Its memory: the descriptor is of a file that holds all parts, one after the other.
    Memory {
        /// Name and length of each part.
        parts: Vec<(String, u64)>,
        /// How long it may drain from now on.
        drain_s: u64,
        /// Its process id.
        pid: u32,
    },
    /// It has told everybody who is the router now.
    Released,
    /// It has nothing left but tunnels.
    Lingers,
}

/// [`Owner`], as it is said.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SocketOwner {
    /// See there.
    Router,
    /// See there.
    Manager,
}

impl From<Owner> for SocketOwner {
    fn from(owner: Owner) -> Self {
        match owner {
            Owner::Router => Self::Router,
            Owner::Manager => Self::Manager,
        }
    }
}

impl From<SocketOwner> for Owner {
    fn from(owner: SocketOwner) -> Self {
        match owner {
            SocketOwner::Router => Self::Router,
            SocketOwner::Manager => Self::Manager,
        }
    }
}

/// As bytes.
#[must_use]
pub fn encode(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).expect("no map with keys that are not strings, no failing type")
}

/// From bytes.
///
/// # Errors
/// If it is none of the messages of this version.
pub fn decode<'b, M: Deserialize<'b>>(bytes: &'b [u8]) -> Result<M, serde_json::Error> {
    serde_json::from_slice(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_later_version_adds_is_ignored_and_what_it_changes_is_not() {
        let later = br#"{"hello":{"protocol":1,"version":"9.9","mood":"fine"}}"#;
        assert!(matches!(
            decode(later),
            Ok(FromSuccessor::Hello { protocol: 1, version }) if version == "9.9"
        ));
        assert!(decode::<FromSuccessor>(br#"{"goodbye":{}}"#).is_err());
    }
}
