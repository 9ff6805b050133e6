//! One certificate with its key, parsed and judged, as handshakes and stats need it.

use std::fmt;
use std::sync::Arc;

use rustls::sign::CertifiedKey;
use rustls::{Error, ServerConfig};

use super::{CertNames, ClientAuth, ClientCa, ServedName};
use crate::tls::tickets::TicketKeys;

/// A pair that may be served.
pub struct CertEntry {
    /// What rustls presents and signs with.
    pub certified: Arc<CertifiedKey>,
    /// Subject alternative names of the leaf.
    pub names: CertNames,
    /// First second the leaf is valid, Unix time.
    pub not_before: i64,
    /// Last second the leaf is valid, Unix time.
    pub not_after: i64,
    /// SHA-256 of the leaf's DER bytes.
    pub fingerprint: [u8; 32],
    /// Who gave it.
    pub source: CertSource,
    /// Authorities of client certificates, if whoever gave the pair named some.
    pub client_ca: Option<ClientCa>,
}

impl CertEntry {
    /// Whether `now_unix` (seconds) lies in the leaf's validity.
    #[must_use]
    pub fn is_current(&self, now_unix: i64) -> bool {
        (self.not_before..=self.not_after).contains(&now_unix)
    }

    /// The configuration for a handshake with this pair: `base`, unless clients are asked for a
    /// certificate.
    ///
    /// # Errors
    /// As [`ClientCa::config`].
    pub fn config(
        &self,
        base: &Arc<ServerConfig>,
        tickets: &Arc<TicketKeys>,
    ) -> Result<Arc<ServerConfig>, Error> {
        match &self.client_ca {
            None => Ok(base.clone()),
            Some(ca) => ca.config(base, &self.certified, tickets),
        }
    }

    /// [`Self::fingerprint`] in lower-case hex.
    #[must_use]
    pub fn fingerprint_hex(&self) -> String {
        hex(&self.fingerprint)
    }

    /// What it wants of clients.
    #[must_use]
    pub fn client_auth(&self) -> Option<ClientAuth> {
        self.client_ca.as_ref().map(|ca| ca.auth)
    }

    pub(super) fn describe(&self, name: Option<&ServedName>) -> CertInfo {
        CertInfo {
            name: name.map(ToString::to_string),
            source: self.source,
            sans: self.names.to_strings(),
            not_after: self.not_after,
            fingerprint: hex(&self.fingerprint),
            client_auth: self.client_auth(),
        }
    }
}

/// Written by hand: the key must not reach a log through `{:?}`.
impl fmt::Debug for CertEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertEntry")
            .field("names", &self.names)
            .field("not_after", &self.not_after)
            .field("fingerprint", &hex(&self.fingerprint))
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// Who gave a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CertSource {
    /// Made at start.
    SelfSigned,
    /// The configured default pair.
    DefaultPair,
    /// The certificate directory.
    Directory,
    /// A subscription.
    Subscription,
}

impl CertSource {
    /// A word for logs and stats.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::SelfSigned => "self-signed",
            Self::DefaultPair => "default",
            Self::Directory => "directory",
            Self::Subscription => "subscription",
        }
    }
}

/// Which certificate: equal for the same leaf, whatever name or file it came by.
///
/// Holds its certificate, so it can be asked what it covers long after a swap.
#[derive(Clone, Debug)]
pub struct CertId(pub(super) Arc<CertEntry>);

impl CertId {
    /// Of this pair.
    #[must_use]
    pub fn new(entry: Arc<CertEntry>) -> Self {
        Self(entry)
    }

    /// The certificate itself.
    #[must_use]
    pub fn entry(&self) -> &CertEntry {
        &self.0
    }
}

impl PartialEq for CertId {
    fn eq(&self, other: &Self) -> bool {
        self.0.fingerprint == other.0.fingerprint
    }
}

impl Eq for CertId {}

/// One served certificate, for stats.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertInfo {
    /// The name it is served under; `None` is the default.
    pub name: Option<String>,
    /// Who gave it.
    pub source: CertSource,
    /// Names inside it.
    pub sans: Vec<String>,
    /// Last second it is valid, Unix time.
    pub not_after: i64,
    /// SHA-256 of the leaf, lower-case hex.
    pub fingerprint: String,
    /// What it wants of clients.
    pub client_auth: Option<ClientAuth>,
}

pub(in crate::tls) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
