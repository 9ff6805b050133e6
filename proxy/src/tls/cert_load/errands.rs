//! What the loader's thread is asked for by others, and the bell that wakes it.
//!
//! The thread waits for changed files and for errands at once, so a channel alone will not do: whoever
//! sends rings a bell that can be polled. Senders never wait.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};

use nix::sys::eventfd::{EfdFlags, EventFd};
use router_core::subscriber::CertRequest;

use super::reload::{ReloadReport, Reloadable};
use super::show::PairFacts;
use super::{CertLoadError, CertLoaderConfig};

/// Something the loader does between two looks at files.
pub(super) enum Errand {
    /// Of the subscription thread.
    Subscription(CertRequest),
    /// Of a reload, which waits for the outcome.
    Reconfigure(Box<CertLoaderConfig>, SyncSender<Result<(), CertLoadError>>),
    /// Of an operator, who waits for the answer.
    Reload(Reloadable, SyncSender<ReloadReport>),
    /// As well.
    Show(Reloadable, SyncSender<Vec<PairFacts>>),
}

/// Gives errands to one loader. Clones give to the same.
#[derive(Clone, Debug)]
pub struct Errands {
    sender: Sender<Errand>,
    bell: Arc<EventFd>,
}

/// Where the loader takes them.
#[derive(Debug)]
pub struct ErrandInbox {
    receiver: Receiver<Errand>,
    bell: Arc<EventFd>,
}

/// Both ends.
///
/// # Errors
/// If the system has no descriptor left for the bell.
pub fn errands() -> io::Result<(Errands, ErrandInbox)> {
    let (sender, receiver) = mpsc::channel();
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    let bell = Arc::new(EventFd::from_flags(flags)?);
    Ok((Errands { sender, bell: Arc::clone(&bell) }, ErrandInbox { receiver, bell }))
}

impl Errands {
    /// Passes on what a subscription asks for; `false` if nobody carries it out any more.
    #[must_use]
    pub fn request(&self, request: CertRequest) -> bool {
        self.send(Errand::Subscription(request))
    }

    pub(super) fn send(&self, errand: Errand) -> bool {
        let is_taken = self.sender.send(errand).is_ok();
        self.ring();
        is_taken
    }

    /// Wakes the thread without an errand, so that it looks at its stop flag.
    pub(super) fn ring(&self) {
        // A bell that is full rings already.
        let _ = self.bell.write(1);
    }
}

impl ErrandInbox {
    /// What to poll.
    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// At most `most` errands. Others ring again.
    pub(super) fn take(&self, most: usize) -> Vec<Errand> {
        let _ = self.bell.read();
        let taken: Vec<Errand> = self.receiver.try_iter().take(most).collect();
        if taken.len() == most {
            let _ = self.bell.write(1);
        }
        taken
    }
}
