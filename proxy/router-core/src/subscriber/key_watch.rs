//! The `sign-check` directory: public keys by file name, and word of every change.
//!
//! A key that changes or vanishes must take its nodes out of service at once, so the directory is
//! watched with inotify. That misses changes behind symbolic links, on network file systems and
//! of a directory that is replaced; therefore every key file in use is also looked at about once
//! a second, in slices that never keep the thread for long. Names come in as files are read and
//! go when nobody needs them any more: no step looks at all of them at once. The directory is the
//! operator's and trusted; names are not, they come from subscription keys.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use subscribe::KeyFiles;
use subscribe::limits::KEY_FILE_BYTES_MAX;

use super::key_directories::is_entry_name;
use super::limits::{
    INOTIFY_READS_PER_TURN_MAX, KEY_CHANGES_PENDING_MAX, KEY_CHANGES_PER_TURN_MAX,
    KEY_FILES_REST_MS, KEY_FILES_TURN_MAX, KEY_LOOKS_PER_CLOCK, RESCAN_CYCLE_MS, SETTLED_AFTER_S,
};

/// Reads key files out of one directory.
#[derive(Debug)]
pub(super) struct SignDirectory {
    path: Option<PathBuf>,
    /// Files read since [`SignDirectory::take_read`]. Only what is there gets here, so senders
    /// cannot make it longer than the directory.
    read: Vec<Watched>,
}

impl SignDirectory {
    /// `None` for a router that checks no signatures: it has no key file at all.
    ///
    /// # Errors
    /// If the path cannot be listed.
    pub(super) fn open(path: Option<PathBuf>) -> io::Result<Self> {
        if let Some(path) = &path {
            drop(fs::read_dir(path)?);
        }
        Ok(Self { path, read: Vec::new() })
    }

    /// The files read since the last call.
    pub(super) fn take_read(&mut self) -> Vec<Watched> {
        std::mem::take(&mut self.read)
    }

    fn file(&self, name: &str) -> Option<PathBuf> {
        self.path.as_ref().filter(|_| is_entry_name(name)).map(|path| path.join(name))
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
        let facts = file.metadata().ok()?;
        if !facts.is_file() || facts.len() > KEY_FILE_BYTES_MAX as u64 {
            return None;
        }
        // With room for more than there is, one read takes all and another one finds the end.
        let mut bytes = Vec::with_capacity(facts.len() as usize + READ_SLACK_BYTES);
        let read = file.take(KEY_FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).ok()?;
        if read > KEY_FILE_BYTES_MAX {
            return None;
        }
        self.read.push(Watched { name: file_name.into(), look: settled_look(&facts) });
        Some(bytes)
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
    /// Every file in use, the one looked at longest ago first.
    ring: VecDeque<Watched>,
    /// The names in the ring.
    known: HashSet<Arc<str>>,
    /// Files of the ring still to be looked at in this cycle.
    left_in_cycle: usize,
    cycle_due_ms: u64,
}

/// A key file that was read.
#[derive(Debug)]
pub(super) struct Watched {
    name: Arc<str>,
    /// As it was read; `None` if it must be read again whatever it looks like.
    look: Option<FileLook>,
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
            ring: VecDeque::new(),
            known: HashSet::new(),
            left_in_cycle: 0,
            cycle_due_ms: 0,
        };
        watch.rewatch();
        watch
    }

    /// What to poll for changes.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(AsFd::as_fd)
    }

    /// Watches the files that were read.
    pub(super) fn note_read(&mut self, files: Vec<Watched>) {
        for file in files {
            if self.known.insert(Arc::clone(&file.name)) {
                self.ring.push_front(file);
                self.left_in_cycle += 1;
            }
        }
    }

    /// Watches files that somebody else read: each is read here once, in its turn.
    pub(super) fn note_unread<'n>(&mut self, names: impl Iterator<Item = &'n str>) {
        let unread = |name: &str| Watched { name: name.into(), look: None };
        self.note_read(names.map(unread).collect());
    }

    /// When the next turn is due, on the thread's clock in milliseconds. While a cycle is under
    /// way, looking takes at most a part of the time.
    pub(super) fn due_ms(&self, now_ms: u64) -> u64 {
        if !self.changed.is_empty() {
            now_ms
        } else if self.left_in_cycle > 0 {
            now_ms + KEY_FILES_REST_MS
        } else {
            self.cycle_due_ms
        }
    }

    /// The names to be read now, a bounded number; more are left for the next turn.
    pub(super) fn take_changed(&mut self) -> Vec<String> {
        self.drain_inotify();
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
            forget_looks(&mut self.ring);
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
                    forget_looks(&mut self.ring);
                    self.cycle_due_ms = 0;
                } else if let Some(name) = event.name.and_then(|name| name.into_string().ok()) {
                    self.changed.insert(name);
                }
            }
        }
    }

    /// Looks at some of the files. Those that changed are found by the next
    /// [`KeyWatch::take_changed`], which is due at once then.
    ///
    /// `in_use` says whether anybody needs the file still, `is_wanted` whether the thread has
    /// something to do that does not wait.
    pub(super) fn look(
        &mut self,
        now_ms: u64,
        in_use: impl Fn(&str) -> bool,
        is_wanted: impl Fn() -> bool,
    ) {
        if self.left_in_cycle == 0 && now_ms >= self.cycle_due_ms {
            self.cycle_due_ms = now_ms + RESCAN_CYCLE_MS;
            self.rewatch();
            self.left_in_cycle = self.ring.len();
        }
        let begun = Instant::now();
        for looked in 1.. {
            // What changed is read before more is found: neither list outgrows its bound.
            if self.left_in_cycle == 0 || self.changed.len() >= KEY_CHANGES_PENDING_MAX {
                return;
            }
            self.left_in_cycle -= 1;
            let Some(mut watched) = self.ring.pop_front() else { return };
            if !in_use(&watched.name) {
                self.known.remove(&watched.name);
                continue;
            }
            let look = take_look(&self.directory.join(&*watched.name));
            if watched.look != Some(look) {
                watched.look = Some(look);
                self.changed.insert(watched.name.to_string());
            }
            self.ring.push_back(watched);
            if looked % KEY_LOOKS_PER_CLOCK == 0
                && (begun.elapsed() >= KEY_FILES_TURN_MAX || is_wanted())
            {
                return;
            }
        }
    }
}

/// Something may have been missed: every file is read again in the next cycle.
fn forget_looks(ring: &mut VecDeque<Watched>) {
    ring.iter_mut().for_each(|watched| watched.look = None);
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
    fs::metadata(path).ok().as_ref().map(outside)
}

/// The outside of a file that was changed so long ago that another change would show. One that was
/// not may change while it is read and look the same, so it is read again.
fn settled_look(facts: &Metadata) -> Option<FileLook> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs().cast_signed();
    (facts.ctime() < now - SETTLED_AFTER_S).then(|| Some(outside(facts)))
}

fn outside(facts: &Metadata) -> (u64, u64, u64, i64, i64, i64, i64) {
    (
        facts.dev(),
        facts.ino(),
        facts.len(),
        facts.mtime(),
        facts.mtime_nsec(),
        facts.ctime(),
        facts.ctime_nsec(),
    )
}

/// Room beyond a file's length with which the standard library reads without trying a small read
/// first.
const READ_SLACK_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with these files, all read, and who watches it without inotify.
    fn watched(names: &[&str]) -> (tempfile::TempDir, SignDirectory, KeyWatch) {
        let dir = tempfile::tempdir().expect("a directory");
        let mut keys = SignDirectory::open(Some(dir.path().to_owned())).expect("opens");
        let mut watch = KeyWatch::new(dir.path());
        watch.inotify = None;
        for name in names {
            fs::write(dir.path().join(name), "key").expect("writes");
            assert!(keys.read(name).is_some());
        }
        assert!(keys.read("missing.pem").is_none());
        watch.note_read(keys.take_read());
        (dir, keys, watch)
    }

    /// One turn: looks, then the names to be read.
    fn turn(watch: &mut KeyWatch, now_ms: u64, in_use: impl Fn(&str) -> bool) -> Vec<String> {
        watch.look(now_ms, in_use, || false);
        watch.take_changed()
    }

    /// One cycle: the names to be read.
    fn cycle(watch: &mut KeyWatch, in_use: impl Fn(&str) -> bool + Copy) -> Vec<String> {
        let now_ms = watch.cycle_due_ms;
        let mut changed = turn(watch, now_ms, in_use);
        while watch.left_in_cycle > 0 || !watch.changed.is_empty() {
            changed.extend(turn(watch, now_ms, in_use));
        }
        changed.sort_unstable();
        changed
    }

    #[test]
    fn a_file_read_while_it_was_new_is_read_once_more_and_then_only_when_it_changes() {
        let (dir, _keys, mut watch) = watched(&["a.pem", "b.pem"]);
        assert_eq!(cycle(&mut watch, |_| true), ["a.pem", "b.pem"]);
        assert!(cycle(&mut watch, |_| true).is_empty());
        fs::write(dir.path().join("b.pem"), "another key").expect("writes");
        assert_eq!(cycle(&mut watch, |_| true), ["b.pem"]);
        fs::remove_file(dir.path().join("a.pem")).expect("removes");
        assert_eq!(cycle(&mut watch, |_| true), ["a.pem"]);
        assert!(cycle(&mut watch, |_| true).is_empty());
    }

    #[test]
    fn a_file_nobody_needs_is_forgotten_until_it_is_read_again() {
        let (_dir, mut keys, mut watch) = watched(&["a.pem", "b.pem", "b.pem"]);
        assert_eq!((watch.ring.len(), watch.known.len()), (2, 2), "missing files are not kept");
        assert_eq!(cycle(&mut watch, |name| name == "a.pem"), ["a.pem"]);
        assert_eq!((watch.ring.len(), watch.known.len()), (1, 1));
        keys.read("b.pem").expect("it is there");
        watch.note_read(keys.take_read());
        assert_eq!(cycle(&mut watch, |_| true), ["b.pem"]);
        assert_eq!(watch.ring.len(), 2);
    }

    #[test]
    fn a_turn_stops_within_its_time_and_the_next_goes_on() {
        let names: Vec<String> = (0..2_000).map(|n| format!("{n}.pem")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (_dir, _keys, mut watch) = watched(&names);
        let mut found = turn(&mut watch, 0, |_| true);
        assert!(found.len() <= KEY_CHANGES_PER_TURN_MAX);
        found.extend(cycle(&mut watch, |_| true));
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), names.len(), "none is missed");
    }

    #[test]
    fn looking_stops_soon_when_the_thread_is_wanted_and_goes_on_later() {
        let names: Vec<String> = (0..100).map(|n| format!("{n}.pem")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (_dir, _keys, mut watch) = watched(&names);
        watch.look(0, |_| true, || true);
        assert_eq!(watch.left_in_cycle, names.len() - KEY_LOOKS_PER_CLOCK);
        assert_eq!(cycle(&mut watch, |_| true).len(), names.len(), "none is missed");
    }

    #[test]
    fn a_key_file_of_any_length_is_read_whole_or_not_at_all() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut keys = SignDirectory::open(Some(dir.path().to_owned())).expect("opens");
        for bytes in [0, 1, 31, 64, 451, 8192, KEY_FILE_BYTES_MAX] {
            fs::write(dir.path().join("a.pem"), vec![b'x'; bytes]).expect("writes");
            assert_eq!(keys.read("a.pem"), Some(vec![b'x'; bytes]));
        }
        fs::write(dir.path().join("a.pem"), vec![b'x'; KEY_FILE_BYTES_MAX + 1]).expect("writes");
        assert_eq!(keys.read("a.pem"), None);
    }
}
