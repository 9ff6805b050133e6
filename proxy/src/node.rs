//! The node's side of an exchange as two halves: a connection of its own, or one HTTP/2 stream.
//!
//! The mirror image of `client`. What is written begins with the head that `judge` wrote; what is read
//! begins with a head of HTTP/1 form in either case.

use std::{io, os::fd::RawFd, rc::Rc};

use http::HeaderMap;
use router_core::{
    deadline::Watch,
    io::{ReadHalf, WriteHalf},
    tunnel::{Sink, Source},
    upstream::{Reuse, Upstream},
};

use crate::http2::node::{NodeStreamReader, NodeStreamWriter};

/// Bytes from the node.
pub enum NodeReader {
    /// Straight from its socket.
    Socket(ReadHalf),
    /// A head, then the payload of one stream.
    Stream(Box<NodeStreamReader>),
}

/// Bytes to the node.
pub enum NodeWriter {
    /// Straight to its socket.
    Socket(WriteHalf),
    /// A head, then the payload of one stream.
    Stream(Box<NodeStreamWriter>),
}

/// A way to a node, checked out for one exchange.
pub struct NodeConn {
    /// Receiving half.
    pub read: NodeReader,
    /// Sending half.
    pub write: NodeWriter,
    /// Whether the connection below served others before.
    pub reuse: Reuse,
}

impl From<Upstream> for NodeConn {
    fn from(upstream: Upstream) -> Self {
        Self {
            read: NodeReader::Socket(upstream.read),
            write: NodeWriter::Socket(upstream.write),
            reuse: upstream.reuse,
        }
    }
}

impl NodeConn {
    /// The two halves of a connection of its own.
    pub fn into_socket(self) -> Option<(ReadHalf, WriteHalf)> {
        match (self.read, self.write) {
            (NodeReader::Socket(read), NodeWriter::Socket(write)) => Some((read, write)),
            _ => None,
        }
    }
}

impl NodeConn {
    /// Ends it, with nothing under way.
    pub fn close(self) {
        if let Some((read, write)) = self.into_socket() {
            router_core::io::close(read, write);
        }
    }
}

impl NodeReader {
    /// Appends up to `most` bytes to `buffer`, within its capacity; `Ok(0)` as in [`ReadHalf::read`].
    pub async fn read(&mut self, buffer: Vec<u8>, most: usize) -> (io::Result<usize>, Vec<u8>) {
        match self {
            Self::Socket(half) => half.read(buffer, most).await,
            Self::Stream(half) => half.read(buffer, most).await,
        }
    }

    /// What came behind the body of a stream, once that ended; those of HTTP/1 are in its bytes.
    pub fn take_trailers(&mut self) -> Option<HeaderMap> {
        match self {
            Self::Socket(_) => None,
            Self::Stream(half) => half.take_trailers(),
        }
    }

    /// The deadlines of this side.
    pub fn watch(&self) -> &Watch {
        match self {
            Self::Socket(half) => half.watch(),
            Self::Stream(half) => half.watch(),
        }
    }

    /// The deadlines, for one who sets them while this half is reading.
    pub fn watch_handle(&self) -> Rc<Watch> {
        match self {
            Self::Socket(half) => half.watch_handle(),
            Self::Stream(half) => half.watch_handle(),
        }
    }
}

impl NodeWriter {
    /// Sends all of `buffer` from `start` on and returns the buffer.
    pub async fn write_all(&mut self, buffer: Vec<u8>, start: usize) -> (io::Result<()>, Vec<u8>) {
        match self {
            Self::Socket(half) => half.write_all(buffer, start).await,
            Self::Stream(half) => half.write_all(buffer, start).await,
        }
    }

    /// Sends what a connection takes now, as [`WriteHalf::send_now`] does.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn send_now(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Socket(half) => half.send_now(bytes),
            Self::Stream(_) => Ok(0),
        }
    }

    /// Whether a body of unstated length goes as bare payload, and not in the chunked coding.
    pub fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    /// Says that the request is complete, where its bytes do not say so themselves.
    ///
    /// # Errors
    /// The stream is gone.
    pub fn end_request(&mut self, trailers: Option<HeaderMap>) -> io::Result<()> {
        match self {
            Self::Socket(_) => Ok(()),
            Self::Stream(half) => half.end(trailers),
        }
    }

    /// The deadlines of this side.
    pub fn watch(&self) -> &Watch {
        match self {
            Self::Socket(half) => half.watch(),
            Self::Stream(half) => half.watch(),
        }
    }
}

impl Source for NodeReader {
    async fn readable(&mut self) -> io::Result<()> {
        match self {
            Self::Socket(half) => half.readable().await,
            Self::Stream(_) => Ok(()),
        }
    }

    async fn read(&mut self, buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        NodeReader::read(self, buffer, usize::MAX).await
    }

    fn watch_handle(&self) -> Rc<Watch> {
        NodeReader::watch_handle(self)
    }

    fn socket(&self) -> Option<RawFd> {
        match self {
            Self::Socket(half) => Some(half.socket()),
            Self::Stream(_) => None,
        }
    }
}

impl Sink for NodeWriter {
    async fn write_all(&mut self, buffer: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
        NodeWriter::write_all(self, buffer, 0).await
    }

    fn socket(&self) -> Option<RawFd> {
        match self {
            Self::Socket(half) => Some(half.socket()),
            Self::Stream(_) => None,
        }
    }

    async fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Socket(half) => half.shutdown().await,
            Self::Stream(half) => half.end(None),
        }
    }
}
