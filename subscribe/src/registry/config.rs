//! What a registry is made of, and what its shell tells it with each datagram.

use std::collections::HashSet;
use std::net::SocketAddr;

use route_table::{Algorithm, Credentials, RouteKey};

use crate::credentials::CredentialRules;
use crate::limits::Limits;
use crate::upstream_policy::UpstreamPolicy;
use crate::verify::Digest;

/// The two clocks of the shell, read once per batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Now {
    /// Milliseconds of a clock that never jumps: leases are counted on it.
    pub mono_ms: u64,
    /// Seconds of Unix time: stamps are compared with it. May jump in both directions.
    pub unix: u64,
}

/// Where a datagram came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Source {
    /// The sender.
    pub peer: Peer,
    /// What the kernel says about it, if it was asked.
    pub credentials: Option<Credentials>,
}

impl Source {
    /// A sender the kernel says nothing about.
    #[must_use]
    pub const fn of(peer: Peer) -> Self {
        Self { peer, credentials: None }
    }
}

/// The sender of a datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Peer {
    /// A UDP sender. Its address proves nothing.
    Ip(SocketAddr),
    /// A sender on a unix datagram socket.
    Unix,
}

/// Which datagrams are passed on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Forwarding {
    /// None.
    #[default]
    Off,
    /// Those whose signature verified and that counted.
    Proven,
}

/// Whether a datagram must name its vassal.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum VassalNames {
    /// It may.
    #[default]
    Optional,
    /// One without is refused.
    Required,
}

/// What one registry is made of.
#[derive(Clone, Debug)]
pub struct RegistryConfig {
    /// The digest signatures must use; `None` believes every datagram, and then nothing protects
    /// from replay either.
    pub sign: Option<Digest>,
    /// How far a stamp may lie from this clock, in seconds, in both directions. Default 60.
    pub sign_tolerance_s: u64,
    /// What a sender's user decides; `None` asks for no credentials.
    pub credentials: Option<CredentialRules>,
    /// What is passed on to other routers.
    pub forwarding: Forwarding,
    /// How long a node stays without renewal, in milliseconds. Default 17,000.
    pub lease_ms: u64,
    /// The same for a node without an address.
    pub inactive_lease_ms: u64,
    /// Whether a datagram must name its vassal.
    pub vassal_names: VassalNames,
    /// How a key spreads its requests if the announcement that creates it does not say.
    pub algorithm: Algorithm,
    /// Where upstreams may be.
    pub upstream_policy: UpstreamPolicy,
    /// Keys that are addresses of raw listeners: who announces them without a protocol, as uWSGI
    /// does, can only mean `Proto::Tcp`.
    pub raw_keys: HashSet<RouteKey>,
    /// How much may be held.
    pub limits: Limits,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            sign: None,
            sign_tolerance_s: 60,
            credentials: None,
            forwarding: Forwarding::Off,
            lease_ms: 17_000,
            inactive_lease_ms: 17_000,
            vassal_names: VassalNames::Optional,
            algorithm: Algorithm::default(),
            upstream_policy: UpstreamPolicy::default_allow(),
            raw_keys: HashSet::new(),
            limits: Limits::default(),
        }
    }
}
