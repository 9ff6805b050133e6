//! Word of changed files at once: the directories certificates come from, watched with inotify.
//!
//! The certificate directory is watched as a whole; the file's name says which certificate it is. Any
//! other file is watched by the entries that lead to it (`links`). What inotify cannot see (network
//! file systems, more directories than the system or [`DIRECTORIES_WATCHED_MAX`] allow) is found by
//! looking at every file in turn, as ever; that is said once.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};

use super::Slot;
use super::links::Entry;
use crate::tls::limits::{DIRECTORIES_WATCHED_MAX, INOTIFY_READS_MAX};

/// The watched directories.
#[derive(Debug)]
pub(super) struct FileWatch {
    /// `None` where the system gives none.
    inotify: Option<Inotify>,
    directories: HashMap<WatchDescriptor, Directory>,
    by_path: HashMap<PathBuf, WatchDescriptor>,
    /// The entries each slot is watched by.
    by_slot: HashMap<Slot, Vec<Entry>>,
    /// The certificate directory.
    listed: Option<WatchDescriptor>,
    /// Whether it was said that something is not watched.
    is_said: bool,
}

#[derive(Debug)]
struct Directory {
    path: PathBuf,
    /// Who depends on which entry.
    slots: HashMap<OsString, BTreeSet<Slot>>,
}

/// What changed since the last call.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Files of these changed, or ways to them.
    pub(super) slots: BTreeSet<Slot>,
    /// Entries of the certificate directory.
    pub(super) listed: BTreeSet<OsString>,
    /// Something was missed: everything is to be looked at.
    pub(super) is_incomplete: bool,
}

impl FileWatch {
    pub(super) fn new() -> Self {
        let mut watch = Self {
            inotify: None,
            directories: HashMap::new(),
            by_path: HashMap::new(),
            by_slot: HashMap::new(),
            listed: None,
            is_said: false,
        };
        match Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC) {
            Ok(inotify) => watch.inotify = Some(inotify),
            Err(error) => watch.say_unwatched(&error.into()),
        }
        watch
    }

    /// What to poll.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(AsFd::as_fd)
    }

    /// Watches the certificate directory, again if it was replaced. Answers whether the watch is new:
    /// what happened before was not seen then.
    pub(super) fn list(&mut self, path: &Path) -> bool {
        let Some(inotify) = &self.inotify else { return false };
        let watch = match inotify.add_watch(path, events()) {
            Ok(watch) => watch,
            Err(error) => {
                self.listed = None;
                self.say_unwatched(&error.into());
                return false;
            }
        };
        self.listed.replace(watch) != Some(watch)
    }

    /// Whether changes of the certificate directory are told.
    pub(super) fn is_listed(&self) -> bool {
        self.listed.is_some()
    }

    /// Watches `slot` by these entries and by no others.
    pub(super) fn follow(&mut self, slot: &Slot, mut entries: Vec<Entry>) {
        entries.sort_unstable();
        entries.dedup();
        if self.by_slot.get(slot).map_or(&[][..], |known| known) == entries {
            return;
        }
        self.forget(slot);
        for entry in &entries {
            let Some(watch) = self.watch(&entry.directory) else { continue };
            if let Some(directory) = self.directories.get_mut(&watch) {
                let slots = directory.slots.entry(entry.name.clone()).or_default();
                slots.insert(slot.clone());
            }
        }
        if !entries.is_empty() {
            self.by_slot.insert(slot.clone(), entries);
        }
    }

    /// Watches `slot` no longer.
    pub(super) fn forget(&mut self, slot: &Slot) {
        for entry in self.by_slot.remove(slot).unwrap_or_default() {
            let Some(&watch) = self.by_path.get(&entry.directory) else { continue };
            let Some(directory) = self.directories.get_mut(&watch) else { continue };
            if let Some(slots) = directory.slots.get_mut(&entry.name) {
                slots.remove(slot);
                if slots.is_empty() {
                    directory.slots.remove(&entry.name);
                }
            }
            if directory.slots.is_empty() {
                self.drop_directory(watch);
                if let (Some(inotify), true) = (&self.inotify, self.listed != Some(watch)) {
                    // Gone already if the directory is.
                    let _ = inotify.rm_watch(watch);
                }
            }
        }
    }

    /// Directories watched now.
    pub(super) fn len(&self) -> usize {
        let listed = self.listed.filter(|watch| !self.directories.contains_key(watch));
        self.directories.len() + usize::from(listed.is_some())
    }

    /// What happened since the last call, a bounded part of it: more is left to poll for.
    pub(super) fn news(&mut self) -> News {
        let mut news = News::default();
        for _ in 0..INOTIFY_READS_MAX {
            let Some(inotify) = &self.inotify else { break };
            match inotify.read_events() {
                Ok(events) => events.into_iter().for_each(|event| self.note(event, &mut news)),
                Err(Errno::EINTR) => {}
                Err(_) => break,
            }
        }
        news
    }

    fn note(&mut self, event: InotifyEvent, news: &mut News) {
        if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            news.is_incomplete = true;
            return;
        }
        let is_gone = event.mask.intersects(
            AddWatchFlags::IN_IGNORED
                | AddWatchFlags::IN_UNMOUNT
                | AddWatchFlags::IN_DELETE_SELF
                | AddWatchFlags::IN_MOVE_SELF,
        );
        if is_gone {
            self.note_gone(event.wd, news);
            return;
        }
        let Some(name) = event.name else { return };
        if let Some(directory) = self.directories.get(&event.wd)
            && let Some(slots) = directory.slots.get(&name)
        {
            news.slots.extend(slots.iter().cloned());
        }
        if self.listed == Some(event.wd) {
            news.listed.insert(name);
        }
    }

    /// The directory is elsewhere or nowhere: who depends on it looks for another way.
    fn note_gone(&mut self, watch: WatchDescriptor, news: &mut News) {
        if self.listed == Some(watch) {
            self.listed = None;
            news.is_incomplete = true;
        }
        if let Some(directory) = self.drop_directory(watch) {
            for slot in directory.slots.into_values().flatten() {
                self.forget(&slot);
                news.slots.insert(slot);
            }
        }
        if let Some(inotify) = &self.inotify {
            // One that was moved away is watched still.
            let _ = inotify.rm_watch(watch);
        }
    }

    fn drop_directory(&mut self, watch: WatchDescriptor) -> Option<Directory> {
        let directory = self.directories.remove(&watch)?;
        self.by_path.remove(&directory.path);
        Some(directory)
    }

    fn watch(&mut self, path: &Path) -> Option<WatchDescriptor> {
        let known = self.by_path.get(path).filter(|watch| self.directories.contains_key(watch));
        if let Some(&watch) = known {
            return Some(watch);
        }
        let inotify = self.inotify.as_ref()?;
        if self.directories.len() >= DIRECTORIES_WATCHED_MAX {
            self.say_unwatched(&Errno::ENOSPC.into());
            return None;
        }
        match inotify.add_watch(path, events()) {
            Ok(watch) => {
                self.by_path.insert(path.to_path_buf(), watch);
                let slots = HashMap::new();
                self.directories
                    .entry(watch)
                    .or_insert_with(|| Directory { path: path.to_path_buf(), slots });
                Some(watch)
            }
            // The way there changed meanwhile; looking finds out.
            Err(Errno::ENOENT | Errno::ENOTDIR) => None,
            Err(error) => {
                self.say_unwatched(&error.into());
                None
            }
        }
    }

    fn say_unwatched(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.is_said, true) {
            tracing::warn!(%error, "not all certificates are watched; looking at them takes longer");
        }
    }
}

fn events() -> AddWatchFlags {
    AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_CLOSE_WRITE
        | AddWatchFlags::IN_MOVE
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_ATTRIB
        | AddWatchFlags::IN_DELETE_SELF
        | AddWatchFlags::IN_MOVE_SELF
        | AddWatchFlags::IN_ONLYDIR
}
