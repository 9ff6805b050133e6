//! Which vassal is asked for when: one command per vassal while it starts, rarer ones while it fails.
//!
//! Pure: names and times come in, a name goes out. Of several vassals of a key one is asked for at a
//! time, of the lowest backup level that sleeps; one that did not come gives way to the next.

use std::{collections::HashMap, sync::Arc};

use route_table::{Node, Route, Speech, Table};

/// How long a vassal has to announce itself before it is asked for again, at first and at most: each
/// command that brought nothing doubles it.
const AGAIN_MS: u64 = 5_000;
const AGAIN_MS_MAX: u64 = 60_000;
/// The same after a command that could not be sent.
const UNSENT_MS: u64 = 1_000;
/// How long a vassal is remembered that nobody asks for any more.
const FORGET_MS: u64 = 2 * AGAIN_MS_MAX;
/// Most vassals remembered; others are not asked for meanwhile.
const ENTRIES_MAX: usize = 65_536;

/// The vassals that were asked for and have not come.
#[derive(Debug, Default)]
pub struct Agenda {
    by_vassal: HashMap<Box<str>, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// The route of its key when it was asked for.
    before: Arc<Route>,
    /// Commands so far.
    commands: u32,
    /// Before this time none is sent.
    next_ms: u64,
    /// The last one could not be sent, for nobody is there.
    is_away: bool,
}

/// Why a command could not be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unsent {
    /// The emperor has as many as it can hold.
    Busy,
    /// It cannot be reached.
    Away,
}

/// What there is to do for a key.
#[derive(Debug, Eq, PartialEq)]
pub enum Step {
    /// This vassal is asked for now.
    Spawn(Box<str>),
    /// One is starting, or none is left.
    Wait,
    /// The emperor could not be reached, a moment ago.
    Away,
}

impl Agenda {
    /// Whether nobody is remembered.
    pub fn is_empty(&self) -> bool {
        self.by_vassal.is_empty()
    }

    /// The next step for the key of `route`.
    pub fn step(&mut self, route: &Arc<Route>, speech: Speech, now_ms: u64) -> Step {
        let speaks = route.asleep().filter(|node| speech.suits(node.facts.proto));
        let Some(level) = speaks.clone().map(|node| node.facts.backup).min() else {
            return Step::Wait;
        };
        let level = speaks.filter(|node| node.facts.backup == level);
        let names = level.filter_map(|node| node.facts.vassal());
        let pending = names.clone().filter_map(|name| self.by_vassal.get(name));
        if let Some(entry) = pending.clone().find(|entry| entry.next_ms > now_ms) {
            return if entry.is_away { Step::Away } else { Step::Wait };
        }
        let commands = |name: &&str| self.by_vassal.get(*name).map_or(0, |entry| entry.commands);
        let Some(name) = names.min_by_key(commands) else { return Step::Wait };
        if !self.by_vassal.contains_key(name) && self.by_vassal.len() >= ENTRIES_MAX {
            return Step::Wait;
        }
        let fresh = || Entry { before: route.clone(), commands: 0, next_ms: 0, is_away: false };
        let entry = self.by_vassal.entry(name.into()).or_insert_with(fresh);
        entry.next_ms = now_ms + (AGAIN_MS << entry.commands.min(16)).min(AGAIN_MS_MAX);
        entry.commands = entry.commands.saturating_add(1);
        entry.is_away = false;
        Step::Spawn(name.into())
    }

    /// The command for `vassal` could not be sent.
    pub fn note_unsent(&mut self, vassal: &str, why: Unsent, now_ms: u64) {
        if let Some(entry) = self.by_vassal.get_mut(vassal) {
            entry.commands = entry.commands.saturating_sub(1);
            entry.next_ms = now_ms + UNSENT_MS;
            entry.is_away = why == Unsent::Away;
        }
    }

    /// Forgets the vassals whose keys are served again, and those nobody asks for. A vassal that
    /// falls asleep afterwards is asked for at once.
    pub fn sweep(&mut self, table: &Table, now_ms: u64) {
        self.by_vassal.retain(|_, entry| {
            let now = table.get(entry.before.key().as_str());
            let is_served = now.is_some_and(|now| has_joined(now, &entry.before));
            !is_served && now_ms < entry.next_ms + FORGET_MS
        });
    }
}

/// Whether the key has a node that can be given requests and that it did not have `before`: those
/// it had were no use, or nobody would have been asked for.
pub fn has_joined(now: &Route, before: &Route) -> bool {
    let is_new = |node: &Arc<Node>| before.nodes().iter().all(|old| old.id != node.id);
    now.nodes().iter().any(is_new)
}

#[cfg(test)]
mod tests;
