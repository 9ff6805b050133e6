//! A look at a name's files, and what it came to: for one name, or for all of them on all CPUs.
//!
//! At start a router may have a hundred thousand pairs to read, and what it takes is almost all
//! reading and checking of keys, each pair for itself. Workers do not serve yet, so every CPU helps.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use rustls::crypto::CryptoProvider;

use super::Slot;
use super::confine::CertRoots;
use super::flaw::Scrutiny;
use super::notice::Chance;
use super::outcome::{Outcome, judge};
use super::pair::CertError;
use super::tracked::{Look, Tracked, is_outside};
use crate::tls::cert_store::CertCounters;
use crate::tls::limits::{LOAD_THREAD_NAMES_MIN, SIGNATURES_AT_START_MAX};

/// What judging a name takes besides the name.
#[derive(Clone, Copy)]
pub(super) struct Judge<'l> {
    roots: &'l CertRoots,
    provider: &'l Arc<CryptoProvider>,
    counters: &'l CertCounters,
    now_unix: u64,
    scrutiny: Scrutiny,
}

impl<'l> Judge<'l> {
    pub(super) fn new(
        roots: &'l CertRoots,
        provider: &'l Arc<CryptoProvider>,
        counters: &'l CertCounters,
        now_unix: u64,
    ) -> Self {
        Self { roots, provider, counters, now_unix, scrutiny: Scrutiny::Signatures }
    }

    /// Looks at one name's files and judges what changed.
    pub(super) fn refresh(&self, slot: &Slot, tracked: &mut Tracked, chance: Chance) -> Outcome {
        let now_unix = self.now_unix.cast_signed();
        let judged = match tracked.look(self.roots, self.now_unix) {
            Look::Unchanged => return Outcome::Unchanged,
            Look::Unreadable(error) => Err(error),
            Look::Changed(pair) => {
                judge(slot, tracked, &pair, self.provider, now_unix, self.scrutiny)
            }
        };
        match judged {
            Ok((entry, flaw)) => {
                self.counters.loads.fetch_add(1, Ordering::Relaxed);
                tracked.complaint = None;
                tracked.serving = Some(Arc::clone(&entry));
                tracked.since_unix = Some(self.now_unix);
                Outcome::loaded(slot, entry, flaw)
            }
            Err(error) => self.refuse(tracked, error, chance),
        }
    }

    fn refuse(&self, tracked: &mut Tracked, error: CertError, chance: Chance) -> Outcome {
        let complaint = error.to_string();
        if tracked.complaint.as_ref() == Some(&complaint) {
            return Outcome::Unchanged;
        }
        if chance == Chance::First {
            tracked.forget_looks();
            return Outcome::Doubtful;
        }
        self.counters.load_failures.fetch_add(1, Ordering::Relaxed);
        if is_outside(&error) {
            self.counters.paths_refused.fetch_add(1, Ordering::Relaxed);
        }
        tracked.complaint = Some(complaint);
        Outcome::Refused(error)
    }

    /// [`Judge::refresh`] for all names but the default, in their order. Of many, signatures in
    /// chains are left to clients: nothing better is served that they could replace.
    pub(super) fn refresh_all(
        mut self,
        tracked: &mut BTreeMap<Slot, Tracked>,
    ) -> Vec<(Slot, Outcome)> {
        let named = tracked.iter_mut().filter(|(slot, _)| slot.name().is_some());
        let mut named: Vec<(&Slot, &mut Tracked)> = named.collect();
        if named.len() > SIGNATURES_AT_START_MAX {
            self.scrutiny = Scrutiny::Names;
        }
        let cpus = thread::available_parallelism().map_or(1, usize::from);
        let threads = cpus.min(named.len().div_ceil(LOAD_THREAD_NAMES_MIN)).max(1);
        let share = named.len().div_ceil(threads).max(1);
        thread::scope(|scope| {
            let parts = named.chunks_mut(share).map(|part| scope.spawn(|| self.refresh_part(part)));
            let parts: Vec<_> = parts.collect();
            let outcomes = parts.into_iter().map(|part| {
                part.join().unwrap_or_else(|panic| {
                    resume_unwind(panic) // as if it had happened here
                })
            });
            outcomes.flatten().collect()
        })
    }

    fn refresh_part(&self, part: &mut [(&Slot, &mut Tracked)]) -> Vec<(Slot, Outcome)> {
        let judged = |(slot, tracked): &mut (&Slot, &mut Tracked)| {
            (slot.clone(), self.refresh(slot, tracked, Chance::Last))
        };
        part.iter_mut().map(judged).collect()
    }
}
