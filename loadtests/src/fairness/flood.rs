//! A flood: connections that ask again as soon as they are answered, whatever the answer is.
//!
//! Unlike the load generator it keeps its connections when it is refused, as a client would that
//! wants to do harm: a refusal costs it nothing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What a flood got.
#[derive(Debug, Default)]
pub struct Got {
    /// Answers of status 200.
    pub served: AtomicU64,
    /// Answers of any other status.
    pub refused: AtomicU64,
}

/// One connection, until `stop`. Connects anew when the router closes it.
pub fn ask_on(target: SocketAddr, request: &[u8], got: &Got, stop: &AtomicBool) {
    while !stop.load(Relaxed) {
        if let Ok(stream) = TcpStream::connect(target) {
            // The end of a connection is the router's choice; the next one follows.
            let _ = ask_until_closed(stream, request, got, stop);
        }
        std::thread::sleep(REST);
    }
}

fn ask_until_closed(
    mut stream: TcpStream,
    request: &[u8],
    got: &Got,
    stop: &AtomicBool,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_WAIT))?;
    let mut buffer = [0; 4096];
    while !stop.load(Relaxed) {
        stream.write_all(request)?;
        let mut filled = 0;
        while !is_complete(&buffer[..filled]) {
            match stream.read(&mut buffer[filled..])? {
                0 => return Ok(()),
                received => filled += received,
            }
        }
        let is_served = buffer.starts_with(b"HTTP/1.1 200 ");
        let count = if is_served { &got.served } else { &got.refused };
        count.fetch_add(1, Relaxed);
    }
    Ok(())
}

/// Whether a head and as much body as it states are there.
fn is_complete(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let stated = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
    });
    body.len() >= stated.unwrap_or(0)
}

const REST: Duration = Duration::from_millis(20);
const ANSWER_WAIT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_complete_with_its_body() {
        let answer = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 3\r\n\r\nabc";
        assert!(is_complete(answer));
        assert!((0..answer.len()).all(|cut| !is_complete(&answer[..cut])));
    }
}
