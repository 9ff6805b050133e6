//! What clients of a real nginx see when vassals and routers end.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::client::Client;
use crate::harness::front::{Front, PARAMS, app};
use crate::harness::process::Process;
use crate::harness::router::{Setup, Subscribe};
use crate::harness::tools::Curl;
use crate::harness::wait::{SOON, eventually_true};
use crate::harness::{Router, require_tool};

const KEY: &str = "a.example";

/// The programs of these tests.
struct Tools {
    nginx: PathBuf,
    uwsgi: PathBuf,
    curl: PathBuf,
}

macro_rules! require_tools {
    () => {
        Tools {
            nginx: require_tool!("nginx"),
            uwsgi: require_tool!("uwsgi"),
            curl: require_tool!("curl"),
        }
    };
}

impl Tools {
    /// An application with two processes that announces `key` to these routers every second.
    #[track_caller]
    fn app(&self, node: &str, key: &str, routers: &[&Router]) -> Process {
        let announced = routers.iter().flat_map(|router| {
            ["--subscribe-to".to_owned(), format!("{}:{key}", router.subscribe())]
        });
        app(node)
            .args(["--processes", "2"])
            .args(announced.collect::<Vec<_>>())
            .start(&self.uwsgi, routers[0].folder())
    }

    #[track_caller]
    fn front(&self, router: &Router) -> Front {
        Front::nginx(&self.nginx, router.folder(), &router.http().to_string())
    }

    /// Asks in a thread of its own, and waits until a vassal of the key has the request.
    #[track_caller]
    fn ask_slowly<'s>(
        &'s self,
        scope: &'s thread::Scope<'s, '_>,
        front: &'s Front,
        router: &Router,
        target: &'s str,
    ) -> thread::ScopedJoinHandle<'s, Curl> {
        let asked = scope.spawn(move || front.ask(&self.curl, KEY, target, &[]));
        eventually_true("a vassal has the request", SOON, || {
            let nodes = router.nodes(KEY);
            nodes.iter().any(|node| node["ref"] == 1)
        });
        asked
    }
}

/// A router whose leases are short.
fn short_leases() -> Setup {
    Router::setup().subscribe(Subscribe::Udp).args(["--tolerance", "3s"])
}

/// Ends the master and the workers of a vassal in the same moment.
fn kill(mut vassal: Process) {
    vassal.signal_group(Signal::SIGKILL);
    vassal.status_within(SOON);
}

#[test]
fn a_vassal_killed_in_a_request_costs_that_request_alone() {
    let tools = require_tools!();
    let router = short_leases().start();
    let front = tools.front(&router);
    let vassal = tools.app("first", KEY, &[&router]);
    let _other = tools.app("other", "b.example", &[&router]);
    router.wait_for_nodes(KEY, 1);
    router.wait_for_nodes("b.example", 1);
    thread::scope(|scope| {
        let slow = tools.ask_slowly(scope, &front, &router, "/slow?20");
        assert_eq!(front.ask(&tools.curl, "b.example", "/", &[]).status, 200);
        let began = Instant::now();
        kill(vassal);
        assert_eq!(slow.join().expect("curl ran").status, 502);
        assert!(began.elapsed() < Duration::from_secs(10), "at once, not after a deadline");
        assert_eq!(front.ask(&tools.curl, "b.example", "/", &[]).status, 200);
    });
    router.wait_for_nodes(KEY, 0);
    assert_eq!(front.ask(&tools.curl, KEY, "/", &[]).status, 404, "its lease is over");
    let _next = tools.app("next", KEY, &[&router]);
    router.wait_for_nodes(KEY, 1);
    assert_eq!(front.ask(&tools.curl, KEY, "/", &[]).json()["node"], "next");
    assert!(router.access_log().contains("term=UW"), "{}", router.access_log());
}

#[test]
fn another_vassal_of_the_key_takes_over_at_once() {
    let tools = require_tools!();
    let router = short_leases().start();
    let front = tools.front(&router);
    let vassal = tools.app("first", KEY, &[&router]);
    router.wait_for_nodes(KEY, 1);
    thread::scope(|scope| {
        let slow = tools.ask_slowly(scope, &front, &router, "/slow?20");
        let second = tools.app("second", KEY, &[&router]);
        router.wait_for_nodes(KEY, 2);
        kill(vassal);
        assert_eq!(slow.join().expect("curl ran").status, 502, "it may have been executed");
        for _ in 0..6 {
            assert_eq!(front.ask(&tools.curl, KEY, "/", &[]).json()["node"], "second");
        }
        router.wait_for_nodes(KEY, 1);
        drop(second);
    });
}

#[test]
fn a_response_that_breaks_off_is_not_taken_for_whole() {
    let tools = require_tools!();
    let router = short_leases().start();
    // Or nginx would keep the beginning until there is more of it.
    let server =
        format!("uwsgi_buffering off; location / {{ {PARAMS} uwsgi_pass {}; }}", router.http());
    let front = Front::nginx_with(&tools.nginx, router.folder(), "", &server);
    let vassal = tools.app("first", KEY, &[&router]);
    router.wait_for_nodes(KEY, 1);
    let mut client = Client::connect(front.address());
    client.send(format!("GET /drip?20 HTTP/1.1\r\nHost: {KEY}\r\n\r\n"));
    let head = client.try_head().expect("its beginning has passed");
    assert_eq!((head.status, head.content_length()), (200, Some(10)));
    kill(vassal);
    assert!(client.take(10).is_err(), "its end did not");
}

/// nginx with two routers as its upstream, `first` always asked first.
fn two_routers(nginx: &Path, first: &Router, second: &Router, more: &str) -> Front {
    let http =
        format!("upstream routers {{ server {}; server {} backup; }}", first.http(), second.http());
    let server = format!("location / {{ {PARAMS} {more} uwsgi_pass routers; }}");
    Front::nginx_with(nginx, first.folder(), &http, &server)
}

#[test]
fn nginx_asks_its_next_router_when_one_closes_or_answers_as_named() {
    let tools = require_tools!();
    let knows = Router::setup().subscribe(Subscribe::Udp).start();
    let _app = tools.app("a", KEY, &[&knows]);
    knows.wait_for_nodes(KEY, 1);
    let closes = Router::setup().args(["--close-on-failure"]).start();
    let answers = Router::setup().start();
    let (by_close, not_named, named) = (
        two_routers(&tools.nginx, &closes, &knows, ""),
        two_routers(&tools.nginx, &answers, &knows, ""),
        two_routers(
            &tools.nginx,
            &answers,
            &knows,
            "uwsgi_next_upstream error timeout http_404 http_503;",
        ),
    );
    for (front, status) in [(&by_close, 200), (&not_named, 404), (&named, 200)] {
        assert_eq!(front.ask(&tools.curl, KEY, "/", &[]).status, status);
    }
    let alone = Front::nginx(&tools.nginx, closes.folder(), &closes.http().to_string());
    let got = alone.ask(&tools.curl, KEY, "/", &[]);
    assert_eq!(got.status, 502);
    assert!(got.body.contains("nginx"), "its own page: {got:?}");
}

#[test]
fn a_drain_finishes_what_is_under_way_and_nginx_goes_elsewhere() {
    let tools = require_tools!();
    let leaving = Router::setup().subscribe(Subscribe::Udp).start();
    let staying = Router::setup().subscribe(Subscribe::Udp).start();
    let _app = tools.app("a", KEY, &[&leaving, &staying]);
    let _quick = tools.app("b", "b.example", &[&leaving, &staying]);
    for router in [&leaving, &staying] {
        router.wait_for_nodes(KEY, 1);
        router.wait_for_nodes("b.example", 1);
    }
    let front = two_routers(&tools.nginx, &leaving, &staying, "");
    let stopping = AtomicBool::new(false);
    let mut leaving = leaving;
    thread::scope(|scope| {
        let slow = tools.ask_slowly(scope, &front, &leaving, "/slow?3");
        let visitors = scope.spawn(|| {
            let mut asked = 0;
            while !stopping.load(Ordering::SeqCst) {
                let got = front.ask(&tools.curl, "b.example", "/", &[]);
                assert_eq!(got.status, 200, "request {asked}: {got:?}");
                asked += 1;
            }
            asked
        });
        leaving.process.signal(Signal::SIGQUIT);
        let slow = slow.join().expect("curl ran");
        assert_eq!((slow.status, slow.exit), (200, 0), "{slow:?}");
        let ended = leaving.process.status_within(SOON);
        stopping.store(true, Ordering::SeqCst);
        assert!(ended.success(), "{ended}");
        let asked = visitors.join().expect("none was lost");
        assert!(asked > 5, "{asked} requests meanwhile");
    });
}
