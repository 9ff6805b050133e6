//! Bounds of the control socket.

use std::time::Duration;

/// Connections served at a time; further ones wait in the kernel.
pub const CONNECTIONS_MAX: usize = 32;
/// Bytes of a request head, its arguments included; a longer one gets 431. Bodies are never read.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// For a request head to arrive.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// For a whole connection. An order such as an upgrade is waited for as long as this.
pub const CONNECTION_TIMEOUT: Duration = Duration::from_secs(180);
/// Threads that work answers out.
pub const ANSWER_THREADS_MAX: usize = 8;
/// Changes under way at a time; further ones are told to come again.
pub const CHANGES_MAX: usize = 4;
/// Arguments of one command.
pub const ARGUMENTS_MAX: usize = 16;

const _: () = {
    // Whoever waits for the end of an upgrade keeps nobody from asking.
    assert!(CHANGES_MAX < ANSWER_THREADS_MAX);
    assert!(ANSWER_THREADS_MAX < CONNECTIONS_MAX);
    assert!(HEAD_TIMEOUT.as_secs() < CONNECTION_TIMEOUT.as_secs());
};
