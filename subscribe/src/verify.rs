//! The check of one signature with one public key; nothing else.
//!
//! RSA PKCS#1 v1.5 with 2048 to 8192 bits and ECDSA over P-256 in DER, as real vassals sign
//! (subscription spec 5.2), by aws-lc. The digest is the server's and never the datagram's. A key
//! is parsed once and then used for every datagram it signs.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;

use crate::limits::{KEY_FILE_BYTES_MAX, SIGNATURE_BYTES_MAX};

/// The digest every signature of this server must use.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Digest {
    /// Broken for collisions and still common in the field; only when the operator writes it.
    Sha1,
    /// The one to use.
    Sha256,
    /// Longer, not better here.
    Sha512,
}

impl Digest {
    /// The word of the command line, as OpenSSL spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
        }
    }

    const fn rsa(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Sha1 => &signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Self::Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        }
    }

    const fn ecdsa(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Sha1 => &signature::ECDSA_P256_SHA1_ASN1,
            Self::Sha256 => &signature::ECDSA_P256_SHA256_ASN1,
            Self::Sha512 => &signature::ECDSA_P256_SHA512_ASN1,
        }
    }
}

impl std::str::FromStr for Digest {
    type Err = DigestUnknown;

    fn from_str(word: &str) -> Result<Self, DigestUnknown> {
        [Self::Sha1, Self::Sha256, Self::Sha512]
            .into_iter()
            .find(|digest| digest.as_str().eq_ignore_ascii_case(word))
            .ok_or(DigestUnknown)
    }
}

/// A word that names no digest this server verifies.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("digest is none of SHA1, SHA256, SHA512")]
pub struct DigestUnknown;

/// Tells two public keys apart: the first 128 bits of the SHA-256 of their encoding.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct KeyPrint(pub(crate) [u8; 16]);

impl KeyPrint {
    /// The print of the key in a file, whether it can verify or not; nothing if there is none.
    #[must_use]
    pub fn of_pem(pem: &[u8]) -> Option<Self> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).ok()?;
        Some(Self::of_der(der.as_ref()))
    }

    fn of_der(der: &[u8]) -> Self {
        let mut print = [0; 16];
        print.copy_from_slice(&digest(&SHA256, der).as_ref()[..16]);
        Self(print)
    }
}

/// A parsed public key, bound to the server's digest.
#[derive(Debug)]
pub struct PublicKey {
    parsed: ParsedPublicKey,
    print: KeyPrint,
}

impl PublicKey {
    /// Reads the first `PUBLIC KEY` section of a PEM file: a SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`PublicKeyError`] says what is wrong with the file.
    pub fn from_pem(digest: Digest, pem: &[u8]) -> Result<Self, PublicKeyError> {
        if pem.len() > KEY_FILE_BYTES_MAX {
            return Err(PublicKeyError::Long { bytes: pem.len() });
        }
        let der =
            SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| PublicKeyError::NoSection)?;
        Self::from_der(digest, der.as_ref())
    }

    fn from_der(server_digest: Digest, der: &[u8]) -> Result<Self, PublicKeyError> {
        let parsed = match ParsedPublicKey::new(server_digest.rsa(), der) {
            Ok(_) if der.len() < RSA_SPKI_BYTES_MIN => return Err(PublicKeyError::SmallRsa),
            Ok(parsed) => parsed,
            Err(_) => ParsedPublicKey::new(server_digest.ecdsa(), der)
                .map_err(|_| PublicKeyError::Unsupported)?,
        };
        Ok(Self { parsed, print: KeyPrint::of_der(der) })
    }

    /// Whether `signature` was made over `signed` with the private half of this key.
    #[must_use]
    pub fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        signature.len() <= SIGNATURE_BYTES_MAX && self.parsed.verify_sig(signed, signature).is_ok()
    }

    /// The key's identity.
    #[must_use]
    pub const fn print(&self) -> KeyPrint {
        self.print
    }
}

/// Why a file holds no key that can verify.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PublicKeyError {
    /// Longer than `KEY_FILE_BYTES_MAX`.
    #[error("key file of {bytes} bytes is too long")]
    Long {
        /// How long it is.
        bytes: usize,
    },
    /// No `-----BEGIN PUBLIC KEY-----`, or what follows it is not base64.
    #[error("file holds no PUBLIC KEY section")]
    NoSection,
    /// An RSA key of fewer than 2048 bits.
    #[error("RSA key has fewer than 2048 bits")]
    SmallRsa,
    /// Neither RSA nor EC P-256. uWSGI cannot sign with Ed25519 either.
    #[error("key is neither RSA nor EC P-256")]
    Unsupported,
}

/// Shortest encoding of an RSA key of 2048 bits. aws-lc checks the exact size when it verifies;
/// this tells the operator before the first datagram fails.
const RSA_SPKI_BYTES_MIN: usize = 290;

#[cfg(test)]
mod tests {
    use super::*;

    const RSA_2048: &[u8] = include_bytes!("../tests/testdata/keys/rsa2048_a.pub.pem");
    const EC_P256: &[u8] = include_bytes!("../tests/testdata/keys/ecp256_a.pub.pem");
    const ED25519: &[u8] = include_bytes!("../tests/testdata/keys/ed25519_a.pub.pem");
    const RSA_1024: &[u8] = include_bytes!("../tests/testdata/keys/rsa1024.pub.pem");

    #[test]
    fn rsa_and_p256_keys_are_read_and_others_are_refused() {
        for digest in [Digest::Sha1, Digest::Sha256, Digest::Sha512] {
            let error = |pem| PublicKey::from_pem(digest, pem).map(|key| key.print());
            assert!(PublicKey::from_pem(digest, RSA_2048).is_ok());
            assert!(PublicKey::from_pem(digest, EC_P256).is_ok());
            assert_eq!(error(ED25519), Err(PublicKeyError::Unsupported));
            assert_eq!(error(RSA_1024), Err(PublicKeyError::SmallRsa));
            assert_eq!(error(b""), Err(PublicKeyError::NoSection));
            assert_eq!(error(&RSA_2048[..200]), Err(PublicKeyError::NoSection));
            let long = [RSA_2048, &[b'\n'; KEY_FILE_BYTES_MAX]].concat();
            assert_eq!(error(&long), Err(PublicKeyError::Long { bytes: long.len() }));
        }
    }

    #[test]
    fn print_belongs_to_the_key_and_not_to_its_file() {
        let print = |pem: &[u8]| PublicKey::from_pem(Digest::Sha1, pem).unwrap().print();
        let spaced = [b"# a comment\n".as_slice(), RSA_2048, b"\n\n"].concat();
        assert_eq!(print(RSA_2048), print(&spaced));
        assert_eq!(KeyPrint::of_pem(&spaced), Some(print(RSA_2048)));
        assert_ne!(print(RSA_2048), print(EC_P256));
    }

    #[test]
    fn digest_is_read_in_either_case_and_no_other_is() {
        assert_eq!("sha256".parse(), Ok(Digest::Sha256));
        assert_eq!("SHA1".parse(), Ok(Digest::Sha1));
        assert_eq!("MD5".parse::<Digest>(), Err(DigestUnknown));
    }
}
