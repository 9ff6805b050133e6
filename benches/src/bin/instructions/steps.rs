//! The steps that are counted on their own, each as often as asked.

use std::hint::black_box;
use std::sync::Arc;

use benches::heads::{BROWSER, CURL, parse, rewrite};
use benches::{host_name, table};
use http1_wire::{FieldSlots, Parsed, ResponseTo, parse_response};
use route_table::{Dotsplit, HostBuf, canonical_host};
use uwsgi_wire::PacketWriter;

/// Runs a step that often.
pub type Step = fn(usize);

/// Every step by name.
pub const STEPS: &[(&str, Step)] = &[
    ("parse/curl", |times| parse_often(CURL, times)),
    ("parse/browser", |times| parse_often(BROWSER, times)),
    ("forward/browser", forward),
    ("response/parse", response),
    ("lookup/10000", lookup),
    ("uwsgi/packet", packet),
];

/// The step of that name.
pub fn find(name: &str) -> Option<Step> {
    STEPS.iter().find(|(known, _)| *known == name).map(|(_, step)| *step)
}

/// What is counted: callgrind is told this name. `#[inline(never)]` keeps it.
#[inline(never)]
fn counted(times: usize, mut step: impl FnMut()) {
    for _ in 0..times {
        step();
    }
}

fn parse_often(head: &'static str, times: usize) {
    counted(times, || {
        let mut slots = FieldSlots::new();
        black_box(parse(black_box(head), &mut slots).fields.len());
    });
}

fn forward(times: usize) {
    let mut slots = FieldSlots::new();
    let head = parse(BROWSER, &mut slots);
    let mut out = Vec::with_capacity(4096);
    counted(times, || {
        rewrite(black_box(&head), &mut out);
        black_box(out.len());
    });
}

fn response(times: usize) {
    counted(times, || {
        let mut slots = FieldSlots::new();
        match parse_response(black_box(RESPONSE), &mut slots, ResponseTo::Other) {
            Ok(Parsed::Complete(head)) => black_box(head.fields.len()),
            other => unreachable!("the head is whole and legal, not {other:?}"),
        };
    });
}

/// From the bytes of a Host field to its route, as a request pays for it.
fn lookup(times: usize) {
    let (_writer, handle) = table(KEYS);
    let mut reader = handle.reader();
    let hosts: Vec<String> = (0..KEYS).map(host_name).collect();
    let mut at = 0;
    counted(times, || {
        at = (at + 97) % KEYS;
        let host = hosts[at].as_str();
        let mut buf = HostBuf::new();
        let host = canonical_host(black_box(host.as_bytes()), &mut buf).expect("a legal host");
        black_box(reader.load().lookup(&host, Dotsplit::Off).map(Arc::as_ptr));
    });
}

/// The variables of a browser's request, one by one.
fn packet(times: usize) {
    let mut out = Vec::with_capacity(4096);
    counted(times, || {
        out.clear();
        let mut writer = PacketWriter::start(&mut out, 0, 0).expect("room for a header");
        for (name, value) in black_box(VARIABLES) {
            writer.pair(name.as_bytes(), value.as_bytes()).expect("a short pair");
        }
        writer.finish();
        black_box(out.len());
    });
}

const KEYS: usize = 10_000;

const RESPONSE: &[u8] =
    b"HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Cache-Control: no-store\r\nContent-Length: 1024\r\n\r\n";

const VARIABLES: &[(&str, &str)] = &[
    ("REQUEST_METHOD", "GET"),
    ("REQUEST_URI", "/catalog/items?page=2&sort=price"),
    ("PATH_INFO", "/catalog/items"),
    ("QUERY_STRING", "page=2&sort=price"),
    ("SERVER_PROTOCOL", "HTTP/1.1"),
    ("SERVER_NAME", "shop-123456.tenants.example"),
    ("SERVER_PORT", "443"),
    ("REQUEST_SCHEME", "https"),
    ("HTTPS", "on"),
    ("REMOTE_ADDR", "203.0.113.7"),
    ("REMOTE_PORT", "55068"),
    ("HTTP_HOST", "shop-123456.tenants.example"),
    ("HTTP_USER_AGENT", "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0"),
    ("HTTP_ACCEPT", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"),
    ("HTTP_ACCEPT_LANGUAGE", "en-US,en;q=0.5"),
    ("HTTP_ACCEPT_ENCODING", "gzip, deflate, br, zstd"),
    ("HTTP_COOKIE", "session=6f1c0d7be2a94c1e8f3a5b7c9d0e1f2a; theme=dark; consent=1"),
];
