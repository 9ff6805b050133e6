//! The head of a request to a node that speaks HTTP.

use http1_wire::{ExpectRule, ForwardFacts, UpgradeRule, write_request_head};

use super::forward::Forward;

/// Appends the head for an HTTP node.
pub fn write_head(forward: &Forward<'_>, out: &mut Vec<u8>) {
    let facts = ForwardFacts {
        client_cert: forward.conn.client_cert.as_ref().map_or("", |cert| &cert.field_lines),
        claims: forward.from.claims(),
        host: forward.host.host_port(),
        via: &forward.ctx.shared.headers.via,
        request_id: forward.request_id,
        body: forward.framing,
        upstream_keep_alive: true,
        expect: ExpectRule::Answer,
        upgrade: UpgradeRule::WebSocket,
    };
    write_request_head(forward.head, &facts, out);
}
