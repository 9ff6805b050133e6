//! Exchanges that are tunnels from their first byte on: what RTSP leaves to pass as it comes.

use std::sync::Arc;

use route_table::{Node, Tried};
use router_core::upstream::Checkout;

use super::{Client, Exchange, InFlight, Outcome};
use crate::{
    context::Context,
    http::{
        gate::Admitted,
        judge::Plan,
        record::Record,
        request_body::send_request,
        switched::{Counted, Switched},
    },
    node::NodeConn,
    policy::Policy,
};

/// Makes a tunnel of the client's and a node's connection, until it ends. What was received from the
/// client and not consumed goes first.
pub async fn pass_on(
    ctx: &Context,
    policy: &Policy,
    client: Client<'_>,
    record: &mut Record,
    node: Arc<Node>,
    upstream: NodeConn,
) {
    let (tried, admitted) = (Tried::default(), Admitted::default());
    Exchange { ctx, policy, client, record, tried, admitted }.tunnel(node, upstream).await;
}

impl Exchange<'_> {
    /// The sending half of a session tunnelled in HTTP: sends the head and from then on whatever comes, to the one node that knows the session.
    pub(super) async fn pour(&mut self, plan: &mut Plan) -> Outcome {
        debug_assert!(self.tried.is_empty(), "there is no other node to try");
        let node = plan.node.clone();
        let _in_flight = InFlight::begin(&node);
        let mut upstream = match self.check_out(&node, Checkout::Fresh).await {
            Ok(upstream) => upstream,
            Err(failure) => return self.failed(failure, 0),
        };
        let timeouts = &self.policy.timeouts;
        match send_request(&mut upstream.write, timeouts, std::mem::take(&mut plan.request)).await {
            Ok(_spent) => self.tunnel(node, upstream).await,
            Err(failure) => self.failed(failure, 0),
        }
    }

    /// Makes a tunnel of both connections, until it ends.
    async fn tunnel(&mut self, node: Arc<Node>, upstream: NodeConn) -> Outcome {
        let switched = Switched::new(node, upstream, &self.policy.timeouts, Counted::default());
        let Client { reader, writer, inbound, .. } = &mut self.client;
        switched.pass(reader, writer, inbound, self.record).await;
        Outcome::Tunnelled
    }
}
