//! Nodes that no table has: sockets named after keys, and the addresses of `fallback`.

use std::{
    cell::RefCell,
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use proxy::config::packets::{Packets, SocketPattern};
use route_table::{
    Address, Algorithm, Node, NodeFacts, NodeId, NodeOrigin, Opening, Proto, Route, RouteKey,
};

/// Routes to sockets by name that a worker remembers with their counters; beyond it, it begins anew.
const REMEMBERED_MAX: usize = 4096;
/// Numbers of these nodes: far from those that the registry gives.
static NEXT_ID: AtomicU64 = AtomicU64::new(1 << 62);

/// Where the sockets of keys are that nobody announced.
#[derive(Debug, Default)]
pub struct NamedSockets {
    pattern: Option<SocketPattern>,
    base: Option<PathBuf>,
    remembered: RefCell<HashMap<RouteKey, Arc<Route>>>,
}

impl NamedSockets {
    /// As configured.
    pub fn new(packets: &Packets) -> Self {
        let remembered = RefCell::default();
        Self { pattern: packets.pattern.clone(), base: packets.base.clone(), remembered }
    }

    /// The route to the socket of `key`, if there is one. `key` is the name of a host, so neither it nor
    /// a part of it leads out of a directory.
    pub fn route(&self, key: &RouteKey) -> Option<Arc<Route>> {
        let path = self.path(key.as_str())?;
        if !exists(&path) {
            self.remembered.borrow_mut().remove(key);
            return None;
        }
        let mut remembered = self.remembered.borrow_mut();
        if let Some(route) = remembered.get(key) {
            return Some(route.clone());
        }
        let node = Arc::new(node(Address::Unix(path.as_bytes().into()), &path));
        let route = Arc::new(Route::new(key.clone(), vec![node], Algorithm::Wrr));
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(key.clone(), route.clone());
        Some(route)
    }

    fn path(&self, key: &str) -> Option<String> {
        let by_pattern = self.pattern.as_ref().map(|pattern| pattern.expand(key));
        let by_base = || Some(self.base.as_ref()?.join(key).to_str()?.to_owned());
        match by_pattern {
            Some(path) if exists(&path) => Some(path),
            _ => by_base(),
        }
    }
}

fn exists(path: &str) -> bool {
    Path::new(path).exists()
}

/// The addresses of `fallback`.
pub fn fallbacks(packets: &Packets) -> Vec<Arc<Node>> {
    let all = packets.fallback.iter();
    all.map(|(address, announced)| Arc::new(node(address.clone(), announced))).collect()
}

fn node(address: Address, announced: &str) -> Node {
    let facts = NodeFacts {
        address,
        announced: announced.into(),
        proto: Proto::Uwsgi,
        opening: Opening::Plain,
        modifier1: 0,
        modifier2: 0,
        weight: 1,
        backup: 0,
        origin: NodeOrigin::Static,
        announcer: None,
    };
    Node::new(NodeId(NEXT_ID.fetch_add(1, Relaxed)), facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> RouteKey {
        RouteKey::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_socket_is_found_by_pattern_then_by_base_and_only_if_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_str().unwrap();
        std::fs::write(dir.path().join("a.example"), "").unwrap();
        std::fs::write(dir.path().join("a.example.sock"), "").unwrap();
        std::fs::write(dir.path().join("b.example"), "").unwrap();
        let sockets = NamedSockets {
            pattern: Some(SocketPattern::parse(&format!("{root}/%s.sock")).unwrap()),
            base: Some(dir.path().to_owned()),
            remembered: RefCell::default(),
        };
        let found = |name| {
            sockets.route(&key(name)).map(|route| route.nodes()[0].facts.announced.to_string())
        };
        assert_eq!(found("a.example"), Some(format!("{root}/a.example.sock")));
        assert_eq!(found("b.example"), Some(format!("{root}/b.example")));
        assert_eq!(found("c.example"), None);
        let first = sockets.route(&key("b.example")).unwrap();
        assert!(Arc::ptr_eq(&first, &sockets.route(&key("b.example")).unwrap()));
        std::fs::remove_file(dir.path().join("b.example")).unwrap();
        assert_eq!(found("b.example"), None);
    }
}
