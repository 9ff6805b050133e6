//! The client's side of an exchange as two halves: a connection, plain or TLS, or one HTTP/2 stream.

use std::{io, os::fd::RawFd, rc::Rc};

use http::HeaderMap;
use router_core::{
    deadline::Watch,
    io::{ReadHalf, WriteHalf},
    tunnel::{Sink, Source},
};

use crate::{
    http2::{body::StreamReader, reply::StreamWriter},
    tls::stream::{TlsReadHalf, TlsWriteHalf},
};

/// Bytes from the client.
pub enum ClientReader {
    /// Straight from the socket.
    Plain(ReadHalf),
    /// Through a TLS session.
    Tls(Box<TlsReadHalf>),
    /// The payload of one HTTP/2 stream.
    Stream(Box<StreamReader>),
}

/// Bytes to the client.
pub enum ClientWriter {
    /// Straight to the socket.
    Plain(WriteHalf),
    /// Through a TLS session.
    Tls(Box<TlsWriteHalf>),
    /// As the payload of one HTTP/2 stream.
    Stream(Box<StreamWriter>),
}

/// Closes a connection on which nothing is under way.
pub fn close(reader: ClientReader, writer: ClientWriter) {
    if let (ClientReader::Plain(read), ClientWriter::Plain(write)) = (reader, writer) {
        router_core::io::close(read, write);
    }
}

impl ClientReader {
    /// Waits without a buffer until a read has something to say, as [`ReadHalf::readable`] does.
    ///
    /// # Errors
    /// The connection is broken.
    pub async fn readable(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(half) => half.readable().await,
            Self::Tls(half) => half.readable().await,
            // What comes is in memory of the connection; a read of it takes no buffer away.
            Self::Stream(_) => Ok(()),
        }
    }

    /// Appends up to `most` bytes to `buffer`, within its capacity; `Ok(0)` as in [`ReadHalf::read`].
    pub async fn read(&mut self, buffer: Vec<u8>, most: usize) -> (io::Result<usize>, Vec<u8>) {
        match self {
            Self::Plain(half) => half.read(buffer, most).await,
            Self::Tls(half) => half.read(buffer, most).await,
            Self::Stream(half) => half.read(buffer, most).await,
        }
    }

    /// The deadlines of this connection.
    pub fn watch(&self) -> &Watch {
        match self {
            Self::Plain(half) => half.watch(),
            Self::Tls(half) => half.watch(),
            Self::Stream(half) => half.watch(),
        }
    }
}

impl ClientReader {
    /// The deadlines, for one who sets them while this half is reading.
    pub fn watch_handle(&self) -> Rc<Watch> {
        match self {
            Self::Plain(half) => half.watch_handle(),
            Self::Tls(half) => half.watch_handle(),
            Self::Stream(half) => half.watch_handle(),
        }
    }

    /// Whether a body of unstated length comes as bare payload, whose end the reader tells, and not
    /// in the chunked coding.
    pub fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    /// What came behind a body that ended; HTTP/1 trailers are dropped before.
    pub fn take_trailers(&mut self) -> Option<HeaderMap> {
        match self {
            Self::Stream(half) => half.take_trailers(),
            Self::Plain(_) | Self::Tls(_) => None,
        }
    }

    /// Whether the client has finished sending, or is gone; asked while nobody reads.
    pub fn has_left(&self) -> bool {
        match self {
            Self::Plain(half) => half.is_finished(),
            Self::Tls(half) => half.is_finished(),
            // Whoever serves the stream ends with it.
            Self::Stream(_) => false,
        }
    }
}

impl ClientWriter {
    /// Sends all of `buffer` from `start` on and returns the buffer.
    pub async fn write_all(&mut self, buffer: Vec<u8>, start: usize) -> (io::Result<()>, Vec<u8>) {
        match self {
            Self::Plain(half) => half.write_all(buffer, start).await,
            Self::Tls(half) => half.write_all(buffer, start).await,
            Self::Stream(half) => half.write_all(buffer, start).await,
        }
    }

    /// Tells the client that nothing more comes.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(half) => half.shutdown().await,
            Self::Tls(half) => half.shutdown().await,
            Self::Stream(half) => half.end(None),
        }
    }

    /// Whether heads and the end of a body are told by other means than bytes.
    pub fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    /// Ends a connection on which nothing is under way: TLS owes the client a close alert, plain
    /// HTTP needs no more than the close that follows.
    pub async fn say_goodbye(&mut self) {
        if let Self::Tls(half) = self {
            // Whoever does not take the alert any more does not miss it.
            let _ = half.shutdown().await;
        }
    }

    /// The deadlines of this connection.
    pub fn watch(&self) -> &Watch {
        match self {
            Self::Plain(half) => half.watch(),
            Self::Tls(half) => half.watch(),
            Self::Stream(half) => half.watch(),
        }
    }
}

impl Source for ClientReader {
    fn readable(&mut self) -> impl Future<Output = io::Result<()>> {
        ClientReader::readable(self)
    }

    async fn read(&mut self, buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        ClientReader::read(self, buffer, usize::MAX).await
    }

    fn watch_handle(&self) -> Rc<Watch> {
        ClientReader::watch_handle(self)
    }

    fn socket(&self) -> Option<RawFd> {
        match self {
            Self::Plain(half) => Some(half.socket()),
            Self::Tls(_) | Self::Stream(_) => None,
        }
    }
}

impl Sink for ClientWriter {
    async fn write_all(&mut self, buffer: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
        ClientWriter::write_all(self, buffer, 0).await
    }

    fn socket(&self) -> Option<RawFd> {
        match self {
            Self::Plain(half) => Some(half.socket()),
            Self::Tls(_) | Self::Stream(_) => None,
        }
    }

    async fn finish(&mut self) -> io::Result<()> {
        self.shutdown().await
    }
}
