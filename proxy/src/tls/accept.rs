//! The TLS handshake of a client connection, under a deadline.

use std::{io, sync::Arc};

use router_core::{
    buffer::{self, Use},
    io::{ReadHalf, WriteHalf},
};
use rustls::server::{Accepted, AcceptedAlert, Acceptor};
use rustls::{Error, HandshakeKind, ServerConfig, ServerConnection};

use super::cert_store::{CertEntry, CertStore};
use super::stream::{feed, flush_records};

/// A completed handshake.
pub struct Agreed {
    /// Ready for application data.
    pub session: ServerConnection,
    /// The pair the client was given.
    pub entry: Arc<CertEntry>,
}
/// The name of HTTP/2 over TLS (RFC 9113 3.2).
pub const ALPN_HTTP2: &[u8] = b"h2";

/// Why a handshake did not complete.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The client went away or was too slow.
    #[error("the client left during the handshake")]
    Gone,
    /// The client's side of the protocol was not acceptable; as a rule it was told so by an alert.
    #[error("the handshake was refused")]
    Refused(#[source] Error),
}

impl HandshakeError {
    /// Whether it was the client's certificate, or the want of one.
    pub fn is_about_client_certificate(&self) -> bool {
        use Error::{InvalidCertificate, NoCertificatesPresented};
        matches!(self, Self::Refused(NoCertificatesPresented | InvalidCertificate(_)))
    }
}

/// Shakes hands until the session carries application data.
///
/// The pair is chosen once the client has said which name it wants, and with it whether the client is
/// asked for a certificate: rustls needs another configuration for that. `received` is what was read
/// of the connection before, empty as a rule.
///
/// # Errors
/// [`HandshakeError`]; the caller counts it and closes.
pub async fn handshake(
    base: &Arc<ServerConfig>,
    certs: &CertStore,
    received: &[u8],
    read: &mut ReadHalf,
    write: &mut WriteHalf,
) -> Result<Agreed, HandshakeError> {
    let mut bytes = buffer::take(Use::Reply);
    bytes.extend_from_slice(received);
    let (accepted, mut bytes, fed) = receive_hello(bytes, read, write).await?;
    let entry = certs.entry_for_client(&accepted.client_hello());
    let config = match &entry {
        Some(entry) => entry.config(base, certs.tickets()).map_err(HandshakeError::Refused)?,
        // Its resolver finds nothing either, and the client is told.
        None => base.clone(),
    };
    let mut session = match accepted.into_connection(config) {
        Ok(session) => session,
        Err(refused) => return Err(refuse(refused, write).await),
    };
    let entry =
        entry.ok_or_else(|| HandshakeError::Refused(Error::General("nothing to serve".into())))?;
    take(&mut session, bytes.get(fed..).unwrap_or_default(), write).await?;
    loop {
        if session.wants_write() {
            send(&mut session, write).await.map_err(|_| HandshakeError::Gone)?;
        }
        if !session.is_handshaking() {
            buffer::give(Use::Reply, bytes);
            check_client(&session, &entry).map_err(HandshakeError::Refused)?;
            return Ok(Agreed { session, entry });
        }
        bytes = receive(bytes, read).await?;
        take(&mut session, &bytes, write).await?;
    }
}

/// Receives the client's first message. Answers also the bytes it ended in, and how many of them
/// belong to it.
async fn receive_hello(
    mut bytes: Vec<u8>,
    read: &mut ReadHalf,
    write: &mut WriteHalf,
) -> Result<(Accepted, Vec<u8>, usize), HandshakeError> {
    let mut acceptor = Acceptor::default();
    loop {
        let mut rest = &bytes[..];
        match hear(&mut acceptor, &mut rest) {
            Ok(Some(accepted)) => {
                let fed = bytes.len() - rest.len();
                return Ok((accepted, bytes, fed));
            }
            Ok(None) => {}
            Err(refused) => return Err(refuse(refused, write).await),
        }
        bytes = receive(bytes, read).await?;
    }
}

/// Feeds `bytes` up to the end of the client's first message.
fn hear(
    acceptor: &mut Acceptor,
    bytes: &mut &[u8],
) -> Result<Option<Accepted>, (Error, AcceptedAlert)> {
    while !bytes.is_empty() {
        // A message that is longer than any is refused by what comes next.
        let taken = acceptor.read_tls(bytes);
        if let Some(accepted) = acceptor.accept()? {
            return Ok(Some(accepted));
        }
        if !matches!(taken, Ok(1..)) {
            *bytes = &[];
        }
    }
    Ok(None)
}

/// Reads once, in place of what the buffer held.
async fn receive(mut bytes: Vec<u8>, read: &mut ReadHalf) -> Result<Vec<u8>, HandshakeError> {
    bytes.clear();
    let (result, bytes) = read.read(bytes, usize::MAX).await;
    match result {
        Ok(0) | Err(_) => Err(HandshakeError::Gone),
        Ok(_) => Ok(bytes),
    }
}

/// A resumed session asks the client for nothing, so what its ticket says is verified again.
fn check_client(session: &ServerConnection, entry: &CertEntry) -> Result<(), Error> {
    match &entry.client_ca {
        Some(ca) if session.handshake_kind() == Some(HandshakeKind::Resumed) => {
            ca.verify_again(session.peer_certificates().unwrap_or_default())
        }
        _ => Ok(()),
    }
}

/// Tells the client by an alert.
async fn refuse(refused: (Error, AcceptedAlert), write: &mut WriteHalf) -> HandshakeError {
    let (error, mut alert) = refused;
    let mut records = buffer::take(Use::Reply);
    if alert.write_all(&mut records).is_ok() {
        // A courtesy; the connection ends either way.
        let (_, spent) = write.write_all(records, 0).await;
        buffer::give(Use::Reply, spent);
    }
    HandshakeError::Refused(error)
}

/// Feeds what the client sent.
async fn take(
    session: &mut ServerConnection,
    bytes: &[u8],
    write: &mut WriteHalf,
) -> Result<(), HandshakeError> {
    let Err(error) = feed(session, bytes) else { return Ok(()) };
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
