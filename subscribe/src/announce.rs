//! The client's side: builds and signs the datagrams that vassals send.
//!
//! Used by the sidecar, by `suzerain announce`, by load tests and tests. Items stand in the order
//! of uWSGI 2.0 (subscription spec 1.4), so equal fields give equal bytes; `backup`, `vassal`, `proto`
//! and `algo`, which only 2.1 knows, stand where 2.1 puts them and are left out at their defaults.
//! Sending, and when to send, is the caller's.

use route_table::{Algorithm, Proto};
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::DecodePrivateKey;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};
use uwsgi_wire::modifier::SUBSCRIPTION;
use uwsgi_wire::{EncodeError, PacketWriter};

pub use crate::datagram::Command;
use crate::limits::DATAGRAM_BYTES_MAX;
pub use crate::verify::Digest;

/// What a node says of itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AnnounceFields {
    /// The key: a host, perhaps with a port and a mountpoint.
    pub key: String,
    /// Where requests are to be sent (subscription spec 1.3).
    pub address: String,
    /// First modifier of the requests.
    pub modifier1: u8,
    /// Second modifier of the requests.
    pub modifier2: u8,
    /// Requests the node can serve at once.
    pub cores: u32,
    /// Listen backlog of the node.
    pub load: u32,
    /// Share of the requests; 0 counts as 1.
    pub weight: u32,
    /// Backup level; 0, which is primary, is not sent.
    pub backup: u8,
    /// Name of the vassal, by which its node is known if its address changes.
    pub vassal: Option<String>,
    /// Private key to serve the host with: a path as seen by the router, or PEM text.
    pub sni_key: Option<String>,
    /// Certificate chain, likewise.
    pub sni_crt: Option<String>,
    /// Authority of client certificates, likewise.
    pub sni_ca: Option<String>,
    /// What the node speaks; uwsgi is not sent.
    pub proto: Proto,
    /// How the route spreads its requests, if this announcement creates it.
    pub algo: Option<Algorithm>,
    /// Unix datagram socket an acknowledgement is sent to.
    pub notify: Option<String>,
}

/// Builds one datagram. `unix` is the sender's clock in seconds; the command is added to it, as
/// vassals do. It is needed with a `signer` and sent without one if given.
///
/// # Errors
/// [`AnnounceError`]; nothing is worth sending then.
pub fn encode(
    fields: &AnnounceFields,
    command: Command,
    unix: Option<u64>,
    signer: Option<&Signer>,
) -> Result<Vec<u8>, AnnounceError> {
    let mut datagram = Vec::with_capacity(512);
    let mut writer = PacketWriter::start(&mut datagram, SUBSCRIPTION, command.byte())?;
    writer.pair(b"key", fields.key.as_bytes())?;
    writer.pair(b"address", fields.address.as_bytes())?;
    let number = |writer: &mut PacketWriter<'_>, name: &[u8], value: u64| {
        writer.pair(name, value.to_string().as_bytes())
    };
    number(&mut writer, b"modifier1", fields.modifier1.into())?;
    number(&mut writer, b"modifier2", fields.modifier2.into())?;
    number(&mut writer, b"cores", fields.cores.into())?;
    number(&mut writer, b"load", fields.load.into())?;
    number(&mut writer, b"weight", fields.weight.into())?;
    if fields.backup != 0 {
        number(&mut writer, b"backup", fields.backup.into())?;
    }
    let proto = (fields.proto != Proto::Uwsgi).then(|| fields.proto.as_str());
    let texts = [
        ("vassal", fields.vassal.as_deref()),
        ("sni_key", fields.sni_key.as_deref()),
        ("sni_crt", fields.sni_crt.as_deref()),
        ("sni_ca", fields.sni_ca.as_deref()),
        ("proto", proto),
        ("algo", fields.algo.map(Algorithm::as_str)),
        ("notify", fields.notify.as_deref()),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            writer.pair(name.as_bytes(), value.as_bytes())?;
        }
    }
    if let Some(unix) = unix {
        let stamp = unix.saturating_add(command.byte().into());
        number(&mut writer, b"unix", stamp)?;
    }
    match signer {
        Some(signer) if unix.is_some() => {
            let signature = signer.sign(writer.body())?;
            writer.pair(b"sign", &signature)?;
        }
        Some(_) => return Err(AnnounceError::NoStamp),
        None => {}
    }
    writer.finish();
    match datagram.len() {
        0..=DATAGRAM_BYTES_MAX => Ok(datagram),
        bytes => Err(AnnounceError::TooLong { bytes }),
    }
}

/// A private RSA key and the digest it signs with.
///
/// The `rsa` crate makes the signature because aws-lc offers none with SHA-1. Its private-key
/// operations are not constant-time (RUSTSEC-2023-0071); a vassal signs its own text on its own
/// clock, so nobody gets to choose and time what is signed.
#[derive(Clone)]
pub struct Signer {
    key: Box<RsaPrivateKey>,
    digest: Digest,
}

impl Signer {
    /// Reads an unencrypted private key: `PRIVATE KEY` (PKCS#8) or `RSA PRIVATE KEY` (PKCS#1).
    ///
    /// # Errors
    /// [`AnnounceError::BadKey`].
    pub fn from_pem(digest: Digest, pem: &str) -> Result<Self, AnnounceError> {
        let key = RsaPrivateKey::from_pkcs8_pem(pem)
            .or_else(|_| RsaPrivateKey::from_pkcs1_pem(pem))
            .map_err(|_| AnnounceError::BadKey)?;
        Ok(Self { key: Box::new(key), digest })
    }

    fn sign(&self, dictionary: &[u8]) -> Result<Vec<u8>, AnnounceError> {
        let (scheme, hashed) = match self.digest {
            Digest::Sha1 => (Pkcs1v15Sign::new::<Sha1>(), Sha1::digest(dictionary).to_vec()),
            Digest::Sha256 => (Pkcs1v15Sign::new::<Sha256>(), Sha256::digest(dictionary).to_vec()),
            Digest::Sha512 => (Pkcs1v15Sign::new::<Sha512>(), Sha512::digest(dictionary).to_vec()),
        };
        self.key.sign(scheme, &hashed).map_err(|_| AnnounceError::BadKey)
    }
}

impl std::fmt::Debug for Signer {
    /// Shows the digest and never the key.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Signer").field("digest", &self.digest).finish_non_exhaustive()
    }
}

/// Why there is nothing to send.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AnnounceError {
    /// A field does not fit a packet.
    #[error("announcement does not fit a packet: {0}")]
    Encode(#[from] EncodeError),
    /// A signature without a stamp is refused by every router.
    #[error("a signed announcement needs the time")]
    NoStamp,
    /// Not an RSA private key, or one that cannot sign.
    #[error("file holds no RSA private key in PEM, or an encrypted one")]
    BadKey,
    /// Routers read no more than 4096 bytes.
    #[error("announcement of {bytes} bytes is longer than a router reads")]
    TooLong {
        /// How long it would be.
        bytes: usize,
    },
}
