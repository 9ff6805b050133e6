//! The head of a request to a node that speaks HTTP.

use http1_wire::{ExpectRule, ForwardFacts, UpgradeRule, write_request_head};

use super::{forward::Forward, wish::Wish};

/// Appends the head for an HTTP node.
pub fn write_head(forward: &Forward<'_>, out: &mut Vec<u8>) {
    let facts = ForwardFacts {
        client_cert: forward.conn.client_cert.as_ref().map_or("", |cert| &cert.field_lines),
        claims: forward.from.claims(),
        host: forward.host.host_port(),
        via: &forward.ctx.shared.headers.via,
        request_id: forward.request_id,
        trace: forward.trace,
        body: forward.framing,
        // The stream of a source ends with its connection.
        upstream_keep_alive: forward.wish != Wish::Source,
        expect: match forward.wish {
            Wish::Source => ExpectRule::Restate,
            _ => ExpectRule::Answer,
        },
        upgrade: UpgradeRule::WebSocket,
    };
    write_request_head(forward.head, &facts, out);
}
