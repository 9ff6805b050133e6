//! Samples of the certificate store.

use std::sync::atomic::Ordering::Relaxed;

use router_core::metrics::{Collector, Page, catalog};
use router_core::wall_clock::unix_now;

use crate::tls::cert_store::{CertStore, EXPIRY_DAYS};

/// Certificates whose end is shown, the first to expire first.
pub const EXPIRIES_MAX: usize = 100;
/// Refused pairs shown by name.
const REFUSED_NAMES_MAX: usize = 100;

/// Shows a store as it is at the scrape.
pub struct CertCollector<'s> {
    store: &'s CertStore,
}

impl<'s> CertCollector<'s> {
    pub(super) fn new(store: &'s CertStore) -> Self {
        Self { store }
    }
}

impl Collector for CertCollector<'_> {
    fn collect(&self, page: &mut Page) {
        let mut certs = self.store.list();
        page.sample(&catalog::CERTIFICATES, &[], certs.len() as u64);
        certs.sort_by_key(|cert| cert.not_after);
        // A name can stand in the directory and in a subscription; shown is what is served, and
        // of two the one that expires first is the one to look at.
        let mut shown = std::collections::HashSet::new();
        for cert in certs.iter().filter(|cert| shown.insert(&cert.name)).take(EXPIRIES_MAX) {
            let name = cert.name.as_deref().unwrap_or("default");
            let not_after = u64::try_from(cert.not_after).unwrap_or(0);
            page.sample(&catalog::CERTIFICATE_EXPIRY, &[name], not_after);
        }
        let now = unix_now();
        let expiries = self.store.expiries(now.cast_signed());
        let soonest = expiries.soonest.and_then(|end| u64::try_from(end).ok()).unwrap_or(0);
        page.sample(&catalog::CERTIFICATE_NEXT_EXPIRY, &[], soonest);
        for (days, count) in EXPIRY_DAYS.iter().zip(expiries.within) {
            page.sample(&catalog::CERTIFICATES_EXPIRING, &[&format!("{days}d")], count);
        }
        let troubles = self.store.troubles();
        page.sample(&catalog::CERTIFICATES_REFUSED, &[], troubles.len() as u64);
        for trouble in troubles.list(REFUSED_NAMES_MAX) {
            page.sample(&catalog::CERTIFICATE_REFUSED, &[&trouble.name], 1);
        }
        let counters = self.store.counters();
        for (outcome, counter) in [
            ("loaded", &counters.loads),
            ("refused", &counters.load_failures),
            ("path_refused", &counters.paths_refused),
        ] {
            page.sample(&catalog::CERTIFICATE_LOADS, &[outcome], counter.load(Relaxed));
        }
        page.sample(&catalog::CERTIFICATE_PUBLISHES, &[], counters.publishes.load(Relaxed));
        let watched = counters.directories_watched.load(Relaxed);
        page.sample(&catalog::CERTIFICATE_DIRECTORIES_WATCHED, &[], watched);
        let refused = counters.client_auth_refused.load(Relaxed);
        page.sample(&catalog::TLS_CLIENT_AUTH_REFUSED, &[], refused);
    }
}
