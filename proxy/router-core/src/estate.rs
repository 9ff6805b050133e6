//! The bound sockets that outlive a process: what it was given, what it uses, what it leaves.
//!
//! Whoever needs a bound socket asks here first, by kind and local address, and binds only what is
//! missing. So connections and datagrams that the kernel queued for the process before, or while
//! systemd was starting this one, are served by this one. Of every socket in use a second handle is
//! kept, which is what the next process gets. Nothing is sent or received here, and nothing is shut down:
//! a socket ends when the last handle of any process closes.

mod kind;
#[cfg(test)]
mod tests;

use std::{
    io,
    os::fd::OwnedFd,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use socket2::Socket;

use crate::{
    address::ListenAddr,
    socket_file::{self, SocketFile},
};

pub use kind::{Kind, Stranger};

/// Who bound a socket, and so removes its file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Owner {
    /// This router, or the process before it.
    Router,
    /// Whoever started the router: the socket is there before it and after it.
    Manager,
}

/// A bound socket, and what it is looked up by.
#[derive(Debug)]
pub struct Bequest {
    /// Whether it takes connections or datagrams.
    pub kind: Kind,
    /// Where it is bound.
    pub address: ListenAddr,
    /// A handle of it.
    pub socket: Socket,
    /// Whose it is.
    pub owner: Owner,
}

/// All bound sockets of a process.
#[derive(Debug, Default)]
pub struct Estate {
    holdings: Mutex<Holdings>,
    /// Whether the next process has the files of the sockets.
    files_stay: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Holdings {
    /// Not asked for yet.
    given: Vec<Bequest>,
    /// Second handles.
    used: Vec<Bequest>,
}

impl Estate {
    /// Adds a socket somebody else has bound. It is non-blocking from here on.
    ///
    /// # Errors
    /// [`Stranger`] if it is none that a router could ask for; it is closed then.
    pub fn inherit(&self, fd: OwnedFd, owner: Owner) -> Result<(), Stranger> {
        let bequest = kind::recognise(fd, owner)?;
        self.lock().given.push(bequest);
        Ok(())
    }

    /// The given sockets of this kind and address, all of them. They count as in use from now on. A unix
    /// socket whose file is gone is none: nobody could connect to it any more.
    ///
    /// # Errors
    /// If there is no descriptor left for the second handles.
    pub fn take(&self, kind: Kind, address: &ListenAddr) -> io::Result<Vec<Socket>> {
        if let ListenAddr::Unix(path) = address
            && !socket_file::is_socket(path)
        {
            return Ok(Vec::new());
        }
        let mut holdings = self.lock();
        let mut taken = Vec::new();
        let mut at = 0;
        while at < holdings.given.len() {
            if holdings.given[at].is(kind, address) {
                let bequest = holdings.given.swap_remove(at);
                taken.push(bequest.socket.try_clone()?);
                holdings.used.push(bequest);
            } else {
                at += 1;
            }
        }
        Ok(taken)
    }

    /// Notes a socket that was bound by this process.
    ///
    /// # Errors
    /// If there is no descriptor left for the second handle.
    pub fn keep(&self, kind: Kind, address: &ListenAddr, socket: &Socket) -> io::Result<()> {
        let (socket, address) = (socket.try_clone()?, address.clone());
        self.lock().used.push(Bequest { kind, address, socket, owner: Owner::Router });
        Ok(())
    }

    /// Takes charge of the file of a socket in use, as far as its owner allows.
    ///
    /// # Errors
    /// If it is gone already.
    pub fn file_at(&self, kind: Kind, path: &Path) -> io::Result<SocketFile> {
        let address = ListenAddr::Unix(path.to_owned());
        let is_managed = |one: &Bequest| one.is(kind, &address) && one.owner == Owner::Manager;
        let stays = match self.lock().used.iter().any(is_managed) {
            true => Arc::new(AtomicBool::new(true)),
            false => self.files_stay.clone(),
        };
        Ok(SocketFile::bound_at(path)?.unless(stays))
    }

    /// Leaves the files of all sockets to the process that has the sockets now.
    pub fn leave_files(&self) {
        self.files_stay.store(true, Ordering::Release);
    }

    /// Gives the second handles of an address up that is not listened on any more.
    pub fn release(&self, kind: Kind, address: &ListenAddr) {
        self.lock().used.retain(|bequest| !bequest.is(kind, address));
    }

    /// Gives all of them up: this process accepts nothing any more.
    pub fn release_all(&self) {
        *self.lock() = Holdings::default();
    }

    /// Closes what was given and nobody asked for, and says what it was.
    pub fn close_unclaimed(&self) -> Vec<(Kind, ListenAddr)> {
        self.lock().given.drain(..).map(|bequest| (bequest.kind, bequest.address)).collect()
    }

    /// What the next process gets: a handle of every socket in use.
    ///
    /// # Errors
    /// If there are not enough descriptors.
    pub fn bequeath(&self) -> io::Result<Vec<Bequest>> {
        self.lock().used.iter().map(Bequest::try_clone).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Holdings> {
        // Every change is a single step, so there is nothing half done to be afraid of.
        self.holdings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bequest {
    fn is(&self, kind: Kind, address: &ListenAddr) -> bool {
        self.kind == kind && self.address == *address
    }

    fn try_clone(&self) -> io::Result<Self> {
        let socket = self.socket.try_clone()?;
        Ok(Self { kind: self.kind, address: self.address.clone(), socket, owner: self.owner })
    }
}
