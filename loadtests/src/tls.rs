//! TLS as the load tests need it: a certificate for the proxies, and clients that believe everything.
//!
//! Clients do not verify what they are shown: that would be their CPU, not the proxy's. They offer X25519
//! alone, so that every proxy agrees on the same keys whatever its library prefers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{CertificateParams, KeyPair, RsaKeySize};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use crate::scenario::{Alpn, HOST, Tickets};

/// Kind of a certificate's key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyKind {
    /// ECDSA over P-256.
    P256,
    /// RSA with 2048 bits.
    Rsa2048,
}

/// A certificate for [`HOST`] in files.
#[derive(Clone, Debug)]
pub struct CertFiles {
    /// The certificate.
    pub crt: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Both in one, as HAProxy wants it.
    pub both: PathBuf,
}

impl CertFiles {
    /// Makes one in `directory`.
    pub fn make(directory: &Path, kind: KeyKind) -> Result<Self> {
        let key = match kind {
            KeyKind::P256 => KeyPair::generate(),
            KeyKind::Rsa2048 => {
                KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048)
            }
        };
        let key = key.context("making a key")?;
        let params = CertificateParams::new([HOST.to_owned()]).context("naming the certificate")?;
        let crt = params.self_signed(&key).context("signing the certificate")?.pem();
        let key = key.serialize_pem();
        let files = Self::below(directory);
        for (path, text) in
            [(&files.crt, crt.clone()), (&files.key, key.clone()), (&files.both, crt + &key)]
        {
            std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(files)
    }

    /// Where they are below `directory`.
    pub fn below(directory: &Path) -> Self {
        let at = |name: &str| directory.join(name);
        Self { crt: at("site.crt"), key: at("site.key"), both: at("site.pem") }
    }
}

/// A client that offers `alpn`, if anything.
pub fn client_config(alpn: Option<Alpn>, tickets: Tickets) -> Result<Arc<ClientConfig>> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
    let provider = Arc::new(provider);
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .context("choosing TLS versions")?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Believer(provider)))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|alpn| alpn.name().into()).collect();
    config.resumption = match tickets {
        Tickets::Unused => Resumption::disabled(),
        Tickets::Used => Resumption::in_memory_sessions(64),
    };
    Ok(Arc::new(config))
}

/// The name clients ask for.
pub fn server_name() -> Result<ServerName<'static>> {
    ServerName::try_from(HOST).context("the host is no name")
}

/// Takes every certificate and every signature.
#[derive(Debug)]
struct Believer(Arc<CryptoProvider>);

impl ServerCertVerifier for Believer {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _rest: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_of_each_kind_is_made() {
        for (kind, begin) in [(KeyKind::P256, "PRIVATE KEY"), (KeyKind::Rsa2048, "PRIVATE KEY")] {
            let directory = tempfile::tempdir().unwrap();
            let files = CertFiles::make(directory.path(), kind).unwrap();
            let both = std::fs::read_to_string(files.both).unwrap();
            assert!(both.contains("BEGIN CERTIFICATE") && both.contains(begin), "{kind:?}");
        }
    }
}
