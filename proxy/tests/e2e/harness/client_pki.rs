//! Authorities of clients, and certificates for clients: good, expired, of somebody else.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};

use super::certs::Pair;

/// An authority that certifies clients.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate as PEM.
    pub pem: String,
}

/// Whether a certificate's time is now or over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Validity {
    Current,
    Over,
}

impl Authority {
    /// A new one.
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = params(name, Validity::Current);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("signs").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Writes `FOLDER/NAME.ca`, with a `!` first if clients must present a certificate; by rename.
    pub fn install(&self, folder: &Path, name: &str, demand: &str) {
        let path = folder.join(format!("{name}.ca"));
        let staged = folder.join(format!("{name}.ca.new"));
        std::fs::write(&staged, format!("{demand}{}", self.pem)).expect("write");
        std::fs::rename(staged, path).expect("rename");
    }

    /// A certificate for `/C=IT/O=Test/CN=NAME`.
    pub fn client(&self, folder: &Path, name: &str, validity: Validity) -> Pair {
        let key = KeyPair::generate().expect("a key");
        let mut params = params(name, validity);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let crt = params.signed_by(&key, &self.issuer).expect("signs");
        let stem: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        let at = |part: &str| folder.join(format!("client-{stem}.{part}"));
        let pair = Pair { crt: at("crt"), key: at("key") };
        write(&pair.crt, &crt.pem());
        write(&pair.key, &key.serialize_pem());
        pair
    }
}

fn params(name: &str, validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for (kind, value) in [
        (DnType::CountryName, "IT"),
        (DnType::OrganizationName, "Test"),
        (DnType::CommonName, name),
    ] {
        params.distinguished_name.push(kind, value);
    }
    let end = match validity {
        Validity::Current => 2200,
        Validity::Over => 2001,
    };
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(end, 1, 1);
    params
}

fn write(path: &PathBuf, text: &str) {
    std::fs::write(path, text).expect("write");
}
