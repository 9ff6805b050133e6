//! Everything about the pairs of a name, for an operator who asks.

use std::sync::mpsc;
use std::time::Duration;

use serde::Serialize;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::errands::{Errand, Errands};
use super::flaw::{Flaw, Scrutiny};
use super::reload::{ReloadError, Reloadable, answer_within};
use super::tracked::Tracked;
use super::{CertLoader, Slot};
use crate::tls::cert_store::{CertEntry, ClientAuth, Seat};
use crate::tls::limits::SHOWN_PAIRS_MAX;

/// One pair.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct PairFacts {
    /// Who gave it, and for which name.
    pub name: String,
    /// Files it is read from, if any: chain, key, client authorities.
    pub files: Vec<String>,
    /// Why the files as they are now are not served.
    pub last_error: Option<String>,
    /// Since when the pair below is served, Unix time.
    pub served_since_unix: Option<u64>,
    /// What is served; absent if nothing is.
    pub certificate: Option<LeafFacts>,
}

/// The certificate of a pair that is served.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct LeafFacts {
    /// Whom it is about.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Serial number, hex.
    pub serial: String,
    /// Names in it.
    pub sans: Vec<String>,
    /// First second it is valid, Unix time.
    pub not_before_unix: i64,
    /// Last second it is valid, Unix time.
    pub not_after_unix: i64,
    /// SHA-256 of it, hex.
    pub fingerprint: String,
    /// Kind and size of its key.
    pub key: String,
    /// Certificates in its chain, itself included.
    pub chain: usize,
    /// What clients will stumble over.
    pub flaw: Option<String>,
    /// Whether clients are asked for a certificate.
    pub client_auth: Option<&'static str>,
}

impl Errands {
    /// Asks for the pairs of what is meant, a bounded number, and waits at most `limit`.
    ///
    /// # Errors
    /// [`ReloadError`].
    pub fn show(&self, what: Reloadable, limit: Duration) -> Result<Vec<PairFacts>, ReloadError> {
        let (reply, answer) = mpsc::sync_channel(1);
        if !self.send(Errand::Show(what, reply)) {
            return Err(ReloadError::Ended);
        }
        answer_within(&answer, limit)
    }
}

impl CertLoader {
    pub(super) fn show(&self, what: &Reloadable, now_unix: u64) -> Vec<PairFacts> {
        let now_unix = now_unix.cast_signed();
        let meant = self.tracked.iter().filter(|(slot, _)| what.means(slot));
        let mut shown: Vec<PairFacts> = meant
            .take(SHOWN_PAIRS_MAX)
            .map(|(slot, tracked)| facts(slot, tracked, now_unix))
            .collect();
        let made = Slot::Default(Seat::PLAIN);
        if what.means(&made)
            && !self.tracked.contains_key(&made)
            && let Some(entry) = self.store.entry_for(None)
        {
            let certificate = Some(leaf_facts(&entry, &made, now_unix));
            shown.push(PairFacts {
                name: "self-signed".to_owned(),
                certificate,
                ..PairFacts::default()
            });
        }
        shown
    }
}

fn facts(slot: &Slot, tracked: &Tracked, now_unix: i64) -> PairFacts {
    PairFacts {
        name: slot.to_string(),
        files: tracked.texts.paths().map(|path| readable(&path.to_string_lossy())).collect(),
        last_error: tracked.complaint.clone(),
        served_since_unix: tracked.since_unix,
        certificate: tracked.serving.as_ref().map(|entry| leaf_facts(entry, slot, now_unix)),
    }
}

fn leaf_facts(entry: &CertEntry, slot: &Slot, now_unix: i64) -> LeafFacts {
    let mut facts = LeafFacts {
        sans: entry.names.to_strings(),
        not_before_unix: entry.not_before,
        not_after_unix: entry.not_after,
        fingerprint: entry.fingerprint_hex(),
        chain: entry.certified.cert.len(),
        flaw: Flaw::of(entry, slot.name(), now_unix, Scrutiny::Signatures)
            .map(|flaw| flaw.to_string()),
        client_auth: entry.client_auth().map(ClientAuth::label),
        ..LeafFacts::default()
    };
    let leaf = entry.certified.cert.first();
    if let Some(Ok((_, leaf))) = leaf.map(|leaf| X509Certificate::from_der(leaf)) {
        facts.subject = readable(&leaf.subject().to_string());
        facts.issuer = readable(&leaf.issuer().to_string());
        facts.serial = leaf.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect();
        facts.key = match leaf.public_key().parsed() {
            Ok(PublicKey::RSA(key)) => format!("RSA {}", key.key_size()),
            Ok(PublicKey::EC(point)) => format!("ECDSA P-{}", point.key_size()),
            Ok(_) | Err(_) => format!("{:?}", entry.certified.key.algorithm()),
        };
    }
    facts
}

/// What stands in a certificate or a path goes to terminals: no control characters.
fn readable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
