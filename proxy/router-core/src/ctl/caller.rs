//! Who is at the other end of a control connection, and what that one may do.
//!
//! The kernel says who connected (`SO_PEERCRED`, unix(7)); nothing the client sends counts.

use std::ffi::CString;
use std::io;
use std::os::fd::AsFd;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::{Gid, Uid, User, getgrouplist};

/// What a caller may do.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// Ask.
    ReadOnly,
    /// Ask and change.
    Operator,
}

/// A client as the kernel knows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Caller {
    /// Its user when it connected.
    pub uid: u32,
    /// Its group then.
    pub gid: u32,
    /// Its process.
    pub pid: i32,
}

impl Caller {
    pub(super) fn of(connection: &impl AsFd) -> io::Result<Self> {
        let found = getsockopt(connection, PeerCredentials)?;
        Ok(Self { uid: found.uid(), gid: found.gid(), pid: found.pid() })
    }

    /// Whether it is this very process: then somebody made the router connect to itself, to speak
    /// with the rights of its user.
    pub(super) fn is_this_process(&self) -> bool {
        u32::try_from(self.pid).is_ok_and(|pid| pid == std::process::id())
    }

    /// What it may do: all, if it is root, the router's own user, or a member of the group of
    /// operators. May ask the user database, so not on a thread that others wait for.
    pub(super) fn level(&self, operators: Option<u32>) -> Level {
        let user = Uid::from_raw(self.uid);
        let is_operator = user.is_root()
            || user == Uid::effective()
            || operators.is_some_and(|group| self.gid == group || is_member(user, group));
        if is_operator { Level::Operator } else { Level::ReadOnly }
    }
}

/// Whether the user database has the user in the group.
fn is_member(user: Uid, group: u32) -> bool {
    let Ok(Some(known)) = User::from_uid(user) else { return false };
    let Ok(name) = CString::new(known.name) else { return false };
    let groups = getgrouplist(&name, known.gid).unwrap_or_default();
    groups.contains(&Gid::from_raw(group))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_the_own_user_and_operators_may_change_and_nobody_else() {
        let own = Uid::effective().as_raw();
        let caller = |uid, gid| Caller { uid, gid, pid: 1 };
        assert_eq!(caller(0, 4343).level(None), Level::Operator);
        assert_eq!(caller(own, 4343).level(None), Level::Operator);
        assert_eq!(caller(4242, 4343).level(None), Level::ReadOnly);
        assert_eq!(caller(4242, 4343).level(Some(4343)), Level::Operator);
        assert_eq!(caller(4242, 4343).level(Some(4344)), Level::ReadOnly);
    }

    #[test]
    fn the_kernel_tells_who_connected() {
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let caller = Caller::of(&one).unwrap();
        assert_eq!(caller.uid, Uid::effective().as_raw());
        assert!(caller.is_this_process());
    }
}
