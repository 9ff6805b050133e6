//! One HTTP/1.0 exchange with a running router over TCP or a unix socket, so that the answer ends with
//! the connection.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use router_core::address::ListenAddr;

/// What a router may take for its answer.
#[derive(Clone, Copy)]
pub struct Bounds {
    /// For the connect, and for each read of the answer.
    pub wait: Duration,
    /// Largest answer read.
    pub bytes_max: u64,
}

/// Sends a request and reads all that comes back.
pub fn exchange(to: &ListenAddr, request: &str, bounds: Bounds) -> io::Result<Vec<u8>> {
    match to {
        ListenAddr::Tcp(addr) => {
            let stream = TcpStream::connect_timeout(addr, bounds.wait)?;
            stream.set_read_timeout(Some(bounds.wait))?;
            talk(stream, request, bounds.bytes_max)
        }
        ListenAddr::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(bounds.wait))?;
            talk(stream, request, bounds.bytes_max)
        }
    }
}

fn talk(mut stream: impl Read + Write, request: &str, bytes_max: u64) -> io::Result<Vec<u8>> {
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(bytes_max).read_to_end(&mut answer)?;
    Ok(answer)
}

/// Status and body of an answer.
pub fn split(answer: &[u8]) -> Option<(u16, &[u8])> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(answer.get(..end)?).ok()?;
    let line = head.strip_prefix("HTTP/1.")?;
    let status = line.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer.get(end + 4..)?))
}

/// Everything but unreserved bytes (RFC 3986, 2.3) as `%XX`.
pub fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_survives_inside_a_query() {
        assert_eq!(percent_encoded("http://a.b/x?y=1&z"), "http%3A%2F%2Fa.b%2Fx%3Fy%3D1%26z");
    }

    #[test]
    fn an_answer_is_cut_into_status_and_body() {
        let answer = b"HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\nkey a\n";
        assert_eq!(split(answer), Some((200, &b"key a\n"[..])));
        assert_eq!(split(b"SSH-2.0-x\r\n\r\n"), None);
        assert_eq!(split(b"HTTP/1.1 200"), None);
    }
}
