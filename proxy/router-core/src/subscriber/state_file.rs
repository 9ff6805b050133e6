//! The state file: a journal of subscriptions from which the table is back after a crash.
//!
//! Changes of a turn are appended before its publish, so that whatever was taken away is gone from
//! the file before it is gone from the table. "In the file" means given to the kernel: that survives
//! the end of the process, not that of the machine. Another thread (`rewrite`) makes a file that has
//! grown short again; this one never waits for more than one write per turn.
//!
//! A file that misses a change would bring back who had left. So one that cannot be written is
//! removed at once, and a new one is tried later; and a file nobody has kept alive for one lease, as
//! every living router does each second, counts no more (`header`).

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use subscribe::{Now, Registry, state};

use super::counters::{SubscriptionCounters, bump};
use super::limits::{
    STATE_BEAT_MS, STATE_FILE_BYTES_MAX, STATE_GROWTH_BYTES_MIN, STATE_RETRY_MS,
    STATE_TAIL_BYTES_MAX,
};

mod header;
mod rewrite;
#[cfg(test)]
mod tests;

use rewrite::{Made, Rewrite, Source};

/// The file, or the lack of it.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    in_force: Option<InForce>,
    /// A file that will take the place of the one in force.
    rewrite: Option<Rewrite>,
    /// Before this no other one is begun; never, while nothing is to be written.
    rewrite_ms: u64,
    beat_ms: u64,
    /// How far it may grow beyond twice what it began with, in bytes.
    growth_bytes_min: u64,
    /// Whether the lack of it was logged.
    is_missed: bool,
}

/// A file that holds every change up to now.
#[derive(Debug)]
struct InForce {
    file: File,
    bytes: u64,
    /// Its length when it was new.
    bytes_at_first: u64,
}

impl StateFile {
    /// Checks that there is a directory for it. Nothing is written before [`StateFile::begin`].
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn at(path: PathBuf) -> io::Result<Self> {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        if !fs::metadata(directory.unwrap_or(Path::new(".")))?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self {
            path,
            in_force: None,
            rewrite: None,
            rewrite_ms: u64::MAX,
            beat_ms: 0,
            growth_bytes_min: STATE_GROWTH_BYTES_MIN,
            is_missed: false,
        })
    }

    /// What a router that is gone left behind, as a state, if it is fit to be believed.
    pub(super) fn read(&self, lease_ms: u64) -> Option<Vec<u8>> {
        let refuse = |why: &dyn std::fmt::Display| {
            tracing::warn!(path = %self.path.display(), "state file is not used: {why}");
        };
        let journal = header::read(&self.path, lease_ms).map_err(|why| refuse(&why)).ok()??;
        state::replay(&journal).map_err(|why| refuse(&why)).ok()
    }

    /// Puts a file of what the registry holds in force, and waits for it: for the start.
    pub(super) fn begin(
        &mut self,
        registry: &mut Registry,
        now: Now,
        counters: &SubscriptionCounters,
    ) {
        let base = registry.record_changes(now);
        let made = rewrite::make(&self.path, Source::Journal(base));
        self.rewrite_ms = now.mono_ms + STATE_RETRY_MS;
        self.put_in_force(made, &[], registry, now, counters);
    }

    /// Writes what changed, before it is published, and whatever else is due.
    pub(super) fn turn(
        &mut self,
        registry: &mut Registry,
        now: Now,
        counters: &SubscriptionCounters,
    ) {
        let written = self.append(registry.changes()).and_then(|()| self.beat(now));
        registry.forget_changes();
        if let Err(error) = written {
            self.fail(&error, registry, now, counters);
        }
        if let Some((made, tail)) = Rewrite::take_done(&mut self.rewrite) {
            self.put_in_force(made, &tail, registry, now, counters);
        }
        if self.rewrite.is_none() && now.mono_ms >= self.rewrite_ms {
            self.begin_rewrite(registry, now);
        }
        let bytes = self.in_force.as_ref().map_or(0, |file| file.bytes);
        counters.state_file_bytes.store(bytes, Ordering::Relaxed);
    }

    /// The thread falls silent: a successor writes the file from now on, or nobody.
    pub(super) fn leave(&mut self, registry: &mut Registry) {
        registry.stop_recording();
        (self.in_force, self.rewrite, self.rewrite_ms) = (None, None, u64::MAX);
    }

    /// The thread goes on: what a successor may have written meanwhile is not what it will do.
    pub(super) fn return_to(&mut self, now: Now) {
        let _ = fs::remove_file(&self.path);
        self.rewrite_ms = now.mono_ms;
    }

    fn append(&mut self, changes: &[u8]) -> io::Result<()> {
        if let Some(rewrite) = &mut self.rewrite {
            rewrite.tail.extend_from_slice(changes);
            if rewrite.tail.len() > STATE_TAIL_BYTES_MAX {
                self.rewrite = None;
                if self.in_force.is_none() {
                    return Err(io::Error::other("changes come faster than it is written"));
                }
            }
        }
        let Some(InForce { file, bytes, .. }) = &mut self.in_force else { return Ok(()) };
        if !changes.is_empty() {
            file.write_all(changes)?;
            *bytes += changes.len() as u64;
        }
        if *bytes > STATE_FILE_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(())
    }

    /// Says that the router lives.
    fn beat(&mut self, now: Now) -> io::Result<()> {
        let Some(InForce { file, .. }) = &self.in_force else { return Ok(()) };
        if now.mono_ms < self.beat_ms {
            return Ok(());
        }
        self.beat_ms = now.mono_ms + STATE_BEAT_MS;
        file.write_all_at(&header::alive(), header::ALIVE_AT)
    }

    fn begin_rewrite(&mut self, registry: &mut Registry, now: Now) {
        let enough = |file: &InForce| 2 * file.bytes_at_first + self.growth_bytes_min;
        let source = match &self.in_force {
            Some(file) if file.bytes < enough(file) => return,
            Some(file) => match file.file.try_clone() {
                Ok(copy) => Source::File(copy, file.bytes),
                Err(_) => return,
            },
            None => Source::Journal(registry.record_changes(now)),
        };
        self.rewrite_ms = now.mono_ms + STATE_RETRY_MS;
        self.rewrite = Some(Rewrite::begin(self.path.clone(), source));
    }

    /// A file was made. It gets the changes of meanwhile, and the name.
    fn put_in_force(
        &mut self,
        made: io::Result<Made>,
        tail: &[u8],
        registry: &mut Registry,
        now: Now,
        counters: &SubscriptionCounters,
    ) {
        match made.and_then(|made| made.put_at(&self.path, tail)) {
            Ok((file, bytes)) => {
                self.in_force = Some(InForce { file, bytes, bytes_at_first: bytes });
                if std::mem::take(&mut self.is_missed) {
                    tracing::info!(path = %self.path.display(), "state file is written again");
                }
            }
            // The one in force is only longer than it could be.
            Err(_) if self.in_force.is_some() => bump(&counters.state_file_failures),
            Err(error) => self.fail(&error, registry, now, counters),
        }
    }

    /// Something could not be written. What is there would bring back who leaves from now on.
    fn fail(
        &mut self,
        error: &io::Error,
        registry: &mut Registry,
        now: Now,
        counters: &SubscriptionCounters,
    ) {
        bump(&counters.state_file_failures);
        let emptied = self.in_force.as_ref().is_some_and(|known| known.file.set_len(0).is_ok());
        let removed = match fs::remove_file(&self.path) {
            Ok(()) => true,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        self.leave(registry);
        self.rewrite_ms = now.mono_ms + STATE_RETRY_MS;
        if !std::mem::replace(&mut self.is_missed, true) {
            let path = self.path.display();
            tracing::error!(%path, %error, "no state file: a crash now would lose subscriptions");
        }
        if !emptied && !removed {
            tracing::error!(path = %self.path.display(), "the old state file cannot be removed");
        }
    }
}
