//! The PROXY preface of a connection from a proxy the operator named.
//!
//! Named sources must send one, because nobody else can tell then whose connection it is; all others
//! are not listened to, because they could claim to be anybody. Called by `serve` before TLS or HTTP
//! sees a byte.

use std::net::SocketAddr;

use http1_wire::{Parsed, PrefaceEnds, PrefaceError, limits::PREFACE_V2_BYTES_MAX, parse_preface};
use router_core::{
    buffer::{self, Use},
    io::ReadHalf,
    metrics::Counter,
};

/// What a preface said, and what came with it.
#[derive(Debug)]
pub struct Received {
    /// The client it named and what that connected to; `None` leaves the peer to be the client.
    pub ends: Option<(SocketAddr, SocketAddr)>,
    /// Bytes read from behind the preface.
    pub rest: Vec<u8>,
}

/// Why a named source was not served.
#[derive(Debug, thiserror::Error)]
pub enum PrefaceFailure {
    /// It sent something else.
    #[error(transparent)]
    Refused(#[from] PrefaceError),
    /// It went away within the preface.
    #[error("the connection ended within the preface")]
    Cut,
    /// The deadline passed.
    #[error("the preface was not there in time")]
    Late,
}

impl PrefaceFailure {
    /// What counts it.
    #[must_use]
    pub fn counter(&self) -> Counter {
        match self {
            Self::Refused(PrefaceError::Absent) => Counter::PrefaceAbsent,
            Self::Refused(PrefaceError::Checksum) => Counter::PrefaceChecksum,
            Self::Refused(_) => Counter::PrefaceMalformed,
            Self::Cut => Counter::PrefaceCut,
            Self::Late => Counter::PrefaceTimeout,
        }
    }
}

/// Reads the preface from a connection whose read deadline is set.
///
/// # Errors
/// [`PrefaceFailure`]; the caller counts it and closes.
pub async fn receive(read: &mut ReadHalf) -> Result<Received, PrefaceFailure> {
    let mut bytes = buffer::take(Use::Head);
    let outcome = loop {
        match parse_preface(&bytes) {
            Ok(Parsed::Complete(preface)) => break Ok(preface),
            Ok(Parsed::Partial) => {}
            Err(error) => break Err(error.into()),
        }
        if bytes.len() == bytes.capacity() {
            debug_assert!(bytes.len() < PREFACE_V2_BYTES_MAX, "the parser asks for no more");
            bytes.reserve_exact(PREFACE_V2_BYTES_MAX - bytes.len());
        }
        let received;
        (received, bytes) = read.read(bytes, usize::MAX).await;
        match received {
            Ok(count) if count > 0 => {}
            _ if read.watch().expired().is_some() => break Err(PrefaceFailure::Late),
            _ => break Err(PrefaceFailure::Cut),
        }
    };
    match outcome {
        Ok(preface) => {
            bytes.drain(..preface.bytes);
            let ends = match preface.ends {
                PrefaceEnds::Relayed { source, destination } => Some((source, destination)),
                PrefaceEnds::Local | PrefaceEnds::Unknown => None,
            };
            Ok(Received { ends, rest: bytes })
        }
        Err(failure) => {
            buffer::give(Use::Head, bytes);
            Err(failure)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_counted_under_their_label() {
        use router_core::metrics::catalog::COUNTERS;
        for error in [PrefaceError::Absent, PrefaceError::Checksum, PrefaceError::Tlv] {
            let counter = PrefaceFailure::from(error).counter();
            let row = COUNTERS.iter().find(|(known, ..)| *known == counter).unwrap();
            assert_eq!(row.2, Some(error.label()));
        }
    }
}
