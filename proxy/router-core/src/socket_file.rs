//! The file of a unix socket: cleared when its owner is gone, taken away with its socket.
//!
//! Another process may have bound the path since, so only the file that was bound here is removed.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::{UnixDatagram, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// How a socket is asked whether somebody owns it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SocketKind {
    /// It accepts connections.
    Stream,
    /// It receives datagrams.
    Datagram,
}

/// The file of a socket bound by this process. It goes when this is dropped.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    device_inode: (u64, u64),
    /// Somebody else has the socket too.
    stays: Arc<AtomicBool>,
}

impl SocketFile {
    /// Takes charge of the file that was just bound at `path`.
    ///
    /// # Errors
    /// If it is gone already.
    pub fn bound_at(path: &Path) -> io::Result<Self> {
        let stays = Arc::default();
        Ok(Self { path: path.to_owned(), device_inode: device_inode(path)?, stays })
    }

    /// Leaves the file where it is if `stays` is set by then.
    #[must_use]
    pub fn unless(mut self, stays: Arc<AtomicBool>) -> Self {
        self.stays = stays;
        self
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = device_inode(&self.path).is_ok_and(|found| found == self.device_inode);
        if is_ours && !self.stays.load(Ordering::Acquire) {
            // A directory that became read-only keeps the file; the next start clears it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn device_inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

/// Whether there is a socket at `path`.
#[must_use]
pub fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket())
}

/// Makes the mode of the socket at `path` exactly `mode`, if it is not that already.
///
/// # Errors
/// If it is somebody else's and has another mode.
pub fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    if fs::symlink_metadata(path)?.permissions().mode() & MODE_BITS == mode {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode))
}

const MODE_BITS: u32 = 0o7777;

/// Removes the socket file that a dead process left at `path`, if one did.
///
/// # Errors
/// `AddrInUse` if somebody answers there, `AlreadyExists` if something else than a socket stands there.
pub fn clear_stale(path: &Path, kind: SocketKind) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            let why = "the path exists and is no socket";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
        }
        Ok(_) => {}
    }
    let answered = match kind {
        SocketKind::Stream => UnixStream::connect(path).map(drop),
        SocketKind::Datagram => UnixDatagram::unbound()?.connect(path),
    };
    match answered {
        Ok(()) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process owns this socket")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn stale_file_is_cleared_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        let live = UnixListener::bind(&path).unwrap();
        let error = clear_stale(&path, SocketKind::Stream).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(live);
        clear_stale(&path, SocketKind::Stream).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn what_is_no_socket_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        fs::write(&path, "precious").unwrap();
        let error = clear_stale(&path, SocketKind::Datagram).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert!(path.exists());
    }

    #[test]
    fn only_the_own_file_goes_with_the_socket() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        let first = UnixListener::bind(&path).unwrap();
        let file = SocketFile::bound_at(&path).unwrap();
        let aside = dir.path().join("aside");
        fs::rename(&path, &aside).unwrap();
        let _second = UnixListener::bind(&path).unwrap();
        drop((first, file));
        assert!(path.exists(), "somebody else's socket was removed");
    }
}
