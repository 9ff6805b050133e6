//! Noticing that a client is gone while its node still works.
//!
//! Nobody reads from a client whose request is complete: what it sends next belongs to the next
//! request. So its socket is looked at from outside, without taking a byte, once a second and only
//! while its node is waited for. A reset says for certain that the client is gone. An end of the
//! stream does not: a client may have finished sending and still listen.

use std::os::fd::RawFd;

use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, recv},
};

/// Time before the first look and between two: an exchange that is over by then costs none.
pub const LOOK_MS: u64 = 1_000;

/// What counts as gone.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum GoneWhen {
    /// The connection was reset.
    #[default]
    Reset,
    /// Also when the client finished sending.
    Finished,
}

/// A socket looked at for the sake of another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Minded {
    pub fd: RawFd,
    pub gone_when: GoneWhen,
    pub next_ms: u64,
}

impl Minded {
    /// Whether the client is gone. One system call.
    pub fn is_gone(self) -> bool {
        match recv(self.fd, &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) {
            Ok(0) => self.gone_when == GoneWhen::Finished,
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => false,
            Err(_reset) => true,
        }
    }
}
