//! The `sign-check` directory: public keys by file name, and word of every change.
//!
//! A key that changes or vanishes must take its nodes out of service at once, so the directory is
//! watched with inotify. That misses changes behind symbolic links, on network file systems and
//! of a directory that is replaced; therefore every key file in use is also looked at about once
//! a second, in slices that never keep the thread for long. The directory is the operator's and
//! trusted; names are not, they come from subscription keys.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use subscribe::KeyFiles;
use subscribe::limits::KEY_FILE_BYTES_MAX;

use super::key_directories::is_entry_name;
use super::limits::{
    INOTIFY_READS_PER_TURN_MAX, KEY_CHANGES_PENDING_MAX, KEY_CHANGES_PER_TURN_MAX,
    KEY_FILES_TURN_MS_MAX, RESCAN_CYCLE_MS,
};

/// Reads key files out of one directory.
#[derive(Debug)]
pub(super) struct SignDirectory(Option<PathBuf>);

impl SignDirectory {
    /// `None` for a router that checks no signatures: it has no key file at all.
    ///
    /// # Errors
    /// If the path cannot be listed.
    pub(super) fn open(path: Option<PathBuf>) -> io::Result<Self> {
        if let Some(path) = &path {
            drop(fs::read_dir(path)?);
        }
        Ok(Self(path))
    }

    fn file(&self, name: &str) -> Option<PathBuf> {
        self.0.as_ref().filter(|_| is_entry_name(name)).map(|path| path.join(name))
    }
}

impl KeyFiles for SignDirectory {
    /// A file that is longer than a public key has reason to be counts as missing.
    fn read(&mut self, file_name: &str) -> Option<Vec<u8>> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits() | OFlag::O_NOCTTY.bits())
            .open(self.file(file_name)?)
            .ok()?;
        if !file.metadata().ok()?.is_file() {
            return None;
        }
        let mut bytes = Vec::new();
        let read = file.take(KEY_FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).ok()?;
        (read <= KEY_FILE_BYTES_MAX).then_some(bytes)
    }
}

/// Finds out which key files changed.
#[derive(Debug)]
pub(super) struct KeyWatch {
    directory: PathBuf,
    inotify: Option<Inotify>,
    watch: Option<WatchDescriptor>,
    /// Names to be read, from inotify and from looking.
    changed: BTreeSet<String>,
    /// Names still to be looked at in this cycle.
    to_look_at: Vec<String>,
    looks: HashMap<String, FileLook>,
    cycle_due_ms: u64,
}

/// The outside of a file; `None` where there is none.
type FileLook = Option<(u64, u64, u64, i64, i64, i64, i64)>;

impl KeyWatch {
    /// Watches `directory`. Without inotify (its instances are limited) only looking is left.
    pub(super) fn new(directory: &Path) -> Self {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC);
        if let Err(error) = &inotify {
            tracing::warn!(%error, "key files are not watched, only looked at every second");
        }
        let mut watch = Self {
            directory: directory.to_path_buf(),
            inotify: inotify.ok(),
            watch: None,
            changed: BTreeSet::new(),
            to_look_at: Vec::new(),
            looks: HashMap::new(),
            cycle_due_ms: 0,
        };
        watch.rewatch();
        watch
    }

    /// What to poll for changes.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(AsFd::as_fd)
    }

    /// When the next turn is due, on the thread's clock in milliseconds. While a cycle is under
    /// way, looking takes at most every other stretch of time.
    pub(super) fn due_ms(&self, now_ms: u64) -> u64 {
        if !self.changed.is_empty() {
            now_ms
        } else if !self.to_look_at.is_empty() {
            now_ms + KEY_FILES_TURN_MS_MAX
        } else {
            self.cycle_due_ms
        }
    }

    /// The names to be read now, a bounded number; more are left for the next turn.
    ///
    /// `in_use` is asked at the beginning of a cycle only.
    pub(super) fn turn(
        &mut self,
        now_ms: u64,
        in_use: impl FnOnce() -> Vec<String>,
    ) -> Vec<String> {
        self.drain_inotify();
        if self.to_look_at.is_empty() && now_ms >= self.cycle_due_ms {
            self.cycle_due_ms = now_ms + RESCAN_CYCLE_MS;
            self.rewatch();
            self.to_look_at = in_use();
            self.to_look_at.sort_unstable();
            let names = &self.to_look_at;
            self.looks.retain(|name, _| names.binary_search(name).is_ok());
        }
        self.look_on();
        let taken: Vec<String> =
            self.changed.iter().take(KEY_CHANGES_PER_TURN_MAX).cloned().collect();
        for name in &taken {
            self.changed.remove(name);
        }
        taken
    }

    /// A directory that was moved away or replaced needs a new watch; for an unchanged one this
    /// is the same watch again. A new one may have missed something.
    fn rewatch(&mut self) {
        let Some(inotify) = &self.inotify else { return };
        let watch = inotify.add_watch(&self.directory, watched_events()).ok();
        if watch != self.watch {
            self.watch = watch;
            self.looks.clear();
        }
    }

    fn drain_inotify(&mut self) {
        let Some(inotify) = &self.inotify else { return };
        for _ in 0..INOTIFY_READS_PER_TURN_MAX {
            let events = match inotify.read_events() {
                Ok(events) => events,
                Err(Errno::EINTR) => continue,
                Err(_) => return,
            };
            for event in events {
                let is_lost = event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW)
                    || self.changed.len() >= KEY_CHANGES_PENDING_MAX;
                if is_lost {
                    self.looks.clear();
                    self.cycle_due_ms = 0;
                } else if let Some(name) = event.name.and_then(|name| name.into_string().ok()) {
                    self.changed.insert(name);
                }
            }
        }
    }

    fn look_on(&mut self) {
        let begun = Instant::now();
        let budget = Duration::from_millis(KEY_FILES_TURN_MS_MAX);
        while let Some(name) = self.to_look_at.pop() {
            let look = take_look(&self.directory.join(&name));
            // A name looked at for the first time is read too: it may have changed since the
            // registry read it.
            if self.looks.get(&name) != Some(&look) {
                self.looks.insert(name.clone(), look);
                self.changed.insert(name);
            }
            if begun.elapsed() >= budget {
                break;
            }
        }
    }
}

fn watched_events() -> AddWatchFlags {
    AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_CLOSE_WRITE
        | AddWatchFlags::IN_MOVE
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_ATTRIB
        | AddWatchFlags::IN_ONLYDIR
}

fn take_look(path: &Path) -> FileLook {
    let facts = fs::metadata(path).ok()?;
    Some((
        facts.dev(),
        facts.ino(),
        facts.len(),
        facts.mtime(),
        facts.mtime_nsec(),
        facts.ctime(),
        facts.ctime_nsec(),
    ))
}
