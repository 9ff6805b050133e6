//! Telling the service manager how it goes: datagrams to `NOTIFY_SOCKET`, as sd_notify(3) describes them.
//!
//! Nothing is sent if there is none, and nothing waits: a service manager that does not read is told less.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd},
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    sync::{Mutex, MutexGuard, PoisonError},
};

use router_core::{
    address::ListenAddr,
    estate::{Bequest, Estate, Kind},
};
use rustix::{
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg},
    time::{ClockId, clock_gettime},
};

/// Variable that names the socket.
const VARIABLE: &str = "NOTIFY_SOCKET";
/// Variable that says how many descriptors are kept, where the service manager is recent enough.
const STORE_VARIABLE: &str = "FDSTORE";
/// Most descriptors of one datagram; the kernel allows 253.
const DESCRIPTORS_MAX: usize = 128;

/// Where the service manager listens, if there is one.
#[derive(Debug, Default)]
pub struct ServiceManager {
    socket: Option<UnixDatagram>,
    /// Names of the sockets that it keeps for us.
    stored: Mutex<BTreeSet<String>>,
}

impl ServiceManager {
    /// As the environment says.
    #[must_use]
    pub fn of_environment() -> Self {
        let Some(name) = std::env::var_os(VARIABLE) else { return Self::default() };
        let socket = connect(&name);
        if let Err(error) = &socket {
            tracing::warn!(%error, "the service manager is not told anything: {VARIABLE}");
        }
        Self { socket: socket.ok(), stored: Mutex::default() }
    }

    /// The router serves.
    pub fn ready(&self) {
        self.tell("READY=1\n", &[]);
    }

    /// The configuration is being read again; [`Self::ready`] ends that.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\n"), &[]);
    }

    /// The router ends.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\n", &[]);
    }

    /// Another process is the router now.
    pub fn followed_by(&self, pid: u32) {
        self.tell(&format!("MAINPID={pid}\n"), &[]);
    }

    /// The router is alive.
    pub fn alive(&self) {
        self.tell("WATCHDOG=1\n", &[]);
    }

    /// A socket that came from the service manager and is not used.
    pub fn note_unused(&self, kind: Kind, address: &ListenAddr) {
        self.stored().insert(name(kind, address));
    }

    /// Has the bound sockets kept for the next process, should this one end without a word, and no
    /// others.
    pub fn store(&self, estate: &Estate) {
        if self.socket.is_none() {
            return;
        }
        let Ok(sockets) = estate.bequeath() else { return };
        if std::env::var_os(STORE_VARIABLE).is_some() {
            // They are there after this process, and so are their files.
            estate.leave_files();
        }
        let mut by_name: BTreeMap<String, Vec<Bequest>> = BTreeMap::new();
        for bequest in sockets {
            by_name.entry(name(bequest.kind, &bequest.address)).or_default().push(bequest);
        }
        let mut stored = self.stored();
        for gone in stored.iter().filter(|name| !by_name.contains_key(*name)) {
            self.tell(&format!("FDSTOREREMOVE=1\nFDNAME={gone}\n"), &[]);
        }
        for (name, alike) in by_name.iter().filter(|(name, _)| !stored.contains(*name)) {
            for some in alike.chunks(DESCRIPTORS_MAX) {
                let fds: Vec<_> = some.iter().map(|bequest| bequest.socket.as_fd()).collect();
                self.tell(&format!("FDSTORE=1\nFDNAME={name}\n"), &fds);
            }
        }
        *stored = by_name.into_keys().collect();
    }

    fn stored(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, what: &str, fds: &[BorrowedFd<'_>]) {
        let Some(socket) = &self.socket else { return };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return;
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        if let Err(error) = sendmsg(socket, &[IoSlice::new(what.as_bytes())], &mut control, flags) {
            tracing::debug!(%error, "the service manager could not be told: {}", what.trim_end());
        }
    }
}

fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    match name.as_bytes() {
        [b'@', abstract_name @ ..] => {
            socket.connect_addr(&SocketAddr::from_abstract_name(abstract_name)?)?;
        }
        _ => socket.connect(name)?,
    }
    Ok(socket)
}

/// What a stored descriptor is called: printable, without a colon, at most 255 bytes.
fn name(kind: Kind, address: &ListenAddr) -> String {
    let kind = match kind {
        Kind::Stream => "stream",
        Kind::Datagram => "datagram",
    };
    let plain = |char: char| if char == ':' || !(' '..='~').contains(&char) { '_' } else { char };
    format!("{kind} {address}").chars().map(plain).take(NAME_BYTES_MAX).collect()
}

const NAME_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ones_that_systemd_takes() {
        let named = |kind, address: &str| name(kind, &address.parse().unwrap());
        assert_eq!(named(Kind::Stream, "[::1]:80"), "stream [__1]_80");
        assert_eq!(named(Kind::Datagram, "/run/ü/s.sock"), "datagram /run/_/s.sock");
    }

    #[test]
    fn a_name_in_the_abstract_is_reached_too() {
        let name = format!("suzerain-notify-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        let socket = Some(connect(OsStr::new(&format!("@{name}"))).unwrap());
        let told = ServiceManager { socket, ..ServiceManager::default() };
        told.followed_by(7);
        let mut buffer = [0; 64];
        let length = manager.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"MAINPID=7\n");
    }
}
