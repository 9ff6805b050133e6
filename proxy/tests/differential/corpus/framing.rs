//! Where a request ends: Content-Length, Transfer-Encoding, and both at once.

use super::{Entry, get, post};
use crate::verdict::{ENDED_IN_BODY, passed, refused};

const LAST: &str = "0\r\n\r\n";

pub fn all() -> Vec<Entry> {
    let mut entries = lengths();
    entries.extend(codings());
    entries.extend(both());
    entries
}

fn lengths() -> Vec<Entry> {
    let refusals: &[(&str, &str)] = &[
        ("an empty length", "Content-Length:\r\n"),
        ("a blank length", "Content-Length:  \t \r\n"),
        ("a signed length", "Content-Length: +1\r\n"),
        ("a negative length", "Content-Length: -1\r\n"),
        ("a negative zero", "Content-Length: -0\r\n"),
        ("a hexadecimal length", "Content-Length: 0x1\r\n"),
        ("a length in hex digits", "Content-Length: a\r\n"),
        ("a length with a point", "Content-Length: 1.0\r\n"),
        ("a length with an exponent", "Content-Length: 1e0\r\n"),
        ("a length with a comma at its end", "Content-Length: 1,\r\n"),
        ("a length with a comma before it", "Content-Length: ,1\r\n"),
        ("a length with a semicolon", "Content-Length: 1;\r\n"),
        ("a length with a blank inside", "Content-Length: 1 1\r\n"),
        ("a length with digits grouped", "Content-Length: 1_0\r\n"),
        ("a length in quotes", "Content-Length: \"1\"\r\n"),
        ("a list of equal lengths", "Content-Length: 1, 1\r\n"),
        ("a list of lengths", "Content-Length: 1, 2\r\n"),
        ("a worded length", "Content-Length: one\r\n"),
        ("a length in other digits", "Content-Length: \u{661}\r\n"),
        ("two equal lengths", "Content-Length: 1\r\nContent-Length: 1\r\n"),
        ("two lengths", "Content-Length: 1\r\nContent-Length: 2\r\n"),
        ("two lengths, the larger first", "Content-Length: 2\r\nContent-Length: 1\r\n"),
        ("two lengths in two cases", "Content-Length: 1\r\ncontent-length: 2\r\n"),
        ("a length and a worded one", "Content-Length: 1\r\nContent-Length: x\r\n"),
        ("a length above 2^63", "Content-Length: 9223372036854775808\r\n"),
        ("a length above 2^64", "Content-Length: 18446744073709551617\r\n"),
        (
            "a length of forty digits",
            "Content-Length: 1000000000000000000000000000000000000001\r\n",
        ),
        ("a length before a blank and its colon", "Content-Length : 1\r\n"),
        ("a length before a tab and its colon", "Content-Length\t: 1\r\n"),
        ("a length on a folded line", "Content-Length:\r\n 1\r\n"),
        ("a length continued by a fold", "Content-Length: 1\r\n 0\r\n"),
        ("a length after a NUL", "Content-Length: \x001\r\n"),
        ("a length before a vertical tab", "Content-Length: 1\x0b\r\n"),
    ];
    let row = |(name, fields): &(&str, &str)| post(*name, fields, "a", refused(400));
    let mut entries: Vec<_> = refusals.iter().map(row).collect();
    entries.extend([
        post("a plain length", "Content-Length: 5\r\n", "hello", passed(1)),
        post("a length of zero", "Content-Length: 0\r\n", "", passed(1)),
        post("a length with leading zeros", "Content-Length: 0005\r\n", "hello", passed(1)),
        post("a length with blanks around", "Content-Length: \t 5 \t\r\n", "hello", passed(1)),
        post("a length without a blank", "Content-Length:5\r\n", "hello", passed(1)),
        post("a length in odd case", "cONTENT-lENGTH: 5\r\n", "hello", passed(1)),
        post("no length", "", "", passed(1)),
        get("a GET with a body", "Content-Length: 5\r\n", passed(1)).with_body("hello"),
        get("a GET whose body is a request", "Content-Length: 37\r\n", passed(1))
            .with_body("GET /evil HTTP/1.1\r\nHost: evil.test\r\n"),
        post("a body shorter than its length", "Content-Length: 9\r\n", "hello", ENDED_IN_BODY),
        post("a length near 2^63", "Content-Length: 9223372036854775807\r\n", "a", ENDED_IN_BODY),
        post("a length with an underscore in its name", "Content_Length: 5\r\n", "", passed(1)),
        post("a length that is no length", "X-Content-Length: 5\r\n", "", passed(1)),
    ]);
    entries
}

fn codings() -> Vec<Entry> {
    let refusals: &[(&str, &str)] = &[
        ("an empty coding", "Transfer-Encoding:\r\n"),
        ("the identity coding", "Transfer-Encoding: identity\r\n"),
        ("gzip alone", "Transfer-Encoding: gzip\r\n"),
        ("gzip before chunked", "Transfer-Encoding: gzip, chunked\r\n"),
        ("chunked before gzip", "Transfer-Encoding: chunked, gzip\r\n"),
        ("chunked before identity", "Transfer-Encoding: chunked, identity\r\n"),
        ("identity before chunked", "Transfer-Encoding: identity, chunked\r\n"),
        ("chunked twice in a list", "Transfer-Encoding: chunked, chunked\r\n"),
        ("chunked twice without a comma", "Transfer-Encoding: chunked chunked\r\n"),
        ("chunked before a comma", "Transfer-Encoding: chunked,\r\n"),
        ("chunked after a comma", "Transfer-Encoding: , chunked\r\n"),
        ("chunked in two fields", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        (
            "identity in a second field",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        ),
        (
            "chunked in a second field",
            "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        ),
        ("chunked in quotes", "Transfer-Encoding: \"chunked\"\r\n"),
        ("chunked in single quotes", "Transfer-Encoding: 'chunked'\r\n"),
        ("chunked with a parameter", "Transfer-Encoding: chunked;q=1\r\n"),
        ("chunked with a semicolon", "Transfer-Encoding: chunked;\r\n"),
        ("an x before chunked", "Transfer-Encoding: xchunked\r\n"),
        ("an x behind chunked", "Transfer-Encoding: chunkedx\r\n"),
        ("x-chunked", "Transfer-Encoding: x-chunked\r\n"),
        ("half of chunked", "Transfer-Encoding: chunk\r\n"),
        ("chunked in parentheses", "Transfer-Encoding: (chunked)\r\n"),
        ("chunked with a Kelvin sign", "Transfer-Encoding: chun\u{212a}ed\r\n"),
        ("chunked after a vertical tab", "Transfer-Encoding: \x0bchunked\r\n"),
        ("chunked after a form feed", "Transfer-Encoding: \x0cchunked\r\n"),
        ("chunked after a NUL", "Transfer-Encoding: \x00chunked\r\n"),
        ("chunked before a NUL", "Transfer-Encoding: chunked\x00\r\n"),
        ("chunked after a no-break space", "Transfer-Encoding: \u{a0}chunked\r\n"),
        ("chunked before a bare CR", "Transfer-Encoding: chunked\r \r\n"),
        ("chunked on a folded line", "Transfer-Encoding:\r\n chunked\r\n"),
        ("chunked on a line folded with a tab", "Transfer-Encoding:\r\n\tchunked\r\n"),
        ("a blank before the coding's colon", "Transfer-Encoding : chunked\r\n"),
        ("a tab before the coding's colon", "Transfer-Encoding\t: chunked\r\n"),
        ("a NUL before the coding's colon", "Transfer-Encoding\x00: chunked\r\n"),
        ("a blank before the coding's name", " Transfer-Encoding: chunked\r\n"),
        ("a coding behind a bare LF", "X: 1\nTransfer-Encoding: chunked\r\n"),
        ("a coding behind a bare CR", "X: 1\rTransfer-Encoding: chunked\r\n"),
    ];
    let row = |(name, fields): &(&str, &str)| post(*name, fields, LAST, refused(400));
    let mut entries: Vec<_> = refusals.iter().map(row).collect();
    let good: &[(&str, &str)] = &[
        ("plain chunked", "Transfer-Encoding: chunked\r\n"),
        ("chunked in capitals", "Transfer-Encoding: CHUNKED\r\n"),
        ("chunked in odd case", "transfer-ENCODING: cHuNkEd\r\n"),
        ("chunked with blanks around", "Transfer-Encoding: \t chunked \t\r\n"),
        ("chunked without a blank", "Transfer-Encoding:chunked\r\n"),
    ];
    let row =
        |(name, fields): &(&str, &str)| post(*name, fields, "5\r\nhello\r\n0\r\n\r\n", passed(1));
    entries.extend(good.iter().map(row));
    entries.extend([
        get("a GET in chunks", "Transfer-Encoding: chunked\r\n", passed(1))
            .with_body("5\r\nhello\r\n0\r\n\r\n"),
        post(
            "a coding with an underscore in its name",
            "Transfer_Encoding: chunked\r\n",
            "",
            passed(1),
        ),
        Entry::new(
            "a coding in HTTP/1.0",
            "POST /a HTTP/1.0\r\nHost: $H\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            refused(400),
        ),
    ]);
    entries
}

fn both() -> Vec<Entry> {
    let refusals: &[(&str, &str)] = &[
        ("length, then coding", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        ("coding, then length", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
        ("length zero and coding", "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"),
        (
            "coding between two lengths",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        ),
        ("length and unknown coding", "Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n"),
        ("length and identity", "Content-Length: 5\r\nTransfer-Encoding: identity\r\n"),
        ("length and empty coding", "Content-Length: 5\r\nTransfer-Encoding:\r\n"),
        ("malformed length and coding", "Content-Length: x\r\nTransfer-Encoding: chunked\r\n"),
        ("length and disguised coding", "Content-Length: 5\r\nTransfer-Encoding : chunked\r\n"),
        ("Connection that names the length", "Connection: Content-Length\r\nContent-Length: 5\r\n"),
        (
            "Connection that names the coding",
            "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n",
        ),
        (
            "Connection that names a length in capitals",
            "Connection: close, CONTENT-LENGTH\r\nContent-Length: 5\r\n",
        ),
    ];
    let row = |(name, fields): &(&str, &str)| post(*name, fields, LAST, refused(400));
    let mut entries: Vec<_> = refusals.iter().map(row).collect();
    entries.push(Entry::new(
        "length and coding in HTTP/1.0",
        "POST /a HTTP/1.0\r\nHost: $H\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        refused(400),
    ));
    entries
}
