//! How nodes come and go: unsubscription, expiry, reload, balance, and bad datagrams.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::client::try_get;
use crate::harness::datagram;
use crate::harness::process::Process;
use crate::harness::router::Subscribe;
use crate::harness::vassal::vassal;
use crate::harness::wait::{SOON, eventually_true};
use crate::harness::{Origin, Router, get, require_tool};

fn udp_router() -> Router {
    Router::setup().subscribe(Subscribe::Udp).start()
}

#[test]
fn sigint_unsubscribes_at_once() {
    let uwsgi = require_tool!("uwsgi");
    let router = udp_router();
    let mut app = vassal("a")
        .subscribe_to(format!("{}:bye.test", router.subscribe()))
        .start(&uwsgi, router.folder());
    router.wait_for_nodes("bye.test", 1);
    assert_eq!(get(router.http(), "bye.test", "/").status, 200);
    app.signal(Signal::SIGINT);
    app.status_within(SOON);
    // The datagram left before the process did; the default tolerance is 17 s away.
    eventually_true("the key is gone", Duration::from_secs(2), || {
        get(router.http(), "bye.test", "/").status == 404
    });
}

#[test]
fn a_killed_vassal_expires_after_the_tolerance() {
    let uwsgi = require_tool!("uwsgi");
    let router = Router::setup().subscribe(Subscribe::Udp).args(["--tolerance", "3"]).start();
    let app = vassal("a")
        .subscribe_to(format!("{}:dead.test", router.subscribe()))
        .start(&uwsgi, router.folder());
    router.wait_for_nodes("dead.test", 1);
    app.signal_group(Signal::SIGKILL);
    let killed = Instant::now();
    let status = get(router.http(), "dead.test", "/").status;
    assert!(matches!(status, 502 | 503), "the lease still holds: {status}");
    eventually_true("the lease lapsed", Duration::from_secs(8), || {
        get(router.http(), "dead.test", "/").status == 404
    });
    let took = killed.elapsed();
    assert!(took > Duration::from_millis(1500), "renewed within the last second, gone in {took:?}");
    assert!(router.nodes("dead.test").is_empty());
    eventually_true("it is counted", SOON, || {
        router.metrics().sum("suzerain_subscription_lapsed_total", &[]) >= 1.0
    });
}

#[test]
fn a_renewed_lease_outlives_the_tolerance() {
    let uwsgi = require_tool!("uwsgi");
    let router = Router::setup().subscribe(Subscribe::Udp).args(["--tolerance", "3"]).start();
    let _app = vassal("a")
        .subscribe_to(format!("{}:alive.test", router.subscribe()))
        .start(&uwsgi, router.folder());
    router.wait_for_nodes("alive.test", 1);
    let generation = router.metrics().sum("suzerain_table_generation", &[]);
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(4500) {
        assert_eq!(get(router.http(), "alive.test", "/").status, 200);
        std::thread::sleep(Duration::from_millis(100));
    }
    let after = router.metrics().sum("suzerain_table_generation", &[]);
    assert_eq!(generation, after, "a renewal publishes no table");
}

/// Goal: a vassal that reloads costs no request. Method: requests in a loop while it does so twice.
///
/// Now and then a worker of uWSGI that is told to end does so after its accept and without an answer, which is
/// a 502 here. Each of them can do it once.
#[test]
fn sighup_loses_no_request() {
    let uwsgi = require_tool!("uwsgi");
    let router = udp_router();
    let socket = router.folder().join("app.sock");
    let app = vassal("a")
        .socket(socket.display().to_string())
        .args(["--processes", "2"])
        .subscribe_to(format!("{}:hup.test", router.subscribe()))
        .start(&uwsgi, router.folder());
    router.wait_for_nodes("hup.test", 1);
    let stop = Arc::new(AtomicBool::new(false));
    let loops: Vec<_> = (0..2)
        .map(|_| {
            let (stop, address) = (stop.clone(), router.http());
            std::thread::spawn(move || {
                let mut outcomes: BTreeMap<String, u32> = BTreeMap::new();
                while !stop.load(Ordering::SeqCst) {
                    let outcome = match try_get(address, "hup.test", "/") {
                        Ok(response) => response.status.to_string(),
                        Err(error) => error.kind().to_string(),
                    };
                    *outcomes.entry(outcome).or_default() += 1;
                }
                outcomes
            })
        })
        .collect();
    let mut seen_pids = Vec::new();
    for _ in 0..2 {
        let before = pid_of(&router);
        seen_pids.push(before);
        reload(&app, || pid_of(&router) != before);
        std::thread::sleep(Duration::from_millis(500));
    }
    stop.store(true, Ordering::SeqCst);
    for outcomes in loops.into_iter().map(|each| each.join().expect("the loop ends")) {
        assert!(outcomes["200"] > 20, "{outcomes:?}");
        let lost: u32 = outcomes.iter().filter(|(what, _)| *what != "200").map(|(_, n)| n).sum();
        let unanswered = outcomes.get("502").copied().unwrap_or_default();
        assert!(lost == unanswered && lost <= WORKERS_ENDED, "lost requests: {outcomes:?}");
    }
    assert_eq!(router.nodes("hup.test").len(), 1);
}

/// Has the vassal reload. uWSGI misses a SIGHUP now and then, so it is sent again after a while.
#[track_caller]
fn reload(app: &Process, is_new: impl Fn() -> bool) {
    let (began, mut sent) = (Instant::now(), 0);
    eventually_true("a new worker answers", SOON * 2, || {
        if began.elapsed() >= Duration::from_secs(4) * sent {
            app.signal(Signal::SIGHUP);
            sent += 1;
        }
        is_new()
    });
}

/// Two workers, two reloads.
const WORKERS_ENDED: u32 = 4;

/// Lowest pid of several answers: both workers are new when it changes.
fn pid_of(router: &Router) -> i64 {
    let answers = (0..4).map(|_| get(router.http(), "hup.test", "/"));
    let pids = answers.filter(|answer| answer.status == 200).map(|answer| answer.json());
    pids.filter_map(|answer| answer["pid"].as_i64()).min().expect("an answer")
}

#[test]
fn two_vassals_share_by_weight() {
    let uwsgi = require_tool!("uwsgi");
    let router = udp_router();
    let server = router.subscribe();
    let start = |node: &str, key: &str, weight: u32| {
        vassal(node)
            .subscribe2(format!("server={server},key={key},weight={weight}"))
            .start(&uwsgi, router.folder())
    };
    let _apps = [
        start("even-a", "even.test", 1),
        start("even-b", "even.test", 1),
        start("odd-a", "odd.test", 3),
        start("odd-b", "odd.test", 1),
    ];
    for (key, expected) in [("even", (10, 10)), ("odd", (15, 5))] {
        let host = format!("{key}.test");
        router.wait_for_nodes(&host, 2);
        let mut shares: BTreeMap<String, u32> = BTreeMap::new();
        for _ in 0..20 {
            let node = get(router.http(), &host, "/").json()["node"].to_string();
            *shares.entry(node.trim_matches('"').to_owned()).or_default() += 1;
        }
        let share = |node: &str| shares.get(&format!("{key}-{node}")).copied().unwrap_or(0);
        assert_eq!((share("a"), share("b")), expected, "{shares:?}");
    }
}

#[test]
fn one_of_two_vassals_may_die_without_an_error() {
    let uwsgi = require_tool!("uwsgi");
    let router = udp_router();
    let server = router.subscribe();
    let start = |node: &str| {
        vassal(node).subscribe_to(format!("{server}:pair.test")).start(&uwsgi, router.folder())
    };
    let (dies, _lives) = (start("dies"), start("lives"));
    router.wait_for_nodes("pair.test", 2);
    dies.signal_group(Signal::SIGKILL);
    eventually_true("it is dead", SOON, || {
        // A request it took in its last moment may be lost; one that it refuses never is.
        (0..4).all(|_| get(router.http(), "pair.test", "/").text().contains("lives"))
    });
    for _ in 0..20 {
        assert_eq!(get(router.http(), "pair.test", "/").json()["node"], "lives");
    }
}

#[test]
fn our_own_plain_datagrams_add_and_remove_nodes() {
    let origin = Origin::echo();
    let router = udp_router();
    let address = origin.address().to_string();
    // `proto=http` is understood from 2.1 vassals on.
    let fields = [("key", "own.test"), ("address", address.as_str()), ("proto", "http")];
    datagram::send(router.subscribe(), &datagram::plain(0, &fields));
    router.wait_for_nodes("own.test", 1);
    assert_eq!(get(router.http(), "own.test", "/").status, 200);
    datagram::send(router.subscribe(), &datagram::plain(1, &fields));
    router.wait_for_nodes("own.test", 0);
    assert_eq!(get(router.http(), "own.test", "/").status, 404);
}

/// Every malformed or forbidden datagram is counted, adds nothing and hurts nothing.
#[test]
fn bad_datagrams_are_counted_and_forgotten() {
    let router = udp_router();
    let own = router.http().to_string();
    let long = "k".repeat(256);
    let subscribe =
        |key: &str, address: &str| datagram::plain(0, &[("key", key), ("address", address)]);
    let mut cut = subscribe("cut.test", "127.0.0.1:9");
    cut.truncate(cut.len() - 3);
    let mut oversize = subscribe("over.test", "127.0.0.1:9");
    oversize.resize(5000, 0);
    let bad = [
        ("empty", Vec::new()),
        ("header only", vec![224, 0, 0, 0]),
        ("another modifier", [vec![0], subscribe("m.test", "127.0.0.1:9")[1..].to_vec()].concat()),
        ("a cut pair", cut),
        ("too long", oversize),
        ("no key", datagram::plain(0, &[("address", "127.0.0.1:9")])),
        ("no address", datagram::plain(0, &[("key", "noaddr.test")])),
        ("a key of 256 bytes", subscribe(&long, "127.0.0.1:9")),
        ("a key with a newline", subscribe("a\nb.test", "127.0.0.1:9")),
        ("a name as address", subscribe("dns.test", "localhost:80")),
        ("the router's own listener", subscribe("loop.test", &own)),
        ("link-local", subscribe("meta.test", "169.254.169.254:80")),
        (
            "a worded number",
            datagram::plain(
                0,
                &[("key", "num.test"), ("address", "127.0.0.1:9"), ("weight", "abc")],
            ),
        ),
    ];
    let mut uncounted = Vec::new();
    for (what, bytes) in bad {
        let before = router.rejects_total();
        datagram::send(router.subscribe(), &bytes);
        let start = Instant::now();
        while router.rejects_total() == before && start.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(10));
        }
        if router.rejects_total() == before {
            uncounted.push(what);
        }
    }
    assert!(uncounted.is_empty(), "{uncounted:?}");
    assert_eq!(router.metrics().sum("suzerain_nodes", &[]), 0.0);
    assert_eq!(router.admin("/readyz").status, 200);
}
