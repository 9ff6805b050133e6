//! A copy of what the registry knows, for whoever shows it.

use std::sync::Arc;

use route_table::{Node, NodeLoadSnapshot, RouteKey};
use subscribe::{Registry, RegistryStats};

use super::limits::VIEW_NODES_MAX;

/// The registry as of one moment between two turns of its thread.
#[derive(Clone, Debug)]
pub struct RegistryView {
    /// Its numbers; `stats.nodes` also counts the nodes that found no room below.
    pub stats: RegistryStats,
    /// Its nodes in no order, at most [`VIEW_NODES_MAX`].
    pub nodes: Vec<NodeRow>,
}

/// One node of a view.
#[derive(Clone, Debug)]
pub struct NodeRow {
    /// The key it serves.
    pub key: RouteKey,
    /// Its facts, and its counters as they go on counting.
    pub node: Arc<Node>,
    /// Its counters as of the view.
    pub load: NodeLoadSnapshot,
    /// Whether its key brought a certificate.
    pub sni: bool,
}

impl RegistryView {
    /// Whether nodes are missing from the view.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.nodes.len() < self.stats.nodes
    }

    pub(super) fn take(registry: &Registry) -> Self {
        let rows = registry.table_view().take(VIEW_NODES_MAX).map(|view| NodeRow {
            key: view.key.clone(),
            node: Arc::clone(view.node),
            load: view.load,
            sni: view.sni,
        });
        Self { nodes: rows.collect(), stats: registry.stats() }
    }
}
