//! Who may be routed to: proof, lease and registry of subscriptions, without I/O.
//!
//! The shell that owns sockets, files and clocks makes a handful of calls:
//!
//! * [`Registry::apply`] for each datagram received: [`Verdict`] says what it did;
//! * [`Registry::sweep`] when [`Registry::poll_timeout`] is reached: lapsed leases end;
//! * [`Registry::key_file_changed`] when a key file did;
//! * [`Registry::publish`] once per batch, and then [`Registry::poll_effect`] until it is empty.
//!
//! Nothing here opens a socket or a file, reads a clock or starts a thread (`clippy.toml` bans it);
//! hostile bytes end in a counted [`Reject`]. The other side of the wire, which builds and signs
//! datagrams, is [`announce`].

#![forbid(unsafe_code)]

pub mod announce;
mod credentials;
mod datagram;
mod effect;
#[doc(hidden)]
pub mod fuzzing;
mod keyring;
mod lease;
pub mod limits;
mod proof;
mod registry;
mod reject;
mod replay;
mod sni;
pub mod state;
mod upstream_policy;
mod verify;

pub use credentials::{CredentialRules, Owner, OwnerCheck};
pub use datagram::{Command, Proof, Subscription};
pub use effect::{CertText, Departure, Effect};
pub use keyring::{KeyFiles, key_file_name};
pub use limits::Limits;
pub use registry::{
    Carried, Forwarding, Growth, NodeView, Now, Peer, Registry, RegistryConfig, RegistryStats,
    Restored, Source, StaticNodeError, VassalNames, Verdict,
};
pub use reject::Reject;
pub use upstream_policy::{AllowRule, AllowRuleError, UpstreamPolicy};
pub use verify::{Digest, DigestUnknown, KeyPrint, PublicKey, PublicKeyError};
