//! Field lines: names, colons, folds, line ends, and how many of them.

use super::{Entry, get, post};
use crate::verdict::{ENDED_IN_HEAD, closed, passed, refused};

pub fn all() -> Vec<Entry> {
    let refusals: &[(&str, &str)] = &[
        ("a folded field", "X: 1\r\n 2\r\n"),
        ("a field folded with a tab", "X: 1\r\n\t2\r\n"),
        ("an empty fold", "X: 1\r\n \r\n"),
        ("a fold of nothing but blanks before the end", "X: 1\r\n   \t\r\n"),
        ("a fold behind a bare LF", "X: 1\n 2\r\n"),
        ("a fold that holds a length", "X: 1\r\n Content-Length: 5\r\n"),
        ("bare LF behind a field", "X: 1\nY: 2\r\n"),
        ("bare CR in a value", "X: 1\r2\r\n"),
        ("bare CR at the end of a value", "X: 1\r\r\n"),
        ("LF CR behind a field", "X: 1\n\r\n"),
        ("a blank before the colon", "X : 1\r\n"),
        ("a tab before the colon", "X\t: 1\r\n"),
        ("two blanks before the colon", "X  : 1\r\n"),
        ("a blank in a name", "X Y: 1\r\n"),
        ("a blank before a name", " X: 1\r\n"),
        ("no colon", "nothing\r\n"),
        ("no name", ": 1\r\n"),
        ("nothing but a colon", ":\r\n"),
        ("a name in brackets", "[X]: 1\r\n"),
        ("a name in parentheses", "(X): 1\r\n"),
        ("a name in quotes", "\"X\": 1\r\n"),
        ("a name with a slash", "X/Y: 1\r\n"),
        ("a name with an at sign", "X@Y: 1\r\n"),
        ("a name with a comma", "X,Y: 1\r\n"),
        ("a name with an equals sign", "X=Y: 1\r\n"),
        ("a name with a backslash", "X\\Y: 1\r\n"),
        ("a name in braces", "{X}: 1\r\n"),
        ("a name with a question mark", "X?: 1\r\n"),
        ("a name above ASCII", "X\u{e9}: 1\r\n"),
        ("a length with a letter above ASCII", "Content-Lengt\u{e9}: 5\r\n"),
        ("a second request line as field", "GET /evil HTTP/1.1\r\n"),
        ("Connection that names Host", "Connection: host\r\n"),
        ("Connection that is no token", "Connection: a b\r\n"),
        ("Connection in quotes", "Connection: \"close\"\r\n"),
    ];
    let row = |(name, fields): &(&str, &str)| get(*name, fields, refused(400));
    let mut entries: Vec<_> = refusals.iter().map(row).collect();
    entries.extend(accepted());
    entries.extend(sizes());
    entries
}

fn accepted() -> Vec<Entry> {
    vec![
        get("a name of odd characters", "!#$%&'*+-.^`|~: 1\r\n", passed(1)),
        get("a name of digits", "123: 1\r\n", passed(1)),
        get("a name with an underscore", "X_Y: 1\r\n", passed(1)),
        get("an empty value", "X:\r\n", passed(1)),
        get("a value of blanks", "X:  \t \r\n", passed(1)),
        get("a value with tabs", "X: 1\t2\r\n", passed(1)),
        get("a value above ASCII", "X: \u{e9}\r\n", passed(1)),
        get("a value with colons", "X: Content-Length: 5\r\n", passed(1)),
        get("a value with an encoded line break", "X: 1%0d%0aContent-Length: 5\r\n", passed(1)),
        get("a field twice", "X: 1\r\nX: 2\r\n", passed(1)),
        get("a variable that could be forged", "X_Forwarded_For: 6.6.6.6\r\n", passed(1)),
        get("a Proxy field", "Proxy: http://evil.test/\r\n", passed(1)),
        get("Connection: close", "Connection: close\r\n", closed(1)),
        get("Connection: close among others", "Connection: x, close ,y\r\n", closed(1)),
        get("Connection with empty members", "Connection: ,,keep-alive,\r\n", passed(1)),
        get("Connection that names a field", "Connection: X\r\nX: 1\r\n", passed(1)),
        get("Keep-Alive without end", "Keep-Alive: timeout=99999999\r\n", passed(1)),
        get("Proxy-Connection: close", "Proxy-Connection: close\r\n", passed(1)),
        get(
            "an upgrade to h2c",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
            HTTP2-Settings: AAMAAABkAAQAAP__\r\n",
            passed(1),
        ),
        get(
            "an upgrade to another protocol",
            "Connection: upgrade\r\nUpgrade: tunnel/1\r\n",
            passed(1),
        ),
        post(
            "an upgrade with a body",
            "Connection: upgrade\r\nUpgrade: websocket\r\n\
            Content-Length: 5\r\n",
            "hello",
            passed(1),
        ),
        get("TE: trailers", "TE: trailers\r\nConnection: TE\r\n", passed(1)),
        get("Trailer that names the length", "Trailer: Content-Length\r\n", passed(1)),
        post(
            "an expectation with its body",
            "Expect: 100-continue\r\nContent-Length: 5\r\n",
            "hello",
            passed(1),
        ),
        post(
            "an expectation in capitals",
            "Expect: 100-CONTINUE\r\nContent-Length: 5\r\n",
            "hello",
            passed(1),
        ),
        get("an expectation without a body", "Expect: 100-continue\r\n", passed(1)),
        get("another expectation", "Expect: 200-ok\r\n", refused(417)),
        get("an empty expectation", "Expect:\r\n", refused(417)),
        get("two expectations", "Expect: 100-continue\r\nExpect: 100-continue\r\n", refused(417)),
        get("a list of expectations", "Expect: 100-continue, 100-continue\r\n", refused(417)),
        get("a range without end", "Range: bytes=0-18446744073709551615\r\n", passed(1)),
        post(
            "a method override",
            "X-HTTP-Method-Override: DELETE\r\nContent-Length: 0\r\n",
            "",
            passed(1),
        ),
    ]
}

fn sizes() -> Vec<Entry> {
    let many = |count| -> String { (0..count).map(|at| format!("X-{at}: 1\r\n")).collect() };
    let names: String = (0..17).map(|at| format!("x{at},")).collect();
    vec![
        get("128 fields", many(127), passed(1)),
        get("129 fields", many(128), refused(431)),
        get("a value of 32 KiB", format!("X: {}\r\n", "v".repeat(32 * 1024)), passed(1)),
        get("a value of 64 KiB", format!("X: {}\r\n", "v".repeat(64 * 1024)), refused(431)),
        get("a name of 64 KiB", format!("{}: 1\r\n", "n".repeat(64 * 1024)), refused(431)),
        get("Connection that names 17 fields", format!("Connection: {names}\r\n"), refused(400)),
        Entry::new("an end in the fields", "GET /a HTTP/1.1\r\nHost: $H\r\nX: 1", ENDED_IN_HEAD),
        Entry::new(
            "an end before the empty line",
            "GET /a HTTP/1.1\r\nHost: $H\r\n",
            ENDED_IN_HEAD,
        ),
        Entry::new("an end in the empty line", "GET /a HTTP/1.1\r\nHost: $H\r\n\r", ENDED_IN_HEAD),
        Entry::new("an end behind the fold", "GET /a HTTP/1.1\r\nHost: $H\r\n X", refused(400)),
    ]
}
