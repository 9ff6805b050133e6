//! The `Connection` field: persistence, the upgrade option, and the fields it makes hop-by-hop.
//!
//! A nominated field is dropped with the other hop-by-hop fields (RFC 9110 7.6.1). Nominating a
//! field that frames or routes the message is refused: honouring it would strip what the message
//! was understood by, and that is only ever asked for by somebody probing.

use crate::Version;
use crate::limits::CONNECTION_NAMES_MAX;
use crate::octets::{is_token, trim_ows};

/// Options seen in all `Connection` fields of one head.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ConnectionOptions {
    close: bool,
    keep_alive: bool,
    pub(crate) upgrade: bool,
    /// `TE` is nominated, as whoever sends one must (RFC 9110 10.1.4).
    pub(crate) te: bool,
    /// Names of fields nominated as hop-by-hop.
    pub(crate) names: usize,
}

impl ConnectionOptions {
    pub(crate) fn note(&mut self, value: &[u8]) -> Result<(), ConnectionError> {
        for option in options(value) {
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade = true;
            } else if !option.iter().copied().all(is_token) {
                return Err(ConnectionError::Malformed);
            } else if NEVER_HOP_BY_HOP.iter().any(|name| option.eq_ignore_ascii_case(name)) {
                return Err(ConnectionError::NominatesFraming);
            } else if self.names == CONNECTION_NAMES_MAX {
                return Err(ConnectionError::TooManyNames);
            } else {
                self.te |= option.eq_ignore_ascii_case(b"te");
                self.names += 1;
            }
        }
        Ok(())
    }

    /// Whether the connection persists after this message (RFC 9112 9.3).
    pub(crate) fn keep_alive(self, version: Version) -> bool {
        match version {
            Version::Http11 => !self.close,
            Version::Http10 => self.keep_alive && !self.close,
        }
    }
}

/// The members of a comma list, without the empty ones RFC 9110 5.6.1.2 tolerates.
pub(crate) fn options(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|octet| *octet == b',').map(trim_ows).filter(|option| !option.is_empty())
}

const NEVER_HOP_BY_HOP: [&[u8]; 3] = [b"host", b"content-length", b"transfer-encoding"];

/// Why a `Connection` field was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ConnectionError {
    /// A member of the list is not a token.
    #[error("Connection is malformed")]
    Malformed,
    /// It names Host, Content-Length or Transfer-Encoding.
    #[error("Connection names a field that frames or routes the message")]
    NominatesFraming,
    /// It names more than `CONNECTION_NAMES_MAX` fields.
    #[error("Connection names too many fields")]
    TooManyNames,
}

impl ConnectionError {
    /// Answer given to a client that sent it; from an upstream the answer is 502.
    pub const fn status(self) -> u16 {
        400
    }

    /// Name of its row in the reject table and of its counter.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Malformed => "connection",
            Self::NominatesFraming => "connection_names_framing",
            Self::TooManyNames => "connection_too_many_names",
        }
    }
}
