//! Both ends of the connections that pass through: a client and an upstream that agree on what to send.
//!
//! The client's first bytes are a real ClientHello; what follows is not TLS, because nobody in between
//! may look at it and the cost of encrypting it belongs to neither proxy. One byte behind the hello says
//! which way the bytes go.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::child;
use crate::scenario::Tickets;
use crate::tls;

/// Which way most bytes go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// From the upstream to the client.
    Down,
    /// From the client to the upstream.
    Up,
}

impl Way {
    /// The word of the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Up => "up",
        }
    }

    const fn byte(self) -> u8 {
        match self {
            Self::Down => b'd',
            Self::Up => b'u',
        }
    }
}

/// An upstream on threads of this process.
#[derive(Debug)]
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    /// What every connection begins with.
    pub hello: Arc<[u8]>,
}

impl Upstream {
    /// Starts one whose threads stay on `core`; each connection moves `bytes`.
    pub fn start(core: usize, bytes: u64) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("binding the upstream")?;
        let address = listener.local_addr().context("reading its address")?;
        let hello: Arc<[u8]> = client_hello()?.into();
        let expected = hello.clone();
        std::thread::spawn(move || {
            if child::pin_this_thread(core).is_err() {
                return;
            }
            for stream in listener.incoming().map_while(Result::ok) {
                let expected = expected.clone();
                // A proxy that looks whether we are there says nothing, and is no error.
                std::thread::spawn(move || serve(stream, &expected, bytes));
            }
        });
        Ok(Self { address, hello })
    }
}

fn client_hello() -> Result<Vec<u8>> {
    let config = tls::client_config(None, Tickets::Unused)?;
    let mut session = rustls::ClientConnection::new(config, tls::server_name()?)?;
    let mut hello = Vec::new();
    session.write_tls(&mut hello).context("writing a ClientHello")?;
    Ok(hello)
}

fn serve(mut stream: TcpStream, expected: &[u8], bytes: u64) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut first = vec![0; expected.len() + 1];
    stream.read_exact(&mut first)?;
    ensure!(first.starts_with(expected), "the hello was changed");
    match first.last() {
        Some(b'd') => send(&mut stream, bytes),
        _ => {
            receive(&mut stream, bytes)?;
            Ok(stream.write_all(b"k")?)
        }
    }
}

/// One connection through the proxy at `target`, complete when every byte is there.
pub fn pass(target: SocketAddr, hello: &[u8], way: Way, bytes: u64) -> Result<()> {
    let mut stream = TcpStream::connect(target).context("connecting to the proxy")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(hello)?;
    stream.write_all(&[way.byte()])?;
    match way {
        Way::Down => receive(&mut stream, bytes),
        Way::Up => {
            send(&mut stream, bytes)?;
            receive(&mut stream, 1)
        }
    }
}

fn send(stream: &mut TcpStream, mut bytes: u64) -> Result<()> {
    let chunk = vec![0x5a; CHUNK_BYTES];
    while bytes > 0 {
        let now = chunk.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
        stream.write_all(&chunk[..now]).context("sending")?;
        bytes -= now as u64;
    }
    Ok(())
}

fn receive(stream: &mut TcpStream, bytes: u64) -> Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut got = 0;
    while got < bytes {
        let count = stream.read(&mut chunk).context("receiving")?;
        ensure!(count > 0, "cut after {got} of {bytes} bytes");
        got += count as u64;
    }
    Ok(())
}

const CHUNK_BYTES: usize = 256 * 1024;
const PATIENCE: Duration = Duration::from_secs(20);
