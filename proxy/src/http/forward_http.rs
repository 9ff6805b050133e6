//! The head of a request to a node that speaks HTTP.

use http1_wire::{
    ExpectRule, ForwardFacts, RequestFraming, RequestHead, UpgradeRule, write_request_head,
};
use route_table::CanonicalHost;

use crate::context::ConnFacts;

/// Appends the head for an HTTP node.
pub fn write_head(
    conn: &ConnFacts,
    head: &RequestHead<'_, '_>,
    host: &CanonicalHost<'_>,
    framing: RequestFraming,
    out: &mut Vec<u8>,
) {
    let facts = ForwardFacts {
        client_ip: conn.client_ip(),
        proto: conn.scheme.name(),
        host: host.host_port(),
        port: &conn.local_port,
        client_cert: conn.client_cert.as_ref().map_or("", |cert| &cert.field_lines),
        body: framing,
        upstream_keep_alive: true,
        expect: ExpectRule::Answer,
        upgrade: UpgradeRule::WebSocket,
    };
    write_request_head(head, &facts, out);
}
