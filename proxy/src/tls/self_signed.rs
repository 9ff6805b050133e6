//! The certificate of last resort: made at start when the operator named no default pair.
//!
//! It lets a handshake finish on a fresh machine; no client has a reason to trust it. The key
//! lives in memory only and is another one after every start.

use std::time::Duration;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};

/// Names the made certificate is valid for.
pub const SELF_SIGNED_NAMES: [&str; 4] = ["localhost", "*.localhost", "127.0.0.1", "::1"];
/// How long it is valid, in days: the most that all current clients accept.
const VALID_DAYS: u64 = 825;
/// How far its start lies in the past, for clients whose clocks are behind, in seconds.
const BACKDATED_S: u64 = 3600;

/// A certificate with its key, both as PEM text.
pub struct SelfSigned {
    /// The chain: one certificate.
    pub crt_pem: String,
    /// Its PKCS#8 private key.
    pub key_pem: String,
}

/// Makes a P-256 certificate for [`SELF_SIGNED_NAMES`], valid from an hour before `now_unix`
/// (seconds).
///
/// # Errors
/// Only if the key generator of the crypto library fails.
pub fn make_self_signed(now_unix: u64) -> Result<SelfSigned, rcgen::Error> {
    let names = SELF_SIGNED_NAMES.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "localhost");
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(now_unix.saturating_sub(BACKDATED_S));
    params.not_after = epoch + Duration::from_secs(now_unix + VALID_DAYS * 86_400);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let crt = params.self_signed(&key)?;
    Ok(SelfSigned { crt_pem: crt.pem(), key_pem: key.serialize_pem() })
}
