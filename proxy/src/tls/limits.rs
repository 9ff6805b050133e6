//! Every bound of the certificate store and of its loader.

/// Longest server name looked up, in bytes: a DNS name with its dots (RFC 1035, 2.3.4).
pub const SERVED_NAME_BYTES_MAX: usize = 253;
/// Longest certificate, key or CA file read, in bytes.
pub const CERT_FILE_BYTES_MAX: u64 = 256 * 1024;
/// Certificates in one chain.
pub const CHAIN_CERTS_MAX: usize = 16;
/// Certificates of a chain that one behind them is tried as the signer of: each costs up to 0.3 ms.
pub const ISSUED_TRIED_MAX: usize = 4;
/// Authorities in one client CA bundle.
pub const CLIENT_CAS_MAX: usize = 512;
/// Names served from subscriptions; a request for one more is refused.
pub const SUBSCRIBED_NAMES_MAX: usize = 262_144;
/// Names served from the certificate directory.
pub const DIRECTORY_NAMES_MAX: usize = 262_144;
/// Requests of the subscription thread applied between two publishes.
pub const REQUESTS_PER_PUBLISH_MAX: usize = 1024;
/// Names whose files are looked at in one round of the loader.
pub const NAMES_POLLED_PER_ROUND_MAX: usize = 8192;
/// Names of a round that are looked at before the loader turns to requests again.
pub const NAMES_PER_LOOK: usize = 64;
/// Names worth a thread of their own when everything is loaded at start.
pub const LOAD_THREAD_NAMES_MIN: usize = 256;
/// Pairs in the certificate directory up to which signatures in chains are verified at start.
pub const SIGNATURES_AT_START_MAX: usize = 2048;
/// Shards of each layer of the store: one publish copies the touched shards only.
pub const STORE_SHARDS: usize = 512;
/// How old what is known of files may be when their subscription is renewed, in seconds: older, they
/// are read again and not only looked at.
pub const RENEWAL_READ_S: u64 = 30;
/// How often a certificate directory that is watched is listed all the same, in seconds.
pub const WATCHED_LISTING_S: u64 = 60;
/// Directories watched besides the certificate directory; files of others are only looked at. Each
/// costs the kernel about a kilobyte.
pub const DIRECTORIES_WATCHED_MAX: usize = 65_536;
/// Symbolic links followed on the way to one file, as the kernel does.
pub const LINKS_FOLLOWED_MAX: usize = 40;
/// Reads of changes (each of some hundred) before the loader turns to something else.
pub const INOTIFY_READS_MAX: usize = 16;
/// Pairs told of one by one after a reload.
pub const RELOAD_LINES_MAX: usize = 1000;
/// Pairs told of at once when somebody asks for them.
pub const SHOWN_PAIRS_MAX: usize = 100;
/// Refused pairs remembered for operators; of more only some are.
pub const TROUBLES_MAX: usize = 1000;
/// Pairs of `default-cert`.
pub const DEFAULT_PAIRS_MAX: usize = 3;
/// Shortest RSA key the crypto library signs with, in bits.
pub const RSA_BITS_MIN: usize = 2048;
/// Log lines of the loader at once; what a storm has beyond them becomes a number.
pub const LOADER_LINES_BURST: u32 = 50;
/// Log lines of the loader per second, once the burst is used up.
pub const LOADER_LINES_PER_S: u32 = 10;
/// A file changed more recently than this is read again at the next tick: two writes inside one
/// tick of the file system's clock leave the same time stamp. In seconds.
pub const SETTLED_AFTER_S: u64 = 2;
/// How long a key of session tickets makes new ones, in seconds; it opens them for as long again.
pub const TICKET_KEY_PERIOD_S: u64 = 6 * 60 * 60;
/// Keys of session tickets: the one that seals, the one before, and what an upgrade brought along.
pub const TICKET_KEYS_MAX: usize = 4;
/// Longest ticket issued or opened, in bytes: no longer one fits a message of TLS (RFC 8446, 4.6.1).
pub const TICKET_BYTES_MAX: usize = u16::MAX as usize;

const _: () = {
    assert!(2 * TICKET_KEY_PERIOD_S <= 7 * 24 * 60 * 60); // RFC 8446, 4.6.1
    assert!(STORE_SHARDS.is_power_of_two());
    assert!(REQUESTS_PER_PUBLISH_MAX <= SUBSCRIBED_NAMES_MAX);
    assert!(NAMES_PER_LOOK <= NAMES_POLLED_PER_ROUND_MAX);
};
