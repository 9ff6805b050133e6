//! Receiving the ClientHello of a connection that is passed on.
//!
//! The bytes are kept as they came. Bounded like an unfinished head of HTTP: in time, in length, and in
//! number over all connections.

use router_core::{
    buffer::{self, Use},
    deadline::Half,
    io::ReadHalf,
    metrics::Counter,
};
use tls_wire::{Alert, HelloError, HelloReader, Read, limits::RECEIVED_BYTES_MAX};

use crate::context::Context;

/// A complete ClientHello.
#[derive(Debug)]
pub struct Hello {
    /// The name the client asks for.
    pub server_name: Option<Box<str>>,
    /// All bytes received, perhaps some behind the message too.
    pub received: Vec<u8>,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HelloFailure {
    /// The connection ended before its first byte.
    #[error("the client said nothing")]
    Nothing,
    /// It sent something else.
    #[error(transparent)]
    Refused(#[from] HelloError),
    /// It went away within the message.
    #[error("the connection ended within the ClientHello")]
    Cut,
    /// The deadline passed.
    #[error("the ClientHello was not there in time")]
    Late,
}

impl HelloFailure {
    /// What counts it.
    pub fn counter(self) -> Counter {
        match self {
            Self::Refused(HelloError::NotTls) => Counter::HelloNotTls,
            Self::Refused(HelloError::Long) => Counter::HelloLong,
            Self::Refused(_) => Counter::HelloMalformed,
            Self::Nothing | Self::Cut => Counter::HelloCut,
            Self::Late => Counter::HelloTimeout,
        }
    }

    /// What the client is told, if it speaks TLS and is still there.
    pub fn alert(self) -> Option<Alert> {
        match self {
            Self::Refused(HelloError::NotTls) | Self::Nothing | Self::Cut | Self::Late => None,
            Self::Refused(_) => Some(Alert::DecodeError),
        }
    }
}

/// Receives until the message is complete. `received` was read already.
///
/// # Errors
/// [`HelloFailure`]; the caller counts it.
pub async fn receive(
    ctx: &Context,
    read: &mut ReadHalf,
    mut received: Vec<u8>,
) -> Result<Hello, HelloFailure> {
    if received.capacity() == 0 {
        received = buffer::take(Use::Head);
    }
    let slot = ctx.heads.enter(read.watch_handle(), &ctx.shard);
    read.watch().arm(Half::Read, ctx.shared.timeouts.head);
    let mut reader = HelloReader::default();
    loop {
        match reader.advance(&received)? {
            Read::Complete(hello) => {
                read.watch().disarm(Half::Read);
                let server_name = hello.server_name.map(|name| name.to_ascii_lowercase().into());
                return Ok(Hello { server_name, received });
            }
            Read::Partial => {}
        }
        slot.note_bytes(received.len(), &ctx.shard);
        if !slot.is_counted() {
            // It was ended in the moment in which its bytes came.
            return Err(HelloFailure::Late);
        }
        if received.len() == received.capacity() {
            debug_assert!(received.len() <= RECEIVED_BYTES_MAX + 5, "the reader asks for no more");
            received.reserve(received.len());
        }
        let result;
        (result, received) = read.read(received, usize::MAX).await;
        match result {
            Ok(count) if count > 0 => {}
            _ if received.is_empty() => return Err(HelloFailure::Nothing),
            _ if read.watch().expired().is_some() => return Err(HelloFailure::Late),
            _ => return Err(HelloFailure::Cut),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_counted_under_their_label() {
        use router_core::metrics::catalog::COUNTERS;
        for error in [HelloError::NotTls, HelloError::Long, HelloError::Length] {
            let counter = HelloFailure::from(error).counter();
            let row = COUNTERS.iter().find(|(known, ..)| *known == counter).unwrap();
            assert_eq!(row.2, Some(error.label()));
        }
    }
}
