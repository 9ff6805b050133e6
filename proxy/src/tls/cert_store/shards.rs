//! One layer of the store: names to entries, split so that a publish copies little.
//!
//! Each shard is a map behind an `Arc`. Cloning the layer clones the pointers; the first change of
//! a shard after that copies the shard, further ones in the same publish do not.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::pair_set::PairSet;
use super::{CertEntry, ServedName};
use crate::tls::limits::STORE_SHARDS;

type Shard = HashMap<ServedName, Served>;

/// What a name gets.
#[derive(Clone, Debug)]
pub(super) enum Served {
    /// One of these.
    Pairs(PairSet),
    /// Nothing: clients were to be asked for a certificate, and the files for it were never good.
    Sealed,
}

impl Served {
    /// Whether not every client is served.
    pub(super) fn is_guarded(&self) -> bool {
        match self {
            Self::Pairs(pairs) => pairs.iter().any(|entry| entry.client_ca.is_some()),
            Self::Sealed => true,
        }
    }
}

/// A persistent map from names to certificates.
#[derive(Clone, Debug)]
pub(super) struct Shards {
    shards: Box<[Arc<Shard>]>,
    hasher: RandomState,
    len: usize,
    /// Names not every client is served under.
    guarded: usize,
}

impl Default for Shards {
    fn default() -> Self {
        let empty = Arc::<Shard>::default();
        let shards = std::iter::repeat_n(empty, STORE_SHARDS).collect();
        Self { shards, hasher: RandomState::new(), len: 0, guarded: 0 }
    }
}

impl Shards {
    pub(super) fn get(&self, name: &str) -> Option<&Served> {
        self.shards.get(self.index(name))?.get(name)
    }

    pub(super) fn insert(&mut self, name: ServedName, served: Served) {
        let shard = self.index(name.as_str());
        self.guarded += usize::from(served.is_guarded());
        match Arc::make_mut(&mut self.shards[shard]).insert(name, served) {
            None => self.len += 1,
            Some(before) => self.guarded -= usize::from(before.is_guarded()),
        }
    }

    pub(super) fn remove(&mut self, name: &ServedName) {
        let shard = self.index(name.as_str());
        if self.shards[shard].contains_key(name)
            && let Some(before) = Arc::make_mut(&mut self.shards[shard]).remove(name)
        {
            self.len -= 1;
            self.guarded -= usize::from(before.is_guarded());
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn guarded(&self) -> usize {
        self.guarded
    }

    /// The pairs; sealed names have none.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&ServedName, &Arc<CertEntry>)> {
        self.shards
            .iter()
            .flat_map(|shard| shard.iter())
            .filter_map(|(name, served)| match served {
                Served::Pairs(pairs) => Some((name, pairs)),
                Served::Sealed => None,
            })
            .flat_map(|(name, pairs)| pairs.iter().map(move |entry| (name, entry)))
    }

    /// Shards that two generations have in common.
    #[cfg(test)]
    pub(super) fn shared_with(&self, other: &Self) -> usize {
        let pairs = self.shards.iter().zip(&other.shards);
        pairs.filter(|(mine, theirs)| Arc::ptr_eq(mine, theirs)).count()
    }

    #[expect(clippy::cast_possible_truncation, reason = "only the low bits choose the shard")]
    fn index(&self, name: &str) -> usize {
        self.hasher.hash_one(name) as usize & (STORE_SHARDS - 1)
    }
}
