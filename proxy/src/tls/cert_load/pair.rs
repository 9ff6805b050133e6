//! PEM bytes to a servable entry, or the reason why not. No files, no clock.

use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls::{Error as TlsError, InconsistentKeys};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::confine::ReadError;
use super::flaw::Flaw;
use crate::tls::cert_store::{
    CertEntry, CertNames, CertSource, ClientAuth, ClientCa, ClientCaError,
};
use crate::tls::limits::{CHAIN_CERTS_MAX, CLIENT_CAS_MAX, RSA_BITS_MIN};

/// The three texts of one name.
#[derive(Debug)]
pub struct PairBytes {
    /// Leaf first, then its chain; PEM.
    pub crt: Vec<u8>,
    /// PKCS#1, PKCS#8 or SEC1; PEM.
    pub key: Vec<u8>,
    /// Client authorities and whether the client must present a certificate; PEM.
    pub ca: Option<(Vec<u8>, ClientAuth)>,
}

/// Which of the texts is meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// The certificate chain.
    Crt,
    /// The private key.
    Key,
    /// The client authorities.
    Ca,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Crt => "certificate",
            Self::Key => "private key",
            Self::Ca => "client ca",
        })
    }
}

/// Why a pair is not served.
#[derive(Debug, thiserror::Error)]
pub enum CertError {
    /// One of the files was not read.
    #[error("{part}: {cause}")]
    Read {
        /// Which.
        part: Part,
        /// Why.
        #[source]
        cause: ReadError,
    },
    /// One of the texts is not PEM.
    #[error("{part}: not readable as PEM")]
    Pem {
        /// Which.
        part: Part,
    },
    /// No certificate, or more than a chain needs.
    #[error("{part}: {count} certificates, allowed are 1 to {max}")]
    Count {
        /// Which.
        part: Part,
        /// How many, counted up to one more than `max`.
        count: usize,
        /// The bound.
        max: usize,
    },
    /// The leaf is not X.509.
    #[error("certificate: not readable as X.509")]
    X509,
    /// The key is of a kind the crypto library does not serve.
    #[error("private key: not usable")]
    Key(#[source] TlsError),
    /// The private key belongs to another certificate.
    #[error("private key does not belong to the certificate (the first of its file)")]
    Mismatch,
    /// Anybody with some money can compute the private key.
    #[error("private key: RSA of {bits} bits is too short to be served")]
    Short {
        /// How many it has.
        bits: usize,
    },
    /// A client authority is not usable.
    #[error("client ca: not usable")]
    Ca(#[source] ClientCaError),
    /// More is wrong with it than with what it would replace.
    #[error("{0}, and a better one is being served")]
    Worse(Flaw),
}

/// Builds the entry.
///
/// Validity in time is not judged here: see [`CertEntry::is_current`].
///
/// # Errors
/// Each text must parse, and the key must belong to the leaf.
pub fn parse_pair(
    pair: &PairBytes,
    source: CertSource,
    provider: &Arc<CryptoProvider>,
) -> Result<CertEntry, CertError> {
    let chain = certificates(&pair.crt, Part::Crt, CHAIN_CERTS_MAX)?;
    let leaf = &chain[0];
    let facts = leaf_facts(leaf)?;
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest(&SHA256, leaf).as_ref());
    let key =
        PrivateKeyDer::from_pem_slice(&pair.key).map_err(|_| CertError::Pem { part: Part::Key })?;
    let certified = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        TlsError::InconsistentKeys(InconsistentKeys::KeyMismatch) => CertError::Mismatch,
        _ if facts.rsa_bits.is_some_and(|bits| bits < RSA_BITS_MIN) => {
            CertError::Short { bits: facts.rsa_bits.unwrap_or_default() }
        }
        other => CertError::Key(other),
    })?;
    let client_ca =
        pair.ca.as_ref().map(|(pem, auth)| client_ca(pem, *auth, provider)).transpose()?;
    Ok(CertEntry {
        certified: Arc::new(certified),
        names: facts.names,
        not_before: facts.not_before,
        not_after: facts.not_after,
        fingerprint,
        source,
        client_ca,
    })
}

/// At least one, at most `max` certificates.
fn certificates(
    pem: &[u8],
    part: Part,
    max: usize,
) -> Result<Vec<CertificateDer<'static>>, CertError> {
    let found = CertificateDer::pem_slice_iter(pem)
        .take(max + 1)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| CertError::Pem { part })?;
    let count = found.len();
    if (1..=max).contains(&count) { Ok(found) } else { Err(CertError::Count { part, count, max }) }
}

fn client_ca(
    pem: &[u8],
    auth: ClientAuth,
    provider: &Arc<CryptoProvider>,
) -> Result<ClientCa, CertError> {
    let authorities = certificates(pem, Part::Ca, CLIENT_CAS_MAX)?;
    ClientCa::new(authorities, auth, provider).map_err(CertError::Ca)
}

/// What is read out of the leaf.
struct LeafFacts {
    names: CertNames,
    not_before: i64,
    not_after: i64,
    rsa_bits: Option<usize>,
}

fn leaf_facts(leaf: &CertificateDer<'_>) -> Result<LeafFacts, CertError> {
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|_| CertError::X509)?;
    let extension = leaf.subject_alternative_name().map_err(|_| CertError::X509)?;
    let general = extension.map_or(&[][..], |found| found.value.general_names.as_slice());
    let dns = general.iter().filter_map(|name| match name {
        GeneralName::DNSName(text) => Some(*text),
        _ => None,
    });
    let ips = general.iter().filter_map(|name| match name {
        GeneralName::IPAddress(octets) => ip_address(octets),
        _ => None,
    });
    Ok(LeafFacts {
        names: CertNames::new(dns, ips.collect()),
        not_before: leaf.validity().not_before.timestamp(),
        not_after: leaf.validity().not_after.timestamp(),
        rsa_bits: match leaf.public_key().parsed() {
            Ok(PublicKey::RSA(key)) => Some(key.key_size()),
            Ok(_) | Err(_) => None,
        },
    })
}

fn ip_address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}
