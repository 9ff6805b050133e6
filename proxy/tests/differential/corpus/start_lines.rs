//! Request lines: methods, targets, versions, and the blanks between them.

use super::{Entry, line};
use crate::verdict::{ENDED_IN_HEAD, answered, closed, passed, refused};

pub fn all() -> Vec<Entry> {
    let mut entries: Vec<_> =
        REFUSED.iter().map(|(name, text, status)| line(*name, text, refused(*status))).collect();
    entries.extend(PASSED.iter().map(|(name, text)| line(*name, text, passed(1))));
    let on_uwsgi = |(name, target): &(&str, &str)| {
        line(*name, format!("GET {target} HTTP/1.1"), passed(1)).on_uwsgi(answered(400))
    };
    entries.extend(REFUSED_FOR_UWSGI.iter().map(on_uwsgi));
    entries.extend(whole());
    entries
}

const REFUSED: &[(&str, &str, u16)] = &[
    ("HTTP/0.9", "GET /a", 400),
    ("HTTP/0.9 with a blank", "GET /a ", 400),
    ("HTTP/1.2", "GET /a HTTP/1.2", 505),
    ("HTTP/2.0 in text", "GET /a HTTP/2.0", 505),
    ("HTTP/0.9 by name", "GET /a HTTP/0.9", 505),
    ("HTTP/1", "GET /a HTTP/1", 400),
    ("HTTP/1.", "GET /a HTTP/1.", 400),
    ("HTTP/1.10", "GET /a HTTP/1.10", 400),
    ("HTTP/01.1", "GET /a HTTP/01.1", 400),
    ("HTTP/1,1", "GET /a HTTP/1,1", 400),
    ("HTTP 1.1 with a blank", "GET /a HTTP /1.1", 400),
    ("a lower-case version", "GET /a http/1.1", 400),
    ("another protocol", "GET /a FOO/1.1", 400),
    ("RTSP", "GET /a RTSP/1.0", 400),
    ("a version with more behind", "GET /a HTTP/1.1x", 400),
    ("a blank behind the version", "GET /a HTTP/1.1 ", 400),
    ("a second version", "GET /a HTTP/1.1 HTTP/1.1", 400),
    ("two blanks before the target", "GET  /a HTTP/1.1", 400),
    ("two blanks behind the target", "GET /a  HTTP/1.1", 400),
    ("a blank before the method", " GET /a HTTP/1.1", 400),
    ("a tab behind the method", "GET\t/a HTTP/1.1", 400),
    ("a tab behind the target", "GET /a\tHTTP/1.1", 400),
    ("a vertical tab behind the method", "GET\x0b/a HTTP/1.1", 400),
    ("a form feed behind the target", "GET /a\x0cHTTP/1.1", 400),
    ("a blank in the target", "GET /a b HTTP/1.1", 400),
    ("no target", "GET HTTP/1.1", 400),
    ("an empty target", "GET  HTTP/1.1", 400),
    ("no method", "/a HTTP/1.1", 400),
    ("a target without a slash", "GET a HTTP/1.1", 400),
    ("a target that is a query", "GET ?x HTTP/1.1", 400),
    ("a fragment", "GET /a#x HTTP/1.1", 400),
    ("an asterisk with GET", "GET * HTTP/1.1", 400),
    ("an asterisk with more", "OPTIONS *x HTTP/1.1", 400),
    ("a target above ASCII", "GET /\u{e9} HTTP/1.1", 400),
    ("a method in brackets", "G[E]T /a HTTP/1.1", 400),
    ("a method with a colon", "GET: /a HTTP/1.1", 400),
    ("a method above ASCII", "G\u{c9}T /a HTTP/1.1", 400),
    ("CONNECT", "CONNECT $H:443 HTTP/1.1", 501),
    ("CONNECT with a path", "CONNECT /a HTTP/1.1", 501),
    ("bare CR in the request line", "GET /a\r HTTP/1.1", 400),
    ("bare LF in the request line", "GET /a\n HTTP/1.1", 400),
    ("CR CR LF behind the request line", "GET /a HTTP/1.1\r", 400),
    ("a field in the request line", "GET /a HTTP/1.1\nX: 1", 400),
];

const PASSED: &[(&str, &str)] = &[
    ("a plain GET", "GET /a HTTP/1.1"),
    ("a HEAD", "HEAD /a HTTP/1.1"),
    ("a TRACE", "TRACE /a HTTP/1.1"),
    ("an OPTIONS for the server", "OPTIONS * HTTP/1.1"),
    ("a method in lower case", "get /a HTTP/1.1"),
    ("an unknown method", "BREW /a HTTP/1.1"),
    ("a method of odd characters", "M-!#%&'*+.^_`|~ /a HTTP/1.1"),
    ("the preface's method", "PRI /a HTTP/1.1"),
    ("a query with question marks", "GET /a?x=1?y=2 HTTP/1.1"),
    ("a query of odd characters", "GET /a?<>\"{}|\\^`[] HTTP/1.1"),
    ("a query with an escaped NUL", "GET /a?x=%00 HTTP/1.1"),
    ("a query with an escaped line break", "GET /a?x=%0d%0aHost:%20evil.test HTTP/1.1"),
    ("two slashes", "GET //a HTTP/1.1"),
    ("a path that climbs", "GET /a/../b HTTP/1.1"),
    ("a path that climbs above the root", "GET /../../b HTTP/1.1"),
    ("a path that climbs in escapes", "GET /%2e%2e/b HTTP/1.1"),
    ("an escaped slash", "GET /a%2fb HTTP/1.1"),
    ("an escaped blank", "GET /a%20HTTP/1.1 HTTP/1.1"),
    ("an escaped percent sign", "GET /%2500 HTTP/1.1"),
    ("an escape above ASCII", "GET /%ff HTTP/1.1"),
    ("an overlong escape of a slash", "GET /%c0%af HTTP/1.1"),
    ("a semicolon in the path", "GET /a;x=1/b HTTP/1.1"),
    ("a backslash in the path", "GET /a\\..\\b HTTP/1.1"),
    ("a colon in the path", "GET /http://evil.test/ HTTP/1.1"),
];

const REFUSED_FOR_UWSGI: &[(&str, &str)] = &[
    ("an escaped NUL in the path", "/a%00b"),
    ("an escaped LF in the path", "/a%0ab"),
    ("an escaped CR LF in the path", "/a%0d%0aHost:%20evil.test"),
    ("an escaped DEL in the path", "/a%7f"),
    ("an escape cut short", "/a%2"),
    ("an escape of other letters", "/a%zz"),
    ("an escape in UTF-16", "/a%u0041"),
];

fn whole() -> Vec<Entry> {
    let sized = |bytes: usize| format!("GET /{} HTTP/1.1", "t".repeat(bytes - 1));
    let method = |bytes: usize| format!("{} /a HTTP/1.1", "M".repeat(bytes));
    vec![
        line("a target of 16 KiB", sized(16 * 1024), passed(1)),
        line("a target of more than 16 KiB", sized(16 * 1024 + 1), refused(414)),
        line("a method of 32 bytes", method(32), passed(1)),
        line("a method of 33 bytes", method(33), refused(501)),
        Entry::new("an empty line first", "\r\nGET /a HTTP/1.1\r\nHost: $H\r\n\r\n", refused(400)),
        Entry::new("an LF first", "\nGET /a HTTP/1.1\r\nHost: $H\r\n\r\n", refused(400)),
        Entry::new("bare LF in all lines", "GET /a HTTP/1.1\nHost: $H\n\n", refused(400)),
        Entry::new(
            "bare LF behind the request line",
            "GET /a HTTP/1.1\nHost: $H\r\n\r\n",
            refused(400),
        ),
        Entry::new("bare CR in all lines", "GET /a HTTP/1.1\rHost: $H\r\r", refused(400)),
        Entry::new("bare LF as the empty line", "GET /a HTTP/1.1\r\nHost: $H\r\n\n", refused(400)),
        Entry::new("LF CR LF as the empty line", "GET /a HTTP/1.1\r\nHost: $H\n\r\n", refused(400)),
        Entry::new("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", refused(505)),
        Entry::new(
            "a TLS hello",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
            refused(400),
        ),
        Entry::new(
            "the PROXY protocol",
            "PROXY TCP4 6.6.6.6 127.0.0.1 1 2\r\nGET /a HTTP/1.1\r\n\
            Host: $H\r\n\r\n",
            refused(400),
        ),
        Entry::new("an end in the request line", "GET /a HTT", ENDED_IN_HEAD),
        Entry::new("an end in the method", "GE", ENDED_IN_HEAD),
        Entry::new("nothing", "", passed(0)),
        Entry::new(
            "a GET that closes, in HTTP/1.0",
            "GET /a HTTP/1.0\r\nHost: $H\r\nConnection: close\r\n\r\n",
            closed(1),
        ),
    ]
}
