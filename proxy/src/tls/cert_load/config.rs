//! What the operator says about certificates, as the loader takes it.

use std::path::PathBuf;
use std::time::Duration;

use crate::tls::cert_store::ClientAuth;

/// Where certificates come from.
#[derive(Clone, Debug)]
pub struct CertLoaderConfig {
    /// The pairs of clients that name nothing known, of which each client gets the one it can verify.
    /// Made at start if there are none.
    pub default: Vec<DefaultPair>,
    /// Directory of `NAME.crt` and `NAME.key`, perhaps with `NAME.ca`.
    pub dir: Option<PathBuf>,
    /// Directories below which subscriptions may name files; none = no paths, inline PEM only.
    pub roots: Vec<PathBuf>,
    /// How often files are looked at; 1 s unless said otherwise.
    pub poll: Duration,
    /// Whether any listener serves certificates.
    pub is_served: bool,
}

/// Files of the default pair.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DefaultPair {
    /// Certificate chain.
    pub crt: PathBuf,
    /// Private key.
    pub key: PathBuf,
    /// Client authorities, and whether the client must present a certificate.
    pub ca: Option<(PathBuf, ClientAuth)>,
}

impl Default for CertLoaderConfig {
    fn default() -> Self {
        Self {
            default: Vec::new(),
            dir: None,
            roots: Vec::new(),
            poll: Duration::from_secs(1),
            is_served: true,
        }
    }
}
