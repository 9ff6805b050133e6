//! What the subscription thread asks of certificates: loads at once, and seals before that.
//!
//! A key that wants client certificates must not get a request before its pair is loaded, else a pair
//! that asks for nothing would serve it meanwhile. So its name is sealed before the route is there, and
//! opened by the loader.

use router_core::subscriber::{self, CertRequest};

use super::cert_load::Errands;
use super::cert_store::CertStore;

/// The desk of one router.
#[derive(Debug)]
pub struct CertDesk {
    store: CertStore,
    errands: Errands,
}

impl CertDesk {
    /// Seals in `store`, passes requests on to its loader.
    #[must_use]
    pub fn new(store: CertStore, errands: Errands) -> Self {
        Self { store, errands }
    }
}

impl subscriber::CertDesk for CertDesk {
    fn seal(&self, name: &str) {
        self.store.seal(name);
    }

    fn request(&self, request: CertRequest) -> bool {
        self.errands.request(request)
    }
}
