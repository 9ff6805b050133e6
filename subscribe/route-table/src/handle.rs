//! Publication: one writer, many readers, nobody waits.
//!
//! The writer keeps the tables it replaced until no reader holds them, and then frees them itself,
//! so that a worker does not stall on freeing a storm's worth of nodes.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use arc_swap::ArcSwap;
use arc_swap::cache::Cache;

use crate::builder;
use crate::key::RouteKey;
use crate::limits::TABLES_RETIRED_MAX;
use crate::route::Route;
use crate::table::{Generation, Table};

/// The one side that changes what is routed. Owned by the registry.
#[derive(Debug)]
pub struct TableWriter {
    current: Arc<Table>,
    published: Arc<ArcSwap<Table>>,
    staged: HashMap<RouteKey, Option<Arc<Route>>>,
    retired: VecDeque<Arc<Table>>,
}

impl TableWriter {
    /// A writer of an empty table, and the handle its readers come from.
    pub fn new() -> (Self, TableHandle) {
        let current = Arc::new(Table::empty());
        let published = Arc::new(ArcSwap::new(Arc::clone(&current)));
        let handle = TableHandle { published: Arc::clone(&published) };
        let writer = Self { current, published, staged: HashMap::new(), retired: VecDeque::new() };
        (writer, handle)
    }

    /// Makes room for so many changes.
    pub fn reserve(&mut self, changes: usize) {
        self.staged.reserve(changes);
    }

    /// The next table will route this key so. A later change of the same key wins.
    pub fn stage_put(&mut self, route: Arc<Route>) {
        self.staged.insert(route.key().clone(), Some(route));
    }

    /// The next table will not route this key. A later change of the same key wins.
    pub fn stage_remove(&mut self, key: &RouteKey) {
        self.staged.insert(key.clone(), None);
    }

    /// Whether something is staged.
    pub fn is_dirty(&self) -> bool {
        !self.staged.is_empty()
    }

    /// Makes everything staged visible at once; returns the generation then current. Without
    /// anything staged it publishes nothing.
    pub fn publish(&mut self) -> Generation {
        if self.is_dirty() {
            let next = Arc::new(builder::amend(&self.current, self.staged.drain()));
            self.published.store(Arc::clone(&next));
            self.retired.push_back(std::mem::replace(&mut self.current, next));
            // A storm's room is not kept for the single changes that follow.
            self.staged.shrink_to(64);
        }
        self.reclaim();
        self.current.generation()
    }

    /// Frees the replaced tables that no reader holds any more. [`TableWriter::publish`] does so
    /// too; a writer with nothing to publish calls this once in a while.
    pub fn reclaim(&mut self) {
        for _ in 0..self.retired.len() {
            let Some(table) = self.retired.pop_front() else { break };
            match Arc::try_unwrap(table) {
                Ok(table) => builder::fell(table.root),
                Err(table) if self.retired.len() < TABLES_RETIRED_MAX => {
                    self.retired.push_back(table);
                }
                Err(table) => drop(table), // the reader that slept so long frees it
            }
        }
    }

    /// The table as last published.
    pub fn table(&self) -> &Arc<Table> {
        &self.current
    }
}

/// Where readers come from; shared by all threads.
#[derive(Clone, Debug)]
pub struct TableHandle {
    published: Arc<ArcSwap<Table>>,
}

impl TableHandle {
    /// A view for one worker.
    pub fn reader(&self) -> TableReader {
        TableReader { cache: Cache::new(Arc::clone(&self.published)) }
    }

    /// The table as of now, to keep. For control threads: whoever keeps it keeps it alive.
    pub fn snapshot(&self) -> Arc<Table> {
        self.published.load_full()
    }
}

/// A worker's view of the table. One per worker.
#[derive(Debug)]
pub struct TableReader {
    cache: Cache<Arc<ArcSwap<Table>>, Arc<Table>>,
}

impl TableReader {
    /// The table as of now. One atomic load when nothing was published since the last call.
    ///
    /// The borrow ends before the next `.await`: a worker that slept on a table would route by it.
    /// An idle worker calls this on its clock tick, so that it does not keep an old table alive.
    pub fn load(&mut self) -> &Table {
        self.cache.load()
    }
}

#[cfg(test)]
mod tests;
