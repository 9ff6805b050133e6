//! Which pairs are not served as their files are now, and why: for operators, a bounded number.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::tls::limits::TROUBLES_MAX;

/// A pair that was refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trouble {
    /// Who gave it, and for which name.
    pub name: String,
    /// Why it is not served.
    pub why: String,
}

/// Written by the loader, read by statistics; no handshake comes here.
#[derive(Debug, Default)]
pub struct Troubles(Mutex<BTreeMap<String, String>>);

impl Troubles {
    /// The files of `name` are refused.
    pub(in crate::tls) fn note(&self, name: String, why: String) {
        let mut troubles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if troubles.len() < TROUBLES_MAX || troubles.contains_key(&name) {
            troubles.insert(name, why);
        }
    }

    /// The files of `name` are served, or gone.
    pub(in crate::tls) fn clear(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// How many there are, up to [`TROUBLES_MAX`].
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether every pair is served as it is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first of them by name.
    #[must_use]
    pub fn list(&self, most: usize) -> Vec<Trouble> {
        let troubles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = troubles.iter().take(most);
        first.map(|(name, why)| Trouble { name: name.clone(), why: why.clone() }).collect()
    }
}
