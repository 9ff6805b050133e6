//! Registries that end and others that go on: after a hand-over nobody notices, and a journal brings
//! the same nodes at any time.

use std::collections::BTreeSet;

use route_table::TableWriter;
use subscribe::{Carried, NodeView, Registry, state};

use super::World;

impl World {
    /// Another registry goes on where this one stops.
    pub fn hand_over(&mut self) {
        self.counted = self.counts();
        let state = self.registry.export(self.now());
        let (nodes, before) = (self.registry.stats().nodes, facts(&self.registry));
        let (writer, table) = TableWriter::new();
        self.registry = Registry::new(self.config.clone(), writer);
        self.table = table;
        let (now, files) = (self.now(), &mut self.files);
        let restored = self.registry.restore(now, Carried::HandedOver, &state, files);
        let restored = restored.expect("its own");
        assert_eq!((restored.nodes, restored.refused), (nodes, 0));
        assert_eq!(restored.replay, self.config.sign.is_some());
        assert_eq!(facts(&self.registry), before);
        self.journal = self.registry.record_changes(self.now());
    }

    /// The journal gets what changed; sometimes it is made shorter, sometimes somebody reads it.
    pub fn write_journal(&mut self) {
        if self.journal.is_empty() {
            self.journal = self.registry.record_changes(self.now());
        }
        self.journal.extend_from_slice(self.registry.changes());
        self.registry.forget_changes();
        if self.chance.one_in(30) {
            self.journal = state::compact(&self.journal).expect("its own");
        }
        if self.chance.one_in(60) {
            self.read_journal();
        }
    }

    /// After a crash the nodes are back: those of whom the journal heard last, no other.
    fn read_journal(&mut self) {
        let (writer, _table) = TableWriter::new();
        let mut after = Registry::new(self.config.clone(), writer);
        let state = state::replay(&self.journal).expect("its own");
        let (now, files) = (self.now(), &mut self.files);
        let restored = after.restore(now, Carried::LeftBehind, &state, files).expect("its own");
        assert_eq!((restored.refused, restored.replay), (0, false));
        after.check();
        assert_eq!(facts(&after), facts(&self.registry));
    }
}

/// Everything of a registry that does not move with time.
fn facts(registry: &Registry) -> BTreeSet<String> {
    let line = |view: NodeView<'_>| format!("{} {:?} {}", view.key, view.node.facts, view.sni);
    registry.table_view().map(line).collect()
}
