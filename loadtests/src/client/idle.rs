//! Connections that were served once and then rest, to weigh what a proxy keeps for each.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};

use super::{Plan, response};

/// Open, idle connections.
#[derive(Debug)]
pub struct IdleConnections {
    streams: Vec<TcpStream>,
}

impl IdleConnections {
    /// Opens `count` connections in waves, one request each, all of a wave in flight at once.
    ///
    /// # Errors
    /// When any connection is refused or answered wrongly: memory of a proxy that turns clients
    /// away is not comparable.
    pub fn open(plan: &Plan, count: usize, stop: &AtomicBool) -> Result<Self> {
        let mut streams = Vec::with_capacity(count);
        let mut buffer = vec![0; 64 * 1024];
        while streams.len() < count {
            anyhow::ensure!(!stop.load(Ordering::Relaxed), "stopped");
            let first = streams.len();
            for _ in 0..WAVE.min(count - first) {
                streams
                    .push(connect(plan).with_context(|| format!("connection {}", streams.len()))?);
            }
            for stream in &mut streams[first..] {
                stream.write_all(&plan.request).context("sending the request")?;
            }
            for stream in &mut streams[first..] {
                read_response(stream, plan, &mut buffer)?;
            }
        }
        Ok(Self { streams })
    }

    /// How many the proxy has not closed.
    pub fn still_open(&self) -> usize {
        self.streams.iter().filter(|stream| is_open(stream)).count()
    }
}

fn connect(plan: &Plan) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&plan.target, WAIT).context("connecting")?;
    stream.set_read_timeout(Some(WAIT)).context("setting the read timeout")?;
    Ok(stream)
}

fn read_response(stream: &mut TcpStream, plan: &Plan, buffer: &mut [u8]) -> Result<()> {
    let mut bytes = Vec::new();
    loop {
        let length = stream.read(buffer).context("reading the response")?;
        anyhow::ensure!(length > 0, "closed inside the response");
        bytes.extend_from_slice(&buffer[..length]);
        let Some(head) = response::head(&bytes)? else { continue };
        anyhow::ensure!(head.persistent, "the proxy does not keep connections open");
        anyhow::ensure!(head.body_bytes == plan.body_bytes, "wrong body length");
        if bytes.len() as u64 >= head.head_bytes as u64 + head.body_bytes {
            return Ok(());
        }
    }
}

fn is_open(stream: &TcpStream) -> bool {
    let mut byte = [0];
    stream.set_nonblocking(true).is_ok()
        && matches!(stream.peek(&mut byte), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

/// Requests in flight at once while connecting.
const WAVE: usize = 64;
const WAIT: Duration = Duration::from_secs(5);
