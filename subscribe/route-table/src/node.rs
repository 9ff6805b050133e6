//! The immutable facts of one upstream.
//!
//! A `Node` never changes: a node announced with other facts is a new `Node` that shares its
//! predecessor's counters. Routes hold it as `Arc<Node>`, and that `Arc` is all a worker keeps
//! across an exchange.

use std::sync::Arc;

use crate::address::Address;
use crate::announcer::Announcer;
use crate::load::NodeLoad;

/// A number that no other node of this process has or had.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeId(pub u64);

/// The protocol a node is spoken to in.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Proto {
    /// uwsgi packets, one connection per request.
    #[default]
    Uwsgi,
    /// HTTP/1.1 with keep-alive.
    Http,
    /// HTTP/2 without TLS, many requests on one connection.
    H2c,
    /// TLS that the node ends itself; what is inside is between it and the client.
    Tls,
    /// Whatever the client says, as it comes.
    Tcp,
}

/// What a listener gives to nodes, which decides the nodes it can use.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Speech {
    /// Requests, written anew for the node.
    #[default]
    Requests,
    /// TLS as the client sent it.
    Tls,
    /// Bytes as the client sent them.
    Tcp,
    /// A uwsgi packet as the client sent it, and what follows it.
    Packets,
}

impl Speech {
    /// Whether a node of `proto` understands it.
    pub fn suits(self, proto: Proto) -> bool {
        match self {
            Self::Packets => proto == Proto::Uwsgi,
            _ => proto.speech() == self,
        }
    }
}

impl Proto {
    /// The word of configuration and statistics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Uwsgi => "uwsgi",
            Self::Http => "http",
            Self::H2c => "h2c",
            Self::Tls => "tls",
            Self::Tcp => "tcp",
        }
    }

    /// What a node of this protocol is given by listeners that are not of its own protocol.
    pub fn speech(self) -> Speech {
        match self {
            Self::Uwsgi | Self::Http | Self::H2c => Speech::Requests,
            Self::Tls => Speech::Tls,
            Self::Tcp => Speech::Tcp,
        }
    }
}

/// What connections to a node begin with, before its protocol.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Opening {
    /// Nothing.
    #[default]
    Plain,
    /// A PROXY preface of version 2, which says whose connection it is.
    ProxyV2,
}

/// Where a node comes from.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum NodeOrigin {
    /// A subscription: it has a lease and may lapse.
    Subscribed,
    /// The configuration: it stays until the router ends.
    Static,
}

/// What is known about a node besides its counters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NodeFacts {
    /// Where to connect.
    pub address: Address,
    /// The address as it was announced: the node's identity inside its key.
    pub announced: Box<str>,
    /// What to speak there.
    pub proto: Proto,
    /// What to say before that.
    pub opening: Opening,
    /// First modifier of the uwsgi packets sent there.
    pub modifier1: u8,
    /// Second modifier of the uwsgi packets sent there.
    pub modifier2: u8,
    /// Share of the requests, at least 1.
    pub weight: u32,
    /// Backup level: a node is used only when no lower level has one. 0 is primary.
    pub backup: u8,
    /// Whether a lease holds it.
    pub origin: NodeOrigin,
    /// Who announced it, if anything is known.
    pub announcer: Option<Box<Announcer>>,
}

impl NodeFacts {
    /// The vassal it belongs to, if it said so.
    pub fn vassal(&self) -> Option<&str> {
        self.announcer.as_ref()?.vassal.as_deref()
    }
}

/// One upstream of a route.
#[derive(Debug)]
pub struct Node {
    /// Tells this node from every other, also after a publish.
    pub id: NodeId,
    /// What was announced or configured.
    pub facts: NodeFacts,
    /// The counters, shared with the node's predecessor and successor.
    pub load: Arc<NodeLoad>,
}

impl Node {
    /// A node seen for the first time.
    pub fn new(id: NodeId, facts: NodeFacts) -> Self {
        Self { id, facts, load: Arc::new(NodeLoad::new()) }
    }

    /// The node at another address, or at none: the counters stay, but connections that are kept
    /// for the one number must not be used for the other.
    pub fn moved(&self, id: NodeId, facts: NodeFacts) -> Self {
        Self { id, facts, load: Arc::clone(&self.load) }
    }

    /// Whether it has no address, so that no request can be given to it.
    pub fn is_asleep(&self) -> bool {
        self.facts.address == Address::Nowhere
    }

    /// The same node with other facts: identity and counters stay.
    pub fn with_facts(&self, facts: NodeFacts) -> Self {
        Self { id: self.id, facts, load: Arc::clone(&self.load) }
    }
}
