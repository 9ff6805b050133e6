//! Several requests on one connection: where the first ends and whether the next one counts.

use super::Entry;
use crate::verdict::{
    ENDED_IN_BODY, ENDED_IN_HEAD, Verdict, answered, closed, cut, passed, refused,
};

const GET: &str = "GET /a HTTP/1.1\r\nHost: $H\r\n\r\n";
const POST: &str = "POST /b HTTP/1.1\r\nHost: $H\r\nContent-Length: 5\r\n\r\nhello";
const CHUNKED: &str = "POST /c HTTP/1.1\r\nHost: $H\r\nTransfer-Encoding: chunked\r\n\r\n";
const LAST: &str = "GET /z HTTP/1.1\r\nHost: $H\r\nConnection: close\r\n\r\n";

pub fn all() -> Vec<Entry> {
    rows()
        .into_iter()
        .map(|(name, parts, verdict)| Entry::new(name, parts.concat(), verdict))
        .collect()
}

type Row = (&'static str, Vec<&'static str>, Verdict);

fn rows() -> Vec<Row> {
    let five = "5\r\nhello\r\n0\r\n\r\n";
    vec![
        ("two GETs", vec![GET, GET], passed(2)),
        ("a POST and a GET", vec![POST, GET], passed(2)),
        ("a GET and a POST", vec![GET, POST], passed(2)),
        ("chunks and a GET", vec![CHUNKED, five, GET], passed(2)),
        ("chunks with a trailer and a GET", vec![CHUNKED, "0\r\nX: 1\r\n\r\n", GET], passed(2)),
        ("ten GETs", vec![GET; 10], passed(10)),
        ("ten POSTs", vec![POST; 10], passed(10)),
        ("chunks, a length and chunks", vec![CHUNKED, five, POST, CHUNKED, five], passed(3)),
        ("a GET behind a close", vec![LAST, GET], closed(1)),
        ("a POST behind a close", vec![GET, LAST, POST], closed(2)),
        ("a GET behind HTTP/1.0", vec!["GET /a HTTP/1.0\r\nHost: $H\r\n\r\n", GET], closed(1)),
        ("an empty line between", vec![GET, "\r\n", GET], refused(400).after(1)),
        ("an LF between", vec![GET, "\n", GET], refused(400).after(1)),
        ("two bytes more than the length", vec![POST, "\r\n", GET], refused(400).after(1)),
        ("a last chunk behind a length", vec![POST, "0\r\n\r\n", GET], refused(400).after(1)),
        ("a second last chunk", vec![CHUNKED, five, "0\r\n\r\n", GET], refused(400).after(1)),
        (
            "a length behind the last chunk",
            vec![CHUNKED, "0\r\n\r\n", "X: 1\r\n\r\n", GET],
            refused(400).after(1),
        ),
        (
            "a body without a length",
            vec!["POST /a HTTP/1.1\r\nHost: $H\r\n\r\n", "hello=1\r\n\r\n"],
            refused(400).after(1),
        ),
        (
            "a malformed request behind a good one",
            vec![GET, "GET /a HTTP/1.1\r\nX : 1\r\n\r\n"],
            refused(400).after(1),
        ),
        (
            "length and coding behind a good one",
            vec![
                GET,
                "POST /a HTTP/1.1\r\nHost: $H\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            ],
            refused(400).after(1),
        ),
        ("a bad chunk behind a good request", vec![GET, CHUNKED, "x\r\n"], cut(400).after(1)),
        (
            "another host behind a good one",
            vec![GET, "GET /a HTTP/1.1\r\nHost: evil.test\r\n\r\n"],
            answered(404).after(1),
        ),
        ("an end in the second head", vec![GET, "GET /b HTTP/1.1\r\nHo"], ENDED_IN_HEAD.after(1)),
        (
            "an end in the second body",
            vec![GET, "POST /b HTTP/1.1\r\nHost: $H\r\nContent-Length: 9\r\n\r\nhello"],
            ENDED_IN_BODY.after(1),
        ),
        (
            "a smuggled request behind zero and coding",
            vec![
                "POST /a HTTP/1.1\r\nHost: $H\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n",
                "1e\r\nGET /evil HTTP/1.1\r\nX: x\r\n\r\n\r\n0\r\n\r\n",
            ],
            refused(400),
        ),
        (
            "a smuggled request in a body",
            vec![
                "POST /a HTTP/1.1\r\nHost: $H\r\nContent-Length: 38\r\n\r\n",
                "GET /evil HTTP/1.1\r\nHost: evil.test\r\n\r",
                GET,
            ],
            passed(2),
        ),
        (
            "a request in the body of a HEAD",
            vec!["HEAD /a HTTP/1.1\r\nHost: $H\r\nContent-Length: 5\r\n\r\nhello", GET],
            passed(2),
        ),
        (
            "a request in the body of an OPTIONS",
            vec!["OPTIONS /a HTTP/1.1\r\nHost: $H\r\nContent-Length: 5\r\n\r\nhello", GET],
            passed(2),
        ),
        (
            "an upgrade and bytes of a tunnel",
            vec![
                "GET /a HTTP/1.1\r\nHost: $H\r\nConnection: Upgrade\r\nUpgrade: tunnel/1\r\n\r\n",
                "\x01\x02tunnel",
            ],
            refused(400).after(1),
        ),
        (
            "an upgrade to h2c and its preface",
            vec![
                "GET /a HTTP/1.1\r\nHost: $H\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
                "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            ],
            refused(505).after(1),
        ),
        (
            "an expectation without its body",
            vec![
                "POST /a HTTP/1.1\r\nHost: $H\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
            ],
            ENDED_IN_BODY,
        ),
        (
            "a body of 100 KiB",
            vec![
                "POST /a HTTP/1.1\r\nHost: $H\r\nContent-Length: 102400\r\n\r\n",
                hundred_kib(),
                GET,
            ],
            passed(2),
        ),
    ]
}

/// A body that crosses all buffers.
fn hundred_kib() -> &'static str {
    static BODY: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    BODY.get_or_init(|| "GET / HTTP/1.1\r\n".repeat(6400))
}
