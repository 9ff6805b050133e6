//! Vassals that are started when somebody asks for them: who waits, for how long, and who does not.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Barrier, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::datagram;
use crate::harness::emperor::Emperor;
use crate::harness::h2::{H2Client, request};
use crate::harness::port::Port;
use crate::harness::process::Process;
use crate::harness::raw_node::RawNode;
use crate::harness::response::Response;
use crate::harness::router::{BINARY, Setup, Subscribe, suzerain};
use crate::harness::tls_node::TlsNode;
use crate::harness::tools::curl;
use crate::harness::vassal::vassal_command;
use crate::harness::wait::{SOON, eventually, eventually_true};
use crate::harness::{Client, Origin, Router, certs, get, require_tool};

const KEY: &str = "lazy.test";

/// A router whose emperor listens in its folder, or will.
fn setup() -> Setup {
    let setup = Router::setup().subscribe(Subscribe::Udp);
    let emperor = Emperor::path(setup.folder()).display().to_string();
    setup.args(["--emperor-socket", &emperor, "--tolerance-inactive", "10m"])
}

/// Tells of the vassal `foo.ini` of `key`: asleep, or at an address.
fn tell(subscribe: SocketAddr, key: &str, address: &str, more: &[(&str, &str)]) {
    let mut fields = vec![("key", key), ("address", address), ("vassal", "foo.ini")];
    fields.extend(more);
    datagram::send(subscribe, &datagram::plain(0, &fields));
}

#[track_caller]
fn sleeping(router: &Router, key: &str, more: &[(&str, &str)]) {
    tell(router.subscribe(), key, "", more);
    router.wait_for_nodes(key, 1);
}

/// A real uWSGI application, announced by the name of its vassal once it accepts connections.
fn real_vassal(uwsgi: &Path, folder: &Path, server: &str, count: usize) -> Process {
    let socket = folder.join(format!("app-{count}.sock")).display().to_string();
    let mut command = Command::new(BINARY);
    command.args(["announce", "--server", server, "--key", KEY, "--address", &socket]);
    command.args(["--vassal", "foo.ini", "--every", "1s", "--"]).arg(uwsgi);
    vassal_command(&mut command, uwsgi, "lazy", &socket);
    command.args(["--listen", "64", "--processes", "2"]);
    Process::start(command.current_dir(folder), folder, &format!("v{count}"), Signal::SIGINT)
}

/// An emperor that starts real vassals for this router.
fn imperial(router: &Router, uwsgi: PathBuf) -> Emperor {
    let (folder, server) = (router.folder().to_owned(), router.subscribe_text());
    let mut count = 0;
    Emperor::start(&folder.clone(), move |_| {
        count += 1;
        real_vassal(&uwsgi, &folder, &server, count)
    })
}

/// Commands that one vassal may cost in this time: one, and one more for every five seconds in which
/// it did not come.
#[track_caller]
fn expect_few(router: &Router, began: Instant) {
    let sent = router.metrics().sum("suzerain_vassal_spawns_total", &[("outcome", "sent")]);
    let most = 1 + began.elapsed().as_secs() / 5;
    assert!(sent >= 1.0 && sent <= most as f64, "{sent} in {:?}", began.elapsed());
}

/// An emperor that lets everybody sleep.
fn idle_emperor(router: &Router) -> Emperor {
    Emperor::start(router.folder(), |_| ())
}

fn ask(address: SocketAddr, key: &'static str) -> JoinHandle<(Response, Duration)> {
    std::thread::spawn(move || {
        let start = Instant::now();
        (get(address, key, "/"), start.elapsed())
    })
}

fn refusals(router: &Router, reason: &str) -> f64 {
    router.metrics().sum("suzerain_wake_refusals_total", &[("reason", reason)])
}

#[track_caller]
fn wait_for_waits(router: &Router, count: usize) {
    eventually(&format!("{count} wait"), SOON, || {
        let waits = router.metrics().sum("suzerain_wake_waits_total", &[]);
        (waits == count as f64).then_some(())
    });
}

/// Goal: the whole circle with a real application: asleep, asked for, there, gone, asked for again.
#[test]
fn the_first_request_is_served_once_its_vassal_was_spawned() {
    let uwsgi = require_tool!("uwsgi");
    let router = setup().start();
    let emperor = imperial(&router, uwsgi);
    sleeping(&router, KEY, &[]);
    let began = Instant::now();
    let mut client = Client::connect(router.http());
    client.send(format!("POST /in HTTP/1.1\r\nHost: {KEY}\r\nContent-Length: 200000\r\n\r\n"));
    client.send(vec![b'x'; 200_000]);
    let served = client.response();
    assert_eq!(served.status, 200, "{}", served.head);
    assert_eq!(
        (&served.json()["node"], &served.json()["body_len"]),
        (&"lazy".into(), &200_000.into())
    );
    expect_few(&router, began);
    // It is a key like any other now.
    assert_eq!(get(router.http(), KEY, "/").status, 200);
    assert_eq!(router.metrics().sum("suzerain_wake_waits_total", &[]), 1.0);

    // Ended, it withdraws its node; its name is told again.
    drop(emperor);
    let emperor = idle_emperor(&router);
    router.wait_for_nodes(KEY, 0);
    sleeping(&router, KEY, &[]);
    let again = ask(router.http(), KEY);
    eventually_true("it is asked for again", SOON, || emperor.commands() == ["foo.ini"]);
    let origin = Origin::echo();
    tell(router.subscribe(), KEY, &origin.address().to_string(), &[("proto", "http")]);
    assert_eq!(again.join().expect("no panic").0.status, 200);
}

/// Goal: one command for all, over all workers, and nobody else waits. Method: fifty clients on two
/// workers for the vassal, and requests for another key until the last of them is served.
#[test]
fn fifty_requests_at_once_cause_one_spawn_and_other_keys_are_served_meanwhile() {
    let uwsgi = require_tool!("uwsgi");
    let other = Origin::echo();
    let router = setup().route(other.route("other.test")).start();
    // The vassal starts when all are there.
    let (folder, server) = (router.folder().to_owned(), router.subscribe_text());
    let (go, gate) = mpsc::channel::<()>();
    let mut count = 0;
    let _emperor = Emperor::start(&folder.clone(), move |_| {
        count += 1;
        let _ = gate.recv_timeout(SOON);
        real_vassal(&uwsgi, &folder, &server, count)
    });
    sleeping(&router, KEY, &[]);
    let began = Instant::now();
    let (address, barrier) = (router.http(), Arc::new(Barrier::new(50)));
    let clients: Vec<_> = (0..50)
        .map(|_| {
            let barrier = barrier.clone();
            std::thread::spawn(move || {
                barrier.wait();
                get(address, KEY, "/")
            })
        })
        .collect();
    wait_for_waits(&router, 50);
    expect_few(&router, began);
    drop(go);
    while !clients.iter().all(JoinHandle::is_finished) {
        assert_eq!(get(address, "other.test", "/").status, 200);
    }
    for client in clients {
        let served = client.join().expect("no panic");
        assert_eq!((served.status, &served.json()["node"]), (200, &"lazy".into()));
    }
    assert!(!other.seen().is_empty());
    expect_few(&router, began);
    assert_eq!(router.metrics().sum("suzerain_key_waiting", &[("key", KEY)]), 0.0);
}

#[test]
fn who_finds_no_place_to_wait_and_who_waits_too_long_gets_503() {
    let router = setup()
        .config(
            "wake-max = 2\nwake-timeout = \"20s\"\n[key.\"brief.test\"]\nwake-timeout = \"1s\"\n",
        )
        .start();
    let emperor = idle_emperor(&router);
    sleeping(&router, KEY, &[]);
    sleeping(&router, "brief.test", &[]);
    let admin = router.admin_path().display().to_string();
    let told = suzerain(router.folder(), &["explain", "--admin", &admin, "http://brief.test/"]);
    assert!(told.stdout.contains("a request has one spawned and waits"), "{told:?}");
    let waiting = [ask(router.http(), KEY), ask(router.http(), KEY)];
    wait_for_waits(&router, 2);
    let (full, took) = ask(router.http(), KEY).join().expect("no panic");
    assert_eq!(full.status, 503, "{}", full.head);
    assert!(full.head.contains("Retry-After: "), "{}", full.head);
    assert!(full.text().contains("too many requests are waiting"), "{}", full.text());
    assert!(took < Duration::from_secs(5), "{took:?}");
    // Another key has places of its own, and a patience of its own.
    let (late, took) = ask(router.http(), "brief.test").join().expect("no panic");
    assert_eq!(late.status, 503, "{}", late.head);
    assert!(late.text().contains("did not start in time"), "{}", late.text());
    assert!(took >= Duration::from_millis(900), "{took:?}");
    assert_eq!((refusals(&router, "key_full"), refusals(&router, "timeout")), (1.0, 1.0));
    let reason = [("reason", "asleep")];
    assert_eq!(router.metrics().sum("suzerain_requests_unrouted_total", &reason), 2.0);
    eventually_true("the log says so", SOON, || {
        router.access_log().matches("term=RC").count() == 2
    });
    // Both keys are of one vassal, which was asked for once.
    assert_eq!(emperor.commands(), ["foo.ini"]);
    let origin = Origin::echo();
    tell(router.subscribe(), KEY, &origin.address().to_string(), &[("proto", "http")]);
    for client in waiting {
        assert_eq!(client.join().expect("no panic").0.status, 200);
    }
}

#[test]
fn all_keys_together_leave_room_for_others() {
    let router = setup().workers(1).args(["--wake-total-max", "3"]).start();
    let _emperor = idle_emperor(&router);
    for key in [KEY, "two.test"] {
        sleeping(&router, key, &[]);
    }
    let mut clients: Vec<_> = (0..3).map(|_| Client::connect(router.http())).collect();
    for client in &mut clients {
        client.send(format!("GET / HTTP/1.1\r\nHost: {KEY}\r\n\r\n"));
    }
    wait_for_waits(&router, 3);
    let refused = get(router.http(), "two.test", "/");
    assert_eq!((refused.status, refusals(&router, "router_full")), (503, 1.0));
    drop(clients);
    eventually_true("their leaving is seen", SOON, || refusals(&router, "client_left") == 3.0);
    eventually_true("the log says so", SOON, || {
        router.access_log().matches("term=CC").count() == 3
    });
    let next = ask(router.http(), "two.test");
    wait_for_waits(&router, 4);
    let origin = Origin::echo();
    tell(router.subscribe(), "two.test", &origin.address().to_string(), &[("proto", "http")]);
    assert_eq!(next.join().expect("no panic").0.status, 200);
}

#[test]
fn without_an_emperor_at_the_socket_the_answer_comes_at_once_until_there_is_one() {
    let router = setup().start();
    sleeping(&router, KEY, &[]);
    let (refused, took) = ask(router.http(), KEY).join().expect("no panic");
    assert_eq!(refused.status, 503, "{}", refused.head);
    assert!(refused.text().contains("cannot be started"), "{}", refused.text());
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(refusals(&router, "no_emperor") >= 1.0);
    let failed = || router.metrics().sum("suzerain_vassal_spawns_total", &[("outcome", "failed")]);
    assert_eq!(failed(), 1.0);
    let (origin, subscribe) = (Origin::echo(), router.subscribe());
    let address = origin.address().to_string();
    let emperor = Emperor::start(router.folder(), move |_| {
        tell(subscribe, KEY, &address, &[("proto", "http")]);
    });
    // It is left alone for a second after a failure.
    eventually_true("a request is served", SOON, || get(router.http(), KEY, "/").status == 200);
    assert_eq!(emperor.commands(), ["foo.ini"]);
}

#[test]
fn without_the_option_a_sleeping_vassal_is_503_at_once_as_ever() {
    let router = Router::setup().subscribe(Subscribe::Udp).start();
    sleeping(&router, KEY, &[]);
    assert_eq!(get(router.http(), KEY, "/").status, 503);
    let metrics = router.metrics();
    assert_eq!(metrics.sum("suzerain_wake_waits_total", &[]), 0.0);
    assert_eq!(metrics.sum("suzerain_wake_refusals_total", &[]), 0.0);
}

#[test]
fn streams_wait_beside_others_of_their_connection() {
    let other = Origin::echo();
    let router = setup().args(["--http2", "all"]).route(other.route("other.test")).start();
    let emperor = idle_emperor(&router);
    sleeping(&router, KEY, &[]);
    let mut client = H2Client::connect(router.http());
    let (waits, _body) = client.open(request("GET", KEY, "/slow"), true);
    let (given_up, mut reset) = client.open(request("GET", KEY, "/gone"), true);
    assert_eq!(client.get("other.test", "/").status, 200);
    wait_for_waits(&router, 2);
    reset.send_reset(h2::Reason::CANCEL);
    drop(given_up);
    eventually_true("the reset is seen", SOON, || {
        client.turn();
        refusals(&router, "client_left") == 1.0
    });
    assert_eq!(emperor.commands(), ["foo.ini"]);
    let origin = Origin::echo();
    tell(router.subscribe(), KEY, &origin.address().to_string(), &[("proto", "http")]);
    let answer = client.runtime.block_on(waits).expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(origin.only_request().target(), "/slow");
}

/// Goal: what a client sent before its node was there arrives unchanged. Method: curl checks nginx's
/// certificate through the router.
#[test]
fn tls_that_is_passed_through_waits_after_its_first_message() {
    let (nginx, curl_path) = (require_tool!("nginx"), require_tool!("curl"));
    let port = Port::reserve();
    let router = setup().args(["--tls-passthrough", &port.1.to_string()]).start();
    let (folder, subscribe) = (router.folder().to_owned(), router.subscribe());
    let emperor = Emperor::start(&folder.clone(), move |_| {
        let node = TlsNode::start(&nginx, &folder, KEY, "", "");
        tell(subscribe, KEY, certs::utf8(&node.socket), &[("proto", "tls")]);
        node
    });
    sleeping(&router, KEY, &[("proto", "tls")]);
    let number = port.1.port();
    let (url, resolve) = (format!("https://{KEY}:{number}/"), format!("{KEY}:{number}:127.0.0.1"));
    let ca = certs::ca();
    let told = curl(&curl_path, &["--resolve", &resolve, "--cacert", certs::utf8(&ca), &url]);
    assert!(told.body.starts_with(KEY), "{told:?}");
    assert_eq!(emperor.commands(), ["foo.ini"]);
    // A request for the name finds nobody it could wake: the node would not understand it.
    assert_eq!(get(router.http(), KEY, "/").status, 503);
}

#[test]
fn raw_connections_wait_and_who_leaves_is_not_connected() {
    let port = Port::reserve();
    let router = setup().args(["--tcp", &format!("{}={KEY}", port.1)]).start();
    let emperor = idle_emperor(&router);
    sleeping(&router, KEY, &[("proto", "tcp")]);
    let gone = Client::connect(port.1);
    wait_for_waits(&router, 1);
    drop(gone);
    eventually_true("its leaving is seen", SOON, || refusals(&router, "client_left") == 1.0);
    let mut client = Client::connect(port.1);
    client.send("early");
    wait_for_waits(&router, 2);
    let node = RawNode::start(|mut stream| {
        let mut early = [0; 5];
        let _ = stream.read_exact(&mut early).and_then(|()| stream.write_all(&early));
    });
    tell(router.subscribe(), KEY, &node.address().to_string(), &[("proto", "tcp")]);
    assert_eq!(client.take(5).expect("an echo"), b"early");
    assert_eq!(emperor.commands(), ["foo.ini"]);
    assert_eq!(router.metrics().sum("suzerain_relayed_connections_total", &[("kind", "tcp")]), 1.0);
}

/// A node that is there and refuses connections is no use; a vassal of the key that sleeps is.
#[test]
fn a_request_whose_node_is_dead_waits_for_one_that_sleeps() {
    let router = setup().start();
    let (origin, subscribe) = (Origin::echo(), router.subscribe());
    let address = origin.address().to_string();
    let emperor = Emperor::start(router.folder(), move |_| {
        tell(subscribe, KEY, &address, &[("proto", "http")]);
    });
    let dead = Port::reserve();
    let address = dead.1.to_string();
    let fields = [("key", KEY), ("address", &address), ("proto", "http")];
    datagram::send(router.subscribe(), &datagram::plain(0, &fields));
    router.wait_for_nodes(KEY, 1);
    tell(router.subscribe(), KEY, "", &[("proto", "http")]);
    router.wait_for_nodes(KEY, 2);
    let (served, took) = ask(router.http(), KEY).join().expect("no panic");
    assert_eq!(served.status, 200, "{}", served.head);
    // Long before the dead node's lease ends.
    assert!(took < SOON, "{took:?}");
    assert_eq!(emperor.commands(), ["foo.ini"]);
    assert_eq!(origin.seen().len(), 1);
}

/// An emperor that is slow to read is there all the same: nobody is refused for that.
#[test]
fn an_emperor_without_room_gets_its_commands_later() {
    let router = setup().start();
    let path = Emperor::path(router.folder());
    let emperor = UnixDatagram::bind(path).expect("bind");
    // What the kernel holds for it, filled by others.
    let other = UnixDatagram::unbound().expect("a socket");
    other.set_nonblocking(true).expect("is set");
    while other.send_to(b"", Emperor::path(router.folder())).is_ok() {}
    sleeping(&router, KEY, &[]);
    let waits = ask(router.http(), KEY);
    let busy = || router.metrics().sum("suzerain_vassal_spawns_total", &[("outcome", "busy")]);
    eventually_true("it has no room", SOON, || busy() >= 1.0);
    emperor.set_read_timeout(Some(SOON)).expect("a timeout");
    let mut command = [0; 64];
    while emperor.recv(&mut command).expect("a command") == 0 {}
    let origin = Origin::echo();
    tell(router.subscribe(), KEY, &origin.address().to_string(), &[("proto", "http")]);
    assert_eq!(waits.join().expect("no panic").0.status, 200);
    assert_eq!(refusals(&router, "no_emperor"), 0.0);
}
