//! Explanations against a table with every kind of obstacle.

use std::sync::Arc;

use route_table::{
    Address, Algorithm, EjectRules, Node, NodeFacts, NodeId, NodeOrigin, Opening, Proto, RouteKey,
    TableWriter, Tried,
};

use super::*;

const NOW_MS: u64 = 100_000;
const NOW_UNIX: u64 = 1_800_000_000;

/// Shows `*.example` to whoever asks for a name, nothing to others.
struct OneCertificate;

impl CertLookup for OneCertificate {
    fn certificate_for(&self, sni: Option<&str>, host: &str) -> Option<CertSummary> {
        sni.map(|_| CertSummary {
            source: "directory".into(),
            names: vec!["*.example".into()],
            not_before_unix: 0,
            not_after_unix: NOW_UNIX as i64 + 1,
            fingerprint: "ab".repeat(32),
            covers_host: host.ends_with(".example"),
            client_auth: None,
        })
    }
}

fn node(id: u64, backup: u8, origin: NodeOrigin) -> Arc<Node> {
    let announced = format!("127.0.0.1:{}", 3000 + id);
    Arc::new(Node::new(
        NodeId(id),
        NodeFacts {
            address: Address::parse(announced.as_bytes()).unwrap(),
            announced: announced.into(),
            proto: Proto::Http,
            opening: Opening::default(),
            modifier1: 0,
            modifier2: 0,
            weight: 1,
            backup,
            origin,
            announcer: None,
        },
    ))
}

fn table(routes: Vec<(&str, Vec<Arc<Node>>)>) -> Arc<Table> {
    let (mut writer, _) = TableWriter::new();
    for (key, nodes) in routes {
        let key = RouteKey::parse(key.as_bytes()).unwrap();
        writer.stage_put(Arc::new(Route::new(key, nodes, Algorithm::Wrr)));
    }
    writer.publish();
    Arc::clone(writer.table())
}

fn listeners() -> Vec<Listening> {
    [(Scheme::Http, "127.0.0.1:80"), (Scheme::Https, "[::]:443"), (Scheme::Http, "127.0.0.1:8080")]
        .map(|(scheme, address)| Listening { scheme, address: address.parse().unwrap() })
        .into()
}

fn told(url: &str, table: &Table, dotsplit: Dotsplit) -> Explanation {
    told_with(url, table, dotsplit, None)
}

fn told_with(
    url: &str,
    table: &Table,
    dotsplit: Dotsplit,
    fallback_key: Option<&RouteKey>,
) -> Explanation {
    told_by(&listeners(), url, (table, dotsplit, fallback_key))
}

fn told_by(
    listeners: &[Listening],
    url: &str,
    (table, dotsplit, fallback_key): (&Table, Dotsplit, Option<&RouteKey>),
) -> Explanation {
    let sources = Sources {
        table,
        dotsplit,
        fallback_key,
        listeners,
        certs: &OneCertificate,
        now_ms: NOW_MS,
        now_unix: NOW_UNIX,
        on_demand: Switch::Off,
        viewer: &Viewer::Operator,
    };
    explain(url, &sources).unwrap()
}

fn lookups(told: &Explanation) -> Vec<(&str, bool)> {
    told.lookups.iter().map(|lookup| (lookup.key.as_str(), lookup.found)).collect()
}

#[test]
fn routed_url_names_listener_certificate_key_and_nodes() {
    let subscribed = node(1, 0, NodeOrigin::Subscribed);
    subscribed.load.note_announce(NOW_UNIX - 4, 2, 0);
    let nodes = vec![subscribed, node(2, 1, NodeOrigin::Static)];
    let table = table(vec![("shop.example", nodes)]);
    let told = told("https://Shop.Example/cart?x", &table, Dotsplit::Off);

    assert_eq!(told.host.as_deref(), Some("shop.example"));
    assert_eq!(told.listeners, ["[::]:443"]);
    assert_eq!(told.key.as_deref(), Some("shop.example"));
    assert_eq!((told.status, &told.problems), (None, &vec![]));
    assert!(told.certificate.as_ref().unwrap().covers_host);
    let standing: Vec<_> = told.nodes.iter().map(|n| (n.standing, n.announced_s_ago)).collect();
    assert_eq!(standing, [(Standing::Candidate, Some(4)), (Standing::Backup, None)]);
}

#[test]
fn behind_a_web_server_every_port_and_certificate_is_its_own() {
    let table = table(vec![("shop.example", vec![node(1, 0, NodeOrigin::Static)])]);
    let listeners =
        [Listening { scheme: Scheme::Uwsgi, address: "127.0.0.1:3031".parse().unwrap() }];
    for url in ["http://shop.example:8080/", "https://shop.example/"] {
        let told = told_by(&listeners, url, (&table, Dotsplit::Off, None));
        assert_eq!(told.listeners, ["127.0.0.1:3031"], "{url}");
        assert_eq!((told.status, &told.problems), (None, &vec![]), "{url}");
        assert!(told.certificate.is_none(), "{url}");
    }
}

#[test]
fn nodes_of_other_listeners_take_no_requests() {
    let web = node(1, 1, NodeOrigin::Static);
    let tls = node(2, 0, NodeOrigin::Static);
    let tls = Arc::new(tls.with_facts(NodeFacts { proto: Proto::Tls, ..tls.facts.clone() }));
    let table = table(vec![("both.example", vec![web, tls.clone()]), ("tls.example", vec![tls])]);
    let both = told("http://both.example/", &table, Dotsplit::Off);
    let standing: Vec<_> = both.nodes.iter().map(|node| node.standing).collect();
    assert_eq!(standing, [Standing::Candidate, Standing::Foreign]);
    assert_eq!((both.status, both.problems.len()), (None, 0));
    let none = told("http://tls.example/", &table, Dotsplit::Off);
    assert_eq!((none.status, none.problems.len()), (Some(503), 1));
    assert!(none.to_string().contains("127.0.0.1:3002 tls weight 1: takes no requests"), "{none}");
}

#[test]
fn unknown_key_lists_every_lookup_and_is_a_404() {
    let table = table(vec![]);
    let told = told("http://a.b.example:8080/", &table, Dotsplit::On);
    let expected = ["a.b.example:8080", "a.b.example", ".b.example", ".example"];
    assert_eq!(lookups(&told), expected.map(|key| (key, false)));
    assert_eq!(told.status, Some(404));
    assert_eq!(told.problems.len(), 1);
}

#[test]
fn cooling_nodes_are_skipped_and_all_cooling_are_tried_all_the_same() {
    let (cold, warm) = (node(1, 0, NodeOrigin::Static), node(2, 1, NodeOrigin::Static));
    cold.load.note_failure(NOW_MS, EjectRules::at_once(5000));
    let table = table(vec![("a.example", vec![Arc::clone(&cold), Arc::clone(&warm)])]);
    let first = told("http://a.example/", &table, Dotsplit::Off);
    let standing: Vec<_> = first.nodes.iter().map(|n| (n.standing, n.cooling_ms)).collect();
    assert_eq!(standing, [(Standing::Cooling, 5000), (Standing::Candidate, 0)]);
    assert!(first.problems.is_empty());

    warm.load.note_failure(NOW_MS, EjectRules::at_once(5000));
    let second = told("http://a.example/", &table, Dotsplit::Off);
    let standing: Vec<_> = second.nodes.iter().map(|n| n.standing).collect();
    assert_eq!(standing, [Standing::Candidate, Standing::Cooling]);
    assert!(second.problems[0].contains("all 2 nodes are out"), "{:?}", second.problems);
}

#[test]
fn every_obstacle_is_named() {
    let table = table(vec![("a.test", vec![node(1, 0, NodeOrigin::Static)])]);
    let problems = |url: &str| told(url, &table, Dotsplit::Off).problems.join("; ");
    assert_eq!(
        problems("http://a.test:9999/"),
        "http is taken on 127.0.0.1:80, 127.0.0.1:8080, not on port 9999"
    );
    assert_eq!(problems("https://a.test/"), "the certificate is for *.example, not for a.test");
    assert!(problems("https://127.0.0.1/").starts_with("there is no certificate"));
    let bad = told("http://a..test/", &table, Dotsplit::Off);
    assert_eq!((bad.status, bad.host), (Some(400), None));
    assert!(bad.problems[0].starts_with("no request can name this host: "));
}

/// Goal: an explanation never names another key than a request would get. Method: all hosts over a
/// few labels and ports against a table of all kinds of keys, under both settings.
#[test]
fn explained_key_is_the_key_a_request_gets() {
    let keys = [
        "a.example",
        "a.example:8080",
        ".example",
        ".b.example",
        "[::1]",
        ".7.example",
        "a.example/shop",
        "a.example/shop/cart",
        "a.example:8080/shop",
    ];
    let routes =
        keys.iter().zip(1..).map(|(key, id)| (*key, vec![node(id, 0, NodeOrigin::Static)]));
    let table = table(routes.collect());
    for dotsplit in [Dotsplit::Off, Dotsplit::On] {
        for host in [
            "a.example",
            "b.example",
            "a.b.example",
            "c.a.b.example",
            "1.2.3.4.5.6.7.example",
            "3.4.5.7.example",
            "example",
            "[::1]",
            "other.test",
        ] {
            for port in ["", ":80", ":8080"] {
                let sent = if port == ":80" { host.to_owned() } else { format!("{host}{port}") };
                let mut buf = HostBuf::new();
                let canonical = canonical_host(sent.as_bytes(), &mut buf).unwrap();
                for path in ["/", "/shop", "/shop/", "/shop/cart/7", "/shopping", "/x/shop"] {
                    let told = told(&format!("http://{host}{port}{path}?q"), &table, dotsplit);
                    let got = table.lookup_path(&canonical, path.as_bytes(), dotsplit);
                    let got = got.map(|route| route.key().to_string());
                    assert_eq!(told.key, got, "{host}{port}{path} {dotsplit:?}");
                }
            }
        }
    }
}

#[test]
fn the_fallback_key_is_looked_up_last_and_named_as_such() {
    let route = |key| (key, vec![node(1, 0, NodeOrigin::Static)]);
    let table = table(vec![route("rest.example"), route(".b.example")]);
    let key = RouteKey::parse(b"rest.example").unwrap();
    let ask = |url| told_with(url, &table, Dotsplit::On, Some(&key));
    let told = ask("http://other.test/");
    assert_eq!(told.key.as_deref(), Some("rest.example"));
    assert_eq!(lookups(&told), [("other.test", false), (".test", false), ("rest.example", true)]);
    assert!(told.to_string().contains("key          rest.example found (fallback)\n"));
    assert_eq!(ask("http://a.b.example/").key.as_deref(), Some(".b.example"));
}

#[test]
fn explaining_takes_no_turn_and_counts_no_hit() {
    let nodes = vec![node(1, 0, NodeOrigin::Static), node(2, 0, NodeOrigin::Static)];
    let (asked, other) =
        (table(vec![("a.example", nodes.clone())]), table(vec![("a.example", nodes)]));
    told("http://a.example/", &asked, Dotsplit::Off);
    let pick =
        |table: &Table| table.get("a.example").unwrap().pick(0, &Tried::default()).unwrap().id;
    assert_eq!(pick(&asked), pick(&other));
    assert_eq!(asked.get("a.example").unwrap().hits(), 1);
}

#[test]
fn explanation_survives_json_and_reads_well() {
    let nodes = vec![node(1, 0, NodeOrigin::Static)];
    let table = table(vec![("shop.example", nodes)]);
    let told = told("https://shop.example/", &table, Dotsplit::Off);
    let json = serde_json::to_string(&told).unwrap();
    assert_eq!(serde_json::from_str::<Explanation>(&json).unwrap(), told);
    assert_eq!(
        told.to_string(),
        format!(
            "https://shop.example/\n  \
             listener     [::]:443\n  \
             certificate  *.example (from directory)\n               \
             sha256 {}\n  \
             host         shop.example\n  \
             key          shop.example found\n  \
             balance      wrr, requests so far: 0\n  \
             node         127.0.0.1:3001 http weight 1: candidate, 0 in flight, configured\n  \
             answer       by a candidate node\n",
            "ab".repeat(32)
        )
    );
}
