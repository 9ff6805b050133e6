//! What is wrong with a pair that can be served all the same.
//!
//! Where nothing better is served such a pair is, with a warning: the client sees what is wrong with it.
//! It never replaces a better one.

use rustls_pki_types::CertificateDer;
use x509_parser::error::X509Error;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::tls::cert_store::{CertEntry, ServedName};
use crate::tls::limits::ISSUED_TRIED_MAX;

/// The worst about a pair.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Flaw {
    /// The leaf's time has not come, or is over.
    #[error("it is not valid now")]
    NotCurrent,
    /// Something behind the leaf is no certificate.
    #[error("certificate {number} of its chain is not readable as X.509")]
    Unreadable {
        /// Counted from 1, which is the leaf.
        number: usize,
    },
    /// A certificate of the chain issued none of those before it: the order is wrong, or it does not
    /// belong there.
    #[error("certificate {number} of its chain is no issuer of one before it")]
    Stray {
        /// Counted from 1, which is the leaf.
        number: usize,
    },
    /// A certificate of the chain has the name of an issuer of one before it, but another key.
    #[error("certificate {number} of its chain did not sign one before it")]
    Unsigned {
        /// Counted from 1, which is the leaf.
        number: usize,
    },
    /// The time of an issuer has not come, or is over.
    #[error("certificate {number} of its chain is not valid now")]
    IssuerNotCurrent {
        /// Counted from 1, which is the leaf.
        number: usize,
    },
    /// Clients that ask for the name will not accept the leaf.
    #[error("it does not name the host it is served for")]
    Unnamed,
}

/// How far a chain is looked into.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scrutiny {
    /// Names, order and times.
    Names,
    /// Its signatures too, which takes ten times as long.
    Signatures,
}

impl Flaw {
    /// Of `entry`, served under `name`.
    pub(super) fn of(
        entry: &CertEntry,
        name: Option<&ServedName>,
        now_unix: i64,
        scrutiny: Scrutiny,
    ) -> Option<Self> {
        if !entry.is_current(now_unix) {
            return Some(Self::NotCurrent);
        }
        if let Some(flaw) = flaw_of_chain(&entry.certified.cert, now_unix, scrutiny) {
            return Some(flaw);
        }
        let is_named = name.is_none_or(|name| entry.names.cover(name.as_str()));
        (!is_named).then_some(Self::Unnamed)
    }

    /// How many clients it turns away: a pair never replaces one with a lower rank.
    pub(super) fn rank(flaw: Option<Self>) -> u8 {
        match flaw {
            None => 0,
            Some(Self::Unnamed) => 1,
            Some(
                Self::Stray { .. }
                | Self::Unsigned { .. }
                | Self::Unreadable { .. }
                | Self::IssuerNotCurrent { .. },
            ) => 2,
            Some(Self::NotCurrent) => 3,
        }
    }
}

/// Names, times and signatures of the certificates behind the leaf. Cross-signed issuers may stand
/// beside each other (RFC 8446, 4.4.2).
fn flaw_of_chain(chain: &[CertificateDer<'_>], now_unix: i64, scrutiny: Scrutiny) -> Option<Flaw> {
    if chain.len() < 2 {
        return None;
    }
    let mut before: Vec<X509Certificate<'_>> = Vec::with_capacity(chain.len());
    for (number, certificate) in (1..).zip(chain) {
        let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
            return Some(Flaw::Unreadable { number });
        };
        let subject = certificate.subject().as_raw();
        let mut issued =
            before.iter().filter(|other| other.issuer().as_raw() == subject).peekable();
        if number > 1 && issued.peek().is_none() {
            return Some(Flaw::Stray { number });
        }
        if number > 1
            && scrutiny == Scrutiny::Signatures
            && !issued.take(ISSUED_TRIED_MAX).any(|other| may_have_signed(&certificate, other))
        {
            return Some(Flaw::Unsigned { number });
        }
        let validity = certificate.validity();
        let time = validity.not_before.timestamp()..=validity.not_after.timestamp();
        if number > 1 && !time.contains(&now_unix) {
            return Some(Flaw::IssuerNotCurrent { number });
        }
        before.push(certificate);
    }
    None
}

/// Of an algorithm that is not known here nothing is said.
fn may_have_signed(issuer: &X509Certificate<'_>, other: &X509Certificate<'_>) -> bool {
    let verified = other.verify_signature(Some(issuer.public_key()));
    verified != Err(X509Error::SignatureVerificationError)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

    use super::*;
    use crate::tls::cert_load::pair::{PairBytes, parse_pair};
    use crate::tls::cert_store::CertSource;

    const NOW: i64 = 1_800_000_000;

    fn params(name: &str, until: i32) -> CertificateParams {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        params
    }

    fn authority(name: &str, until: i32) -> (Issuer<'static, KeyPair>, CertificateParams, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let mut params = params(name, until);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let copy = KeyPair::from_pem(&key.serialize_pem()).expect("the same key");
        (Issuer::new(params.clone(), key), params, copy)
    }

    #[test]
    fn a_chain_is_judged_by_its_order_its_links_and_its_times() {
        let (root, of_root, root_key) = authority("root", 4000);
        let (inner, of_inner, inner_key) = authority("inner", 4000);
        let (_, of_stale, _) = authority("inner", 2020);
        let (_, of_other, other_key) = authority("inner", 4000);
        let root_pem = of_root.self_signed(&root_key).expect("signs").pem();
        let inner_pem = of_inner.signed_by(&inner_key, &root).expect("signs").pem();
        let other_pem = of_other.signed_by(&other_key, &root).expect("signs").pem();
        let stale_pem = of_stale.signed_by(&inner_key, &root).expect("signs").pem();
        let key = KeyPair::generate().expect("a key");
        let leaf = params("a.test", 4000).signed_by(&key, &inner).expect("signs").pem();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let judged = |chain: &[&str], name: &str, scrutiny| {
            let crt = [&[&leaf[..]], chain].concat().concat().into();
            let pair = PairBytes { crt, key: key.serialize_pem().into(), ca: None };
            let entry = parse_pair(&pair, CertSource::Directory, &provider).expect("a pair");
            Flaw::of(&entry, ServedName::parse(name).as_ref(), NOW, scrutiny)
        };
        let flaw = |chain: &[&str], name: &str| judged(chain, name, Scrutiny::Signatures);
        assert_eq!(flaw(&[], "a.test"), None, "a leaf alone");
        assert_eq!(flaw(&[&inner_pem], "a.test"), None);
        assert_eq!(flaw(&[&inner_pem, &root_pem], "a.test"), None);
        assert_eq!(flaw(&[&inner_pem, &inner_pem], "a.test"), None, "cross-signed, or twice");
        assert_eq!(flaw(&[&root_pem, &inner_pem], "a.test"), Some(Flaw::Stray { number: 2 }));
        assert_eq!(flaw(&[&root_pem], "a.test"), Some(Flaw::Stray { number: 2 }));
        let unsigned = Some(Flaw::Unsigned { number: 2 });
        assert_eq!(flaw(&[&other_pem, &root_pem], "a.test"), unsigned, "another key of that name");
        assert_eq!(judged(&[&other_pem, &root_pem], "a.test", Scrutiny::Names), None);
        let stale = Some(Flaw::IssuerNotCurrent { number: 2 });
        assert_eq!(flaw(&[&stale_pem, &root_pem], "a.test"), stale);
        assert_eq!(flaw(&[&inner_pem], "b.test"), Some(Flaw::Unnamed));
    }
}
