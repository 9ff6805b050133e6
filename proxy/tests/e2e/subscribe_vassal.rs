//! Nodes known by the name of their vassal, as uWSGI 2.1 sends it.

use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::datagram;
use crate::harness::origin::Origin;
use crate::harness::process::Process;
use crate::harness::router::{BINARY, Subscribe, suzerain};
use crate::harness::wait::SOON;
use crate::harness::{Router, eventually, get};

const KEY: &str = "vassal.test";

fn send(router: &Router, command: u8, address: &str, more: &[(&str, &str)]) {
    let mut fields = vec![("key", KEY), ("address", address), ("vassal", "foo.ini")];
    fields.push(("proto", "http"));
    fields.extend(more);
    datagram::send(router.subscribe(), &datagram::plain(command, &fields));
}

fn unrouted(router: &Router, reason: &str) -> f64 {
    router.metrics().sum("suzerain_requests_unrouted_total", &[("reason", reason)])
}

#[track_caller]
fn wait_for_name(router: &Router, name: &str) {
    eventually(&format!("the node is {name:?}"), SOON, || {
        let nodes = router.nodes(KEY);
        (nodes.len() == 1 && nodes[0]["name"] == name).then_some(())
    });
}

#[test]
fn a_vassal_sleeps_wakes_moves_and_keeps_its_counters() {
    let (one, two) = (Origin::echo(), Origin::echo());
    let (at_one, at_two) = (one.address().to_string(), two.address().to_string());
    let router = Router::setup().subscribe(Subscribe::Udp).args(["--tolerance", "60s"]).start();
    send(&router, 0, "", &[]);
    wait_for_name(&router, "");
    assert_eq!(router.nodes(KEY)[0]["vassal"], "foo.ini");
    assert_eq!(get(router.http(), KEY, "/").status, 503);
    assert_eq!((unrouted(&router, "asleep"), unrouted(&router, "no_node")), (1.0, 0.0));
    assert_eq!(router.metrics().sum("suzerain_nodes_asleep", &[]), 1.0);
    let admin = router.admin_path().display().to_string();
    let url = format!("http://{KEY}/");
    let told = suzerain(router.folder(), &["explain", "--admin", &admin, &url]);
    assert!(told.stdout.contains("vassal foo.ini http weight 1: asleep"), "{told:?}");

    send(&router, 0, &at_one, &[]);
    wait_for_name(&router, &at_one);
    for _ in 0..3 {
        assert_eq!(get(router.http(), KEY, "/").status, 200);
    }
    // Moved: requests over connections that were kept must not reach the old address.
    send(&router, 0, &at_two, &[]);
    wait_for_name(&router, &at_two);
    for _ in 0..2 {
        assert_eq!(get(router.http(), KEY, "/").status, 200);
    }
    assert_eq!((one.seen().len(), two.seen().len()), (3, 2));
    assert_eq!(router.nodes(KEY)[0]["requests"], 5, "the counters moved along");
    // What is left of the old address ends nothing; clearing the new one puts it to sleep.
    send(&router, 1, &at_one, &[]);
    send(&router, 0, &at_two, &[("clear", "1")]);
    wait_for_name(&router, "");
    assert_eq!(get(router.http(), KEY, "/").status, 503);
    assert_eq!(router.nodes(KEY)[0]["requests"], 5);
    send(&router, 1, "", &[]);
    router.wait_for_nodes(KEY, 0);
    assert_eq!(get(router.http(), KEY, "/").status, 404);
}

#[test]
fn a_vassal_without_an_address_is_forgotten_after_a_time_of_its_own() {
    let router = Router::setup()
        .subscribe(Subscribe::Udp)
        .args(["--tolerance", "60s", "--tolerance-inactive", "1s"])
        .start();
    let began = Instant::now();
    send(&router, 0, "", &[]);
    router.wait_for_nodes(KEY, 1);
    router.wait_for_nodes(KEY, 0);
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(router.metrics().sum("suzerain_subscription_lapsed_total", &[]), 1.0);
}

#[test]
fn a_name_can_be_required() {
    let setup = Router::setup().subscribe(Subscribe::Udp).args(["--vassal-required"]);
    let router = setup.start();
    let fields = [("key", "plain.test"), ("address", "127.0.0.1:9")];
    datagram::send(router.subscribe(), &datagram::plain(0, &fields));
    send(&router, 0, "127.0.0.1:9", &[]);
    router.wait_for_nodes(KEY, 1);
    let reason = [("reason", "missing_vassal")];
    let refused = || router.metrics().sum("suzerain_subscription_rejects_total", &reason);
    assert_eq!(refused(), 1.0);
    assert!(router.nodes("plain.test").is_empty());
}

#[test]
fn announce_names_its_vassal_level_and_algorithm() {
    let router = Router::setup().subscribe(Subscribe::Udp).start();
    let announce = |address: &str| {
        let mut command = Command::new(BINARY);
        command.args(["announce", "--server", &router.subscribe_text(), "--key", KEY]);
        command.args(["--address", address, "--proto", "http", "--every", "1s"]);
        command.args(["--vassal", "foo.ini", "--backup", "2", "--algo", "lrc"]);
        Process::start(&mut command, router.folder(), "announce", Signal::SIGTERM)
    };
    let first = announce("127.0.0.1:11");
    wait_for_name(&router, "127.0.0.1:11");
    let node = &router.nodes(KEY)[0];
    assert_eq!((&node["vassal"], &node["backup"]), (&"foo.ini".into(), &2.into()));
    let stats = router.stats();
    assert_eq!(stats["subscriptions"][0]["algo"], "lrc");
    first.signal(Signal::SIGKILL);
    let _second = announce("127.0.0.1:12");
    wait_for_name(&router, "127.0.0.1:12");
}
