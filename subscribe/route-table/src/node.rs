//! The immutable facts of one upstream.
//!
//! A `Node` never changes: a node announced with other facts is a new `Node` that shares its
//! predecessor's counters. Routes hold it as `Arc<Node>`, and that `Arc` is all a worker keeps
//! across an exchange.

use std::ops::Deref;
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
    /// The configuration: it stays as long as that says so.
    Static,
    /// Somebody who controls the running router: it stays until it is deleted.
    Operator,
}

/// Whether a node is given new requests.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Intake {
    /// It is, if it can serve.
    #[default]
    Open,
    /// It is not: an operator lets it finish what it has.
    Drained,
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
    /// What an operator decided about it; its successors keep that.
    pub intake: Intake,
    /// The counters, shared with the node's predecessor and successor.
    pub load: NodeCounters,
}

/// The counters of a node, wherever they are.
///
/// A node is announced and then hardly ever changes, so its counters lie in the node itself: one
/// allocation instead of two, of three cache lines instead of five. Only a node that succeeded
/// another goes to the first of its line for them.
#[derive(Debug)]
pub struct NodeCounters {
    own: NodeLoad,
    first: Option<Arc<Node>>,
}

impl NodeCounters {
    fn new() -> Self {
        Self { own: NodeLoad::new(), first: None }
    }

    fn of(node: &Arc<Node>) -> Self {
        let first = node.load.first.as_ref().unwrap_or(node);
        Self { own: NodeLoad::new(), first: Some(Arc::clone(first)) }
    }
}

impl Deref for NodeCounters {
    type Target = NodeLoad;

    #[inline]
    fn deref(&self) -> &NodeLoad {
        self.first.as_ref().map_or(&self.own, |first| &first.load.own)
    }
}

const _: () = assert!(size_of::<Node>() <= 176); // with the counts of its Arc, three cache lines

impl Node {
    /// A node seen for the first time.
    pub fn new(id: NodeId, facts: NodeFacts) -> Self {
        Self { id, facts, intake: Intake::Open, load: NodeCounters::new() }
    }

    /// The node at another address, or at none: the counters stay, but connections that are kept
    /// for the one number must not be used for the other.
    pub fn moved(self: &Arc<Self>, id: NodeId, facts: NodeFacts) -> Self {
        Self { id, facts, intake: self.intake, load: NodeCounters::of(self) }
    }

    /// The same node, given requests or not.
    pub fn with_intake(self: &Arc<Self>, intake: Intake) -> Self {
        Self { intake, ..self.with_facts(self.facts.clone()) }
    }

    /// Whether a request may be given to it at all.
    pub fn takes_part(&self) -> bool {
        self.intake == Intake::Open && !self.is_asleep()
    }

    /// Whether it has no address, so that no request can be given to it.
    pub fn is_asleep(&self) -> bool {
        self.facts.address == Address::Nowhere
    }

    /// The same node with other facts: identity and counters stay.
    pub fn with_facts(self: &Arc<Self>, facts: NodeFacts) -> Self {
        Self { id: self.id, facts, intake: self.intake, load: NodeCounters::of(self) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(address: &str) -> NodeFacts {
        NodeFacts {
            address: Address::parse(address.as_bytes()).expect("legal"),
            announced: address.into(),
            proto: Proto::Http,
            opening: Opening::default(),
            modifier1: 0,
            modifier2: 0,
            weight: 1,
            backup: 0,
            origin: NodeOrigin::Subscribed,
            announcer: None,
        }
    }

    #[test]
    fn a_line_of_successors_counts_in_one_place_and_keeps_only_its_first() {
        let first = Arc::new(Node::new(NodeId(1), facts(":1")));
        let second = Arc::new(first.with_facts(facts(":1")));
        let third = Arc::new(second.moved(NodeId(2), facts(":2")));
        first.load.begin();
        second.load.begin();
        third.load.begin();
        assert!([&first, &second, &third].iter().all(|node| node.load.in_flight() == 3));
        assert_eq!((first.id, second.id, third.id), (NodeId(1), NodeId(1), NodeId(2)));
        let middle = Arc::downgrade(&second);
        drop(second);
        assert!(middle.upgrade().is_none(), "only the first is kept");
        drop(first);
        third.load.end();
        assert_eq!(third.load.in_flight(), 2);
    }
}
