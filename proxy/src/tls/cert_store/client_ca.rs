//! The authorities a client's certificate must come from, and the TLS configuration that asks for it.
//!
//! rustls ties the question to a whole `ServerConfig`, so a pair with authorities has one of its
//! own. Its tickets have a scope of their own: one is of use only with the very pair, authorities
//! and mode it was issued under, hence neither a name without client authentication nor authorities
//! that were replaced since can vouch for a resumed session. What a ticket remembers of a client is
//! verified again by [`ClientCa::verify_again`], as time goes on between two handshakes.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use aws_lc_rs::digest::{Context, SHA256};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error, RootCertStore, ServerConfig};

use crate::tls::tickets::{TicketKeys, TicketScope};

/// Authorities that may have issued a client's certificate.
pub struct ClientCa {
    /// What becomes of a client without a certificate.
    pub auth: ClientAuth,
    /// SHA-256 over the authorities: which they are.
    authorities: [u8; 32],
    verifier: Arc<dyn ClientCertVerifier>,
    /// Made by the first handshake that needs it, and again for another generation of settings.
    config: ArcSwapOption<Derived>,
}

/// A configuration, and what it was made from.
struct Derived {
    base: Arc<ServerConfig>,
    config: Arc<ServerConfig>,
}

/// Whether a client must present a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClientAuth {
    /// Asked for, not insisted on.
    Requested,
    /// No handshake without one: the authorities began with `!` (subscription.md, 7).
    Required,
}

impl ClientAuth {
    /// A word for stats.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Requested => "optional",
            Self::Required => "required",
        }
    }
}

/// Why authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientCaError {
    /// One of them is no certificate of an authority.
    #[error(transparent)]
    Authority(#[from] Error),
    /// There are none, or the verifier does not want them.
    #[error(transparent)]
    Verifier(#[from] VerifierBuilderError),
}

impl ClientCa {
    /// Takes `authorities`, all of them or none.
    ///
    /// # Errors
    /// If one of them is unusable.
    pub fn new(
        authorities: Vec<CertificateDer<'static>>,
        auth: ClientAuth,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, ClientCaError> {
        let mut digest = Context::new(&SHA256);
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            digest.update(&(authority.len() as u64).to_be_bytes());
            digest.update(&authority);
            roots.add(authority)?;
        }
        let builder = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
        let verifier = match auth {
            ClientAuth::Requested => builder.allow_unauthenticated().build()?,
            ClientAuth::Required => builder.build()?,
        };
        let mut authorities = [0; 32];
        authorities.copy_from_slice(digest.finish().as_ref());
        Ok(Self { auth, authorities, verifier, config: ArcSwapOption::empty() })
    }

    /// The configuration for handshakes with `certified`, which differs from `base` in asking the
    /// client for a certificate.
    ///
    /// # Errors
    /// If rustls does not want it.
    pub fn config(
        &self,
        base: &Arc<ServerConfig>,
        certified: &CertifiedKey,
        tickets: &Arc<TicketKeys>,
    ) -> Result<Arc<ServerConfig>, Error> {
        if let Some(derived) = &*self.config.load()
            && Arc::ptr_eq(&derived.base, base)
        {
            return Ok(Arc::clone(&derived.config));
        }
        let mut config = ServerConfig::builder_with_provider(base.crypto_provider().clone())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(self.verifier.clone())
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified.clone())));
        config.alpn_protocols.clone_from(&base.alpn_protocols);
        config.ignore_client_order = base.ignore_client_order;
        config.max_fragment_size = base.max_fragment_size;
        config.send_tls13_tickets = base.send_tls13_tickets;
        config.ticketer = tickets.ticketer(self.ticket_scope(certified));
        config.session_storage = Arc::new(NoServerSessionStorage {});
        let config = Arc::new(config);
        let derived = Derived { base: Arc::clone(base), config: Arc::clone(&config) };
        self.config.store(Some(Arc::new(derived)));
        Ok(config)
    }

    fn ticket_scope(&self, certified: &CertifiedKey) -> TicketScope {
        let leaf = certified.cert.first().map_or(&[][..], |leaf| leaf);
        TicketScope::of(&[leaf, &self.authorities, self.auth.label().as_bytes()])
    }

    /// Verifies what a ticket remembers of a client: certificates end, tickets do not end with them.
    ///
    /// # Errors
    /// As in a full handshake.
    pub fn verify_again(&self, chain: &[CertificateDer<'_>]) -> Result<(), Error> {
        let Some((leaf, rest)) = chain.split_first() else {
            return match self.auth {
                ClientAuth::Requested => Ok(()),
                ClientAuth::Required => Err(Error::NoCertificatesPresented),
            };
        };
        self.verifier.verify_client_cert(leaf, rest, UnixTime::now()).map(drop)
    }
}

/// Equal if a client that satisfies one satisfies the other, whatever pair they stand beside.
impl PartialEq for ClientCa {
    fn eq(&self, other: &Self) -> bool {
        self.auth == other.auth && self.authorities == other.authorities
    }
}

impl Eq for ClientCa {}

/// Written by hand: a verifier and a configuration say nothing to people.
impl fmt::Debug for ClientCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCa").field("auth", &self.auth).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

    use super::*;

    fn params(until: i32) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        params
    }

    /// A ticket outlives the certificate it remembers; the client must not.
    #[test]
    fn what_a_ticket_remembers_is_verified_as_of_now() {
        let key = KeyPair::generate().expect("a key");
        let mut of_ca = params(2200);
        of_ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = of_ca.self_signed(&key).expect("signs");
        let issuer = Issuer::new(of_ca, key);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let authority =
            |auth| ClientCa::new(vec![ca.der().clone()], auth, &provider).expect("an authority");
        let (required, requested) =
            (authority(ClientAuth::Required), authority(ClientAuth::Requested));
        let client = |until| {
            let key = KeyPair::generate().expect("a key");
            params(until).signed_by(&key, &issuer).expect("signs").der().clone()
        };
        for ca in [&required, &requested] {
            assert_eq!(ca.verify_again(&[client(2200)]), Ok(()));
            assert!(ca.verify_again(&[client(2001)]).is_err(), "{ca:?}");
        }
        assert!(required.verify_again(&[]).is_err());
        assert_eq!(requested.verify_again(&[]), Ok(()));
        assert_ne!(required, requested);
        assert_eq!(required, authority(ClientAuth::Required));
    }
}
