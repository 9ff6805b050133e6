//! Reading the head of a response, as strictly as a load test must: only the expected answer passes.

use super::tally::Failure;

/// What a response head says about the rest of the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Head {
    /// Length of the head with its empty line.
    pub head_bytes: usize,
    /// Length of the body that follows.
    pub body_bytes: u64,
    /// Whether another request may follow on the connection.
    pub persistent: bool,
}

/// Reads a head at the start of `bytes`; `None` while it is incomplete.
///
/// # Errors
/// Anything but a final 200 with a `Content-Length`.
pub fn head(bytes: &[u8]) -> Result<Option<Head>, Failure> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let head_bytes = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return Ok(None),
        Ok(httparse::Status::Partial) | Err(_) => return Err(Failure::BadHead),
    };
    if response.code != Some(200) {
        return Err(Failure::BadStatus);
    }
    let mut body_bytes = None;
    let mut persistent = response.version == Some(1);
    for field in response.headers.iter() {
        if field.name.eq_ignore_ascii_case("content-length") {
            let text = std::str::from_utf8(field.value).map_err(|_| Failure::BadHead)?;
            body_bytes = Some(text.trim().parse().map_err(|_| Failure::BadHead)?);
        } else if field.name.eq_ignore_ascii_case("connection") {
            persistent = !field.value.eq_ignore_ascii_case(b"close");
        }
    }
    let body_bytes = body_bytes.ok_or(Failure::BadHead)?;
    Ok(Some(Head { head_bytes, body_bytes, persistent }))
}

const FIELDS_MAX: usize = 32;
const HEAD_BYTES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

    #[test]
    fn any_prefix_of_a_head_is_incomplete() {
        for cut in 0..OK.len() - 5 {
            assert_eq!(head(&OK[..cut]), Ok(None), "cut at {cut}");
        }
        let complete = Head { head_bytes: OK.len() - 5, body_bytes: 5, persistent: true };
        assert_eq!(head(OK), Ok(Some(complete)));
    }

    #[test]
    fn close_and_http_1_0_end_the_connection() {
        let closing = b"HTTP/1.1 200 OK\r\nConnection: Close\r\ncontent-length: 0\r\n\r\n";
        assert!(!head(closing).unwrap().unwrap().persistent);
        let old = b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n";
        assert!(!head(old).unwrap().unwrap().persistent);
    }

    #[test]
    fn an_error_page_is_no_success() {
        let gone = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(head(gone), Err(Failure::BadStatus));
        assert_eq!(head(b"HTTP/1.1 200 OK\r\n\r\n"), Err(Failure::BadHead));
        assert_eq!(head(b"hello there\r\n\r\n"), Err(Failure::BadHead));
    }
}
