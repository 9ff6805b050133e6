//! The admin socket in a reload: the new one is bound before the old one ends.

use router_core::{
    address::ListenAddr,
    admin::{AdminError, AdminHandle},
    estate::Kind,
};

use crate::{
    config::Settings,
    startup::{Running, bind_admin},
};

/// What becomes of it.
pub enum Admin {
    /// It stays.
    Kept,
    /// It ends, and perhaps another takes its place.
    Other(Option<(ListenAddr, AdminHandle)>),
}

impl Admin {
    /// Binds and serves what `next` wants and is not there.
    ///
    /// # Errors
    /// [`AdminError`]; the old one goes on then.
    pub fn prepare(running: &Running, next: &Settings) -> Result<Self, AdminError> {
        if running.settings.admin == next.admin {
            return Ok(Self::Kept);
        }
        let Some(server) = bind_admin(next, &running.estate)? else { return Ok(Self::Other(None)) };
        let address = server.local_addr().clone();
        let handle = server.spawn(running.state.clone(), next.viewers.access())?;
        Ok(Self::Other(Some((address, handle))))
    }

    /// Where it is once this is taken.
    pub fn address<'a>(&'a self, running: &'a Running) -> Option<&'a ListenAddr> {
        match self {
            Self::Kept => running.ready.admin.as_ref(),
            Self::Other(other) => other.as_ref().map(|(address, _)| address),
        }
    }

    /// Ends the old one, if it does not stay. Answers where it is from now on.
    pub fn take(self, running: &mut Running) -> Option<ListenAddr> {
        let Self::Other(other) = self else { return running.ready.admin.clone() };
        if let Some(old) = running.admin.take() {
            old.stop();
        }
        if let Some(gone) = &running.ready.admin {
            running.estate.release(Kind::Stream, gone);
        }
        let (address, handle) = other?;
        running.admin = Some(handle);
        Some(address)
    }

    /// Ends the new one again, because something else failed.
    pub fn give_up(self, running: &Running) {
        if let Self::Other(Some((address, handle))) = self {
            handle.stop();
            running.estate.release(Kind::Stream, &address);
        }
    }
}
