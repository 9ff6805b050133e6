//! The PROXY preface of a connection from a proxy the operator named.
//!
//! Named sources must send one, because nobody else can tell then whose connection it is; all others
//! are not listened to, because they could claim to be anybody. Called by `serve` before TLS or HTTP
//! sees a byte.

use std::net::SocketAddr;

use http1_wire::{Parsed, PrefaceEnds, PrefaceError, limits::PREFACE_V2_BYTES_MAX, parse_preface};
use ipnet::IpNet;
use router_core::{
    buffer::{self, Use},
    io::ReadHalf,
    metrics::Counter,
};

use crate::config::ProxySource;

/// The sources whose connections begin with a preface.
#[derive(Clone, Debug, Default)]
pub struct NamedSources {
    nets: Vec<IpNet>,
    has_unix: bool,
}

impl NamedSources {
    /// The sources as configured.
    #[must_use]
    pub fn new(sources: &[ProxySource]) -> Self {
        let nets = sources.iter().filter_map(|source| match source {
            ProxySource::Net(net) => Some(*net),
            ProxySource::Unix => None,
        });
        Self { nets: nets.collect(), has_unix: sources.contains(&ProxySource::Unix) }
    }

    /// Whether a connection from `peer` must begin with a preface; no peer is a unix socket.
    #[must_use]
    pub fn contains(&self, peer: Option<SocketAddr>) -> bool {
        match peer {
            Some(peer) => {
                let ip = peer.ip().to_canonical();
                self.nets.iter().any(|net| net.contains(&ip))
            }
            None => self.has_unix,
        }
    }
}

/// What a preface said, and what came with it.
#[derive(Debug)]
pub struct Received {
    /// The client it named; `None` leaves the peer to be the client.
    pub client: Option<SocketAddr>,
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
            let client = match preface.ends {
                PrefaceEnds::Relayed { source, .. } => Some(source),
                PrefaceEnds::Local | PrefaceEnds::Unknown => None,
            };
            Ok(Received { client, rest: bytes })
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

    #[test]
    fn only_the_sources_that_were_named_are_believed() {
        let net = |text: &str| ProxySource::Net(text.parse().unwrap());
        let peer = |text: &str| Some(text.parse().unwrap());
        let tcp = NamedSources::new(&[net("10.0.0.0/8"), net("2001:db8::1/128")]);
        for inside in ["10.0.0.1:1", "10.255.255.255:2", "[2001:db8::1]:3", "[::ffff:10.1.1.1]:4"] {
            assert!(tcp.contains(peer(inside)), "{inside}");
        }
        for outside in ["11.0.0.0:1", "127.0.0.1:1", "[2001:db8::2]:1", "[::1]:1"] {
            assert!(!tcp.contains(peer(outside)), "{outside}");
        }
        assert!(!tcp.contains(None));
        let unix = NamedSources::new(&[ProxySource::Unix]);
        assert!(unix.contains(None) && !unix.contains(peer("127.0.0.1:1")));
        assert!(!NamedSources::default().contains(None));
    }
}
