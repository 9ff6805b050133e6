//! HTTP/2, towards clients and towards nodes: the h2 crate over our sockets.
//!
//! The codec never sees a socket. It reads from and writes to a [`pipe`] in memory, which one task
//! per connection fills and empties: everything the codec wrote in one turn leaves in one send. What
//! passes is walked for floods on the way ([`guard`]).
//!
//! Each stream of a client is an exchange like any other ([`stream`]): its head is written as an
//! HTTP/1 head and judged by the same rules, its body is read and its response written through the
//! stream's variants of `ClientReader` and `ClientWriter` ([`body`]). A node that speaks HTTP/2
//! ([`node`]) is the mirror image: a stream stands for its connection.

pub mod body;
pub mod connection;
pub mod guard;
pub mod node;
pub mod pipe;
pub mod reply;
mod servers;
pub mod stream;
pub mod wheels;

/// Connection window offered to a peer: what it may send before any stream was read.
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Window of one stream: a slow node holds up its own client's stream with so much in memory.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// Octets of unsent data the codec keeps for one stream.
const SEND_BUFFER_BYTES: usize = 128 * 1024;
