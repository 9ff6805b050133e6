//! Which certificate each server name was last asked to serve, and by which key.
//!
//! A certificate belongs to the host of a key, so `h`, `h:8443` and `h/mount` may all bring one
//! for `h`. The newest claim is served; when its key leaves, the one before it is served again, and
//! the name is dropped with the last. A renewal with the same values only asks the shell to look at the
//! files, if there are any.

use std::collections::HashMap;

use route_table::RouteKey;

use crate::datagram::Subscription;
use crate::effect::{CertText, Effect};
use crate::state::record::ClaimRecord;

/// The claims of all names.
#[derive(Debug, Default)]
pub struct CertClaims {
    names: HashMap<Box<str>, Vec<CertClaim>>,
}

/// What one key asks to be served under its host.
#[derive(Debug)]
struct CertClaim {
    route: RouteKey,
    key: Box<[u8]>,
    crt: Box<[u8]>,
    ca: Option<Box<[u8]>>,
}

/// What the items of a subscribe said, and what the shell must do then.
#[derive(Debug)]
pub enum Claimed {
    /// Nothing, or the same as before.
    Same(Option<Effect>),
    /// Something else than before.
    New(Option<Effect>),
}

impl CertClaims {
    /// Takes the `sni_*` items of an accepted subscribe. Without both `sni_key` and `sni_crt`
    /// nothing is claimed, and nothing claimed before is given up.
    pub fn claim(&mut self, route: &RouteKey, subscription: &Subscription<'_>) -> Claimed {
        let (Some(key), Some(crt)) = (subscription.sni_key, subscription.sni_crt) else {
            return Claimed::Same(None);
        };
        let ca = subscription.sni_ca;
        let claims = match self.names.get_mut(route.host()) {
            Some(claims) => claims,
            None => self.names.entry(route.host().into()).or_default(),
        };
        let before = claims.iter().position(|claim| claim.route == *route);
        if let Some(index) = before
            && claims[index].is(key, crt, ca)
        {
            let is_looked_at = index + 1 == claims.len() && claims[index].names_files();
            let look = || Effect::LookAtCert { name: route.host().to_owned() };
            return Claimed::Same(is_looked_at.then(look));
        }
        let served = claims.last().is_some_and(|claim| claim.is(key, crt, ca));
        if let Some(index) = before {
            claims.remove(index);
        }
        let claim = CertClaim {
            route: route.clone(),
            key: key.into(),
            crt: crt.into(),
            ca: ca.map(Into::into),
        };
        let effect = claim.load();
        claims.push(claim);
        Claimed::New((!served).then_some(effect))
    }

    /// The last node of `route` left.
    pub fn release(&mut self, route: &RouteKey) -> Option<Effect> {
        let claims = self.names.get_mut(route.host())?;
        let index = claims.iter().position(|claim| claim.route == *route)?;
        let was_served = index + 1 == claims.len();
        let gone = claims.remove(index);
        let Some(next) = claims.last() else {
            self.names.remove(route.host());
            return Some(Effect::DropCert { name: route.host().to_owned() });
        };
        let same = next.is(&gone.key, &gone.crt, gone.ca.as_deref());
        (was_served && !same).then(|| next.load())
    }

    /// Every claim; those of one host in the order they were made.
    pub fn records(&self) -> impl Iterator<Item = ClaimRecord<'_>> {
        self.names.values().flatten().map(|claim| ClaimRecord {
            key: claim.route.as_str(),
            sni_key: &claim.key,
            sni_crt: &claim.crt,
            sni_ca: claim.ca.as_deref(),
        })
    }

    /// Takes over a claim of a predecessor, unless the key has one.
    pub fn restore(&mut self, route: RouteKey, record: &ClaimRecord<'_>) {
        if self.has(&route) {
            return;
        }
        let claim = CertClaim {
            key: record.sni_key.into(),
            crt: record.sni_crt.into(),
            ca: record.sni_ca.map(Into::into),
            route,
        };
        self.names.entry(claim.route.host().into()).or_default().push(claim);
    }

    /// What has to be loaded to serve all that is claimed.
    pub fn loads(&self) -> impl Iterator<Item = Effect> {
        self.names.values().filter_map(|claims| claims.last().map(CertClaim::load))
    }

    /// Whether this key brought a certificate.
    #[must_use]
    pub fn has(&self, route: &RouteKey) -> bool {
        let claims = self.names.get(route.host());
        claims.is_some_and(|claims| claims.iter().any(|claim| claim.route == *route))
    }
}

impl CertClaim {
    fn is(&self, key: &[u8], crt: &[u8], ca: Option<&[u8]>) -> bool {
        *self.key == *key && *self.crt == *crt && self.ca.as_deref() == ca
    }

    fn names_files(&self) -> bool {
        let mut texts = [Some(&self.key), Some(&self.crt), self.ca.as_ref()].into_iter().flatten();
        texts.any(|text| CertText::is_path(text))
    }

    fn load(&self) -> Effect {
        Effect::LoadCert {
            name: self.route.host().to_owned(),
            key: CertText::parse(&self.key),
            crt: CertText::parse(&self.crt),
            ca: self.ca.as_deref().map(CertText::parse),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATAGRAM: &[u8] = b"\xe0\x15\0\0\x03\0key\x01\0h\x07\0address\x02\0:1";

    fn claim(claims: &mut CertClaims, route: &str, crt: &str) -> Option<String> {
        let mut subscription = Subscription::decode(DATAGRAM).expect("a subscription");
        subscription.sni_key = Some(b"/k");
        subscription.sni_crt = Some(crt.as_bytes());
        let route = RouteKey::parse(route.as_bytes()).expect("a key");
        let (Claimed::Same(effect) | Claimed::New(effect)) = claims.claim(&route, &subscription);
        effect.map(text)
    }

    fn release(claims: &mut CertClaims, route: &str) -> Option<String> {
        claims.release(&RouteKey::parse(route.as_bytes()).expect("a key")).map(text)
    }

    fn text(effect: Effect) -> String {
        match effect {
            Effect::LoadCert { name, crt: CertText::Path(path), .. } => {
                format!("{name}={}", String::from_utf8_lossy(&path))
            }
            Effect::DropCert { name } => format!("{name} dropped"),
            Effect::LookAtCert { name } => format!("{name}?"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_certificate_is_loaded_once_and_dropped_with_its_key() {
        let mut claims = CertClaims::default();
        assert_eq!(claim(&mut claims, "h:8443", "/a").as_deref(), Some("h=/a"));
        assert_eq!(claim(&mut claims, "h:8443", "/a").as_deref(), Some("h?"), "a renewal");
        assert_eq!(claim(&mut claims, "h:8443", "/b").as_deref(), Some("h=/b"));
        assert_eq!(release(&mut claims, "h"), None, "another key of the host");
        assert_eq!(release(&mut claims, "h:8443").as_deref(), Some("h dropped"));
        assert_eq!(release(&mut claims, "h:8443"), None);
    }

    #[test]
    fn keys_that_share_a_host_fall_back_on_each_other() {
        let mut claims = CertClaims::default();
        assert_eq!(claim(&mut claims, "h", "/a").as_deref(), Some("h=/a"));
        assert_eq!(claim(&mut claims, "h:8443", "/b").as_deref(), Some("h=/b"));
        assert_eq!(claim(&mut claims, "h", "/a"), None, "renewals do not fight");
        assert_eq!(claim(&mut claims, "h:8443", "/b").as_deref(), Some("h?"), "the served one");
        assert_eq!(claim(&mut claims, "h:9443", "/b"), None, "served already");
        assert_eq!(release(&mut claims, "h:9443"), None);
        assert_eq!(release(&mut claims, "h:8443").as_deref(), Some("h=/a"));
        assert_eq!(release(&mut claims, "h").as_deref(), Some("h dropped"));
    }

    #[test]
    fn pem_text_is_told_from_a_path() {
        assert!(matches!(CertText::parse(b"/a"), CertText::Path(_)));
        assert!(matches!(CertText::parse(b"-----BEGIN CERTIFICATE-----"), CertText::Pem(_)));
        assert!(matches!(CertText::parse(b"!-----BEGIN CERTIFICATE-----"), CertText::Pem(_)));
    }
}
