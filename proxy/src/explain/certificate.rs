//! The certificate part of an explanation.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::{Explanation, Sources};
use crate::tls::cert_store::CertStore;

/// Who knows which certificate a name gets.
pub trait CertLookup {
    /// The certificate a client gets that sends `sni`, judged for `host`; `None` if it gets none.
    fn certificate_for(&self, sni: Option<&str>, host: &str) -> Option<CertSummary>;
}

/// One certificate.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CertSummary {
    /// Who gave it: `directory`, `subscription`, `default` or `self-signed`.
    pub source: String,
    /// Names inside it.
    pub names: Vec<String>,
    /// First second it is valid, Unix time.
    pub not_before_unix: i64,
    /// Last second it is valid, Unix time.
    pub not_after_unix: i64,
    /// SHA-256 of the leaf, lower-case hex.
    pub fingerprint: String,
    /// Whether one of its names is the host's.
    pub covers_host: bool,
    /// Whether clients are asked for a certificate: `optional`, `required`, or not at all.
    pub client_auth: Option<String>,
}

impl CertLookup for CertStore {
    fn certificate_for(&self, sni: Option<&str>, host: &str) -> Option<CertSummary> {
        let entry = self.entry_for(sni)?;
        Some(CertSummary {
            source: entry.source.label().to_owned(),
            names: entry.names.to_strings(),
            not_before_unix: entry.not_before,
            not_after_unix: entry.not_after,
            fingerprint: entry.fingerprint.iter().map(|byte| format!("{byte:02x}")).collect(),
            covers_host: entry.names.cover(host),
            client_auth: entry.client_auth().map(|auth| auth.label().to_owned()),
        })
    }
}

/// Adds the certificate and what a browser would say about it.
pub(super) fn tell(told: &mut Explanation, host: &str, sources: &Sources<'_>) {
    // A client sends no SNI for an address (RFC 6066 section 3).
    let is_address = host.starts_with('[') || host.parse::<Ipv4Addr>().is_ok();
    let sni = (!is_address).then_some(host);
    let Some(cert) = sources.certs.certificate_for(sni, host) else {
        let why = "there is no certificate, or its client authority never loaded";
        told.problems.push(format!("{why}: the handshake fails"));
        return;
    };
    if !cert.covers_host {
        let names = if cert.names.is_empty() { "nobody".to_owned() } else { cert.names.join(", ") };
        told.problems.push(format!("the certificate is for {names}, not for {host}"));
    }
    let now = i64::try_from(sources.now_unix).unwrap_or(i64::MAX);
    if now > cert.not_after_unix {
        told.problems.push("the certificate has expired".to_owned());
    } else if now < cert.not_before_unix {
        told.problems.push("the certificate is not valid yet".to_owned());
    }
    told.certificate = Some(cert);
}
