//! Giving up the powers that a router needs to start and not to serve.
//!
//! [`seal`] comes before the first thread and cannot be taken back by any of them; [`give_up`] comes
//! when everything is bound. Whatever is opened after it is opened as the user: the access log is, so
//! that a directory the user cannot write to is noticed at the start and not at the first rotation.
//! What was opened before and must be opened again one day is tried by [`unreadable`].

use std::{
    fs::File,
    io,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
};

use nix::{
    fcntl::{AtFlags, OFlag, open},
    sys::stat::Mode,
    unistd::{Gid, Uid, fchownat, geteuid, setgroups, setresgid, setresuid},
};
use rustix::{
    process::{DumpableBehavior, set_dumpable_behavior},
    thread::{
        CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
        configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities,
        set_keep_capabilities, set_no_new_privs,
    },
};

use crate::config::{Account, Capability, Privileges, Settings};

/// Why the powers could not be given up. Nothing is served then.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// Started as somebody who cannot become the user.
    #[error("only root can become the user {0}: start as root or as that user")]
    NotRoot(String),
    /// The system said no.
    #[error("cannot {step}: {cause}")]
    Refused {
        /// What was tried.
        step: &'static str,
        /// What the system said.
        cause: io::Error,
    },
}

/// What is said of a router that keeps all of root's powers, if this is one.
#[must_use]
pub fn stays_root(settings: &Settings) -> bool {
    settings.privileges.user.is_none() && geteuid().is_root()
}

/// Makes sure that no thread, and no program they start, gets more powers than this one has now.
///
/// # Errors
/// [`PrivilegeError`]
pub fn seal(privileges: &Privileges) -> Result<(), PrivilegeError> {
    if privileges.user.is_none() {
        return Ok(());
    }
    refused("set no_new_privs", set_no_new_privs(true))?;
    if geteuid().is_root() {
        let kept = kept(privileges);
        for capability in CapabilitySet::from_bits_retain(u64::MAX).difference(kept) {
            // Numbers the kernel does not know are refused, and name no power.
            let _ = remove_capability_from_bounding_set(capability);
        }
    }
    Ok(())
}

/// Becomes the user, if one is named, in all threads. The files of `sockets` become its own, so that
/// it can remove them.
///
/// # Errors
/// [`PrivilegeError`]
pub fn give_up<'s>(
    privileges: &Privileges,
    sockets: impl Iterator<Item = &'s Path>,
) -> Result<(), PrivilegeError> {
    let Some(user) = &privileges.user else { return Ok(()) };
    let kept = kept(privileges).intersection(permitted()?);
    if geteuid().is_root() {
        let group = privileges.group.unwrap_or(user.gid);
        for path in sockets {
            refused("give a socket to the user", hand_over(path, user.uid, group))?;
        }
        become_user(user, group)?;
    } else if geteuid() != user.uid {
        return Err(PrivilegeError::NotRoot(user.name.clone()));
    }
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: kept };
    refused("give up capabilities", set_capabilities(None, sets))?;
    refused("clear ambient capabilities", clear_ambient_capability_set())?;
    for capability in kept {
        // For the program that an upgrade starts.
        let raised = configure_capability_in_ambient_set(capability, true);
        refused("hand on a capability", raised)?;
    }
    // A user's process can be looked into by that user's other processes; private keys are in here.
    refused("forbid core dumps", set_dumpable_behavior(DumpableBehavior::NotDumpable))?;
    let name = &user.name;
    tracing::info!(user = name, uid = user.uid.as_raw(), "gave up the powers of the start");
    Ok(())
}

/// Directories and files that the settings name and the process, as it is now, cannot read again.
#[must_use]
pub fn unreadable(settings: &Settings) -> Vec<(PathBuf, io::Error)> {
    let pair = settings.default_cert.iter();
    let files = pair.flat_map(|pair| [&pair.crt, &pair.key]);
    let files = files.map(|path| (path, File::open(path).err()));
    let keys = settings.sign_check.iter().map(|check| &check.dir);
    let dirs = settings.cert_dir.iter().chain(&settings.cert_root).chain(keys);
    let dirs = dirs.map(|path| (path, std::fs::read_dir(path).err()));
    files.chain(dirs).filter_map(|(path, error)| Some((path.clone(), error?))).collect()
}

fn become_user(user: &Account, group: Gid) -> Result<(), PrivilegeError> {
    // These go through the C library, which has every thread do them; the powers of other threads go
    // with their user, those of this one are kept until they are reduced.
    refused("set the groups", setgroups(&user.groups))?;
    refused("set the group", setresgid(group, group, group))?;
    refused("keep capabilities", set_keep_capabilities(true))?;
    refused("set the user", setresuid(user.uid, user.uid, user.uid))
}

/// Changes the owner of a socket's file and of nothing else that somebody may have put there.
fn hand_over(path: &Path, user: Uid, group: Gid) -> io::Result<()> {
    // Not by the standard library, which takes O_PATH for a way of access with musl and drops it.
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty())?);
    if !file.metadata()?.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no socket"));
    }
    fchownat(&file, "", Some(user), Some(group), AtFlags::AT_EMPTY_PATH)?;
    Ok(())
}

fn kept(privileges: &Privileges) -> CapabilitySet {
    let kept = privileges.keep.iter().map(|capability| match capability {
        Capability::NetBindService => CapabilitySet::NET_BIND_SERVICE,
        Capability::NetAdmin => CapabilitySet::NET_ADMIN,
    });
    kept.collect()
}

fn permitted() -> Result<CapabilitySet, PrivilegeError> {
    refused("read capabilities", capabilities(None)).map(|sets| sets.permitted)
}

fn refused<T>(
    step: &'static str,
    did: Result<T, impl Into<io::Error>>,
) -> Result<T, PrivilegeError> {
    did.map_err(|cause| PrivilegeError::Refused { step, cause: cause.into() })
}
