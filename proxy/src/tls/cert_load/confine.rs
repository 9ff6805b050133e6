//! Reading the bytes of certificates and keys: bounded, regular files only, confined if need be.
//!
//! The operator's own paths are trusted. Paths out of subscriptions are not: they must lie below a
//! root the operator named, after every symbolic link was followed, and what was opened must be
//! what was checked. Without a root every such path is refused.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

use nix::fcntl::OFlag;

use crate::tls::limits::CERT_FILE_BYTES_MAX;

/// The directories below which subscriptions may name files.
#[derive(Clone, Debug, Default)]
pub struct CertRoots {
    /// As configured and with links followed: a path may be written either way.
    spelled: Vec<PathBuf>,
    real: Vec<PathBuf>,
}

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The path does not lie below a certificate root.
    #[error("path lies outside every certificate root")]
    Outside,
    /// The path names a directory, a device, a socket or a pipe.
    #[error("not a regular file")]
    NotRegular,
    /// The file is longer than a certificate has reason to be.
    #[error("longer than {CERT_FILE_BYTES_MAX} bytes")]
    TooLong,
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl CertRoots {
    /// Follows the links of each root once, now.
    ///
    /// # Errors
    /// If a root does not exist or is no directory; the index says which.
    pub fn new(roots: &[PathBuf]) -> Result<Self, (usize, io::Error)> {
        let mut found = Self::default();
        for (index, root) in roots.iter().enumerate() {
            let real = fs::canonicalize(root).map_err(|error| (index, error))?;
            if !real.is_dir() {
                return Err((index, io::ErrorKind::NotADirectory.into()));
            }
            found.spelled.push(root.clone());
            found.real.push(real);
        }
        Ok(found)
    }

    /// Whether `path`, as written, may be looked at at all. Asks the file system nothing, so a
    /// sender cannot make the router touch a foreign mount.
    #[must_use]
    pub fn admits(&self, path: &Path) -> bool {
        path.is_absolute()
            && path.components().all(|part| part != Component::ParentDir)
            && self.spelled.iter().chain(&self.real).any(|root| path.starts_with(root))
    }

    /// Whether the directory `at`, which has no links, is below a root or on the way to one.
    pub(super) fn lead_to(&self, at: &Path) -> bool {
        let is_on_the_way = |root: &PathBuf| root.starts_with(at);
        self.real.iter().any(|root| at.starts_with(root))
            || self.real.iter().chain(&self.spelled).any(is_on_the_way)
    }

    /// The bytes of a file below a root.
    ///
    /// # Errors
    /// [`ReadError::Outside`] also for a link that leads out.
    pub fn read(&self, path: &Path) -> Result<Vec<u8>, ReadError> {
        if !self.admits(path) {
            return Err(ReadError::Outside);
        }
        let real = fs::canonicalize(path)?;
        self.check_real(&real)?;
        if !fs::metadata(&real)?.is_file() {
            return Err(ReadError::NotRegular);
        }
        let file = open(&real)?;
        // Someone who may write below the root could have put a link in place since: ask the
        // kernel what was opened.
        self.check_real(&fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?)?;
        read_bounded(file)
    }

    fn check_real(&self, path: &Path) -> Result<(), ReadError> {
        let is_below = self.real.iter().any(|root| path.starts_with(root));
        is_below.then_some(()).ok_or(ReadError::Outside)
    }
}

/// The bytes of a file the operator named.
///
/// # Errors
/// If it cannot be read, is not a regular file or is too long.
pub fn read_trusted(path: &Path) -> Result<Vec<u8>, ReadError> {
    read_bounded(open(path)?)
}

/// Never waits: a named pipe opened for reading would, for ever.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits() | OFlag::O_NOCTTY.bits())
        .open(path)
}

fn read_bounded(file: File) -> Result<Vec<u8>, ReadError> {
    let facts = file.metadata()?;
    if !facts.is_file() {
        return Err(ReadError::NotRegular);
    }
    let mut bytes = Vec::with_capacity(facts.len().min(CERT_FILE_BYTES_MAX) as usize + 1);
    let read = file.take(CERT_FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if read as u64 > CERT_FILE_BYTES_MAX { Err(ReadError::TooLong) } else { Ok(bytes) }
}
