//! Chunked bodies: sizes, extensions, ends, trailers.

use super::{Entry, chunked};
use crate::verdict::{ENDED_IN_BODY, Verdict, cut, passed};

pub fn all() -> Vec<Entry> {
    let mut entries = sizes();
    entries.extend(extensions());
    entries.extend(ends());
    entries.extend(trailers());
    entries
}

fn rows(rows: &[(&str, &str, Verdict)]) -> Vec<Entry> {
    rows.iter().map(|(name, body, verdict)| chunked(*name, body, *verdict)).collect()
}

fn sizes() -> Vec<Entry> {
    rows(&[
        ("one chunk", "5\r\nhello\r\n0\r\n\r\n", passed(1)),
        ("two chunks", "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", passed(1)),
        ("a size in capitals", "A\r\nhellohello\r\n0\r\n\r\n", passed(1)),
        ("a size with leading zeros", "0005\r\nhello\r\n0\r\n\r\n", passed(1)),
        ("a size of sixteen digits", "0000000000000005\r\nhello\r\n0\r\n\r\n", passed(1)),
        ("a last chunk of many zeros", "5\r\nhello\r\n0000\r\n\r\n", passed(1)),
        (
            "a chunk that holds a request",
            "25\r\nGET /evil HTTP/1.1\r\nHost: evil.test\r\n\r\n0\r\n\r\n",
            passed(1),
        ),
        ("a chunk that holds a last chunk", "5\r\n0\r\n\r\n\r\n0\r\n\r\n", passed(1)),
        ("no chunk but the last", "0\r\n\r\n", passed(1)),
        ("a size of seventeen digits", "00000000000000005\r\nhello\r\n0\r\n\r\n", cut(400)),
        ("a size above 2^63", "8000000000000000\r\nhello\r\n0\r\n\r\n", cut(400)),
        ("a size above 2^64", "10000000000000005\r\nhello\r\n0\r\n\r\n", cut(400)),
        ("a size that wraps at 2^32", "100000005\r\nhello\r\n0\r\n\r\n", ENDED_IN_BODY),
        ("no size", "\r\nhello\r\n0\r\n\r\n", cut(400)),
        ("a signed size", "+5\r\nhello\r\n0\r\n\r\n", cut(400)),
        ("a negative size", "-5\r\nhello\r\n0\r\n\r\n", cut(400)),
        ("a negative last chunk", "5\r\nhello\r\n-0\r\n\r\n", cut(400)),
        ("a prefixed size", "0x5\r\nhello\r\n0\r\n\r\n", cut(400)),
        ("a last chunk with a prefix", "5\r\nhello\r\n0x\r\n\r\n", cut(400)),
        ("a size in quotes", "\"5\"\r\nhello\r\n0\r\n\r\n", cut(400)),
        ("a size in other letters", "g\r\nhello\r\n0\r\n\r\n", cut(400)),
        ("a size with an underscore", "0_5\r\nhello\r\n0\r\n\r\n", cut(400)),
        ("a size with a point", "5.0\r\nhello\r\n0\r\n\r\n", cut(400)),
        ("a blank before the size", " 5\r\nhello\r\n0\r\n\r\n", cut(400)),
        ("a blank behind the size", "5 \r\nhello\r\n0\r\n\r\n", cut(400)),
        ("a tab behind the size", "5\t\r\nhello\r\n0\r\n\r\n", cut(400)),
        ("a NUL behind the size", "5\0\r\nhello\r\n0\r\n\r\n", cut(400)),
        ("a blank behind the last size", "5\r\nhello\r\n0 \r\n\r\n", cut(400)),
        ("a comma behind the size", "5,5\r\nhello\r\n0\r\n\r\n", cut(400)),
        ("a size in decimal of ten", "10\r\nhellohello\r\n0\r\n\r\n", cut(400)),
    ])
}

fn extensions() -> Vec<Entry> {
    let mut entries = rows(&[
        ("an extension", "5;a=b\r\nhello\r\n0\r\n\r\n", passed(1)),
        ("an extension without a value", "5;a\r\nhello\r\n0\r\n\r\n", passed(1)),
        ("an empty extension", "5;\r\nhello\r\n0\r\n\r\n", passed(1)),
        ("an extension in quotes", "5;a=\"b;c\"\r\nhello\r\n0\r\n\r\n", passed(1)),
        ("an extension after a blank", "5; a=b\r\nhello\r\n0\r\n\r\n", passed(1)),
        ("an extension that looks like a size", "5;ffff\r\nhello\r\n0\r\n\r\n", passed(1)),
        ("an extension of the last chunk", "5\r\nhello\r\n0;a=b\r\n\r\n", passed(1)),
        ("an extension with a quote left open", "5;a=\"b\r\nhello\r\n0\r\n\r\n", passed(1)),
        ("a blank before the semicolon", "5 ;a=b\r\nhello\r\n0\r\n\r\n", cut(400)),
        ("an extension that ends in a bare LF", "5;a\nhello\r\n0\r\n\r\n", cut(400)),
        ("an extension with a bare CR", "5;a\rb\r\nhello\r\n0\r\n\r\n", cut(400)),
        ("an extension with a NUL", "5;a\0\r\nhello\r\n0\r\n\r\n", cut(400)),
        ("an extension above ASCII", "5;\u{e9}\r\nhello\r\n0\r\n\r\n", cut(400)),
        ("a last chunk's extension with a bare LF", "0;a\nGET /evil HTTP/1.1\r\n\r\n", cut(400)),
    ]);
    entries.push(Entry::new(
        "a HEAD with a bad chunk",
        "HEAD /a HTTP/1.1\r\nHost: $H\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        cut(400),
    ));
    let long = |bytes| format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(bytes));
    entries.push(chunked("a chunk line of 256 bytes", long(254), passed(1)));
    entries.push(chunked("a chunk line of 257 bytes", long(255), cut(400)));
    let many = format!("1;{}\r\na\r\n", "x".repeat(200)).repeat(90) + "0\r\n\r\n";
    entries.push(chunked("17 KiB of extensions", many, cut(400)));
    entries
}

fn ends() -> Vec<Entry> {
    rows(&[
        ("bare LF behind the size", "5\nhello\r\n0\r\n\r\n", cut(400)),
        ("bare CR behind the size", "5\rhello\r\n0\r\n\r\n", cut(400)),
        ("LF CR behind the size", "5\n\rhello\r\n0\r\n\r\n", cut(400)),
        ("CR CR LF behind the size", "5\r\r\nhello\r\n0\r\n\r\n", cut(400)),
        ("bare LF behind the bytes", "5\r\nhello\n0\r\n\r\n", cut(400)),
        ("bare CR behind the bytes", "5\r\nhello\r0\r\n\r\n", cut(400)),
        ("nothing behind the bytes", "5\r\nhello0\r\n\r\n", cut(400)),
        ("two bytes that are no CRLF behind the bytes", "5\r\nhelloxx0\r\n\r\n", cut(400)),
        ("more bytes than announced", "5\r\nhello!\r\n0\r\n\r\n", cut(400)),
        ("an empty line behind a chunk", "5\r\nhello\r\n\r\n0\r\n\r\n", cut(400)),
        ("bare LF behind the last size", "5\r\nhello\r\n0\n\r\n", cut(400)),
        ("bare LF as the last line", "5\r\nhello\r\n0\r\n\n", cut(400)),
        ("bare LF everywhere", "5\nhello\n0\n\n", cut(400)),
        ("CR and no LF at the end", "5\r\nhello\r\n0\r\n\r!", cut(400)),
        ("fewer bytes than announced", "c\r\nhello\r\n0\r\n", ENDED_IN_BODY),
        ("an end behind the size", "5\r\n", ENDED_IN_BODY),
        ("an end in the size", "5", ENDED_IN_BODY),
        ("an end behind the bytes", "5\r\nhello", ENDED_IN_BODY),
        ("no last chunk", "5\r\nhello\r\n", ENDED_IN_BODY),
        ("no last line", "5\r\nhello\r\n0\r\n", ENDED_IN_BODY),
        ("no body at all", "", ENDED_IN_BODY),
    ])
}

fn trailers() -> Vec<Entry> {
    let mut entries = rows(&[
        ("a trailer", "5\r\nhello\r\n0\r\nX: 1\r\n\r\n", passed(1)),
        ("two trailers", "5\r\nhello\r\n0\r\nX: 1\r\nY: 2\r\n\r\n", passed(1)),
        ("a length in the trailer", "5\r\nhello\r\n0\r\nContent-Length: 99\r\n\r\n", passed(1)),
        (
            "a coding in the trailer",
            "5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
            passed(1),
        ),
        ("a Host in the trailer", "5\r\nhello\r\n0\r\nHost: evil.test\r\n\r\n", passed(1)),
        ("an empty trailer value", "5\r\nhello\r\n0\r\nX:\r\n\r\n", passed(1)),
        ("a trailer value above ASCII", "5\r\nhello\r\n0\r\nX: \u{e9}\r\n\r\n", passed(1)),
        ("a trailer without a colon", "5\r\nhello\r\n0\r\nX\r\n\r\n", cut(400)),
        ("a trailer without a name", "5\r\nhello\r\n0\r\n: 1\r\n\r\n", cut(400)),
        (
            "a request as trailer",
            "5\r\nhello\r\n0\r\nGET /evil HTTP/1.1\r\nHost: $H\r\n\r\n",
            cut(400),
        ),
        ("a folded trailer", "5\r\nhello\r\n0\r\nX: 1\r\n 2\r\n\r\n", cut(400)),
        ("a blank before a trailer", "5\r\nhello\r\n0\r\n X: 1\r\n\r\n", cut(400)),
        ("a blank before a trailer's colon", "5\r\nhello\r\n0\r\nX : 1\r\n\r\n", cut(400)),
        ("a trailer that ends in a bare LF", "5\r\nhello\r\n0\r\nX: 1\n\r\n", cut(400)),
        ("a trailer with a bare CR", "5\r\nhello\r\n0\r\nX: 1\r2\r\n\r\n", cut(400)),
        ("a trailer with an underscore", "5\r\nhello\r\n0\r\nX_Y: 1\r\n\r\n", cut(400)),
        ("a trailer name above ASCII", "5\r\nhello\r\n0\r\n\u{e9}: 1\r\n\r\n", cut(400)),
        ("an end in a trailer", "5\r\nhello\r\n0\r\nX: 1\r\n", ENDED_IN_BODY),
    ]);
    let many = |count| {
        let fields: String = (0..count).map(|at| format!("X-{at}: 1\r\n")).collect();
        format!("5\r\nhello\r\n0\r\n{fields}\r\n")
    };
    entries.push(chunked("32 trailers", many(32), passed(1)));
    entries.push(chunked("33 trailers", many(33), cut(400)));
    let long = format!("5\r\nhello\r\n0\r\nX: {}\r\n\r\n", "x".repeat(8192));
    entries.push(chunked("a trailer of more than 8 KiB", long, cut(400)));
    entries
}
