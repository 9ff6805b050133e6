//! `cert list`: what the certificate store lists, served or refused.

use std::fmt;

use router_core::admin::access::Viewer;
use serde::Serialize;

use super::super::Desk;
use super::super::columns::{columns, printable};
use super::super::command::Listing;
use super::write_rest;
use crate::tls::cert_store::{CertInfo, ClientAuth, Trouble};

/// The answer to `certs`.
#[derive(Serialize)]
pub struct Certs {
    total: usize,
    certificates: Vec<CertRow>,
    total_refused: usize,
    refused: Vec<RefusedPair>,
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

/// A pair that is not served as its files are.
#[derive(Serialize)]
struct RefusedPair {
    /// Who gave it, and for which name.
    name: String,
    why: String,
}

/// Every certificate, the first to end first.
pub fn certs(desk: &Desk, listing: &Listing) -> Certs {
    let store = &desk.state.certs;
    let mut listed = desk.state.certificates(&Viewer::Operator);
    listed.sort_by(|one, other| (one.not_after, &one.name).cmp(&(other.not_after, &other.name)));
    let refused = store.troubles().list(listing.limit);
    let now_unix = i64::try_from(router_core::wall_clock::unix_now()).unwrap_or(i64::MAX);
    Certs {
        total: listed.len(),
        certificates: listed.iter().take(listing.limit).map(row).collect(),
        total_refused: store.troubles().len(),
        refused: refused.into_iter().map(refused_row).collect(),
        now_unix,
    }
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

fn refused_row(trouble: Trouble) -> RefusedPair {
    RefusedPair { name: printable(&trouble.name), why: printable(&trouble.why) }
}

/// Whole days until it ends; `None` if it has.
pub(super) fn days_left(not_after_unix: i64, now_unix: i64) -> Option<i64> {
    let left = not_after_unix - now_unix;
    (left >= 0).then_some(left / DAY_S)
}

impl fmt::Display for Certs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["NAME", "FROM", "DAYS-LEFT", "NAMES-INSIDE", "SHA256"];
        let rows: Vec<Vec<String>> = self
            .certificates
            .iter()
            .map(|cert| {
                let left = days_left(cert.not_after_unix, self.now_unix);
                vec![
                    cert.name.as_deref().map_or_else(|| "(default)".to_owned(), printable),
                    cert.source.to_owned(),
                    left.map_or_else(|| "expired".to_owned(), |days| days.to_string()),
                    printable(&cert.names.join(" ")),
                    cert.fingerprint.get(..FINGERPRINT_SHOWN).unwrap_or_default().to_owned(),
                ]
            })
            .collect();
        f.write_str(&columns(&head, &rows))?;
        write_rest(f, self.certificates.len(), self.total)?;
        if self.total_refused == 0 {
            return Ok(());
        }
        let row = |pair: &RefusedPair| vec![pair.name.clone(), pair.why.clone()];
        let rows: Vec<Vec<String>> = self.refused.iter().map(row).collect();
        write!(f, "\n{}", columns(&["REFUSED", "WHY"], &rows))?;
        write_rest(f, self.refused.len(), self.total_refused)
    }
}

const DAY_S: i64 = 86_400;
/// Digits that tell certificates apart at a glance.
const FINGERPRINT_SHOWN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_has_days_left_until_its_last_second() {
        let left = [86_400 * 2, 86_399, 0, -1].map(|seconds| days_left(1000 + seconds, 1000));
        assert_eq!(left, [Some(2), Some(0), Some(0), None]);
    }
}
