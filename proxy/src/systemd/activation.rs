//! Sockets that a service manager has bound: `LISTEN_FDS`, for socket activation and after a restart.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use listenfd::ListenFd;
use router_core::estate::{Estate, Owner};

/// What the environment says is ours. Whoever is started by this process will not find it there.
///
/// Call it before there are threads. What is no socket that a router could use is named in the log.
#[must_use]
pub fn given() -> Estate {
    let estate = Estate::default();
    let mut listed = ListenFd::from_env();
    for index in 0..listed.len() {
        let number = index + FIRST;
        match take(&mut listed, index) {
            Some(fd) => {
                let number = fd.as_fd().as_raw_fd();
                if let Err(why) = estate.inherit(fd, Owner::Manager) {
                    tracing::warn!("descriptor {number} of LISTEN_FDS is of no use: {why}");
                }
            }
            None => tracing::warn!("descriptor {number} of LISTEN_FDS is no socket to listen on"),
        }
    }
    estate
}

/// Number of the first descriptor, by the protocol.
const FIRST: usize = 3;

/// One by one, because each kind has a method of its own that looks first.
fn take(listed: &mut ListenFd, index: usize) -> Option<OwnedFd> {
    fn owned<T: Into<OwnedFd>>(taken: io::Result<Option<T>>) -> Option<OwnedFd> {
        taken.ok().flatten().map(Into::into)
    }
    owned(listed.take_tcp_listener(index))
        .or_else(|| owned(listed.take_unix_listener(index)))
        .or_else(|| owned(listed.take_udp_socket(index)))
        .or_else(|| owned(listed.take_unix_datagram(index)))
}
