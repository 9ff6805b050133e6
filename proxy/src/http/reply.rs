//! Answers this router gives itself.
//!
//! Short plain text that says what is wrong in words a site's owner can act on, and nothing about
//! other tenants or the inside of the router.

use router_core::deadline;

use super::judge::Refusal;

/// How long the answer to a client that asks too much is held back: a connection is refused ten times
/// a second at most, however fast it could ask, so that a flood costs the other keys little time. Of
/// HTTP/2 that holds for each of its streams.
const HELD_ANSWER_MS: u64 = 100;
/// Up to so much more: who was refused at one time must not come back at one time.
const HELD_SCATTER_MS: u64 = 64;

/// How long to hold the answer that is due now.
pub fn held_ms() -> u64 {
    HELD_ANSWER_MS + deadline::process_us() % HELD_SCATTER_MS
}

/// Whether the connection outlives the answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Persistence {
    /// The client may send its next request.
    Keep,
    /// The connection closes.
    Close,
}

/// Whether the answer carries its text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Text {
    /// It does.
    Shown,
    /// The request was HEAD, so only its length is told.
    Withheld,
}

impl Text {
    /// What the answer to a request that begins like this carries.
    pub fn for_request(head: &[u8]) -> Self {
        if head.starts_with(b"HEAD ") { Self::Withheld } else { Self::Shown }
    }
}

/// Reason phrase and explanation of a status this router answers with.
pub const fn wording(status: u16) -> (&'static str, &'static str) {
    match status {
        301 => ("Moved Permanently", "This site is served over HTTPS."),
        302 => ("Found", "This site is served over HTTPS."),
        307 => ("Temporary Redirect", "This site is served over HTTPS."),
        308 => ("Permanent Redirect", "This site is served over HTTPS."),
        400 => ("Bad Request", "The request is malformed."),
        403 => ("Forbidden", "This host is for clients that connect to it with a certificate."),
        404 => ("Not Found", "No application is announced for this host."),
        408 => ("Request Timeout", "The request did not arrive in time."),
        413 => ("Content Too Large", "The request body is larger than this router accepts."),
        414 => ("URI Too Long", "The request target is too long."),
        417 => ("Expectation Failed", "The expectation cannot be met."),
        421 => (
            "Misdirected Request",
            "This host is served by another certificate; open a connection for it.",
        ),
        429 => ("Too Many Requests", "Too many requests came in a short time."),
        431 => ("Request Header Fields Too Large", "The request head is too large."),
        501 => ("Not Implemented", "The request method is not supported."),
        502 => ("Bad Gateway", "The application gave no valid answer."),
        503 => ("Service Unavailable", "The application cannot be reached at the moment."),
        504 => ("Gateway Timeout", "The application did not answer in time."),
        505 => ("HTTP Version Not Supported", "The HTTP version is not supported."),
        508 => ("Loop Detected", "The request passed this router several times already."),
        _ => ("Internal Server Error", "The router could not serve the request."),
    }
}

/// The text of an answer; `detail` narrows down what is wrong and is shown in parentheses.
pub fn text(status: u16, detail: &str) -> String {
    let (reason, explanation) = wording(status);
    if detail.is_empty() {
        format!("{status} {reason}\r\n{explanation}\n")
    } else {
        format!("{status} {reason}\r\n{explanation} ({detail})\n")
    }
}

/// Appends a complete response; the detail of a refusal narrows down what is wrong.
pub fn write(refusal: &Refusal, after: Persistence, out: &mut Vec<u8>) {
    let Refusal { detail, location, .. } = refusal;
    let (status, retry_after_s, text) = (refusal.status, refusal.retry_after_s, refusal.text);
    let (reason, _) = wording(status);
    let mut status_buffer = itoa::Buffer::new();
    let digits = status_buffer.format(status).as_bytes();
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(digits);
    out.push(b' ');
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ");
    let body = self::text(status, detail);
    out.extend_from_slice(itoa::Buffer::new().format(body.len()).as_bytes());
    out.extend_from_slice(b"\r\nCache-Control: no-store\r\n");
    if retry_after_s > 0 {
        out.extend_from_slice(b"Retry-After: ");
        out.extend_from_slice(itoa::Buffer::new().format(retry_after_s).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if !location.is_empty() {
        out.extend_from_slice(b"Location: ");
        out.extend_from_slice(location.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if after == Persistence::Close {
        out.extend_from_slice(b"Connection: close\r\n");
    }
    out.extend_from_slice(b"\r\n");
    if text == Text::Shown {
        out.extend_from_slice(body.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, detail: &str, text: Text) -> Refusal {
        Refusal { status, text, ..Refusal::closing(status, detail.to_owned(), b"") }
    }

    fn split(out: &[u8]) -> (String, String) {
        let text = String::from_utf8(out.to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    #[test]
    fn stated_length_is_the_length_of_the_text() {
        for (status, detail) in [(404, ""), (400, "a line does not end in CRLF"), (503, "x")] {
            let mut out = Vec::new();
            write(&refusal(status, detail, Text::Shown), Persistence::Close, &mut out);
            let (head, body) = split(&out);
            assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
            assert!(body.contains(detail), "{body}");
        }
    }

    #[test]
    fn answer_to_head_states_the_same_length_without_text() {
        let (mut shown, mut withheld) = (Vec::new(), Vec::new());
        write(&refusal(404, "", Text::Shown), Persistence::Keep, &mut shown);
        write(&refusal(404, "", Text::Withheld), Persistence::Keep, &mut withheld);
        assert_eq!(split(&shown).0, split(&withheld).0);
        assert!(split(&withheld).1.is_empty());
    }
}
