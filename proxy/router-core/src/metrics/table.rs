//! Samples of the route table: totals, and series of the busiest keys.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use route_table::{NodeLoadSnapshot, Route, TableHandle};

use super::catalog::{self, Family};
use super::{Collector, Page};
use crate::admin::access::Viewer;
use crate::deadline;

/// Keys that get series of their own on one page.
pub const BUSIEST_KEYS_MAX: usize = 1000;
/// Nodes over all these keys that get series of their own on one page.
pub const NODE_SERIES_MAX: usize = 4000;

/// Shows the route table as it is at the scrape. A walk over a million keys takes tens of
/// milliseconds of the admin thread and holds up nobody else.
#[derive(Clone)]
pub struct TableCollector {
    table: TableHandle,
    viewer: Viewer,
}

impl TableCollector {
    /// Shows what `viewer` may see of `table`: totals are for operators alone.
    pub fn new(table: TableHandle, viewer: Viewer) -> Self {
        Self { table, viewer }
    }
}

impl Collector for TableCollector {
    fn collect(&self, page: &mut Page) {
        let table = self.table.snapshot();
        if let Viewer::Operator = self.viewer {
            let nodes: usize = table.iter().map(|route| route.nodes().len()).sum();
            let asleep: usize = table.iter().map(|route| route.asleep().count()).sum();
            let drained: usize = table.iter().map(|route| route.drained().count()).sum();
            page.sample(&catalog::KEYS, &[], table.len() as u64);
            page.sample(&catalog::NODES, &[], nodes as u64);
            page.sample(&catalog::NODES_ASLEEP, &[], asleep as u64);
            page.sample(&catalog::NODES_DRAINED, &[], drained as u64);
            page.sample(&catalog::TABLE_GENERATION, &[], table.generation());
        }
        let busiest = busiest(self.viewer.routes(&table), BUSIEST_KEYS_MAX);
        for route in &busiest {
            page.sample(&catalog::KEY_REQUESTS, &[route.key().as_str()], route.hits());
        }
        let limited =
            || busiest.iter().filter_map(|r| Some((r.key(), r.load_if_used()?.snapshot())));
        for (key, load) in limited() {
            for (limit, count) in
                [("rate", load.limited), ("share", load.shed), ("queue", load.queue_refused)]
            {
                page.sample(&catalog::KEY_REFUSED, &[key.as_str(), limit], count);
            }
        }
        for (key, load) in limited() {
            page.sample(&catalog::KEY_WAITING, &[key.as_str()], u64::from(load.waiting));
        }
        let now_ms = deadline::process_ms();
        per_node(page, &catalog::NODE_REQUESTS, &busiest, |load| load.requests);
        per_node(page, &catalog::NODE_FAILURES, &busiest, |load| load.failures);
        per_node(page, &catalog::NODE_EJECTIONS, &busiest, |load| load.ejections);
        per_node(page, &catalog::NODE_UNHEALTHY, &busiest, |load| u64::from(load.is_unhealthy));
        per_node(page, &catalog::NODE_IN_FLIGHT, &busiest, |load| u64::from(load.in_flight));
        per_node(page, &catalog::NODE_COOLING, &busiest, |load| {
            u64::from(load.cooling_until_ms > now_ms)
        });
    }
}

/// Up to `most` routes with the most hits, by key; ties in favour of the lesser key, so that
/// two scrapes of a quiet router show the same series.
fn busiest<'t>(routes: impl Iterator<Item = &'t Route>, most: usize) -> Vec<&'t Route> {
    let mut kept = BinaryHeap::with_capacity(most + 1);
    for route in routes {
        kept.push(Reverse((route.hits(), Reverse(route.key().as_str()), ByKey(route))));
        if kept.len() > most {
            kept.pop();
        }
    }
    let mut busiest: Vec<&Route> = kept.into_iter().map(|Reverse((.., route))| route.0).collect();
    busiest.sort_unstable_by_key(|route| route.key().as_str());
    busiest
}

fn per_node(
    page: &mut Page,
    family: &'static Family,
    routes: &[&Route],
    value: impl Fn(&NodeLoadSnapshot) -> u64,
) {
    let nodes = routes.iter().flat_map(|route| route.nodes().iter().map(move |node| (route, node)));
    for (route, node) in nodes.take(NODE_SERIES_MAX) {
        let labels = [route.key().as_str(), &*node.facts.announced];
        page.sample(family, &labels, value(&node.load.snapshot()));
    }
}

/// Lets a route ride in the heap; keys are unique, so the comparison never gets this far.
struct ByKey<'t>(&'t Route);

impl Ord for ByKey<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.key().as_str().cmp(other.0.key().as_str())
    }
}

impl PartialOrd for ByKey<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByKey<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for ByKey<'_> {}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use route_table::{
        Address, Algorithm, EjectRules, Node, NodeFacts, NodeId, NodeOrigin, Opening, Proto,
        RouteKey, TableWriter, Tried,
    };

    use super::*;

    fn route(key: &str, id: u64) -> Arc<Route> {
        let facts = NodeFacts {
            address: Address::parse(b"127.0.0.1:3031").unwrap(),
            announced: "127.0.0.1:3031".into(),
            proto: Proto::Uwsgi,
            opening: Opening::default(),
            modifier1: 0,
            modifier2: 0,
            weight: 1,
            backup: 0,
            origin: NodeOrigin::Static,
            announcer: None,
        };
        let nodes = vec![Arc::new(Node::new(NodeId(id), facts))];
        Arc::new(Route::new(RouteKey::parse(key.as_bytes()).unwrap(), nodes, Algorithm::Wrr))
    }

    #[test]
    fn only_the_busiest_keys_get_series_and_all_are_counted() {
        let routes: Vec<_> = (0..5).map(|i| route(&format!("k{i}.example"), i)).collect();
        for route in &routes[3..] {
            route.pick(0, &Tried::default()).unwrap();
        }
        let shown = busiest(routes.iter().map(|route| &**route), 3);
        let keys: Vec<_> = shown.iter().map(|route| route.key().as_str()).collect();
        assert_eq!(keys, ["k0.example", "k3.example", "k4.example"]);
    }

    #[test]
    fn page_shows_keys_nodes_and_generation() {
        let (mut writer, table) = TableWriter::new();
        let route = route("a.example", 1);
        route.nodes()[0].load.begin();
        route.nodes()[0].load.note_failure(deadline::process_ms(), EjectRules::at_once(60_000));
        writer.stage_put(route);
        writer.publish();
        let mut page = Page::default();
        TableCollector::new(table, Viewer::Operator).collect(&mut page);
        let text = page.into_text();
        for line in [
            "suzerain_keys 1",
            "suzerain_nodes 1",
            "suzerain_table_generation 1",
            "suzerain_key_requests_total{key=\"a.example\"} 0",
            "suzerain_node_in_flight{key=\"a.example\",node=\"127.0.0.1:3031\"} 1",
            "suzerain_node_cooling{key=\"a.example\",node=\"127.0.0.1:3031\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} not in\n{text}");
        }
    }
}
