//! What the options of the control socket and the audit log mean.

use std::path::PathBuf;

use nix::unistd::Group;
use router_core::address::ListenAddr;
use router_core::ctl::{CtlConfig, SocketAccess};

use super::catalog::Opt;
use super::problem::Problem;
use super::seen::Seen;
use super::values;

/// Permissions of a socket that only its user may connect to.
const MODE_OWN: u32 = 0o600;
/// The same with its group.
const MODE_GROUP: u32 = 0o660;

/// Who controls the router, and where that is written down.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ctl {
    /// Path of the socket.
    pub path: Option<PathBuf>,
    /// Its permissions; `None`: by whether it has a group.
    pub mode: Option<u32>,
    /// Its group.
    pub group: Option<u32>,
    /// The group that may change things.
    pub operators: Option<u32>,
    /// Where every change leaves a line.
    pub audit_log: Option<PathBuf>,
}

impl Ctl {
    /// Takes the value of one of these options.
    ///
    /// # Errors
    /// Why the text is no value.
    pub fn set(&mut self, opt: Opt, text: &str) -> Result<(), String> {
        match opt {
            Opt::Ctl => self.path = Some(socket(text)?),
            Opt::CtlMode => self.mode = Some(mode(text)?),
            Opt::CtlGroup => self.group = Some(group(text)?),
            Opt::CtlOperators => self.operators = Some(group(text)?),
            _ => self.audit_log = Some(values::log_file(text)?),
        }
        Ok(())
    }

    /// The socket, if there is to be one. It belongs to `owner`, if the process will be that user.
    #[must_use]
    pub fn socket(&self, owner: Option<u32>) -> Option<CtlConfig> {
        let by_group = if self.group.is_some() { MODE_GROUP } else { MODE_OWN };
        let mode = self.mode.unwrap_or(by_group);
        Some(CtlConfig {
            path: self.path.clone()?,
            access: SocketAccess { mode, owner, group: self.group },
            operators: self.operators,
        })
    }

    /// The address of the socket among those of listeners.
    #[must_use]
    pub fn address(&self) -> Option<ListenAddr> {
        self.path.clone().map(ListenAddr::Unix)
    }

    /// What no value shows alone.
    pub fn check(&self, seen: &Seen, problems: &mut Vec<Problem>) {
        for opt in [Opt::CtlMode, Opt::CtlGroup, Opt::CtlOperators] {
            if seen.has(opt) && !seen.has(Opt::Ctl) {
                let place = seen.first_place(opt);
                problems.push(Problem::Needs { place, opt, needed: Opt::Ctl });
            }
        }
    }
}

fn socket(text: &str) -> Result<PathBuf, String> {
    match values::listener(text)? {
        ListenAddr::Unix(path) => Ok(path),
        ListenAddr::Tcp(_) => Err("it has no users to tell apart".to_owned()),
    }
}

fn mode(text: &str) -> Result<u32, String> {
    let is_octal = text.len() == 4 && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let mode = u32::from_str_radix(text, 8).ok().filter(|_| is_octal);
    match mode.ok_or("not four octal digits")? {
        mode if mode & !0o666 != 0 => Err("a socket is read and written, nothing else".to_owned()),
        mode if mode & MODE_OWN != MODE_OWN => {
            Err("its own user must be able to connect".to_owned())
        }
        mode => Ok(mode),
    }
}

/// A group by number or name.
fn group(text: &str) -> Result<u32, String> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    match Group::from_name(text) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        Ok(None) => Err("there is no such group".to_owned()),
        Err(error) => Err(format!("the group cannot be looked up: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_follow_the_group_unless_they_are_given() {
        let mut ctl = Ctl { path: Some("/run/c.sock".into()), ..Ctl::default() };
        let access = |ctl: &Ctl| ctl.socket(None).expect("a path").access;
        assert_eq!(access(&ctl), SocketAccess { mode: 0o600, owner: None, group: None });
        ctl.set(Opt::CtlGroup, "4343").unwrap();
        assert_eq!(access(&ctl), SocketAccess { mode: 0o660, owner: None, group: Some(4343) });
        ctl.set(Opt::CtlMode, "0666").unwrap();
        assert_eq!(access(&ctl).mode, 0o666);
        for wrong in ["", "660", "0770", "0066", "0o66", "06600", "0680"] {
            assert!(ctl.set(Opt::CtlMode, wrong).is_err(), "{wrong}");
        }
        assert!(ctl.set(Opt::CtlOperators, "no such group").is_err());
        assert!(ctl.set(Opt::CtlOperators, "root").is_ok());
        assert!(ctl.set(Opt::Ctl, "127.0.0.1:80").is_err());
    }
}
