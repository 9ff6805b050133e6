//! What the options about privileges mean.

use std::ffi::CString;

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

use super::catalog::Opt;
use super::problem::Problem;
use super::seen::Seen;

/// What becomes of the powers the process was started with.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Privileges {
    /// The user to become; `None`: none.
    pub user: Option<Account>,
    /// Its first group, if not the one it has.
    pub group: Option<Gid>,
    /// What is kept of root's powers.
    pub keep: Vec<Capability>,
    /// What happens at a system call that is not on the list.
    pub seccomp: Seccomp,
}

/// What the system calls of the process are held against.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Seccomp {
    /// Nothing.
    #[default]
    Off,
    /// The list; others are logged by the kernel.
    Log,
    /// The list; others end the process.
    On,
}

/// A user of this machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its number.
    pub uid: Uid,
    /// Its first group.
    pub gid: Gid,
    /// All of its groups.
    pub groups: Vec<Gid>,
}

/// A power of root's that can be kept alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Capability {
    /// Binding ports below 1024.
    NetBindService,
    /// Receive buffers larger than the system's limit.
    NetAdmin,
}

impl Privileges {
    /// Takes the value of one of these options.
    ///
    /// # Errors
    /// Why the text is no value.
    pub fn set(&mut self, opt: Opt, text: &str) -> Result<(), String> {
        match opt {
            Opt::User => self.user = Some(account(text)?),
            Opt::Group => self.group = Some(group(text)?),
            Opt::Seccomp => self.seccomp = seccomp(text)?,
            _ => self.keep.push(capability(text)?),
        }
        Ok(())
    }

    /// What no value shows alone.
    pub fn check(&self, seen: &Seen, problems: &mut Vec<Problem>) {
        for opt in [Opt::Group, Opt::KeepCapabilities] {
            if seen.has(opt) && !seen.has(Opt::User) {
                let place = seen.first_place(opt);
                problems.push(Problem::Needs { place, opt, needed: Opt::User });
            }
        }
    }
}

fn account(text: &str) -> Result<Account, String> {
    let found = match text.parse() {
        Ok(uid) => User::from_uid(Uid::from_raw(uid)),
        Err(_) => User::from_name(text),
    };
    let user = found.map_err(|error| error.to_string())?;
    let user = user.ok_or_else(|| "this machine has no such user".to_owned())?;
    if user.uid.is_root() {
        return Err("this is root, whose powers are to be given up".to_owned());
    }
    let name = CString::new(user.name.clone()).map_err(|error| error.to_string())?;
    let groups = getgrouplist(&name, user.gid).map_err(|error| error.to_string())?;
    Ok(Account { name: user.name, uid: user.uid, gid: user.gid, groups })
}

fn group(text: &str) -> Result<Gid, String> {
    let found = match text.parse() {
        Ok(gid) => Group::from_gid(Gid::from_raw(gid)),
        Err(_) => Group::from_name(text),
    };
    let group = found.map_err(|error| error.to_string())?;
    group.map(|group| group.gid).ok_or_else(|| "this machine has no such group".to_owned())
}

fn seccomp(text: &str) -> Result<Seccomp, String> {
    match text {
        "on" => Ok(Seccomp::On),
        "log" => Ok(Seccomp::Log),
        "off" => Ok(Seccomp::Off),
        _ => Err("unknown".to_owned()),
    }
}

fn capability(text: &str) -> Result<Capability, String> {
    match text {
        "net-bind-service" => Ok(Capability::NetBindService),
        "net-admin" => Ok(Capability::NetAdmin),
        _ => Err("no capability that can be kept".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_strangers_are_no_users_to_become() {
        assert!(account("root").unwrap_err().contains("root"));
        assert!(account("0").unwrap_err().contains("root"));
        assert_eq!(account("no-such-user").unwrap_err(), "this machine has no such user");
        let nobody = account("nobody").unwrap();
        assert_eq!(account(&nobody.uid.to_string()).unwrap(), nobody);
        assert!(nobody.groups.contains(&nobody.gid));
    }
}
