//! The TLS handshake of a client connection, under a deadline.

use std::{io, sync::Arc};

use router_core::{
    buffer::{self, Use},
    io::{ReadHalf, WriteHalf},
};
use rustls::{ServerConfig, ServerConnection};

use super::stream::{feed, flush_records};

/// Why a handshake did not complete.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The client went away or was too slow.
    #[error("the client left during the handshake")]
    Gone,
    /// The client's side of the protocol was not acceptable; it was told so by an alert.
    #[error("the handshake was refused")]
    Refused(#[source] io::Error),
}

/// Shakes hands until the session carries application data.
///
/// `received` is what was read of the connection before, empty as a rule.
///
/// # Errors
/// [`HandshakeError`]; the caller counts it and closes.
pub async fn handshake(
    config: Arc<ServerConfig>,
    received: &[u8],
    read: &mut ReadHalf,
    write: &mut WriteHalf,
) -> Result<ServerConnection, HandshakeError> {
    let mut session = ServerConnection::new(config)
        .map_err(|error| HandshakeError::Refused(io::Error::other(error)))?;
    take(&mut session, received, write).await?;
    loop {
        if session.wants_write() {
            send(&mut session, write).await.map_err(|_| HandshakeError::Gone)?;
        }
        if !session.is_handshaking() {
            return Ok(session);
        }
        let (result, bytes) = read.read(buffer::take(Use::Reply), usize::MAX).await;
        let taken = match result {
            Ok(0) | Err(_) => Err(HandshakeError::Gone),
            Ok(_) => take(&mut session, &bytes, write).await,
        };
        buffer::give(Use::Reply, bytes);
        taken?;
    }
}

/// Feeds what the client sent.
async fn take(
    session: &mut ServerConnection,
    bytes: &[u8],
    write: &mut WriteHalf,
) -> Result<(), HandshakeError> {
    let Err(error) = feed(session, bytes) else { return Ok(()) };
    // The alert is a courtesy; the connection ends either way.
    let _ = send(session, write).await;
    Err(HandshakeError::Refused(error))
}

async fn send(session: &mut ServerConnection, write: &mut WriteHalf) -> io::Result<()> {
    let mut records = buffer::take(Use::Reply);
    flush_records(session, &mut records)?;
    let (result, records) = write.write_all(records, 0).await;
    buffer::give(Use::Reply, records);
    result
}
