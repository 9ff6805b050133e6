//! Bytes received from the client and not yet consumed.
//!
//! Holds the head of the exchange under way for as long as it is needed (a retry and the access log
//! read it again), then whatever the client pipelined behind it.

use std::io;

use http1_wire::limits::HEAD_BYTES_MAX;
use router_core::buffer::{self, HEAD_BYTES, Use};

use crate::client::ClientReader;

/// Factor by which a buffer grows that a head did not fit in.
const GROWTH: usize = 4;

/// The unconsumed bytes of one client connection.
///
/// Invariant: `start <= cursor <= bytes.len()`; a head is held while they differ.
#[derive(Debug)]
pub struct Inbound {
    bytes: Vec<u8>,
    start: usize,
    /// End of the held head, and of its body as far as that was taken from here.
    cursor: usize,
    head_bytes: usize,
}

impl Inbound {
    /// No bytes yet.
    pub fn new() -> Self {
        Self { bytes: buffer::take(Use::Head), start: 0, cursor: 0, head_bytes: 0 }
    }

    /// What is there, behind the held head if one is held.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.cursor..]
    }

    /// The held head.
    pub fn head(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.head_bytes]
    }

    /// Keeps the first `head_bytes` readable until the exchange ends.
    pub fn hold_head(&mut self, head_bytes: usize) {
        debug_assert!(self.start == self.cursor, "one head is held at a time");
        self.head_bytes = head_bytes;
        self.cursor = self.start + head_bytes;
    }

    /// Drops the first `count` bytes behind the held head.
    pub fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.bytes().len(), "only received bytes can be consumed");
        self.cursor += count;
    }

    /// Ends the exchange: drops the held head and gives a large buffer back.
    pub fn release(&mut self) {
        self.start = self.cursor;
        self.head_bytes = 0;
        if self.cursor < self.bytes.len() {
            return;
        }
        (self.start, self.cursor) = (0, 0);
        self.bytes.clear();
        if self.bytes.capacity() > HEAD_BYTES * GROWTH {
            // One large head must not pin a large buffer on an idle connection.
            self.bytes = buffer::take(Use::Head);
        }
    }

    /// Gives the buffer back, of which nothing is wanted any more; the next receive takes another.
    pub fn put_away(&mut self) {
        debug_assert!(self.bytes().is_empty(), "received bytes are wanted");
        (self.start, self.cursor, self.head_bytes) = (0, 0, 0);
        buffer::give(Use::Head, std::mem::take(&mut self.bytes));
    }

    /// Keeps the held head, in no more room than it needs, and nothing else.
    pub fn keep_head_only(&mut self) {
        debug_assert!(self.bytes().is_empty(), "received bytes are wanted");
        let head = self.head().to_vec();
        (self.start, self.cursor) = (0, head.len());
        buffer::give(Use::Head, std::mem::replace(&mut self.bytes, head));
    }

    /// Appends bytes that another buffer received past the end of a body.
    pub fn push_back(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Receives more. `Ok(0)` as in [`router_core::io::ReadHalf::read`].
    pub async fn receive(&mut self, reader: &mut ClientReader) -> io::Result<usize> {
        self.make_room();
        let (result, bytes) = reader.read(std::mem::take(&mut self.bytes), usize::MAX).await;
        self.bytes = bytes;
        result
    }

    fn make_room(&mut self) {
        debug_assert!(self.start == self.cursor, "a held head must not move");
        if self.start > 0 {
            self.bytes.drain(..self.start);
            (self.start, self.cursor) = (0, 0);
        }
        if self.bytes.capacity() == 0 {
            self.bytes = buffer::take(Use::Head);
        } else if self.bytes.len() == self.bytes.capacity() {
            // The parser refuses a head before it needs more than this.
            let wanted = (self.bytes.len() * GROWTH).clamp(HEAD_BYTES, HEAD_BYTES_MAX + HEAD_BYTES);
            self.bytes.reserve_exact(wanted.saturating_sub(self.bytes.len()).max(HEAD_BYTES));
        }
    }
}

impl Default for Inbound {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        buffer::give(Use::Head, std::mem::take(&mut self.bytes));
    }
}
