//! The pairs of one name: as a rule one, or one for each kind of key, among which the client chooses.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs::ALL_CIPHER_SUITES;
use rustls::server::ClientHello;
use rustls::{CipherSuite, SignatureAlgorithm, SupportedCipherSuite};

use super::CertEntry;

/// A place for one of the pairs of a name. Each is loaded and replaced for itself.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Seat(pub u8);

impl Seat {
    /// Of the pair that has no other.
    pub const PLAIN: Self = Self(0);
    /// `NAME.rsa.crt`.
    pub const RSA: Self = Self(1);
    /// `NAME.ecdsa.crt`.
    pub const ECDSA: Self = Self(2);
    /// All of a name in the certificate directory.
    pub const ALL: [Self; 3] = [Self::PLAIN, Self::RSA, Self::ECDSA];

    /// What stands behind a name's files, and behind the name in logs.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self.0 {
            0 => "",
            1 => ".rsa",
            _ => ".ecdsa",
        }
    }
}

/// Never empty but for a default that was not loaded yet. Those that clients should prefer come first:
/// a signature of ECDSA costs a tenth of one of RSA.
#[derive(Clone, Debug, Default)]
pub(super) struct PairSet(Box<[(Seat, Arc<CertEntry>)]>);

impl PairSet {
    /// With this pair in its seat.
    pub(super) fn with(&self, seat: Seat, entry: Arc<CertEntry>) -> Self {
        let others = self.0.iter().filter(|(other, _)| *other != seat).cloned();
        let mut pairs: Vec<_> = others.chain([(seat, entry)]).collect();
        pairs.sort_by_key(|(seat, entry)| (is_rsa(entry), *seat));
        Self(pairs.into())
    }

    /// Without the pair in this seat; `None` if none is left.
    pub(super) fn without(&self, seat: Seat) -> Option<Self> {
        let pairs: Vec<_> = self.0.iter().filter(|(other, _)| *other != seat).cloned().collect();
        (!pairs.is_empty()).then(|| Self(pairs.into()))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<CertEntry>> {
        self.0.iter().map(|(_, entry)| entry)
    }

    /// The pair for a client that can do everything.
    pub(super) fn preferred(&self) -> Option<&Arc<CertEntry>> {
        self.iter().next()
    }

    /// The pair for this client; the preferred one if none fits, so that it is told what is wrong.
    pub(super) fn fitting(&self, hello: &ClientHello<'_>) -> Option<&Arc<CertEntry>> {
        match &*self.0 {
            [] => None,
            [(_, only)] => Some(only),
            _ => self.iter().find(|entry| fits(entry, hello)).or_else(|| self.preferred()),
        }
    }
}

fn is_rsa(entry: &CertEntry) -> bool {
    entry.certified.key.algorithm() == SignatureAlgorithm::RSA
}

/// Whether the client can verify signatures of this key. In TLS 1.2 the cipher suite names the kind of
/// key, too.
fn fits(entry: &CertEntry, hello: &ClientHello<'_>) -> bool {
    if entry.certified.key.choose_scheme(hello.signature_schemes()).is_none() {
        return false;
    }
    let offered = |suite: CipherSuite| hello.cipher_suites().contains(&suite);
    ALL_CIPHER_SUITES.iter().any(|suite| {
        offered(suite.suite())
            && match suite {
                SupportedCipherSuite::Tls13(_) => true,
                SupportedCipherSuite::Tls12(suite) => {
                    entry.certified.key.choose_scheme(suite.sign).is_some()
                }
            }
    })
}
