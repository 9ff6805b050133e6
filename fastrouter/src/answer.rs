//! Answers of this router to requests it cannot serve. In the uwsgi protocol a response is HTTP as it
//! is, ended by the end of the connection.

use proxy::http::reply::{text, wording};

/// A whole response to a request of `method`.
pub fn answer(status: u16, method: &[u8]) -> Vec<u8> {
    let (reason, _) = wording(status);
    let body = text(status, "");
    let retry = if matches!(status, 429 | 503) { "Retry-After: 1\r\n" } else { "" };
    let mut out = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\nCache-Control: no-store\r\n{retry}Connection: close\r\n\r\n",
        body.len()
    );
    if method != b"HEAD" {
        out.push_str(&body);
    }
    out.into_bytes()
}
