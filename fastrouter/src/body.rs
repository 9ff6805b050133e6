//! The request body as it passes: as long as it was stated, or until the web server is done.

use std::{cell::Cell, io, os::fd::RawFd, rc::Rc};

use router_core::{
    deadline::Watch,
    io::{ReadHalf, WriteHalf},
    tunnel::{Sink, Source},
};

use uwsgi_request::Body;

use crate::hold::HeldReader;

/// Where the rest of a body comes from.
pub enum Rest {
    /// The web server: this many bytes are still to come.
    Stated(u64),
    /// The web server, until it is done.
    Open,
    /// It was received before.
    Held(HeldReader),
}

/// The web server, as the source of what follows the packet.
pub struct BodySource<'a> {
    read: &'a mut ReadHalf,
    rest: Rest,
    progress: &'a Cell<Progress>,
}

/// How far a request body is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Progress {
    /// More may come.
    #[default]
    Passing,
    /// All that was stated has passed.
    Passed,
    /// The web server left before that.
    Cut,
}

impl<'a> BodySource<'a> {
    /// A body of which `rest` is still to come.
    pub fn new(read: &'a mut ReadHalf, rest: Rest, progress: &'a Cell<Progress>) -> Self {
        Self { read, rest, progress }
    }
}

impl Source for BodySource<'_> {
    async fn read(&mut self, mut buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        match &mut self.rest {
            Rest::Open => self.read.read(buffer, usize::MAX).await,
            Rest::Held(held) => {
                let result = held.read(&mut buffer);
                if matches!(result, Ok(0)) {
                    self.progress.set(Progress::Passed);
                }
                (result, buffer)
            }
            Rest::Stated(0) => {
                self.progress.set(Progress::Passed);
                (Ok(0), buffer)
            }
            Rest::Stated(left) => {
                let most = usize::try_from(*left).unwrap_or(usize::MAX);
                let (result, buffer) = self.read.read(buffer, most).await;
                match result {
                    // A deadline reads as the end; the tunnel tells them apart.
                    Ok(0) if self.read.watch().expired().is_none() => {
                        self.progress.set(Progress::Cut);
                        (Err(io::ErrorKind::UnexpectedEof.into()), buffer)
                    }
                    Ok(count) => {
                        *left -= count as u64;
                        (Ok(count), buffer)
                    }
                    Err(error) => (Err(error), buffer),
                }
            }
        }
    }

    fn watch_handle(&self) -> Rc<Watch> {
        self.read.watch_handle()
    }

    fn socket(&self) -> Option<RawFd> {
        // What goes straight from socket to socket is not counted against a stated length.
        matches!(self.rest, Rest::Open).then(|| self.read.socket())
    }
}

/// The node, as the sink of a request.
pub struct NodeSink<'a> {
    /// The connection to it.
    pub write: &'a mut WriteHalf,
    /// How the end of the body is told.
    pub body: Body,
}

impl Sink for NodeSink<'_> {
    async fn write_all(&mut self, buffer: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
        self.write.write_all(buffer, 0).await
    }

    fn socket(&self) -> Option<RawFd> {
        Some(self.write.socket())
    }

    async fn finish(&mut self) -> io::Result<()> {
        match self.body {
            // Its length says where it ends; some applications take a half-close for a client that left.
            Body::Stated(_) => Ok(()),
            Body::Open => self.write.shutdown().await,
        }
    }
}
