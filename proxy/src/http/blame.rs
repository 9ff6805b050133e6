//! What counts against a node, and what clears it.
//!
//! A connect that fails is noted where it fails (`router_core::upstream::checkout`). Here: attempts
//! that got a connection. Against the node count a close without an answer, no first byte in time
//! and an answer that is none. Not: what the client did, a response that broke off later, and a
//! pooled connection that turned out closed, which says nothing about the node as it is now.

use route_table::Node;
use router_core::{
    termination::Side,
    upstream::{self, Reuse},
};

use super::{
    failure::{Cause, Failure},
    response::Progressed,
};
use crate::{
    context::Context,
    policy::{Policy, resilience::ServerErrors},
};

/// Notes a failed attempt with a node, if the node is to blame.
pub fn note_failure(
    ctx: &Context,
    policy: &Policy,
    node: &Node,
    failure: &Failure,
    reuse: Reuse,
    progressed: &Progressed,
) {
    if is_nodes(failure, reuse, progressed) {
        upstream::note_failure(node, policy.resilience.eject, &ctx.shard);
    }
}

/// Notes an answer of `status`.
pub fn note_answer(ctx: &Context, policy: &Policy, node: &Node, status: u16) {
    if status >= 500 && policy.resilience.server_errors == ServerErrors::Failed {
        upstream::note_failure(node, policy.resilience.eject, &ctx.shard);
    } else {
        node.load.note_success();
    }
}

fn is_nodes(failure: &Failure, reuse: Reuse, progressed: &Progressed) -> bool {
    let is_upstreams = matches!(failure.termination.side, Side::Upstream | Side::UpstreamDeadline);
    let was_stale = reuse == Reuse::Pooled
        && progressed.answered.get() == 0
        && matches!(failure.cause, Cause::UpstreamGone);
    is_upstreams && progressed.status.get() == 0 && !was_stale
}

#[cfg(test)]
mod tests {
    use super::*;
    use router_core::termination::Phase;

    fn gone() -> Failure {
        Failure::upstream(Phase::ResponseHead, 502, Cause::UpstreamGone)
    }

    #[test]
    fn a_node_is_blamed_for_what_it_did_before_its_head_was_there() {
        let silent = Progressed::default();
        assert!(is_nodes(&gone(), Reuse::Fresh, &silent));
        let cut = Progressed::default();
        cut.answered.set(9);
        assert!(is_nodes(&gone(), Reuse::Pooled, &cut));
        cut.status.set(200);
        assert!(!is_nodes(&gone(), Reuse::Fresh, &cut), "a body that broke off");
    }

    #[test]
    fn a_stale_connection_and_a_client_that_left_are_not_the_nodes_fault() {
        let silent = Progressed::default();
        assert!(!is_nodes(&gone(), Reuse::Pooled, &silent));
        let left = Failure::client(Phase::RequestBody, 400, Cause::ClientGone);
        assert!(!is_nodes(&left, Reuse::Fresh, &silent));
    }
}
