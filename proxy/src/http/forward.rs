//! What the head of a request for a node is made from, whatever the node speaks.

use http1_wire::{RequestFraming, RequestHead, TraceFields};
use route_table::{CanonicalHost, Node};

use super::{provenance::Provenance, wish::Wish};
use crate::{
    context::{ConnFacts, Context},
    policy::HeaderPolicy,
};

/// One request on its way to one node.
pub struct Forward<'a> {
    /// The worker's state.
    pub ctx: &'a Context,
    /// The client's connection.
    pub conn: &'a ConnFacts,
    /// What the client sent.
    pub head: &'a RequestHead<'a, 'a>,
    /// The host it is for.
    pub host: &'a CanonicalHost<'a>,
    /// How the body goes on.
    pub framing: RequestFraming,
    /// What the client wants its connection to become.
    pub wish: Wish,
    /// Who asked.
    pub from: &'a Provenance<'a>,
    /// `X-Request-ID`; empty: none of ours.
    pub request_id: &'a [u8],
    /// What the node is told of its trace; `None`: what the client said.
    pub trace: Option<TraceFields>,
    /// The rules of the key.
    pub policy: &'a HeaderPolicy,
    /// Who is asked.
    pub node: &'a Node,
}
