//! The statistics document: uWSGI's shape, our part, and escaping.

use route_table::{
    Address, Algorithm, Dotsplit, Node, NodeFacts, NodeId, NodeOrigin, Opening, Proto, Route,
    RouteKey, TableWriter,
};
use router_core::access_log::{AccessLog, AccessLogTarget};
use router_core::admin::access::Tenant;
use router_core::admin::{KeyOrder, KeySort};
use router_core::metrics::Counter;
use serde_json::Value;

use super::*;
use crate::context::Scheme;
use crate::explain::Listening;

fn node(id: u64, announced: &str, origin: NodeOrigin) -> Arc<Node> {
    let facts = NodeFacts {
        address: Address::parse(b"127.0.0.1:43577").unwrap(),
        announced: announced.into(),
        proto: Proto::Uwsgi,
        opening: Opening::default(),
        modifier1: 5,
        modifier2: 0,
        weight: 2,
        backup: 0,
        origin,
        announcer: None,
    };
    Arc::new(Node::new(NodeId(id), facts))
}

fn state(routes: Vec<(&str, Vec<Arc<Node>>)>) -> RouterState {
    let (mut writer, table) = TableWriter::new();
    for (key, nodes) in routes {
        let key = RouteKey::parse(key.as_bytes()).unwrap();
        writer.stage_put(Arc::new(Route::new(key, nodes, Algorithm::Wrr)));
    }
    writer.publish();
    let (log, _) = AccessLog::open(AccessLogTarget::Off).unwrap();
    RouterState {
        process: ProcessFacts::new("1.2.3", "io_uring"),
        program: Program::Suzerain,
        facts: ArcSwap::from_pointee(facts()),
        reloads: Default::default(),
        table,
        metrics: Metrics::with_head_rejects(2, &["bare_lf"]),
        subscriptions: Arc::default(),
        on_demand: Switch::Off,
        emperor: Arc::default(),
        certs: CertStore::empty(),
        log: log.write_failures(),
        traces: Arc::default(),
        drain: Arc::default(),
        headroom: Arc::default(),
        rates: KeyRates::default(),
        upgrades: Default::default(),
        refusals: Default::default(),
    }
}

fn facts() -> Facts {
    Facts {
        listeners: [(Scheme::Http, "127.0.0.1:33869"), (Scheme::Https, "127.0.0.1:33870")]
            .map(|(scheme, address)| Listening { scheme, address: address.parse().unwrap() })
            .into(),
        relays: Vec::new(),
        subscribe: vec!["127.0.0.1:42690".parse().unwrap()],
        dotsplit: Dotsplit::Off,
        fallback_key: None,
    }
}

fn document(state: &RouterState) -> Value {
    serde_json::from_str(&state.stats_json(&Viewer::Operator, 100)).unwrap()
}

/// Names as captured from uWSGI 2.0.31 (`server_behaviour.json`, case 1), and of 2.1 in the spec.
#[test]
fn document_has_every_field_of_the_captured_one() {
    let subscribed = node(1, "127.0.0.1:43577", NodeOrigin::Subscribed);
    subscribed.load.note_announce(1_795_396_755, 1, 0);
    let told = document(&state(vec![("example.com", vec![subscribed])]));

    for name in ["version", "pid", "uid", "gid", "cwd", "active_sessions", "http", "cheap"] {
        assert!(told.get(name).is_some(), "{name}");
    }
    assert_eq!(told["http"][0], "127.0.0.1:33869");
    assert_eq!(told["http"][2], "127.0.0.1:42690");
    let subscription = &told["subscriptions"][0];
    assert_eq!(subscription["key"], "example.com");
    assert_eq!(subscription["hash"], 30778);
    assert_eq!(subscription["hits"], 0);
    assert_eq!(subscription["sni_enabled"], 0);
    assert_eq!(subscription["algo"], "wrr");
    let node = &subscription["nodes"][0];
    for (name, value) in [
        ("modifier1", 5),
        ("modifier2", 0),
        ("last_check", 1_795_396_755),
        ("pid", 0),
        ("uid", 0),
        ("gid", 0),
        ("requests", 0),
        ("last_requests", 0),
        ("tx", 0),
        ("rx", 0),
        ("cores", 1),
        ("load", 0),
        ("weight", 2),
        ("backup", 0),
        ("wrr", 0),
        ("ref", 0),
        ("failcnt", 0),
        ("death_mark", 0),
    ] {
        assert_eq!(node[name], value, "{name}");
    }
    assert_eq!(node["name"], "127.0.0.1:43577");
    assert_eq!((&node["vassal"], &node["proto"]), (&"".into(), &"u".into()));
}

#[test]
fn configured_nodes_stand_apart_from_subscriptions() {
    let both = vec![node(1, "a:1", NodeOrigin::Static), node(2, "b:2", NodeOrigin::Subscribed)];
    let only = vec![node(3, "c:3", NodeOrigin::Static)];
    let told = document(&state(vec![("both.example", both), ("only.example", only)]));
    assert_eq!(told["static_nodes"].as_array().unwrap().len(), 2);
    assert_eq!(told["static_nodes"][1]["key"], "only.example");
    assert_eq!(told["subscriptions"].as_array().unwrap().len(), 1);
    assert_eq!(told["subscriptions"][0]["nodes"].as_array().unwrap().len(), 1);
    assert_eq!(told["suzerain"]["table"]["nodes"], 3);
}

#[test]
fn our_part_has_workers_totals_and_rejects() {
    let state = state(vec![]);
    let shard = state.metrics.shard(1);
    shard.add(Counter::ConnectionsAccepted, 3);
    shard.add(Counter::ConnectionsClosed, 1);
    shard.add(Counter::Responses2xx, 7);
    shard.count_head_reject(0);
    let told = document(&state);
    assert_eq!(told["active_sessions"], 2);
    let ours = &told["suzerain"];
    assert_eq!(ours["io_driver"], "io_uring");
    assert_eq!(ours["ready"], true);
    assert_eq!(ours["workers"][1]["connections_open"], 2);
    assert_eq!(ours["totals"]["responses"]["2xx"], 7);
    assert_eq!(ours["totals"]["connections_accepted"], 3);
    assert_eq!(ours["head_rejects"]["bare_lf"], 1);
    assert!(ours["subscription"]["rejects"].as_object().unwrap().len() > 5);
}

#[test]
fn hostile_node_name_stays_one_json_string() {
    let name = "\"},{\u{0}\n\\é";
    let state = state(vec![("a.example", vec![node(1, name, NodeOrigin::Subscribed)])]);
    let told = document(&state);
    assert_eq!(told["subscriptions"][0]["nodes"][0]["name"], name);
}

#[test]
fn long_list_of_keys_is_cut_and_says_so() {
    let keys: Vec<String> = (0..20).map(|i| format!("k{i}.example")).collect();
    let routes = keys
        .iter()
        .zip(1..)
        .map(|(key, id)| (key.as_str(), vec![node(id, "127.0.0.1:43577", NodeOrigin::Subscribed)]));
    let state = state(routes.collect());
    let told: Value = serde_json::from_str(&state.stats_json(&Viewer::Operator, 5)).unwrap();
    assert_eq!(told["subscriptions"].as_array().unwrap().len(), 5);
    assert_eq!(told["suzerain"]["table"]["keys"], 20);
    assert_eq!(told["suzerain"]["table"]["keys_listed"], 5);
}

#[test]
fn draining_router_is_not_ready() {
    let state = state(vec![]);
    assert_eq!(state.readiness(), Readiness::Ready);
    state.drain.advance(DrainPhase::Draining);
    assert_eq!(state.readiness(), Readiness::NotReady("draining"));
}

/// Method: each `# HELP` line once; the page panics in tests on a family that is begun twice.
#[test]
fn page_of_a_whole_router_names_each_family_once() {
    let state = state(vec![("a.example", vec![node(1, "n", NodeOrigin::Subscribed)])]);
    let text = state.metrics_text(&Viewer::Operator);
    let mut helps: Vec<_> = text.lines().filter(|line| line.starts_with("# HELP ")).collect();
    let all = helps.len();
    helps.sort_unstable();
    helps.dedup();
    assert_eq!(helps.len(), all);
    for name in ["suzerain_keys 1", "suzerain_certificates 0", "suzerain_workers 2"] {
        assert!(text.lines().any(|line| line == name), "{name}");
    }
}

#[test]
fn explanation_is_told_in_both_formats() {
    let state = state(vec![("a.example", vec![node(1, "n", NodeOrigin::Static)])]);
    let json =
        state.explain(&Viewer::Operator, "http://a.example:33869/", ExplainFormat::Json).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["key"], "a.example");
    let text =
        state.explain(&Viewer::Operator, "http://a.example:33869/", ExplainFormat::Text).unwrap();
    assert!(text.contains("answer       by a candidate node"), "{text}");
    assert!(
        state
            .explain(&Viewer::Operator, "a.example", ExplainFormat::Text)
            .unwrap_err()
            .contains("http://")
    );
}

fn overview(state: &RouterState, question: &OverviewQuestion) -> overview::Overview {
    serde_json::from_str(&state.overview_json(&Viewer::Operator, question)).unwrap()
}

fn asking(search: &str, sort: KeySort, order: KeyOrder) -> OverviewQuestion {
    OverviewQuestion { search: search.into(), sort, order, offset: 0, keys: 10 }
}

fn keys(state: &RouterState, question: &OverviewQuestion) -> Vec<String> {
    overview(state, question).keys.rows.into_iter().map(|row| row.key).collect()
}

#[test]
fn overview_pages_hold_every_key_once_in_order() {
    let names: Vec<String> = (0..25).map(|i| format!("k{i:02}.example")).collect();
    let state = state(names.iter().map(|name| (name.as_str(), Vec::new())).collect());
    for (order, expected) in [
        (KeyOrder::Natural, names.clone()),
        (KeyOrder::Reverse, names.iter().rev().cloned().collect()),
    ] {
        for sort in [KeySort::Key, KeySort::Rate, KeySort::InFlight] {
            let mut seen = Vec::new();
            for offset in [0, 10, 20, 30] {
                let question = OverviewQuestion { offset, ..asking("", sort, order) };
                let page = overview(&state, &question).keys;
                assert_eq!((page.matched, page.offset), (25, offset));
                seen.extend(page.rows.into_iter().map(|row| row.key));
            }
            assert_eq!(seen, expected, "{sort:?} {order:?}");
        }
    }
}

#[test]
fn overview_sorts_by_numbers_and_finds_by_any_part_of_a_key() {
    let state = state(vec![
        ("a.example", vec![node(1, "a:1", NodeOrigin::Static)]),
        ("b.example", vec![node(2, "b:1", NodeOrigin::Static), node(3, "b:2", NodeOrigin::Static)]),
        ("c.example/Cart", vec![node(4, "c:1", NodeOrigin::Subscribed)]),
    ]);
    let table = state.table.snapshot();
    for _ in 0..3 {
        let _ = table.get("c.example/Cart").unwrap().pick(0, &route_table::Tried::default());
    }
    table.get("a.example").unwrap().nodes()[0].load.begin();
    let natural = |sort| keys(&state, &asking("", sort, KeyOrder::Natural));
    assert_eq!(natural(KeySort::Requests), ["c.example/Cart", "a.example", "b.example"]);
    assert_eq!(natural(KeySort::InFlight), ["a.example", "b.example", "c.example/Cart"]);
    assert_eq!(natural(KeySort::Nodes), ["b.example", "a.example", "c.example/Cart"]);
    let reversed = keys(&state, &asking("", KeySort::Nodes, KeyOrder::Reverse));
    assert_eq!(reversed, ["c.example/Cart", "a.example", "b.example"]);
    for (search, found) in [("B.exa", "b.example"), ("Cart", "c.example/Cart")] {
        assert_eq!(keys(&state, &asking(search, KeySort::Key, KeyOrder::Natural)), [found]);
    }
    assert!(keys(&state, &asking("nobody", KeySort::Key, KeyOrder::Natural)).is_empty());
}

#[test]
fn overview_tells_what_holds_a_node_and_for_how_long() {
    let state = state(vec![(
        "a.example",
        vec![node(1, "a:1", NodeOrigin::Static), node(2, "a:2", NodeOrigin::Subscribed)],
    )]);
    let table = state.table.snapshot();
    let leased = &table.get("a.example").unwrap().nodes()[1];
    leased.load.set_due_ms(deadline::process_ms() + 9000);
    leased.load.note_failure(deadline::process_ms(), route_table::EjectRules::at_once(60_000));
    let told = overview(&state, &asking("", KeySort::Key, KeyOrder::Natural));
    let [fixed, leased] = &told.keys.rows[0].nodes[..] else { panic!("two nodes") };
    assert_eq!((fixed.lease, fixed.state), (overview::Lease::Static, overview::NodeState::Ready));
    assert!(matches!(leased.lease, overview::Lease::LeftMs(8000..=9000)), "{leased:?}");
    assert_eq!(leased.state, overview::NodeState::Cooling);
    let router = told.router.expect("an operator asks");
    assert_eq!((router.keys, router.nodes), (1, 2));
}

#[test]
fn a_tenant_is_told_of_its_keys_and_of_nothing_else() {
    let state = state(vec![
        ("shop.example", vec![node(1, "shop:1", NodeOrigin::Static)]),
        ("a.blog.example", vec![node(2, "blog:1", NodeOrigin::Subscribed)]),
        ("rival.example", vec![node(3, "rival:1", NodeOrigin::Subscribed)]),
        (".example", vec![node(4, "wild:1", NodeOrigin::Subscribed)]),
    ]);
    let keys = ["shop.example", "gone.example", ".blog.example"].map(|key| key.parse().unwrap());
    let tenant = Tenant { name: "mine".into(), keys: keys.into_iter().collect(), tokens: vec![] };
    let viewer = Viewer::Tenant(Arc::new(tenant));
    let question = asking("", KeySort::Key, KeyOrder::Natural);
    let told = [
        state.stats_json(&viewer, 100),
        state.overview_json(&viewer, &question),
        state.metrics_text(&viewer),
    ];
    for text in &told {
        assert!(text.contains("shop:1") && text.contains("blog:1"), "{text}");
        assert!(!text.contains("rival") && !text.contains("wild:1"), "{text}");
        for part in [
            "127.0.0.1:42690",
            "suzerain_requests_total",
            "active_sessions",
            "resident",
            "suzerain_keys",
        ] {
            assert!(!text.contains(part), "{part}: {text}");
        }
    }
    let overview: overview::Overview = serde_json::from_str(&told[1]).unwrap();
    assert_eq!(overview.keys.matched, 2);
    assert_eq!(overview.mine.map(|mine| (mine.keys, mine.nodes)), Some((2, 2)));
    let search = OverviewQuestion { search: "rival".into(), ..question };
    let found: overview::Overview =
        serde_json::from_str(&state.overview_json(&viewer, &search)).unwrap();
    assert_eq!(found.keys.matched, 0);
}

#[test]
fn explanations_for_a_tenant_are_the_same_whether_others_exist_or_not() {
    let names = ["shop.example", "rival.example", ".example", "fallback.example"];
    let routes = names.map(|name| (name, vec![node(1, "n:1", NodeOrigin::Static)]));
    let with_others = state(routes.into());
    let facts = Facts {
        dotsplit: Dotsplit::On,
        fallback_key: RouteKey::parse(b"fallback.example").ok(),
        ..Facts::clone(&with_others.facts.load())
    };
    with_others.facts.store(facts.into());
    let alone = state(vec![("shop.example", vec![node(1, "n:1", NodeOrigin::Static)])]);
    let keys = ["shop.example", "gone.example"].map(|key| key.parse().unwrap());
    let tenant = Tenant { name: "mine".into(), keys: keys.into_iter().collect(), tokens: vec![] };
    let viewer = Viewer::Tenant(Arc::new(tenant));
    for url in [
        "http://shop.example/",
        "http://gone.example/",
        "http://rival.example/",
        "http://x.example/",
    ] {
        let told = |state: &RouterState| state.explain(&viewer, url, ExplainFormat::Json);
        assert_eq!(told(&with_others), told(&alone), "{url}");
        let foreign = Err("none of your keys can serve this URL".to_owned());
        assert_eq!(told(&alone) == foreign, url.contains("rival") || url.contains("//x"), "{url}");
    }
}
