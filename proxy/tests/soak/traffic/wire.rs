//! HTTP/1 as far as clients and node of this test need it: heads, and bodies of a stated length.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// A longer head is none of ours.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The head of a request or a response.
#[derive(Debug)]
pub struct Head(String);

impl Head {
    pub fn start_line(&self) -> &str {
        self.0.lines().next().unwrap_or("")
    }

    /// The status of a response.
    pub fn status(&self) -> u16 {
        self.start_line().split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        let fields = self.0.lines().skip(1).filter_map(|line| line.split_once(':'));
        let mut named = fields.filter(|(found, _)| found.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.trim())
    }

    pub fn content_length(&self) -> Option<usize> {
        self.field("content-length")?.parse().ok()
    }

    /// Whether the other side ends the connection after this.
    pub fn closes(&self) -> bool {
        self.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// Reads the next head; what came after it stays in `held`. `None` if the connection ended before.
pub async fn read_head(
    stream: &mut (impl AsyncRead + Unpin),
    held: &mut Vec<u8>,
) -> io::Result<Option<Head>> {
    loop {
        if let Some(end) = held.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = held.split_off(end + 4);
            let head = std::mem::replace(held, rest);
            let text = String::from_utf8(head).map_err(io::Error::other)?;
            return Ok(Some(Head(text)));
        }
        if held.len() > HEAD_BYTES_MAX {
            return Err(io::Error::other("a head without end"));
        }
        if stream.read_buf(held).await? == 0 {
            return if held.is_empty() {
                Ok(None)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
    }
}

/// Reads a body of so many bytes.
pub async fn read_body(
    stream: &mut (impl AsyncRead + Unpin),
    held: &mut Vec<u8>,
    bytes: usize,
) -> io::Result<Vec<u8>> {
    while held.len() < bytes {
        if stream.read_buf(held).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let rest = held.split_off(bytes);
    Ok(std::mem::replace(held, rest))
}
