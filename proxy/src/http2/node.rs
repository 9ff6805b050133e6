//! Streams to nodes that speak HTTP/2 (`proto=h2c`), and the connections that carry them.
//!
//! Each worker keeps a few connections to each node and opens streams on them as long as there is
//! room. A stream stands for a connection of its own: what is written to it begins with the HTTP/1
//! head that other HTTP nodes get, and what is read begins with one.

mod link;
mod request;

use std::{
    cell::RefCell,
    collections::HashMap,
    future::{Future, poll_fn},
    io,
    pin::Pin,
    rc::Rc,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use h2::{RecvStream, client::ResponseFuture};
use http::{HeaderMap, Response};
use http2_wire::{ResponseParts, write_response};
use route_table::{EjectRules, Node, NodeId};
use router_core::{
    deadline::Watch,
    metrics::{Counter, Shard},
    upstream::{Checkout, Reuse, dial, note_failure},
};

use self::link::{Link, LinkSlot};
use super::body::{Outflow, StreamReader, io_error};
use crate::node::{NodeConn, NodeReader, NodeWriter};

/// Connections to one node that one worker keeps.
const LINKS_PER_NODE_MAX: usize = 4;

/// The connections of one worker to nodes that speak HTTP/2.
#[derive(Default)]
pub struct Links {
    nodes: RefCell<HashMap<NodeId, Vec<Link>>>,
}

impl Links {
    /// Opens a stream to `node`, on a connection that is there or on a new one; an introduced stream
    /// has a connection to itself.
    ///
    /// # Errors
    /// Of the connect, as `router_core::upstream::checkout`.
    pub async fn open(
        &self,
        node: &Node,
        how: Checkout<'_>,
        shard: &Shard,
        limit: Duration,
        eject: EjectRules,
    ) -> io::Result<NodeConn> {
        if how == Checkout::Any
            && let Some(slot) = self.slot(node.id)
        {
            shard.count(Counter::UpstreamReused);
            return Ok(stand_in(slot, Reuse::Pooled));
        }
        shard.count(Counter::UpstreamConnects);
        match Box::pin(dial(node, how, limit)).await {
            Ok((read, write)) => {
                let link = Link::start(read, write).await?;
                let slot = link.slot().ok_or_else(closed)?;
                if matches!(how, Checkout::Introduced(_)) {
                    // Nobody else's stream may be opened on it; it ends with this one.
                    return Ok(stand_in(slot, Reuse::Fresh));
                }
                let mut nodes = self.nodes.borrow_mut();
                let links = nodes.entry(node.id).or_default();
                links.retain(Link::is_open);
                if links.len() < LINKS_PER_NODE_MAX {
                    links.push(link);
                }
                Ok(stand_in(slot, Reuse::Fresh))
            }
            Err(error) => {
                shard.count(Counter::UpstreamConnectFailures);
                note_failure(node, eject.without_patience(), shard);
                Err(error)
            }
        }
    }

    fn slot(&self, node: NodeId) -> Option<LinkSlot> {
        let nodes = self.nodes.borrow();
        nodes.get(&node)?.iter().find_map(Link::slot)
    }

    /// Forgets connections that ended.
    pub fn sweep(&self) {
        self.nodes.borrow_mut().retain(|_, links| {
            links.retain(Link::is_open);
            !links.is_empty()
        });
    }
}

fn closed() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

/// The two halves of a stream that is not open yet: its head is the first thing written.
fn stand_in(slot: LinkSlot, reuse: Reuse) -> NodeConn {
    let watch = Rc::new(Watch::of_stream());
    let answer: Answer = Rc::default();
    let reader = NodeStreamReader {
        answer: answer.clone(),
        state: Reading::Unasked,
        watch: watch.clone(),
        head: Vec::new(),
    };
    let writer = NodeStreamWriter { slot, answer, flow: None, watch };
    NodeConn {
        read: NodeReader::Stream(Box::new(reader)),
        write: NodeWriter::Stream(Box::new(writer)),
        reuse,
    }
}

/// Where the sending half leaves the answer's promise for the receiving one.
type Answer = Rc<RefCell<Option<ResponseFuture>>>;

/// A request to a node.
pub struct NodeStreamWriter {
    slot: LinkSlot,
    answer: Answer,
    /// The body's way, once the head was sent.
    flow: Option<Outflow>,
    watch: Rc<Watch>,
}

impl NodeStreamWriter {
    /// Sends a head of HTTP/1 form, or what comes behind it, and returns a buffer.
    pub async fn write_all(&mut self, buffer: Vec<u8>, start: usize) -> (io::Result<()>, Vec<u8>) {
        if let Some(flow) = &mut self.flow {
            return flow.write_all(buffer, start).await;
        }
        let asked = match request::read(&buffer[start..]) {
            Ok(asked) => asked,
            Err(error) => return (Err(error), buffer),
        };
        let head_bytes = asked.head_bytes;
        let flow = match self.ask(asked).await {
            Ok(flow) => flow,
            Err(error) => return (Err(error), buffer),
        };
        self.flow.insert(flow).write_all(buffer, start + head_bytes).await
    }

    async fn ask(&mut self, asked: request::Asked) -> io::Result<Outflow> {
        let ends = asked.left == Some(0);
        let (answer, stream) = poll_fn(|cx| {
            self.watch.wake_with(cx.waker());
            if self.watch.expired().is_some() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.slot.send.poll_ready(cx).map_err(io_error)
        })
        .await
        .and_then(|()| self.slot.send.send_request(asked.request, ends).map_err(io_error))?;
        *self.answer.borrow_mut() = Some(answer);
        Ok(Outflow::of_request(stream, asked.left, self.watch.clone()))
    }

    /// Says that the request is complete.
    ///
    /// # Errors
    /// The stream is gone.
    pub fn end(&mut self, trailers: Option<HeaderMap>) -> io::Result<()> {
        self.flow.as_mut().map_or(Ok(()), |flow| flow.end(trailers))
    }

    /// The deadlines of this stream.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }
}

/// A node's response.
pub struct NodeStreamReader {
    answer: Answer,
    state: Reading,
    watch: Rc<Watch>,
    /// What was written of a head and not read yet.
    head: Vec<u8>,
}

enum Reading {
    /// The request was not seen on its way yet.
    Unasked,
    /// The response head is awaited.
    Head(Pin<Box<ResponseFuture>>),
    /// The body is under way.
    Body(StreamReader),
}

impl NodeStreamReader {
    /// Appends up to `most` bytes: of a head of HTTP/1 form, then of the payload. `Ok(0)` is the end of
    /// the stream or an expired deadline.
    pub async fn read(&mut self, mut buffer: Vec<u8>, most: usize) -> (io::Result<usize>, Vec<u8>) {
        if let Reading::Body(body) = &mut self.state
            && self.head.is_empty()
        {
            return body.read(buffer, most).await;
        }
        if self.head.is_empty()
            && let Err(error) = poll_fn(|cx| self.poll_head(cx)).await
        {
            return (Err(error), buffer);
        }
        let room = (buffer.capacity() - buffer.len()).min(most);
        let count = self.head.len().min(room);
        buffer.extend(self.head.drain(..count));
        (Ok(count), buffer)
    }

    fn poll_head(&mut self, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        self.watch.wake_with(cx.waker());
        if self.watch.expired().is_some() {
            // No head: the caller reads nothing, as from a socket that was shut down.
            return Poll::Ready(Ok(()));
        }
        if matches!(self.state, Reading::Unasked) {
            let Some(answer) = self.answer.borrow_mut().take() else { return Poll::Pending };
            self.state = Reading::Head(Box::pin(answer));
        }
        let Reading::Head(answer) = &mut self.state else { return Poll::Ready(Ok(())) };
        if let Poll::Ready(Some(Ok(interim))) = answer.poll_informational(cx) {
            write_text(&interim, false, &mut self.head);
            return Poll::Ready(Ok(()));
        }
        match answer.as_mut().poll(cx) {
            Poll::Ready(Ok(response)) => {
                let (parts, body) = response.into_parts();
                let ended = body.is_end_stream();
                write_text(&Response::from_parts(parts, ()), ended, &mut self.head);
                self.state = Reading::Body(self.body(body));
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(io_error(error))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn body(&self, stream: RecvStream) -> StreamReader {
        StreamReader::new(stream, self.watch.clone())
    }

    /// What came behind the body, once that ended.
    pub fn take_trailers(&mut self) -> Option<HeaderMap> {
        match &mut self.state {
            Reading::Body(body) => body.take_trailers(),
            _ => None,
        }
    }

    /// The deadlines of this stream.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// The deadlines, for one who sets them while this half is reading.
    pub fn watch_handle(&self) -> Rc<Watch> {
        self.watch.clone()
    }
}

fn write_text(response: &Response<()>, ended: bool, out: &mut Vec<u8>) {
    let parts = ResponseParts { status: response.status().as_u16(), ended };
    let fields = response.headers().iter();
    write_response(&parts, fields.map(|(name, value)| (name.as_str(), value.as_bytes())), out);
}
