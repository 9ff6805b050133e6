//! A blocking connection to a proxy, plain or TLS, for everything that is not the measured load.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::tls;

/// How connections to a proxy are made.
#[derive(Clone, Debug)]
pub struct Dial {
    /// The proxy's listener.
    pub target: SocketAddr,
    /// The unix socket packets go to, where the proxy speaks the uwsgi protocol to its clients.
    pub packets: Option<PathBuf>,
    /// TLS, where the proxy serves it.
    pub tls: Option<Arc<ClientConfig>>,
}

/// An open connection.
#[derive(Debug)]
pub enum Wire {
    /// Plain.
    Plain(TcpStream),
    /// TLS.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Dial {
    /// Connects, and shakes hands where there is TLS.
    pub fn connect(&self) -> Result<Wire> {
        let stream = TcpStream::connect_timeout(&self.target, WAIT).context("connecting")?;
        stream.set_read_timeout(Some(WAIT)).context("setting the read timeout")?;
        stream.set_nodelay(true).context("sending at once")?;
        let Some(config) = &self.tls else { return Ok(Wire::Plain(stream)) };
        let session =
            ClientConnection::new(config.clone(), tls::server_name()?).context("starting TLS")?;
        let mut wire = StreamOwned::new(session, stream);
        while wire.conn.is_handshaking() {
            wire.conn.complete_io(&mut wire.sock).context("shaking hands")?;
        }
        Ok(Wire::Tls(Box::new(wire)))
    }
}

impl Wire {
    /// The socket below.
    pub fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &stream.sock,
        }
    }

    /// What was agreed on by ALPN.
    pub fn alpn(&self) -> Option<&[u8]> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => stream.conn.alpn_protocol(),
        }
    }

    /// Whether the proxy has neither closed it nor sent anything unasked.
    pub fn is_open(&mut self) -> bool {
        let would_block = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
        if self.socket().set_nonblocking(true).is_err() {
            return false;
        }
        match self {
            Self::Plain(stream) => {
                matches!(stream.peek(&mut [0]), Err(error) if would_block(&error))
            }
            // Tickets may have come.
            Self::Tls(stream) => {
                matches!(stream.read(&mut [0]), Err(error) if would_block(&error))
            }
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// Longest wait for a connection or for bytes.
pub const WAIT: Duration = Duration::from_secs(5);
