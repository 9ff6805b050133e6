//! Request bodies that last as long as their client sends: sources of live streams, and whatever
//! goes to a uwsgi node of modifier 123.
//!
//! HTTP knows no such request body, so a key must ask for it. To an HTTP node the body of a source
//! passes only once the node agreed, as in a WebSocket: else what follows the head could be read as
//! requests nobody judged. A uwsgi connection carries one request, so its body passes at once.

use http1_wire::{Method, RequestFraming, RequestHead, ResponseFraming, ResponseHead};
use route_table::{Node, Proto};

use super::wish::Wish;
use crate::policy::{
    Policy,
    streams::{Chunks, Switch},
};

/// The modifier by which a uwsgi node asks for raw bodies; none of a request handler.
const RAW_MODIFIER1: u8 = 123;

/// Where a request body ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BodyUntil {
    /// Where its framing says.
    Framed(RequestFraming),
    /// When the client finishes sending.
    Closed,
}

/// Whether a request is a source: `SOURCE`, or `PUT` that waits for 100, with no length.
pub fn is_source(policy: &Policy, head: &RequestHead<'_, '_>) -> bool {
    policy.streams.source == Switch::On
        && head.framing == RequestFraming::None
        && match head.method {
            Method::Other(name) => name == "SOURCE",
            Method::Put => waits(head),
            _ => false,
        }
}

/// Whether a client waits for 100 before it sends a body without a length.
pub fn waits(head: &RequestHead<'_, '_>) -> bool {
    head.fields.first("expect").is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"))
}

/// Where the body of a request to `node` ends.
pub fn until(wish: Wish, framing: RequestFraming, node: &Node) -> BodyUntil {
    let is_raw = wish == Wish::Source || (wish == Wish::Http && wants_raw(node));
    if is_raw && framing == RequestFraming::None && node.facts.proto == Proto::Uwsgi {
        BodyUntil::Closed
    } else {
        BodyUntil::Framed(framing)
    }
}

/// Whether chunks reach a uwsgi node as chunks; if not, it gets a complete body.
pub fn passes_chunks(policy: &Policy, node: &Node) -> bool {
    policy.streams.uwsgi_chunked == Chunks::Raw || wants_raw(node)
}

/// The modifier of packets to a node of `modifier1`.
pub fn packet_modifier1(modifier1: u8) -> u8 {
    if modifier1 == RAW_MODIFIER1 { 0 } else { modifier1 }
}

fn wants_raw(node: &Node) -> bool {
    node.facts.proto == Proto::Uwsgi && node.facts.modifier1 == RAW_MODIFIER1
}

/// Whether a node's answer lets a source begin: 100, or a success as endless as the source itself.
/// One with a length is an ordinary answer, after which the node would read the next request.
pub fn is_agreement(head: &ResponseHead<'_, '_>) -> bool {
    head.status == 100
        || (matches!(head.status, 200..=299) && head.framing == ResponseFraming::UntilClose)
}
