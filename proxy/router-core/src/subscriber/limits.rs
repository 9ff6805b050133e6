//! Every bound of the subscription thread.

use std::time::Duration;

use super::trail::RefusalBounds;
use subscribe::limits::{BATCH_DATAGRAMS_MAX, DATAGRAM_BYTES_MAX};

/// Subscription sockets of one router.
pub const BINDS_MAX: usize = 64;
/// One receive slot: a byte more than a datagram may have, so that a longer one is seen.
pub const SLOT_BYTES: usize = DATAGRAM_BYTES_MAX + 1;
/// Receive buffer asked of the kernel per socket, in bytes: the 33,000 datagrams of a machine that
/// restarts wait there while signatures are checked. The kernel counts some 2 KiB for each and takes
/// no memory before they come. Without `CAP_NET_ADMIN` it gives `net.core.rmem_max` at most.
pub const RECEIVE_BUFFER_BYTES: usize = 64 * 1024 * 1024;
/// Longest time without looking at clocks and key files, in milliseconds.
pub const POLL_MS_MAX: u64 = 250;
/// A cycle over all key files in use begins at most this often, in milliseconds.
pub const RESCAN_CYCLE_MS: u64 = 1000;
/// How long one turn may look at key files: leases and datagrams wait meanwhile.
pub const KEY_FILES_TURN_MAX: Duration = Duration::from_micros(400);
/// How long the thread waits for datagrams between two such turns, in milliseconds.
pub const KEY_FILES_REST_MS: u64 = 1;
/// Key files looked at between two looks at the clock.
pub const KEY_LOOKS_PER_CLOCK: usize = 16;
/// A key file changed more recently than this when it was read is read again, in seconds: two
/// writes inside one tick of the file system's clock leave the same time stamp.
pub const SETTLED_AFTER_S: i64 = 2;
/// Changed key files applied in one turn.
pub const KEY_CHANGES_PER_TURN_MAX: usize = 16;
/// Leases looked at in one turn: when those of very many nodes end at once, datagrams do not wait
/// for all of them.
pub const LEASES_PER_TURN_MAX: usize = 1024;
/// Reads of the inotify queue in one turn.
pub const INOTIFY_READS_PER_TURN_MAX: usize = 16;
/// Key file names waiting to be read; beyond it all files in use are looked at instead.
pub const KEY_CHANGES_PENDING_MAX: usize = 65_536;
/// Change lines logged at once, and refilled per second; the rest becomes one summary line.
pub const CHANGE_LINES_BURST: u32 = 100;
/// See [`CHANGE_LINES_BURST`].
pub const CHANGE_LINES_PER_S: u32 = 20;
/// A reason for rejects is logged at most this often, in milliseconds.
pub const REJECT_LINE_EVERY_MS: u64 = 60_000;
/// Datagrams that wait for room at one other router, 4 MiB at most.
pub const RELAY_QUEUE_MAX: usize = 1024;
/// How soon such a router is tried again, in milliseconds.
pub const RELAY_RETRY_MS: u64 = 20;
/// Nodes copied into one view; the view says how many there are.
pub const VIEW_NODES_MAX: usize = 200_000;
/// How long a view is waited for, in milliseconds.
pub const VIEW_WAIT_MS_MAX: u64 = 2_000;
/// How long the state of very many nodes may take to be written down, in milliseconds.
pub const FREEZE_WAIT_MS_MAX: u64 = 30_000;
/// How long what waited in the kernel may keep leases from ending, in milliseconds. All that fits
/// there is read within about a second.
pub const CATCH_UP_MS_MAX: u64 = 5_000;
/// Events remembered of one key.
pub const EVENTS_OF_A_KEY: usize = 8;
/// Events remembered of all keys: some 200 bytes each, once there were so many.
pub const EVENTS_OF_ALL_KEYS: usize = 65_536;
/// Refusals remembered for keys that are served, by key.
pub const REFUSALS_OF_THE_KNOWN: RefusalBounds = RefusalBounds { sets: 512, in_set: 8 };
/// Refusals remembered for other keys, by sender.
pub const REFUSALS_OF_STRANGERS: RefusalBounds = RefusalBounds { sets: 128, in_set: 16 };
/// Refusals of one key in one such set.
pub const REFUSALS_OF_A_KEY: usize = 4;
/// Bytes remembered of a key or address that a refused datagram claimed.
pub const TRAIL_TEXT_BYTES_MAX: usize = 256;
/// How long an operator waits for a change of the registry, in milliseconds.
pub const OPERATION_WAIT_MS_MAX: u64 = 10_000;
/// How often the state file says that its router lives, in milliseconds.
pub const STATE_BEAT_MS: u64 = 1_000;
/// Longest state file read or written: over four million nodes with certificates of their own.
pub const STATE_FILE_BYTES_MAX: u64 = 4 << 30;
/// A state file is made anew when it is longer than twice what it began with and this, in bytes.
pub const STATE_GROWTH_BYTES_MIN: u64 = 4 << 20;
/// Changes that may wait until a new state file is made, in bytes.
pub const STATE_TAIL_BYTES_MAX: usize = 64 << 20;
/// How soon after another a state file is made, in milliseconds.
pub const STATE_RETRY_MS: u64 = 10_000;
/// How long a storm of datagrams may put a publish off: bounds the age of the table under flood.
pub const PUBLISH_DELAY_MAX: Duration = Duration::from_millis(2);

const _: () = {
    assert!(BATCH_DATAGRAMS_MAX * SLOT_BYTES < RECEIVE_BUFFER_BYTES);
    assert!(POLL_MS_MAX < RESCAN_CYCLE_MS);
    assert!(KEY_FILES_REST_MS < POLL_MS_MAX);
    assert!(EVENTS_OF_ALL_KEYS < u32::MAX as usize && EVENTS_OF_A_KEY < u8::MAX as usize);
    assert!(REFUSALS_OF_A_KEY < REFUSALS_OF_THE_KNOWN.in_set);
    assert!(TRAIL_TEXT_BYTES_MAX >= route_table::KEY_BYTES_MAX);
};
