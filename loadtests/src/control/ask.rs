//! Requests one after the other over one kept-alive connection, each for a host of its own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

/// A client.
pub struct Asker {
    stream: TcpStream,
    target: SocketAddr,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Asker {
    /// Connects.
    pub fn to(target: SocketAddr) -> Result<Self> {
        Ok(Self { stream: connect(target)?, target, request: Vec::new(), answer: Vec::new() })
    }

    /// Asks once and says with which status it was answered. Connects anew if the router closed.
    pub fn status_of(&mut self, host: &str) -> Result<u16> {
        self.request.clear();
        write!(self.request, "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").context("writing")?;
        match self.exchange() {
            Ok(status) => Ok(status),
            Err(_) => {
                self.stream = connect(self.target)?;
                self.exchange()
            }
        }
    }

    fn exchange(&mut self) -> Result<u16> {
        self.stream.write_all(&self.request).context("sending a request")?;
        self.answer.clear();
        loop {
            let mut bytes = [0; 4096];
            let read = self.stream.read(&mut bytes).context("reading an answer")?;
            anyhow::ensure!(read > 0, "closed without an answer");
            self.answer.extend_from_slice(&bytes[..read]);
            let mut fields = [httparse::EMPTY_HEADER; 32];
            let mut response = httparse::Response::new(&mut fields);
            let parsed = response.parse(&self.answer).context("parsing an answer")?;
            let httparse::Status::Complete(head) = parsed else { continue };
            let length = response.headers.iter().find_map(|field| {
                let is_it = field.name.eq_ignore_ascii_case("content-length");
                std::str::from_utf8(field.value).ok()?.parse::<usize>().ok().filter(|_| is_it)
            });
            if self.answer.len() >= head + length.unwrap_or(0) {
                return response.code.context("an answer without a status");
            }
        }
    }
}

fn connect(target: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(target).context("connecting")?;
    stream.set_nodelay(true).context("setting nodelay")?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).context("setting a timeout")?;
    Ok(stream)
}
