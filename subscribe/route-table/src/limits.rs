//! Every bound of the routing table, with the relations between them.

/// Longest canonical key in bytes: host, port and mountpoint together. uWSGI's own bound, which
/// also makes a length fit one byte.
pub const KEY_BYTES_MAX: usize = 255;

/// Longest announced address in bytes (subscription spec 1.2).
pub const ADDRESS_BYTES_MAX: usize = 255;

/// Longest path or abstract name of a unix socket in bytes: `sun_path` less one for its ending
/// zero or its leading one.
pub const UNIX_NAME_BYTES_MAX: usize = 107;

/// Nodes one request may be offered: the first and three retries (subscription spec 4.7).
pub const TRIED_NODES_MAX: usize = 4;

/// Segments of a path that a mountpoint can match; what lies deeper never steers a request.
pub const MOUNT_SEGMENTS_MAX: usize = 8;
/// Lookups of one host under dotsplit: the full name and four suffixes (subscription spec 4.3).
pub const DOTSPLIT_LOOKUPS_MAX: usize = 5;

/// Old tables the writer keeps alive for readers that have not moved on.
pub const TABLES_RETIRED_MAX: usize = 16;

/// Bits of the hash that choose a branch's child.
pub(crate) const BRANCH_BITS: u32 = 2;
/// Children of a branch. Copying one costs a reference count, perhaps a cache miss, per child:
/// a deep tree of narrow branches copies less than a shallow one of wide branches, and its upper
/// levels stay in the nearest cache.
pub(crate) const BRANCH_CHILDREN: usize = 1 << BRANCH_BITS;
/// Levels of branches at most; below them a leaf takes any number of keys.
pub(crate) const BRANCH_LEVELS_MAX: u32 = 15;
/// Keys of a leaf before it becomes a branch. A change copies its leaf at the cost of a reference
/// count per key, and the copy leaves a hole in the heap: with leaves of 192 keys a table that grew
/// change by change took twice the memory of one built at once, with 32 the same. Fewer would let
/// the branches above a million keys outgrow a core's own cache.
pub(crate) const LEAF_KEYS_MAX: usize = 32;
/// Keys of a branch at which it becomes a leaf again. Well below [`LEAF_KEYS_MAX`], so that one
/// key coming and going does not rebuild it each time.
pub(crate) const BRANCH_KEYS_MIN: usize = 16;
/// Key bytes kept inside a leaf's slot; longer keys are compared in their route.
pub(crate) const SLOT_TEXT_BYTES: usize = 47;

const _: () = {
    assert!(KEY_BYTES_MAX <= u8::MAX as usize); // a slot keeps the length in one byte
    assert!(UNIX_NAME_BYTES_MAX <= ADDRESS_BYTES_MAX);
    assert!(BRANCH_KEYS_MIN < LEAF_KEYS_MAX);
    // A leaf orders its slots by the low half of the hash; branches use the high half.
    assert!(BRANCH_BITS * BRANCH_LEVELS_MAX <= 32);
};
