//! Receiving one packet. Bounded like an unfinished head of HTTP: in time, in length, which its
//! header states, and in number over all connections.

use proxy::context::Context;
use router_core::{
    buffer::{self, Use},
    deadline::Half,
    io::ReadHalf,
    metrics::Counter,
};

use uwsgi_request::packet_bytes;

/// A whole packet.
#[derive(Debug)]
pub struct Received {
    /// The packet, and perhaps some of its body.
    pub bytes: Vec<u8>,
    /// How much of it is the packet.
    pub packet: usize,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReceiveError {
    /// The connection ended before its first byte.
    #[error("the web server said nothing")]
    Nothing,
    /// It went away within the packet.
    #[error("the connection ended within the packet")]
    Cut,
    /// The deadline passed.
    #[error("the packet was not there in time")]
    Late,
}

impl ReceiveError {
    /// What counts it.
    pub fn counter(self) -> Counter {
        match self {
            Self::Nothing | Self::Cut => Counter::PacketCut,
            Self::Late => Counter::PacketTimeout,
        }
    }
}

/// Receives until the packet is complete.
///
/// # Errors
/// [`ReceiveError`]; the caller counts it.
pub async fn receive(ctx: &Context, read: &mut ReadHalf) -> Result<Received, ReceiveError> {
    let mut received = buffer::take(Use::Head);
    // Nearly always all of it: a web server connects to send it.
    if let Some(Ok(0) | Err(_)) = read.read_now(&mut received) {
        return Err(ReceiveError::Nothing);
    }
    if let Some(packet) = whole(&received) {
        return Ok(Received { bytes: received, packet });
    }
    let slot = ctx.heads.enter(read.watch_handle(), &ctx.shard);
    read.watch().arm(Half::Read, ctx.shared.timeouts.head);
    loop {
        if let Some(packet) = whole(&received) {
            read.watch().disarm(Half::Read);
            return Ok(Received { bytes: received, packet });
        }
        slot.note_bytes(received.len(), &ctx.shard);
        if !slot.is_counted() {
            // It was ended in the moment in which its bytes came.
            return Err(ReceiveError::Late);
        }
        // Doubled rather than believed: who states 64 KiB has to send them.
        if received.len() == received.capacity() {
            received.reserve(received.len());
        }
        let result;
        (result, received) = read.read(received, usize::MAX).await;
        match result {
            Ok(count) if count > 0 => {}
            _ if read.watch().expired().is_some() => return Err(ReceiveError::Late),
            _ if received.is_empty() => return Err(ReceiveError::Nothing),
            _ => return Err(ReceiveError::Cut),
        }
    }
}

/// How long the packet is, if all of it is here.
fn whole(received: &[u8]) -> Option<usize> {
    packet_bytes(received).filter(|wanted| received.len() >= *wanted)
}
