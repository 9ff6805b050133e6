//! The immutable table: which route serves a host.
//!
//! A tree of branches with [`BRANCH_CHILDREN`] children each, steered by the upper bits of a
//! seeded hash, ends in leaves of a few dozen keys. A branch is shared between all tables in which
//! nothing below it differs. The seed is drawn per process: which keys share a leaf cannot be
//! computed from outside.

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::SharedSeed;
use foldhash::quality::SeedableRandomState;

use crate::key::CanonicalHost;
use crate::leaf::{self, Slot};
use crate::limits::{BRANCH_BITS, BRANCH_CHILDREN, DOTSPLIT_LOOKUPS_MAX};
use crate::mount::MountKeys;
use crate::route::Route;

/// The number of a table: one more with every publish.
pub type Generation = u64;

/// Whether a host without a route of its own is served by a `.suffix` key.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Dotsplit {
    /// Only exact keys serve.
    #[default]
    Off,
    /// `.example.com` serves every sub-domain of example.com, down to four labels below.
    On,
}

/// One immutable state of the routing.
pub struct Table {
    pub(crate) root: Tree,
    pub(crate) generation: Generation,
    pub(crate) census: Census,
    pub(crate) seed: Seed,
}

/// How many keys a tree holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Census {
    /// All keys.
    pub keys: usize,
    /// Those that begin with a dot.
    pub suffixes: usize,
    /// Those with a mountpoint.
    pub mounts: usize,
}

/// A part of a table, shared between tables.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    Leaf(Arc<[Slot]>),
    Branch(Arc<Branch>),
}

/// Children by the next bits of the hash.
#[derive(Debug)]
pub(crate) struct Branch {
    pub keys: usize,
    pub children: [Tree; BRANCH_CHILDREN],
}

impl Table {
    /// A table without keys, of generation 0.
    pub(crate) fn empty() -> Self {
        Self {
            root: Tree::Leaf(leaf::plant(Vec::new())),
            generation: 0,
            census: Census::default(),
            seed: Seed::new(),
        }
    }

    /// How many publishes led to this table.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// How many keys are routed.
    pub fn len(&self) -> usize {
        self.census.keys
    }

    /// Whether no key is routed.
    pub fn is_empty(&self) -> bool {
        self.census.keys == 0
    }

    /// The route of exactly this canonical key.
    pub fn get(&self, key: &str) -> Option<&Arc<Route>> {
        let hash = self.seed.hash(key);
        let mut tree = &self.root;
        let mut depth = 0;
        loop {
            match tree {
                Tree::Leaf(slots) => return leaf::find(slots, hash, key.as_bytes()),
                Tree::Branch(branch) => tree = &branch.children[child_index(hash, depth)],
            }
            depth += 1;
        }
    }

    /// The route of a request's host: of `host:port` if the request names a port, else of `host`,
    /// else under [`Dotsplit::On`] of the longest `.suffix` of the host, tried without the port
    /// (subscription spec 4.3: five lookups of the host at most, the full name among them).
    pub fn lookup(&self, host: &CanonicalHost<'_>, dotsplit: Dotsplit) -> Option<&Arc<Route>> {
        if host.port().is_some()
            && let Some(route) = self.get(host.host_port())
        {
            return Some(route);
        }
        let name = host.host();
        self.get(name).or_else(|| match dotsplit {
            Dotsplit::On if self.census.suffixes > 0 => self.lookup_suffix(name),
            _ => None,
        })
    }

    /// Whether any key has a mountpoint, so that [`Table::lookup_path`] looks at paths.
    pub fn has_mounts(&self) -> bool {
        self.census.mounts > 0
    }

    /// The route of a request's host and path: the longest mountpoint of `host:port`, then of
    /// `host`, then as [`Table::lookup`] (subscription spec 4.4, where only one level is tried).
    ///
    /// `path` is decoded and without dot segments, as an application will see it; else one path
    /// could be routed to one tenant's mountpoint and mean another's. Mountpoints under a `.suffix`
    /// key are not looked up.
    pub fn lookup_path(
        &self,
        host: &CanonicalHost<'_>,
        path: &[u8],
        dotsplit: Dotsplit,
    ) -> Option<&Arc<Route>> {
        if self.has_mounts() {
            let with_port = host.port().map(|_| host.host_port());
            for name in with_port.into_iter().chain([host.host()]) {
                let keys = MountKeys::new(name, path);
                if let Some(route) = keys.longest_first().find_map(|key| self.get(key)) {
                    return Some(route);
                }
            }
        }
        self.lookup(host, dotsplit)
    }

    fn lookup_suffix(&self, name: &str) -> Option<&Arc<Route>> {
        if name.starts_with('[') {
            return None; // the dots of an IPv6 literal part no domains
        }
        let dots = name.bytes().enumerate().filter(|&(_, byte)| byte == b'.');
        dots.take(DOTSPLIT_LOOKUPS_MAX - 1).find_map(|(at, _)| self.get(name.get(at..)?))
    }

    /// All routes, in no particular order.
    pub fn iter(&self) -> Routes<'_> {
        Routes { trees: vec![std::slice::from_ref(&self.root).iter()], slots: [].iter() }
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Table")
            .field("generation", &self.generation)
            .field("keys", &self.census.keys)
            .finish_non_exhaustive()
    }
}

impl<'t> IntoIterator for &'t Table {
    type Item = &'t Arc<Route>;
    type IntoIter = Routes<'t>;

    fn into_iter(self) -> Routes<'t> {
        self.iter()
    }
}

/// Walks all routes of a table.
#[derive(Debug)]
pub struct Routes<'t> {
    /// What is left of each branch on the way down.
    trees: Vec<std::slice::Iter<'t, Tree>>,
    slots: std::slice::Iter<'t, Slot>,
}

impl<'t> Iterator for Routes<'t> {
    type Item = &'t Arc<Route>;

    fn next(&mut self) -> Option<&'t Arc<Route>> {
        loop {
            if let Some(route) = self.slots.by_ref().find_map(Slot::route) {
                return Some(route);
            }
            match self.trees.last_mut()?.next() {
                Some(Tree::Leaf(slots)) => self.slots = slots.iter(),
                Some(Tree::Branch(branch)) => self.trees.push(branch.children.iter()),
                None => {
                    self.trees.pop();
                }
            }
        }
    }
}

/// Which child of a branch `depth` levels down a hash belongs to. Sorting by hash sorts by child.
#[inline]
pub(crate) fn child_index(hash: u64, depth: u32) -> usize {
    let shift = u64::BITS - BRANCH_BITS * (depth + 1);
    (hash >> shift) as usize % BRANCH_CHILDREN
}

/// The secret of the hash.
#[derive(Clone)]
pub(crate) struct Seed {
    state: SeedableRandomState,
}

impl Seed {
    /// Draws a seed from the randomness std seeds its maps with.
    fn new() -> Self {
        let draw = || std::collections::hash_map::RandomState::new().build_hasher().finish();
        Self { state: SeedableRandomState::with_seed(draw(), SharedSeed::global_random()) }
    }

    #[inline]
    pub(crate) fn hash(&self, key: &str) -> u64 {
        let mut hasher = self.state.build_hasher();
        hasher.write(key.as_bytes());
        hasher.finish()
    }
}
