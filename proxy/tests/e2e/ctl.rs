//! `suzerain ctl` against a real router: every question and change, levels and permissions, drains
//! under load.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Uid;
use serde_json::Value;

use crate::harness::datagram;
use crate::harness::router::{BINARY, Setup, Subscribe, suzerain};
use crate::harness::tools::{Finished, report_missing, run};
use crate::harness::wait::{SOON, eventually, eventually_true};
use crate::harness::{Client, Origin, Router, get, require_tool};

/// A user and a group that are neither root's nor those of these tests.
pub const UID: u32 = 4242;
pub const GID: u32 = 4343;

/// A router with a control socket in its folder.
pub fn controlled(setup: Setup) -> Setup {
    let socket = setup.folder().join("ctl.sock").display().to_string();
    setup.args(["--ctl", &socket])
}

pub fn socket_of(router: &Router) -> String {
    router.folder().join("ctl.sock").display().to_string()
}

/// Runs `suzerain ctl` with these arguments.
#[track_caller]
pub fn ctl(router: &Router, arguments: &[&str]) -> Finished {
    let mut command = Command::new(BINARY);
    command.arg("ctl").args(arguments).env("SUZERAIN_CTL", socket_of(router));
    run(&mut command)
}

/// What a command that must succeed says.
#[track_caller]
pub fn said(router: &Router, arguments: &[&str]) -> String {
    let told = ctl(router, arguments);
    assert_eq!(told.code, Some(0), "{arguments:?}: {told:?}");
    told.stdout
}

/// The same as JSON.
#[track_caller]
pub fn json(router: &Router, arguments: &[&str]) -> Value {
    let text = said(router, &[arguments, &["--json"]].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[track_caller]
fn announce(router: &Router, key: &str, address: &str) {
    let fields = [("key", key), ("address", address), ("proto", "http")];
    datagram::send(router.subscribe(), &datagram::plain(0, &fields));
}

#[test]
fn questions_are_answered_as_tables_and_as_json() {
    let origin = Origin::echo();
    let setup = Router::setup().subscribe(Subscribe::Udp).https().route(origin.route("fixed.test"));
    let router = controlled(setup).start();
    announce(&router, "told.test", &origin.address().to_string());
    router.wait_for_nodes("told.test", 1);
    let mut client = Client::connect(router.http());
    client.send("GET / HTTP/1.1\r\nHost: told.test\r\n\r\n");
    assert_eq!(client.response().status, 200);

    let version = json(&router, &["version"]);
    assert_eq!(
        (&version["pid"], &version["state"]),
        (&router.process.pid().into(), &"ready".into())
    );
    assert!(said(&router, &["version"]).contains(": ready\n"));

    let routes = json(&router, &["routes"]);
    let keys: Vec<_> = routes["routes"].as_array().expect("rows").iter().collect();
    assert_eq!(keys.iter().map(|row| &row["key"]).collect::<Vec<_>>(), ["fixed.test", "told.test"]);
    assert_eq!(keys[1]["requests"], 1);
    let table = said(&router, &["routes", "--limit", "1"]);
    assert!(table.starts_with("KEY") && table.contains("and 1 more"), "{table}");

    let node = &json(&router, &["nodes", "told.test"])["nodes"][0];
    assert_eq!(
        (&node["address"], &node["origin"]),
        (&origin.address().to_string().into(), &"subscription".into())
    );
    assert!((1..=17_000).contains(&node["lease_ms"].as_u64().expect("a lease")), "{node}");
    assert!(json(&router, &["nodes", "fixed.test"])["nodes"][0]["lease_ms"].is_null());
    let table = said(&router, &["nodes", "TOLD.test"]);
    assert!(table.lines().count() == 2 && table.contains("serving"), "{table}");

    assert_eq!(json(&router, &["conns"])["connections_open"], 1);
    assert_eq!(json(&router, &["conns"])["workers"].as_array().map(Vec::len), Some(2));
    assert!(json(&router, &["certs"])["certificates"][0]["name"].is_null(), "the default pair");
    assert!(said(&router, &["certs"]).contains("(default)"));
    assert_eq!(json(&router, &["explain", "http://told.test/"])["key"], "told.test");
    assert!(said(&router, &["explain", "http://told.test/"]).contains("candidate"));
    assert_eq!(said(&router, &["loglevel"]), "info\n");
    assert_eq!(said(&router, &["audit", "fixed.test"]).lines().next(), Some("nothing happened"));
}

#[test]
fn exit_codes_tell_what_was_wrong() {
    let router = controlled(Router::setup().route("a.test=127.0.0.1:9")).start();
    for (arguments, code, part) in [
        (&["nodes", "b.test"][..], 1, "there is no key b.test"),
        (&["nodes", "a b"], 64, "key: "),
        (&["explain", "nonsense"], 64, ""),
        (&["loglevel", "loud"], 64, "level: off, error"),
        (&["drain", "10.9.9.9"], 1, "there is no node 10.9.9.9"),
        (&["route", "del", "a.test", "127.0.0.1:9"], 1, "no operator added"),
        (&["frobnicate"], 64, "unrecognized subcommand"),
    ] {
        let told = ctl(&router, arguments);
        assert_eq!(told.code, Some(code), "{told:?}");
        assert!(told.stderr.contains(part), "{told:?}");
    }
    let refused = ctl(&router, &["--json", "nodes", "b.test"]);
    assert_eq!(refused.code, Some(1));
    assert_eq!(refused.stdout, "{\"error\":\"there is no key b.test\"}\n");
    let nobody = suzerain(router.folder(), &["ctl", "--socket", "/nonexistent/c", "version"]);
    assert_eq!(nobody.code, Some(69), "{nobody:?}");
    assert!(nobody.stderr.contains("one with --ctl /nonexistent/c would"), "{nobody:?}");
    let stranger = suzerain(router.folder(), &["ctl", "--socket", "127.0.0.1:1", "version"]);
    assert_eq!(stranger.code, Some(64), "{stranger:?}");
}

/// Sends one request to the control socket as another user, with what every system has.
#[track_caller]
pub fn ask_as(setpriv: &Path, (uid, gid): (u32, u32), socket: &str, line: &str) -> String {
    const ASK: &str = "import socket, sys
s = socket.socket(socket.AF_UNIX)
try: s.connect(sys.argv[1])
except PermissionError: print('no way in'); sys.exit()
s.sendall((sys.argv[2] + ' HTTP/1.0\\r\\n\\r\\n').encode())
print(s.makefile().readline())";
    let told = run(Command::new(setpriv)
        .args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()])
        .args(["/usr/bin/python3", "-c", ASK, socket, line]));
    assert_eq!(told.code, Some(0), "{told:?}");
    let words: Vec<_> = told.stdout.split_whitespace().collect();
    if words.first() == Some(&"HTTP/1.0") { words[1].to_owned() } else { words.join(" ") }
}

pub fn open_folder(router: &Router) {
    use std::os::unix::fs::PermissionsExt as _;
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(router.folder(), open).expect("our own folder");
}

#[test]
fn the_socket_says_who_connects_and_the_user_who_changes() {
    let setpriv = require_tool!("setpriv");
    if !Uid::effective().is_root() {
        return report_missing("root");
    }
    const ASK: &str = "GET /v1/version";
    const CHANGE: &str = "POST /v1/loglevel?level=info";
    let (stranger, member) = ((UID, GID + 1), (UID, GID));
    for (arguments, mode, expected) in [
        (&[][..], 0o600, ["no way in", "no way in", "no way in", "no way in"]),
        (&["--ctl-group", "4343"], 0o660, ["no way in", "no way in", "200", "403"]),
        (&["--ctl-mode", "0666"], 0o666, ["200", "403", "200", "403"]),
        (&["--ctl-mode", "0666", "--ctl-operators", "4343"], 0o666, ["200", "403", "200", "200"]),
    ] {
        let router = controlled(Router::setup()).args(arguments).start();
        open_folder(&router);
        let socket = socket_of(&router);
        use std::os::unix::fs::PermissionsExt as _;
        let found = std::fs::metadata(&socket).expect("the socket").permissions().mode();
        assert_eq!(found & 0o777, mode, "{arguments:?}");
        let told: Vec<_> = [stranger, member]
            .into_iter()
            .flat_map(|who| [ASK, CHANGE].map(|line| ask_as(&setpriv, who, &socket, line)))
            .collect();
        assert_eq!(told, expected, "{arguments:?}");
        assert_eq!(ask_as(&setpriv, (0, 0), &socket, CHANGE), "200");
        let changes = json(&router, &["audit"])["changes"].clone();
        let ended = |word: &str| {
            let rows = changes.as_array().expect("rows").iter();
            rows.filter(|row| row["ended"] == word)
                .map(|row| row["uid"].clone())
                .collect::<Vec<_>>()
        };
        let count = |word: &str| told.iter().filter(|code| *code == word).count();
        assert_eq!(ended("denied"), vec![Value::from(UID); count("403")]);
        assert_eq!(ended("done").last(), Some(&0.into()));
    }
}

/// Clients that never stop asking: what they got wrong, and how often they asked.
struct Load {
    stop: AtomicBool,
    asked: AtomicUsize,
}

#[test]
fn a_node_drains_under_load_without_a_failed_request() {
    let (first, second) = (Origin::echo(), Origin::echo());
    let router = controlled(Router::setup().subscribe(Subscribe::Udp)).start();
    let (one, two) = (first.address().to_string(), second.address().to_string());
    let announce_both = || [&one, &two].map(|node| announce(&router, "busy.test", node));
    announce_both();
    router.wait_for_nodes("busy.test", 2);
    let load = Load { stop: AtomicBool::new(false), asked: AtomicUsize::new(0) };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = Client::connect(router.http());
                while !load.stop.load(Ordering::SeqCst) {
                    client.send("GET / HTTP/1.1\r\nHost: busy.test\r\n\r\n");
                    assert_eq!(client.response().status, 200);
                    load.asked.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let asked = |more: usize| {
            let goal = load.asked.load(Ordering::SeqCst) + more;
            let reached = || load.asked.load(Ordering::SeqCst) >= goal;
            eventually_true("clients go on", SOON, reached);
        };
        asked(100);
        assert!(first.seen().len() > 10 && second.seen().len() > 10);
        let drained = said(&router, &["drain", &one, "--key", "busy.test"]);
        assert!(drained.starts_with("1 node drained"), "{drained}");
        // What was given to the node before the table changed may still arrive.
        eventually_true("it has nothing in hand", SOON, || {
            json(&router, &["nodes", "busy.test"])["nodes"].as_array().is_some_and(|nodes| {
                nodes.iter().all(|node| node["state"] != "drained" || node["in_flight"] == 0)
            })
        });
        let before = first.seen().len();
        announce_both();
        asked(200);
        assert_eq!(first.seen().len(), before, "a drained node got requests");
        let states: Vec<_> = json(&router, &["nodes", "busy.test"])["nodes"]
            .as_array()
            .expect("rows")
            .iter()
            .map(|node| node["state"].clone())
            .collect();
        assert_eq!(states, ["serving", "drained"]);
        assert!(router.nodes("busy.test").iter().any(|node| node["drained"] == true));
        assert_eq!(router.metrics().sum("suzerain_nodes_drained", &[]), 1.0);
        assert!(said(&router, &["undrain", &one]).starts_with("1 node undrained"));
        asked(100);
        assert!(first.seen().len() > before, "it is back");
        load.stop.store(true, Ordering::SeqCst);
    });
}

#[test]
fn a_key_whose_nodes_are_all_drained_answers_503_and_says_why() {
    let origin = Origin::echo();
    let route = origin.route("gone.test");
    let router = controlled(Router::setup().route(&route)).start();
    assert!(said(&router, &["drain", "127.0.0.1"]).starts_with("1 node drained; 0 requests"));
    assert!(said(&router, &["drain", "127.0.0.1"]).starts_with("0 nodes drained, 1 were before"));
    assert_eq!(get(router.http(), "gone.test", "/").status, 503);
    let told = said(&router, &["explain", "http://gone.test/"]);
    assert!(told.contains("an operator drained every node"), "{told}");
    said(&router, &["undrain", "127.0.0.1", "--key", "gone.test"]);
    assert_eq!(get(router.http(), "gone.test", "/").status, 200);
}

#[test]
fn nodes_of_operators_come_and_go_without_a_subscription() {
    let origin = Origin::echo();
    let router = controlled(Router::setup().subscribe(Subscribe::Udp)).start();
    let address = origin.address().to_string();
    let add = ["route", "add", "new.test", &address, "--proto", "http", "--weight", "3"];
    assert_eq!(said(&router, &add), "added\n");
    assert_eq!(get(router.http(), "new.test", "/").status, 200);
    let node = &json(&router, &["nodes", "new.test"])["nodes"][0];
    assert_eq!((&node["origin"], &node["weight"]), (&"ctl".into(), &3.into()));
    let twice = ctl(&router, &add);
    assert_eq!(twice.code, Some(1));
    assert!(twice.stderr.contains("has a node of this address already"), "{twice:?}");
    let wrong = ctl(&router, &["route", "add", "new.test", &address, "--proto", "gopher"]);
    assert_eq!(wrong.code, Some(64), "{wrong:?}");
    // No datagram takes it over or away.
    announce(&router, "new.test", &address);
    eventually_true("it is refused", SOON, || router.rejects_total() == 1.0);
    assert_eq!(said(&router, &["route", "del", "new.test", &address]), "deleted\n");
    assert_eq!(get(router.http(), "new.test", "/").status, 404);
    let told = said(&router, &["audit", "new.test"]);
    assert!(told.contains(&format!("route add new.test {address} proto=http weight=3")), "{told}");
    assert!(told.contains("route del") && told.contains("failed"), "{told}");
}

#[test]
fn the_log_level_changes_while_the_router_runs() {
    let router = controlled(Router::setup().subscribe(Subscribe::Udp)).start();
    let announced = |key: &str| {
        announce(&router, key, "127.0.0.1:9");
        router.wait_for_nodes(key, 1);
    };
    assert_eq!(said(&router, &["loglevel", "error"]), "log level is error\n");
    announced("quiet.test");
    said(&router, &["loglevel", "info", "router_core::subscriber"]);
    announced("loud.test");
    let log = eventually("a line is written", SOON, || {
        Some(router.process.stderr()).filter(|log| log.contains("loud.test"))
    });
    assert!(!log.contains("quiet.test"), "{log}");
    assert_eq!(said(&router, &["loglevel"]), "error\ninfo router_core::subscriber\n");
    assert_eq!(ctl(&router, &["loglevel", "info", "hyper"]).code, Some(1));
}

#[test]
fn orders_have_an_outcome_and_signals_are_audited() {
    let setup = Router::setup();
    let path = setup.folder().join("audit.log");
    let router = controlled(setup).args(["--audit-log", &path.display().to_string()]).start();
    let lines = || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        rows.collect::<Vec<_>>()
    };
    for order in ["reload", "reopen-logs"] {
        let told = ctl(&router, &[order]);
        let rows = lines();
        let row = rows.last().expect("a line");
        let expected = if told.code == Some(0) { "done" } else { "failed" };
        assert_eq!((&row["change"], &row["ended"]), (&order.into(), &expected.into()), "{told:?}");
        assert_eq!((&row["by"], &row["uid"]), (&"ctl".into(), &Uid::effective().as_raw().into()));
    }
    let aside = path.with_extension("1");
    std::fs::rename(&path, &aside).expect("rotate");
    router.process.signal(Signal::SIGUSR1);
    eventually_true("the file is there again", SOON, || !lines().is_empty());
    let row = lines().remove(0);
    assert_eq!((&row["by"], &row["signal"]), (&"signal".into(), &"SIGUSR1".into()));
    assert_eq!(json(&router, &["audit"])["changes"].as_array().map(Vec::len), Some(3));
}

#[test]
fn quit_drains_and_stop_ends_at_once() {
    for (order, answer) in [("quit", "draining\n"), ("stop", "stopping\n")] {
        let origin = Origin::start(|exchange| {
            std::thread::sleep(Duration::from_millis(300));
            exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
            Ok(crate::harness::After::Close)
        });
        let mut router = controlled(Router::setup().route(origin.route("end.test"))).start();
        let mut client = Client::connect(router.http());
        client.send("GET / HTTP/1.1\r\nHost: end.test\r\n\r\n");
        eventually_true("it is under way", SOON, || {
            json(&router, &["routes", "end.test"])["routes"][0]["in_flight"] == 1
        });
        assert_eq!(said(&router, &[order]), answer);
        let finished = client.try_response("GET").is_ok_and(|answer| answer.status == 200);
        assert_eq!(finished, order == "quit");
        assert!(router.process.status_within(SOON).success());
        assert!(!router.folder().join("ctl.sock").exists(), "its file is gone");
    }
}

#[test]
fn no_subscription_reaches_the_control_socket() {
    let router = controlled(Router::setup().subscribe(Subscribe::Udp)).start();
    announce(&router, "evil.test", &socket_of(&router));
    let name = "suzerain_subscription_rejects_total";
    eventually_true("it is refused", SOON, || {
        router.metrics().sum(name, &[("reason", "address_refused")]) == 1.0
    });
}
