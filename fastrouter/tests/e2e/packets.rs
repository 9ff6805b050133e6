//! Packets as uWSGI's fastrouter took them: the captured cases, and what is stricter here.

use std::time::Duration;

use serde_json::Value;

use crate::harness::datagram::{plain, send};
use crate::harness::packet::{Recorder, ask, connect, get_packet, packet, rest_of};
use crate::harness::router::{Setup, Subscribe};
use crate::harness::{Router, eventually};

/// The two nodes of the captures: A with modifier 5, B with 0.
struct Pair {
    router: Router,
    a: Recorder,
    b: Recorder,
}

impl Pair {
    fn start(setup: Setup) -> Self {
        let router = setup.subscribe(Subscribe::Udp).start();
        let (a, b) = (Recorder::start("A"), Recorder::start("B"));
        for (node, key, modifier1) in [(&a, "a.example", "5"), (&b, "b.example", "0")] {
            let address = node.address().to_string();
            let fields = [("key", key), ("address", &address), ("modifier1", modifier1)];
            send(router.subscribe(), &plain(0, &fields));
            router.wait_for_nodes(key, 1);
        }
        Self { router, a, b }
    }

    /// All that reached a node, after the router closed.
    fn reached(&self, node: &Recorder, count: usize) -> Vec<Vec<u8>> {
        eventually("the node has seen it", Duration::from_secs(20), || {
            let seen = node.seen();
            (seen.len() >= count).then_some(seen)
        })
    }
}

fn cases(group: &str) -> Vec<Value> {
    let all: Value =
        serde_json::from_str(include_str!("../testdata/fastrouter.json")).expect("as captured");
    let cases = all["cases"].as_array().expect("as captured").iter();
    cases.filter(|case| case["group"] == group).cloned().collect()
}

fn vars(case: &Value) -> Option<Vec<(String, String)>> {
    let text = |value: &Value| value.as_str().expect("as captured").to_owned();
    let vars = case["vars"].as_array()?;
    Some(vars.iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect())
}

#[test]
fn every_captured_request_reaches_the_same_node_with_the_same_bytes() {
    let pair = Pair::start(Router::setup());
    let mut checked = 0;
    let (mut for_a, mut for_b) = (0, 0);
    for case in cases("fastrouter") {
        let name = case["case"].as_str().unwrap();
        // A half-close is served here, and what follows a stated body stays behind.
        if matches!(name, "half_close" | "body_beyond_content_length") {
            continue;
        }
        let Some(vars) = vars(&case) else { continue };
        let borrowed: Vec<_> = vars.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let mut sent = packet(&borrowed);
        (sent[0], sent[3]) = (3, 9);
        sent.extend_from_slice(case["body"].as_str().unwrap_or_default().as_bytes());
        let answer = ask(pair.router.http(), &sent);
        assert_eq!(String::from_utf8_lossy(&answer), case["response"].as_str().unwrap(), "{name}");
        let node = match case["backends"][0].as_str().unwrap() {
            "A" => {
                for_a += 1;
                pair.reached(&pair.a, for_a)[for_a - 1].clone()
            }
            _ => {
                for_b += 1;
                pair.reached(&pair.b, for_b)[for_b - 1].clone()
            }
        };
        let header: String = node[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(header, case["backend_header_hex"].as_str().unwrap(), "{name}");
        assert_eq!(node[4..], sent[4..], "{name}: nothing else is changed");
        checked += 1;
    }
    assert!(checked >= 9, "{checked} cases were checked");
}

#[test]
fn the_captured_bytes_of_a_client_become_those_its_node_saw() {
    let pair = Pair::start(Router::setup());
    let cases: [(&[u8], &[u8], &Recorder); 3] = [
        (
            include_bytes!("../testdata/pypi-2.0.31__by_http_host.client.bin"),
            include_bytes!("../testdata/pypi-2.0.31__by_http_host.backend.bin"),
            &pair.a,
        ),
        (
            include_bytes!("../testdata/pypi-2.0.31__post_body_streamed.client.bin"),
            include_bytes!("../testdata/pypi-2.0.31__post_body_streamed.backend.bin"),
            &pair.a,
        ),
        (
            include_bytes!("../testdata/pypi-2.0.31__client_modifier_overwritten.client.bin"),
            include_bytes!("../testdata/pypi-2.0.31__client_modifier_overwritten.backend.bin"),
            &pair.b,
        ),
    ];
    for (index, (client, backend, node)) in cases.into_iter().enumerate() {
        assert!(!ask(pair.router.http(), client).is_empty());
        let count = if index == 1 { 2 } else { 1 };
        assert_eq!(pair.reached(node, count).last().unwrap(), backend, "case {index}");
    }
}

#[test]
fn packets_of_every_length_pass_in_any_pieces() {
    let pair = Pair::start(Router::setup());
    let mut count = 0;
    for filler in [0, 1, 1000, 1024, 4096, 60_000, 65_535 - 4 - 9 - 9 - 4 - 1] {
        let vars = [("HTTP_HOST", "a.example"), ("X", &"x".repeat(filler)[..])];
        let sent = packet(&vars);
        let mut stream = connect(pair.router.http());
        for piece in sent.chunks(sent.len().div_ceil(3)) {
            std::io::Write::write_all(&mut stream, piece).unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(rest_of(stream).ends_with(b"\r\n\r\nA"), "{} bytes", sent.len());
        count += 1;
        assert_eq!(pair.reached(&pair.a, count)[count - 1][4..], sent[4..]);
    }
    let mut byte_by_byte = connect(pair.router.http());
    for byte in get_packet("a.example") {
        std::io::Write::write_all(&mut byte_by_byte, &[byte]).unwrap();
    }
    assert!(rest_of(byte_by_byte).ends_with(b"A"));
}

#[test]
fn what_is_no_request_is_closed_without_a_byte_and_counted() {
    let pair = Pair::start(Router::setup().workers(1).config("timeouts = { head = \"300ms\" }"));
    let malformed = [&[0, 8, 0, 0][..], b"\x09\0HTTP_H"].concat();
    let empty_name = [&[0, 8, 0, 0][..], &[0; 8]].concat();
    let nameless = packet(&[("PATH_INFO", "/")]);
    let dots = packet(&[("HTTP_HOST", "a.example"), ("PATH_INFO", "/a/../b")]);
    let length = packet(&[("HTTP_HOST", "a.example"), ("CONTENT_LENGTH", "five")]);
    for (sent, reason) in [
        (malformed, "malformed"),
        (empty_name, "malformed"),
        (dots, "malformed"),
        (length, "malformed"),
        (nameless, "no_key"),
        (vec![0; 4], "no_key"),
        (b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n".to_vec(), "timeout"),
        (get_packet("a.example")[..20].to_vec(), "timeout"),
    ] {
        let name = "suzerain_uwsgi_rejects_total";
        let labels = [("reason", reason)];
        let before = pair.router.metrics().sum(name, &labels);
        assert_eq!(ask(pair.router.http(), &sent), b"", "{reason}");
        eventually("it is counted", Duration::from_secs(20), || {
            (pair.router.metrics().sum(name, &labels) == before + 1.0).then_some(())
        });
    }
    assert!(pair.a.seen().is_empty() && pair.b.seen().is_empty());
    assert!(ask(pair.router.http(), &get_packet("a.example")).ends_with(b"A"), "it still serves");
}

#[test]
fn the_statistics_are_those_of_a_fastrouter() {
    let pair = Pair::start(Router::setup());
    let stats = pair.router.stats();
    let listed = cases("fastrouter").into_iter().find(|case| case["case"] == "stats").unwrap();
    for key in listed["keys"].as_array().unwrap() {
        assert!(stats.get(key.as_str().unwrap()).is_some(), "{key}");
    }
    assert!(stats.get("http").is_none());
    assert_eq!(stats["suzerain"]["listeners"][0]["scheme"], "uwsgi");
}
