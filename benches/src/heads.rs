//! Request heads to measure with, and the steps a router takes with each.

use http1_wire::{
    Claims, ExpectRule, FieldSlots, ForwardFacts, Parsed, RequestHead, UpgradeRule, parse_request,
    write_request_head,
};
use route_table::{HostBuf, canonical_host};

/// The least a client sends.
pub const CURL: &str = "GET /index.html HTTP/1.1\r\nHost: shop-123456.tenants.example\r\n\
    User-Agent: curl/8.9.1\r\nAccept: */*\r\n\r\n";

/// What a browser sends to a site with cookies.
pub const BROWSER: &str = "GET /catalog/items?page=2&sort=price HTTP/1.1\r\n\
    Host: Shop-123456.tenants.example\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
    Referer: https://shop-123456.tenants.example/catalog\r\nConnection: keep-alive\r\n\
    Cookie: session=6f1c0d7be2a94c1e8f3a5b7c9d0e1f2a; theme=dark; consent=1\r\n\
    Upgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Site: same-origin\r\nPriority: u=0, i\r\n\r\n";

/// The parsed head.
pub fn parse<'s, 'b>(head: &'b str, slots: &'s mut FieldSlots<'b>) -> RequestHead<'s, 'b> {
    match parse_request(head.as_bytes(), slots) {
        Ok(Parsed::Complete(head)) => head,
        other => unreachable!("the head is whole and legal, not {other:?}"),
    }
}

/// The head as the upstream gets it, with the canonical host as the proxy does.
pub fn rewrite(head: &RequestHead<'_, '_>, out: &mut Vec<u8>) {
    let mut buf = HostBuf::new();
    let host = canonical_host(head.host, &mut buf).expect("a legal host");
    let facts = ForwardFacts {
        claims: Claims {
            prior: b"",
            peer_ip: "203.0.113.7",
            proto: "https",
            host: host.host_port(),
            port: "443",
        },
        host: host.host_port(),
        client_cert: "",
        via: "suzerain-0123456789ab",
        request_id: b"",
        trace: None,
        body: head.framing,
        upstream_keep_alive: true,
        expect: ExpectRule::Answer,
        upgrade: UpgradeRule::Drop,
    };
    out.clear();
    write_request_head(head, &facts, out);
}
