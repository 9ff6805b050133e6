//! Responses of an origin, ambiguous, malformed, or with more bytes than they should have.

/// When the origin goes away.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Then {
    /// At once.
    Close,
    /// It waits for another request.
    Stay,
    /// Only after it sent these bytes, a moment later, and it waits for another request.
    Late(&'static [u8]),
}

/// What the client must get.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Relayed {
    /// A response with this status and body, and the answer to its next request.
    Whole(u16, &'static str),
    /// 502 from the router, and the answer to its next request or the end of the connection.
    Refused,
    /// A response that it can tell is not complete, and the end of the connection.
    Cut,
}

/// One response.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: String,
    pub bytes: Vec<u8>,
    pub then: Then,
    pub relayed: Relayed,
    /// Method of the request it answers.
    pub method: &'static str,
}

use Relayed::{Cut, Refused, Whole};

pub fn all() -> Vec<Entry> {
    let mut entries = Vec::new();
    for (name, head) in REFUSED_FIELDS {
        let bytes = format!("HTTP/1.1 200 OK\r\n{head}\r\nhello").into_bytes();
        entries.push(entry(name, bytes, Then::Close, Refused));
    }
    for (name, line) in REFUSED_LINES {
        let bytes = format!("{line}\r\nContent-Length: 5\r\n\r\nhello").into_bytes();
        entries.push(entry(name, bytes, Then::Close, Refused));
    }
    for (name, bytes, then, relayed) in WHOLE {
        entries.push(entry(name, bytes.to_vec(), *then, *relayed));
    }
    for (name, body, relayed) in CHUNKED {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let bytes = [head.as_bytes(), body].concat();
        entries.push(entry(name, bytes, Then::Close, *relayed));
    }
    for (name, bytes, then, relayed) in HEADS {
        let mut entry = entry(name, bytes.to_vec(), *then, *relayed);
        entry.method = "HEAD";
        entries.push(entry);
    }
    for octet in [0x00, 0x01, 0x08, 0x0b, 0x0c, 0x1b, 0x7f] {
        let name = |place: &str| format!("0x{octet:02x} {place}");
        let bytes =
            [b"HTTP/1.1 200 O".as_slice(), &[octet], b"K\r\nContent-Length: 5\r\n\r\nhello"];
        entries.push(entry(&name("in a reason"), bytes.concat(), Then::Close, Refused));
        let bytes = [b"HTTP/1.1 200 OK\r\nX: 1".as_slice(), &[octet], END];
        entries.push(entry(&name("in a response's value"), bytes.concat(), Then::Close, Refused));
        let bytes = [b"HTTP/1.1 200 OK\r\nX".as_slice(), &[octet], b": 1", END];
        entries.push(entry(&name("in a response's name"), bytes.concat(), Then::Close, Refused));
    }
    let many: String = (0..128).map(|at| format!("X-{at}: 1\r\n")).collect();
    let many = format!("HTTP/1.1 200 OK\r\n{many}Content-Length: 5\r\n\r\nhello").into_bytes();
    entries.push(entry("a response of 129 fields", many, Then::Close, Refused));
    let long =
        format!("HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 5\r\n\r\nhello", "v".repeat(65536));
    entries.push(entry(
        "a response head of more than 64 KiB",
        long.into_bytes(),
        Then::Close,
        Refused,
    ));
    entries
}

const END: &[u8] = b"\r\nContent-Length: 5\r\n\r\nhello";

fn entry(name: &str, bytes: Vec<u8>, then: Then, relayed: Relayed) -> Entry {
    Entry { name: name.to_owned(), bytes, then, relayed, method: "GET" }
}

const REFUSED_FIELDS: &[(&str, &str)] = &[
    ("a response with two lengths", "Content-Length: 5\r\nContent-Length: 6\r\n"),
    ("a response with two equal lengths", "Content-Length: 5\r\nContent-Length: 5\r\n"),
    ("a response with a list of lengths", "Content-Length: 5, 5\r\n"),
    ("a response with a signed length", "Content-Length: +5\r\n"),
    ("a response with a negative length", "Content-Length: -5\r\n"),
    ("a response with an empty length", "Content-Length:\r\n"),
    ("a response with a worded length", "Content-Length: five\r\n"),
    ("a response with a hexadecimal length", "Content-Length: 0x5\r\n"),
    ("a response with a length above 2^63", "Content-Length: 9223372036854775808\r\n"),
    ("a response with length and coding", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
    ("a response with coding and length", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
    ("a response in gzip and chunks", "Transfer-Encoding: gzip, chunked\r\n"),
    ("a response in chunks and gzip", "Transfer-Encoding: chunked, gzip\r\n"),
    ("a response in identity", "Transfer-Encoding: identity\r\n"),
    ("a response with an empty coding", "Transfer-Encoding:\r\n"),
    ("a response with chunked twice", "Transfer-Encoding: chunked, chunked\r\n"),
    ("a response with two codings", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
    ("a response with a quoted coding", "Transfer-Encoding: \"chunked\"\r\n"),
    ("a response with a blank before a colon", "Content-Length : 5\r\n"),
    ("a response with a folded field", "X: 1\r\n 2\r\nContent-Length: 5\r\n"),
    ("a response with a folded coding", "Transfer-Encoding:\r\n chunked\r\n"),
    ("a response with a blank before a name", " X: 1\r\nContent-Length: 5\r\n"),
    ("a response with a line without a colon", "nothing\r\nContent-Length: 5\r\n"),
    ("a response with a field without a name", ": 1\r\nContent-Length: 5\r\n"),
    ("a response with a name in brackets", "[X]: 1\r\nContent-Length: 5\r\n"),
    ("a response with a bare LF behind a field", "X: 1\nContent-Length: 5\r\n"),
    ("a response with a bare CR in a value", "X: 1\r2\r\nContent-Length: 5\r\n"),
    (
        "a response whose Connection names the length",
        "Connection: Content-Length\r\nContent-Length: 5\r\n",
    ),
    ("a response whose Connection is no token", "Connection: a b\r\nContent-Length: 5\r\n"),
];

const REFUSED_LINES: &[(&str, &str)] = &[
    ("a response in HTTP/2.0", "HTTP/2.0 200 OK"),
    ("a response in HTTP/1.2", "HTTP/1.2 200 OK"),
    ("a response in HTTP/0.9", "HTTP/0.9 200 OK"),
    ("a response in another protocol", "ICY 200 OK"),
    ("a response in lower case", "http/1.1 200 OK"),
    ("a status of two digits", "HTTP/1.1 20 OK"),
    ("a status of four digits", "HTTP/1.1 2000 OK"),
    ("a worded status", "HTTP/1.1 abc OK"),
    ("a status below 100", "HTTP/1.1 099 OK"),
    ("a signed status", "HTTP/1.1 +20 OK"),
    ("no status", "HTTP/1.1  OK"),
    ("two blanks before the status", "HTTP/1.1  200 OK"),
    ("a tab before the status", "HTTP/1.1\t200 OK"),
    ("a blank before the version", " HTTP/1.1 200 OK"),
    ("an empty line before the status line", "\r\nHTTP/1.1 200 OK"),
    ("an LF before the status line", "\nHTTP/1.1 200 OK"),
    ("a status line with a bare CR", "HTTP/1.1 200 O\rK"),
    ("a status line with a bare LF", "HTTP/1.1 200 OK\nX: 1"),
    ("a status line that is text", "hello"),
    ("an unasked change of protocols", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x"),
    ("a coding in an HTTP/1.0 response", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked"),
];

type Row = (&'static str, &'static [u8], Then, Relayed);

const WHOLE: &[Row] = &[
    ("nothing at all", b"", Then::Close, Refused),
    ("an end in the status line", b"HTTP/1.1 20", Then::Close, Refused),
    ("an end in a response's fields", b"HTTP/1.1 200 OK\r\nContent-Le", Then::Close, Refused),
    ("an end before the response's empty line", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", Then::Close, Refused),
    ("bare LF in all of a response", b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", Then::Close, Refused),
    ("a plain response", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Then::Stay, Whole(200, "hello")),
    ("a response without a reason", b"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello", Then::Stay, Whole(200, "hello")),
    ("a response without a reason and its blank", b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", Then::Stay, Whole(200, "hello")),
    ("a reason above ASCII", b"HTTP/1.1 200 \xc3\xa9\r\nContent-Length: 5\r\n\r\nhello", Then::Stay, Whole(200, "hello")),
    ("a status without a meaning", b"HTTP/1.1 999 ?\r\nContent-Length: 5\r\n\r\nhello", Then::Stay, Whole(999, "hello")),
    ("a body that ends with the connection", b"HTTP/1.1 200 OK\r\n\r\nhello", Then::Close, Whole(200, "hello")),
    ("an HTTP/1.0 body that ends with the connection", b"HTTP/1.0 200 OK\r\n\r\nhello", Then::Close, Whole(200, "hello")),
    ("a body that ends with the connection and looks like two", b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", Then::Close, Whole(200, "HTTP/1.1 200 OK\r\n\r\n")),
    ("an empty body", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Then::Stay, Whole(200, "")),
    ("a response's length with leading zeros", b"HTTP/1.1 200 OK\r\nContent-Length: 0005\r\n\r\nhello", Then::Stay, Whole(200, "hello")),
    ("a body shorter than its response's length", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", Then::Close, Cut),
    ("a response's length near 2^63", b"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\nhello", Then::Close, Cut),
    ("a body longer than its length", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, poison", Then::Stay, Whole(200, "hello")),
    ("a second response behind the first", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", Then::Stay, Whole(200, "hello")),
    ("a second response behind an empty one", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", Then::Stay, Whole(200, "")),
    ("a second response behind chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", Then::Stay, Whole(200, "")),
    ("a body behind 204", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", Then::Stay, Whole(204, "")),
    ("chunks behind 204", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", Then::Stay, Whole(204, "")),
    ("a body without a length behind 204", b"HTTP/1.1 204 No Content\r\n\r\nhello", Then::Stay, Whole(204, "")),
    ("a body behind 304", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello", Then::Stay, Whole(304, "")),
    ("a second response behind 304", b"HTTP/1.1 304 Not Modified\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", Then::Stay, Whole(304, "")),
    ("an interim response first", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Then::Stay, Whole(200, "hello")),
    ("early hints first", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Then::Stay, Whole(200, "hello")),
    ("an interim response with a length", b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Then::Stay, Whole(200, "hello")),
    ("an interim response with a body", b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", Then::Close, Refused),
    ("nothing but an interim response", b"HTTP/1.1 100 Continue\r\n\r\n", Then::Close, Refused),
    ("a close in a response that stays", b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", Then::Stay, Whole(200, "hello")),
    ("a late byte behind the body", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Then::Late(b"!"), Whole(200, "hello")),
    ("a late second response", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Then::Late(POISON), Whole(200, "hello")),
    ("a late second response behind 204", b"HTTP/1.1 204 No Content\r\n\r\n", Then::Late(POISON), Whole(204, "")),
    ("a late second response behind chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Then::Late(POISON), Whole(200, "")),
    ("a late body behind 304", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", Then::Late(b"hello"), Whole(304, "")),
];

const POISON: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";

const CHUNKED: &[(&str, &[u8], Relayed)] = &[
    ("a response in one chunk", b"5\r\nhello\r\n0\r\n\r\n", Whole(200, "hello")),
    ("a response in two chunks", b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", Whole(200, "hello")),
    ("a response with an extension", b"5;a=b\r\nhello\r\n0\r\n\r\n", Whole(200, "hello")),
    ("a response with a trailer", b"5\r\nhello\r\n0\r\nX: 1\r\n\r\n", Whole(200, "hello")),
    (
        "a response with a length in its trailer",
        b"5\r\nhello\r\n0\r\nContent-Length: 1\r\n\r\n",
        Whole(200, "hello"),
    ),
    ("a response without a last chunk", b"5\r\nhello\r\n", Cut),
    ("a response without a last line", b"5\r\nhello\r\n0\r\n", Cut),
    ("a response cut in a chunk", b"9\r\nhello", Cut),
    ("a response cut in a trailer", b"5\r\nhello\r\n0\r\nX: 1", Cut),
    ("a response without chunks", b"", Cut),
    ("a response's chunk without a size", b"\r\nhello\r\n0\r\n\r\n", Refused),
    ("a response's chunk with a signed size", b"+5\r\nhello\r\n0\r\n\r\n", Refused),
    ("a response's chunk with a prefixed size", b"0x5\r\nhello\r\n0\r\n\r\n", Refused),
    ("a response's chunk with a blank before the size", b" 5\r\nhello\r\n0\r\n\r\n", Refused),
    ("a response's chunk with a blank behind the size", b"5 \r\nhello\r\n0\r\n\r\n", Refused),
    ("a response's chunk above 2^63", b"8000000000000000\r\nhello\r\n0\r\n\r\n", Refused),
    ("a response's chunk of seventeen digits", b"00000000000000005\r\nhello\r\n0\r\n\r\n", Refused),
    ("a response's chunk line with a bare LF", b"5\nhello\r\n0\r\n\r\n", Refused),
    ("a response's chunk that ends in a bare LF", b"5\r\nhello\n0\r\n\r\n", Refused),
    ("a response's chunk with more than its size", b"5\r\nhello!\r\n0\r\n\r\n", Refused),
    ("a response's extension with a NUL", b"5;\0\r\nhello\r\n0\r\n\r\n", Refused),
    ("a response's extension above ASCII", b"5;\xff\r\nhello\r\n0\r\n\r\n", Refused),
    ("a response's folded trailer", b"0\r\nX: 1\r\n 2\r\n\r\n", Refused),
    ("a response's trailer without a colon", b"0\r\nX\r\n\r\n", Refused),
    ("a response's trailer with a bare LF", b"0\r\nX: 1\n\r\n", Refused),
    ("a response's trailer with an underscore", b"0\r\nX_Y: 1\r\n\r\n", Refused),
    ("a body that is no chunk", b"hello", Refused),
];

const HEADS: &[Row] = &[
    ("a length for a HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Then::Stay, Whole(200, "")),
    ("chunked for a HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Then::Stay, Whole(200, "")),
    ("neither for a HEAD", b"HTTP/1.1 200 OK\r\n\r\n", Then::Stay, Whole(200, "")),
    ("a body for a HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Then::Stay, Whole(200, "")),
    ("chunks for a HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", Then::Stay, Whole(200, "")),
    ("a body that is a response for a HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", Then::Stay, Whole(200, "")),
    ("a late body for a HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\n", Then::Late(POISON), Whole(200, "")),
    ("two lengths for a HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", Then::Close, Refused),
    ("length and coding for a HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", Then::Close, Refused),
];
