//! One layer of the store: names to entries, split so that a publish copies little.
//!
//! Each shard is a map behind an `Arc`. Cloning the layer clones the pointers; the first change of
//! a shard after that copies the shard, further ones in the same publish do not.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::{CertEntry, ServedName};
use crate::tls::limits::STORE_SHARDS;

type Shard = HashMap<ServedName, Arc<CertEntry>>;

/// A persistent map from names to certificates.
#[derive(Clone, Debug)]
pub(super) struct Shards {
    shards: Box<[Arc<Shard>]>,
    hasher: RandomState,
    len: usize,
}

impl Default for Shards {
    fn default() -> Self {
        let empty = Arc::<Shard>::default();
        let shards = std::iter::repeat_n(empty, STORE_SHARDS).collect();
        Self { shards, hasher: RandomState::new(), len: 0 }
    }
}

impl Shards {
    pub(super) fn get(&self, name: &str) -> Option<&Arc<CertEntry>> {
        self.shards.get(self.index(name))?.get(name)
    }

    pub(super) fn insert(&mut self, name: ServedName, entry: Arc<CertEntry>) {
        let shard = self.index(name.as_str());
        if Arc::make_mut(&mut self.shards[shard]).insert(name, entry).is_none() {
            self.len += 1;
        }
    }

    pub(super) fn remove(&mut self, name: &ServedName) {
        let shard = self.index(name.as_str());
        if self.shards[shard].contains_key(name) {
            Arc::make_mut(&mut self.shards[shard]).remove(name);
            self.len -= 1;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&ServedName, &Arc<CertEntry>)> {
        self.shards.iter().flat_map(|shard| shard.iter())
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
