//! Every bound of the subscription port, with the relations between them.
//!
//! The constants bound one datagram and one batch; [`Limits`] bounds what may be held and is the
//! operator's to lower.

/// Longest datagram read, in bytes; a longer one is dropped and counted as `Reject::Oversize`.
pub const DATAGRAM_BYTES_MAX: usize = 4096;
/// Datagrams applied between two publishes: bounds the age of a table under flood.
pub const BATCH_DATAGRAMS_MAX: usize = 64;
/// Longest signature in bytes: that of an RSA key of 8192 bits.
pub const SIGNATURE_BYTES_MAX: usize = 1024;
/// Longest key file in bytes. A public key of 8192 bits takes 1.5 KiB as PEM.
pub const KEY_FILE_BYTES_MAX: usize = 16 * 1024;
/// Largest weight a node may claim.
pub const WEIGHT_MAX: u32 = 65_535;
/// Longest path in `notify`, in bytes (subscription spec 1.2).
pub const NOTIFY_BYTES_MAX: usize = 101;
/// Longest `vassal` name, in bytes (subscription spec 1.2).
pub const VASSAL_BYTES_MAX: usize = 255;
/// Effects kept for a shell that does not poll; log lines beyond it are dropped, certificates not.
pub const EFFECTS_PENDING_MAX: usize = 65_536;

const _: () = {
    assert!(DATAGRAM_BYTES_MAX <= 4 + u16::MAX as usize); // one uwsgi packet
    assert!(BATCH_DATAGRAMS_MAX * DATAGRAM_BYTES_MAX <= 256 * 1024); // the thread's arena
    assert!(SIGNATURE_BYTES_MAX < DATAGRAM_BYTES_MAX / 2); // leaves room for what is signed
    assert!(KEY_FILE_BYTES_MAX > 2 * SIGNATURE_BYTES_MAX); // base64 of the largest key
};

/// What one registry may hold. Reaching a bound refuses the newcomer and never evicts a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Keys with at least one node.
    pub keys_max: usize,
    /// Nodes of one key, so that one tenant cannot make its route costly for the workers.
    pub nodes_per_key_max: usize,
    /// Nodes of all keys.
    pub nodes_max: usize,
    /// Replay marks: one per node seen within the freshness window, about 60 bytes each. Beyond
    /// it the older half is forgotten and the replay floor rises (see `replay.rs`).
    pub marks_max: usize,
    /// Parsed public keys kept, about 2 KiB each. Beyond it a key file is read again on demand.
    pub cached_keys_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            keys_max: 1 << 20,
            nodes_per_key_max: 1024,
            nodes_max: 1 << 21,
            marks_max: 1 << 22,
            cached_keys_max: 1 << 18,
        }
    }
}
