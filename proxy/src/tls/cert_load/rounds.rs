//! Looking at files: those that are known to have changed, and all of them in turn.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::directory::{Listing, split_name};
use super::links::{Entry, entries};
use super::notice::Chance;
use super::tracked::{PairTexts, Presence, Tracked};
use super::watch::News;
use super::{CertLoader, Slot, unix_now};
use crate::tls::cert_store::{CertChange, CertSource, Layer, Seat, ServedName};
use crate::tls::limits::{DIRECTORY_NAMES_MAX, NAMES_PER_LOOK, NAMES_POLLED_PER_ROUND_MAX};

impl CertLoader {
    /// Begins a round: the directory's listing, one generation at most. Then so many names' files
    /// are due for a look.
    pub(super) fn begin_round(&mut self) {
        let now_unix = unix_now();
        self.store.tickets().turn(now_unix);
        self.warn_of_expiry(now_unix);
        let mut changes = Vec::new();
        if let Err((_, error)) = self.list_directory(now_unix, &mut changes) {
            tracing::debug!(%error, "certificate directory not listed");
        }
        self.look_for_vanished(&mut changes);
        self.store.publish(changes);
        let watched = &self.store.counters().directories_watched;
        watched.store(self.watch.len() as u64, Ordering::Relaxed);
        self.left_in_round = self.tracked.len().min(NAMES_POLLED_PER_ROUND_MAX);
    }

    /// Looks at the next few names' files; one generation at most. Requests are served between two
    /// such steps, so that who brings a certificate does not wait for a round.
    pub(super) fn look_on(&mut self) {
        let now_unix = unix_now();
        let slots = self.next_slots(self.left_in_round.min(NAMES_PER_LOOK));
        self.left_in_round = self.left_in_round.saturating_sub(slots.len().max(1));
        let mut changes = Vec::new();
        for slot in slots {
            if !self.notices.expects(&slot) {
                changes.extend(self.look(&slot, Chance::Last, now_unix));
            }
        }
        self.store.publish(changes);
    }

    /// Takes what the watch has to tell.
    pub(super) fn listen(&mut self, now: Instant) {
        let news = self.watch.news();
        self.learn(news, now);
    }

    pub(super) fn learn(&mut self, news: News, now: Instant) {
        if news.is_incomplete {
            if let Some(directory) = &mut self.directory {
                directory.forget();
            }
            self.begin_round();
            self.left_in_round = self.tracked.len();
        }
        for entry in news.listed {
            self.adopt_entry(&entry, now);
        }
        for slot in news.slots {
            self.notices.note(slot, now);
        }
    }

    /// Looks at a few of the names whose files changed; one generation at most.
    pub(super) fn look_noticed(&mut self, now: Instant) {
        let due = self.notices.due(now, NAMES_PER_LOOK);
        if due.is_empty() {
            return;
        }
        let now_unix = unix_now();
        let mut changes = Vec::new();
        for (slot, chance) in due {
            // The way first: what changes behind it from now on is noticed.
            self.follow(&slot);
            changes.extend(self.look(&slot, chance, now_unix));
        }
        self.store.publish(changes);
    }

    /// Lists the directory if it changed, and follows it.
    pub(super) fn list_directory(
        &mut self,
        now_unix: u64,
        changes: &mut Vec<CertChange>,
    ) -> Result<(), (PathBuf, io::Error)> {
        let Some(directory) = &mut self.directory else { return Ok(()) };
        if self.watch.list(directory.path()) {
            directory.forget();
        }
        if self.watch.is_listed() && !directory.is_due(now_unix) {
            return Ok(());
        }
        let listed = directory.list(now_unix);
        let listing = listed.map_err(|error| (directory.path().into(), error))?;
        if let Some(listing) = listing {
            self.adopt(listing, changes);
        }
        Ok(())
    }

    /// Follows the directory: new names are tracked, names gone in two listings are dropped.
    fn adopt(&mut self, mut listing: Listing, changes: &mut Vec<CertChange>) {
        if listing.beyond_limit > 0 {
            tracing::warn!(names = listing.beyond_limit, "certificate directory holds too many");
        }
        let mut gone = Vec::new();
        let mut is_waiting = false;
        for (slot, tracked) in &mut self.tracked {
            let Slot::Directory(name, seat) = slot else { continue };
            let place = (name.clone(), *seat);
            if let Some(texts) = listing.pairs.remove(&place) {
                // Authorities that are being replaced may be missing for a moment, too.
                if tracked.texts.ca.is_some() && texts.ca.is_none() && tracked.scans_missing == 0 {
                    tracked.scans_missing = 1;
                    is_waiting = true;
                    continue;
                }
                tracked.scans_missing = 0;
                if tracked.texts != texts {
                    tracked.retarget(texts);
                }
            } else if !listing.halves.contains(&place) {
                tracked.scans_missing += 1;
                is_waiting = true;
                if tracked.scans_missing >= 2 {
                    gone.push(place);
                }
            }
        }
        for (name, seat) in gone {
            changes.push(self.leave(name, seat));
        }
        for ((name, seat), texts) in listing.pairs {
            let tracked = Tracked::new(CertSource::Directory, texts);
            self.tracked.insert(Slot::Directory(name, seat), tracked);
        }
        for name in listing.linked {
            for seat in Seat::ALL {
                self.follow(&Slot::Directory(name.clone(), seat));
            }
        }
        if let (true, Some(directory)) = (is_waiting, &mut self.directory) {
            directory.forget();
        }
    }

    /// An entry of the directory changed. What is gone, or not whole yet, is left to the next listing.
    fn adopt_entry(&mut self, entry: &OsStr, now: Instant) {
        let Some(directory) = &self.directory else { return };
        let Some(file) = split_name(Path::new(entry)) else { return };
        let pairs = directory.pairs_beside(entry);
        for seat in Seat::ALL {
            let slot = Slot::Directory(file.name.clone(), seat);
            if self.tracked.get(&slot).is_some_and(|tracked| tracked.presence() != Presence::Whole)
            {
                self.vanished.insert(slot);
            }
        }
        for (name, seat, texts) in pairs {
            self.adopt_pair(Slot::Directory(name, seat), texts, now);
        }
    }

    /// Files that are gone may be on their way back for a moment: they count when they are missed twice.
    fn look_for_vanished(&mut self, changes: &mut Vec<CertChange>) {
        for slot in std::mem::take(&mut self.vanished) {
            let Some(tracked) = self.tracked.get_mut(&slot) else { continue };
            let presence = tracked.presence();
            if presence == Presence::Whole {
                tracked.scans_missing = 0;
                continue;
            }
            tracked.scans_missing += u32::from(presence != Presence::Half);
            match (&slot, presence, tracked.scans_missing) {
                (Slot::Directory(name, seat), Presence::Gone, 2..) => {
                    changes.push(self.leave(name.clone(), *seat));
                }
                (_, Presence::Unguarded, 2..) => {
                    tracked.scans_missing = 0;
                    let texts = PairTexts { ca: None, ..tracked.texts.clone() };
                    tracked.retarget(texts);
                    self.notices.note(slot, Instant::now());
                }
                _ => drop(self.vanished.insert(slot)),
            }
        }
    }

    fn leave(&mut self, name: ServedName, seat: Seat) -> CertChange {
        let slot = Slot::Directory(name.clone(), seat);
        tracing::info!(name = slot.to_string(), "certificate left the directory");
        self.tracked.remove(&slot);
        self.watch.forget(&slot);
        self.store.troubles().clear(&slot.to_string());
        CertChange::Remove(Layer::Operator, name, seat)
    }

    fn adopt_pair(&mut self, slot: Slot, texts: PairTexts, now: Instant) {
        let is_full = self.tracked.len() - self.subscribed > DIRECTORY_NAMES_MAX;
        match self.tracked.get_mut(&slot) {
            // Authorities that are gone may be on their way.
            Some(tracked) if tracked.texts.ca.is_some() && texts.ca.is_none() => return,
            Some(tracked) if tracked.texts != texts => tracked.retarget(texts),
            Some(_) => {}
            None if is_full => return,
            None => {
                let tracked = Tracked::new(CertSource::Directory, texts);
                self.tracked.insert(slot.clone(), tracked);
            }
        }
        self.notices.note(slot, now);
    }

    /// Watches the way to a name's files as it is now.
    pub(super) fn follow(&mut self, slot: &Slot) {
        let Some(tracked) = self.tracked.get(slot) else { return };
        let root = Path::new("/");
        let ways: BTreeSet<Entry> = match slot {
            Slot::Directory(name, _) => {
                let path =
                    self.directory.as_ref().map(|directory| fs::canonicalize(directory.path()));
                let Some(Ok(base)) = path else { return };
                let files = tracked.texts.paths().filter_map(Path::file_name);
                let ways = files.flat_map(|file| entries(&base, Path::new(file), |_| true));
                // The directory is watched as it is, and its files are known by their names.
                let is_named = |entry: &Entry| {
                    entry.directory == base
                        && split_name(Path::new(&entry.name)).is_some_and(|file| file.name == *name)
                };
                ways.filter(|entry| !is_named(entry)).collect()
            }
            Slot::Default(_) => {
                let paths = tracked.texts.paths().filter_map(|path| std::path::absolute(path).ok());
                paths.flat_map(|path| entries(root, &path, |_| true)).collect()
            }
            Slot::Subscription(_) => {
                let paths = tracked.texts.paths().filter(|path| self.roots.admits(path));
                paths.flat_map(|path| entries(root, path, |at| self.roots.lead_to(at))).collect()
            }
        };
        self.watch.follow(slot, ways.into_iter().collect());
    }

    /// The next names in turn, at most so many, each at most once.
    pub(super) fn next_slots(&mut self, most: usize) -> Vec<Slot> {
        let first = Slot::Default(Seat::PLAIN);
        let after = self.cursor.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let up_to = self.cursor.as_ref().map_or(Bound::Excluded(&first), Bound::Included);
        let rest = self.tracked.range((after, Bound::Unbounded));
        let wrapped = self.tracked.range((Bound::Unbounded, up_to));
        let slots: Vec<Slot> =
            rest.chain(wrapped).map(|(slot, _)| slot.clone()).take(most).collect();
        self.cursor = slots.last().cloned();
        slots
    }

    /// A whole round.
    #[cfg(test)]
    pub(super) fn tick(&mut self) {
        if let Some(directory) = &mut self.directory {
            directory.forget();
        }
        self.begin_round();
        while self.left_in_round > 0 {
            self.look_on();
        }
    }
}
