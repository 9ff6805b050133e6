//! Real nginx before the router and real uWSGI behind it: which vassal a request gets, and what it is
//! told.

use std::path::Path;
use std::time::Duration;

use crate::harness::certs::{honest, sign_check_folder, stranger};
use crate::harness::datagram::{plain, send};
use crate::harness::front::{Front, PARAMS, app};
use crate::harness::packet::Recorder;
use crate::harness::process::Process;
use crate::harness::router::Subscribe;
use crate::harness::wait::SOON;
use crate::harness::{Router, eventually, require_tool};

/// Starts an application that subscribes to `key` as long as it lives.
#[track_caller]
fn subscribed(uwsgi: &Path, router: &Router, node: &str, key: &str) -> Process {
    let process = app(node)
        .subscribe_to(format!("{}:{key}", router.subscribe()))
        .start(uwsgi, router.folder());
    router.wait_for_nodes(key, 1);
    process
}

#[test]
fn requests_of_nginx_reach_a_vassal_over_both_kinds_of_listeners() {
    let (nginx, uwsgi) = (require_tool!("nginx"), require_tool!("uwsgi"));
    let curl = require_tool!("curl");
    let setup = Router::setup().subscribe(Subscribe::Udp);
    let socket = setup.folder().join("uwsgi.sock").display().to_string();
    let router = setup.args(["--uwsgi", &socket]).start();
    let _app = subscribed(&uwsgi, &router, "a", "a.example");
    for to in [router.http().to_string(), format!("unix:{socket}")] {
        let front = Front::nginx(&nginx, router.folder(), &to);
        let twice = ["-H", "X-Twice: one", "-H", "X-Twice: two", "--interface", "127.0.0.9"];
        let got = front.ask(&curl, "a.example", "/n%20x/?y=2&z=%20", &twice);
        assert_eq!(got.status, 200, "{to}: {got:?}");
        let env = &got.json()["env"];
        for (name, value) in [
            ("PATH_INFO", "/n x/"),
            ("QUERY_STRING", "y=2&z=%20"),
            ("REQUEST_URI", "/n%20x/?y=2&z=%20"),
            ("REQUEST_METHOD", "GET"),
            ("HTTP_HOST", "a.example"),
            ("HTTP_X_TWICE", "two"),
            ("REMOTE_ADDR", "127.0.0.9"),
        ] {
            assert_eq!(env[name], value, "{name} over {to}");
        }
        let posted = front.ask(&curl, "a.example", "/", &["-d", "hello=world"]);
        assert_eq!(posted.json()["body"]["length"], 11, "{to}");
        assert_eq!(posted.json()["env"]["REQUEST_METHOD"], "POST");
        let head = front.ask(&curl, "a.example", "/", &["-I"]);
        assert_eq!(head.status, 200, "{to}");
        let unknown = front.ask(&curl, "zzz.example", "/", &[]);
        assert_eq!(unknown.status, 404, "{to}");
    }
    let log = eventually("all are logged", SOON, || {
        Some(router.access_log()).filter(|log| log.lines().count() == 8)
    });
    let first = log.lines().filter(|line| line.contains("client=127.0.0.9:"));
    assert_eq!(first.count(), 2, "the client of nginx is named: {log}");
    assert!(log.contains(r#"target="/n%20x/?y=2&z=%20" proto=HTTP/1.1"#), "{log}");
}

#[test]
fn the_bytes_that_nginx_sent_reach_the_node_but_for_its_modifiers() {
    let (nginx, curl) = (require_tool!("nginx"), require_tool!("curl"));
    let router = Router::setup().subscribe(Subscribe::Udp).start();
    let (direct, node) = (Recorder::start("A"), Recorder::start("A"));
    let address = node.address().to_string();
    let fields = [("key", "a.example"), ("address", &address), ("modifier1", "5")];
    send(router.subscribe(), &plain(0, &fields));
    router.wait_for_nodes("a.example", 1);
    let [expected, seen] =
        [(direct.address(), &direct), (router.http(), &node)].map(|(to, node)| {
            let server = format!(
                "location / {{ {PARAMS} uwsgi_param SERVER_PORT 80; uwsgi_param REMOTE_PORT 7;\
             uwsgi_modifier1 9; uwsgi_modifier2 3; uwsgi_pass {to}; }}"
            );
            let front = Front::nginx_with(&nginx, router.folder(), "", &server);
            let more = ["-H", "X-Twice: one", "-H", "X-Twice: two", "-d", "body"];
            assert_eq!(front.ask(&curl, "a.example", "/x", &more).body, "A");
            eventually("the node has seen it", SOON, || node.seen().pop())
        });
    assert_eq!((expected[0], expected[3]), (9, 3));
    assert_eq!((seen[0], seen[3]), (5, 0));
    // The first SERVER_PORT and REMOTE_PORT are those of the two connections.
    let stable = |packet: &[u8]| {
        let text = String::from_utf8_lossy(packet).into_owned();
        let after = text.find("SERVER_NAME").map(|at| text[at..].to_owned());
        after.expect("nginx names the server")
    };
    assert_eq!(stable(&seen), stable(&expected));
    assert_eq!(stable(&seen).matches("HTTP_X_TWICE").count(), 2, "duplicates stay apart");
}

#[test]
fn a_key_with_a_port_needs_the_host_as_the_client_sent_it() {
    let (nginx, uwsgi) = (require_tool!("nginx"), require_tool!("uwsgi"));
    let curl = require_tool!("curl");
    let router = Router::setup().subscribe(Subscribe::Udp).start();
    let _with_port = subscribed(&uwsgi, &router, "with-port", "a.example:8080");
    let _without = subscribed(&uwsgi, &router, "without", "b.example");
    let fronts = ["$host", "$http_host"].map(|host| {
        let to = router.http();
        let server =
            format!("location / {{ {PARAMS} uwsgi_param HTTP_HOST {host}; uwsgi_pass {to}; }}");
        Front::nginx_with(&nginx, router.folder(), "", &server)
    });
    let statuses = |host: &str| {
        fronts.iter().map(|front| front.ask(&curl, host, "/", &[]).status).collect::<Vec<_>>()
    };
    assert_eq!(statuses("a.example:8080"), [404, 200], "$host has no port");
    assert_eq!(statuses("b.example:8080"), [200, 200], "a key without a port takes every port");
    assert_eq!(statuses("a.example"), [404, 404]);
}

#[test]
fn mountpoints_are_found_behind_nginx() {
    let (nginx, uwsgi) = (require_tool!("nginx"), require_tool!("uwsgi"));
    let curl = require_tool!("curl");
    let router = Router::setup().subscribe(Subscribe::Udp).start();
    let _root = subscribed(&uwsgi, &router, "root", "a.example");
    let _shop = subscribed(&uwsgi, &router, "shop", "a.example/shop");
    let front = Front::nginx(&nginx, router.folder(), &router.http().to_string());
    for (path, node) in [
        ("/", "root"),
        ("/shop", "shop"),
        ("/shop/1?x=/", "shop"),
        ("/%73hop/1", "shop"),
        ("/shopping", "root"),
        ("/shop/../x", "root"),
        ("/x/..%2fshop", "shop"),
    ] {
        let got = front.ask(&curl, "a.example", path, &["--path-as-is"]);
        assert_eq!(got.json()["node"], node, "{path}");
    }
}

#[test]
fn only_vassals_that_sign_are_served_where_signatures_are_checked() {
    let (nginx, uwsgi) = (require_tool!("nginx"), require_tool!("uwsgi"));
    let (curl, _openssl) = (require_tool!("curl"), require_tool!("openssl"));
    let setup = Router::setup().subscribe(Subscribe::Udp);
    let keys = sign_check_folder(setup.folder(), &["good.example", "bad.example"]);
    let router = setup.args(["--sign-check", &format!("SHA256:{}", keys.display())]).start();
    let start = |node: &str, key: &str, pair: &Path| {
        let (server, sign) = (router.subscribe(), pair.display());
        app(node)
            .subscribe2(format!("server={server},key={key},sign=SHA256:{sign}"))
            .start(&uwsgi, router.folder())
    };
    let _good = start("good", "good.example", &honest().private);
    let _bad = start("bad", "bad.example", &stranger().private);
    router.wait_for_nodes("good.example", 1);
    eventually("the stranger is refused", Duration::from_secs(20), || {
        (router.rejects_total() >= 1.0).then_some(())
    });
    let front = Front::nginx(&nginx, router.folder(), &router.http().to_string());
    assert_eq!(front.ask(&curl, "good.example", "/", &[]).json()["node"], "good");
    assert_eq!(front.ask(&curl, "bad.example", "/", &[]).status, 404);
}
