//! Control octets, NUL and octets above ASCII, in each place where an octet can stand.

use super::{Entry, chunked, post};
use crate::verdict::{Verdict, cut, passed, refused};

/// NUL, controls that some parsers take for blanks or line ends, DEL, C1 and obs-text.
const OCTETS: &[u8] = &[0x00, 0x01, 0x08, 0x0b, 0x0c, 0x1b, 0x1f, 0x7f, 0x80, 0x85, 0xa0, 0xff];

/// A place: its name, what stands before and behind the octet, and the verdicts for a control and
/// for an octet above ASCII.
type Place = (&'static str, &'static str, &'static str, Verdict, Verdict);

const HEADS: &[Place] = &[
    ("in a method", "G", "T /a HTTP/1.1\r\nHost: $H\r\n\r\n", refused(400), refused(400)),
    ("in a target", "GET /a", "b HTTP/1.1\r\nHost: $H\r\n\r\n", refused(400), refused(400)),
    ("in a query", "GET /?a", "b HTTP/1.1\r\nHost: $H\r\n\r\n", refused(400), refused(400)),
    ("behind the version", "GET /a HTTP/1.1", "\r\nHost: $H\r\n\r\n", refused(400), refused(400)),
    ("in a host", "GET /a HTTP/1.1\r\nHost: $H", "\r\n\r\n", refused(400), refused(400)),
    ("in a name", "GET /a HTTP/1.1\r\nHost: $H\r\nX", "Y: 1\r\n\r\n", refused(400), refused(400)),
    (
        "before a colon",
        "GET /a HTTP/1.1\r\nHost: $H\r\nX",
        ": 1\r\n\r\n",
        refused(400),
        refused(400),
    ),
    ("in a value", "GET /a HTTP/1.1\r\nHost: $H\r\nX: 1", "2\r\n\r\n", refused(400), passed(1)),
    ("around a value", "GET /a HTTP/1.1\r\nHost: $H\r\nX: ", "\r\n\r\n", refused(400), passed(1)),
];

pub fn all() -> Vec<Entry> {
    let mut entries = Vec::new();
    for octet in OCTETS {
        let name = |place: &str| format!("0x{octet:02x} {place}");
        let pick = |control, above| if octet.is_ascii() { control } else { above };
        for (place, before, behind, control, above) in HEADS {
            let bytes = around(before, *octet, behind);
            entries.push(Entry::new(name(place), bytes, pick(*control, *above)));
        }
        let length = around("Content-Length: 5", *octet, "\r\n");
        entries.push(post(name("behind a length"), length, "hello", refused(400)));
        let coding = around("Transfer-Encoding: chunked", *octet, "\r\n");
        entries.push(post(name("behind a coding"), coding, "0\r\n\r\n", refused(400)));
        let size = around("5", *octet, "\r\nhello\r\n0\r\n\r\n");
        entries.push(chunked(name("behind a chunk size"), size, cut(400)));
        let extension = around("5;a", *octet, "\r\nhello\r\n0\r\n\r\n");
        entries.push(chunked(name("in a chunk extension"), extension, cut(400)));
        let trailer = around("0\r\nX: 1", *octet, "\r\n\r\n");
        entries.push(chunked(name("in a trailer"), trailer, pick(cut(400), passed(1))));
    }
    entries
}

fn around(before: &str, octet: u8, behind: &str) -> Vec<u8> {
    [before.as_bytes(), &[octet], behind.as_bytes()].concat()
}
