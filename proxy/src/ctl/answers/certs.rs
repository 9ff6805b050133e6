//! `certs`: what the certificate store lists.

use std::fmt;

use serde::Serialize;

use super::super::Desk;
use super::super::columns::{columns, printable};
use crate::tls::cert_store::{CertInfo, ClientAuth};

/// The answer to `certs`.
#[derive(Serialize)]
pub struct Certs {
    certificates: Vec<CertRow>,
    #[serde(skip)]
    now_unix: i64,
}

#[derive(Serialize)]
struct CertRow {
    /// Name it is served under; `None`: the default.
    name: Option<String>,
    source: &'static str,
    names: Vec<String>,
    not_after_unix: i64,
    fingerprint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_auth: Option<&'static str>,
}

/// Every certificate, the first to end first.
pub fn certs(desk: &Desk) -> Certs {
    let mut certificates: Vec<_> = desk.state.certs.list().iter().map(row).collect();
    certificates.sort_by(|one, other| {
        (one.not_after_unix, &one.name).cmp(&(other.not_after_unix, &other.name))
    });
    let now_unix = i64::try_from(crate::stats::now_unix()).unwrap_or(i64::MAX);
    Certs { certificates, now_unix }
}

fn row(cert: &CertInfo) -> CertRow {
    CertRow {
        name: cert.name.clone(),
        source: cert.source.label(),
        names: cert.sans.clone(),
        not_after_unix: cert.not_after,
        fingerprint: cert.fingerprint.clone(),
        client_auth: cert.client_auth.map(ClientAuth::label),
    }
}

impl fmt::Display for Certs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["NAME", "FROM", "DAYS-LEFT", "NAMES-INSIDE", "SHA256"];
        let rows: Vec<Vec<String>> = self
            .certificates
            .iter()
            .map(|cert| {
                let left = (cert.not_after_unix - self.now_unix).div_euclid(DAY_S);
                vec![
                    cert.name.as_deref().map_or_else(|| "(default)".to_owned(), printable),
                    cert.source.to_owned(),
                    if left < 0 { "expired".to_owned() } else { left.to_string() },
                    printable(&cert.names.join(" ")),
                    cert.fingerprint.get(..FINGERPRINT_SHOWN).unwrap_or_default().to_owned(),
                ]
            })
            .collect();
        f.write_str(&columns(&head, &rows))
    }
}

const DAY_S: i64 = 86_400;
/// Digits that tell certificates apart at a glance.
const FINGERPRINT_SHOWN: usize = 16;
