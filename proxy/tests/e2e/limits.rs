//! Limits per key and per client: who is refused, how, and who is not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use crate::harness::response::Response;
use crate::harness::wait::{SOON, eventually_true};
use crate::harness::{After, Client, Origin, Router, get};

/// A request in the name of a client elsewhere, on a connection of its own.
fn ask_as(router: &Router, client: &str, host: &str) -> Response {
    let mut connection = connect_as(router.http(), client);
    connection.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    connection.response()
}

fn connect_as(address: SocketAddr, client: &str) -> Client {
    let (family, server) =
        if client.contains(':') { ("TCP6", "::1") } else { ("TCP4", "127.0.0.1") };
    let mut connection = Client::connect(address);
    connection.send(format!("PROXY {family} {client} {server} 4711 80\r\n"));
    connection
}

/// An origin that answers once it is let.
fn held(is_open: &Arc<AtomicBool>) -> Origin {
    let is_open = is_open.clone();
    Origin::start(move |exchange| {
        while !is_open.load(SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        Ok(After::KeepOpen)
    })
}

fn shed(router: &Router, reason: &str) -> f64 {
    router.metrics().sum("suzerain_requests_shed_total", &[("reason", reason)])
}

/// Goal: the rate holds over all workers, exactly. Method: connections of their own, which the
/// kernel spreads over two workers.
#[test]
fn a_key_beyond_its_rate_gets_429_and_other_keys_do_not() {
    let origin = Origin::echo();
    let router = Router::setup()
        .route(origin.route("busy.test"))
        .route(origin.route("quiet.test"))
        .config("[key.\"busy.test\"]\nrate-limit = \"6/h,burst=3\"\n")
        .start();
    let answers: Vec<_> = (0..12).map(|_| get(router.http(), "busy.test", "/")).collect();
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers.iter().filter(|answer| answer.status == 429).count();
    assert_eq!((served, refused), (3, 9));
    let told = answers[11].head.split("Retry-After: ").nth(1).expect("a time");
    let seconds: u32 = told.split("\r\n").next().unwrap_or_default().parse().expect("seconds");
    assert!((590..=600).contains(&seconds), "{seconds}");
    assert_eq!(get(router.http(), "quiet.test", "/").status, 200);
    assert_eq!(origin.seen().len(), 4);
    let of_key = [("key", "busy.test"), ("limit", "rate")];
    let metrics = router.metrics();
    assert_eq!(metrics.sum("suzerain_key_refused_total", &of_key), 9.0);
    assert_eq!(shed(&router, "key_rate"), 9.0);
}

#[test]
fn a_client_beyond_its_rate_gets_429_and_others_do_not() {
    let origin = Origin::echo();
    let router = Router::setup()
        .route(origin.route("a.test"))
        .route(origin.route("b.test"))
        .route(origin.route("own.test"))
        .config(
            "proxy-protocol = [\"127.0.0.1\"]\nclient-rate-limit = \"2/h,burst=2\"\n\
             [key.\"own.test\"]\nclient-rate-limit = \"1/h\"\n",
        )
        .start();
    let ask = |client: &str, host: &str| ask_as(&router, client, host).status;
    // All keys without a rule of their own count together.
    assert_eq!([ask("192.0.2.1", "a.test"), ask("192.0.2.1", "b.test")], [200, 200]);
    assert_eq!([ask("192.0.2.1", "a.test"), ask("192.0.2.1", "b.test")], [429, 429]);
    assert_eq!([ask("192.0.2.1", "own.test"), ask("192.0.2.1", "own.test")], [200, 429]);
    assert_eq!(ask("192.0.2.2", "a.test"), 200);
    // IPv6 counts by network.
    assert_eq!([ask("2001:db8::1", "a.test"), ask("2001:db8::2:1", "a.test")], [200, 200]);
    assert_eq!([ask("2001:db8::9", "a.test"), ask("2001:db8:0:1::9", "a.test")], [429, 200]);
    assert_eq!(shed(&router, "client_rate"), 4.0);
}

#[test]
fn connections_of_one_client_beyond_its_bound_are_closed_on_arrival() {
    let origin = Origin::echo();
    let router = Router::setup()
        .route(origin.route("site.test"))
        .config("proxy-protocol = [\"127.0.0.1\"]\nclient-connections-max = 3\n")
        .start();
    let mut open: Vec<_> = (0..3).map(|_| connect_as(router.http(), "192.0.2.1")).collect();
    for connection in &mut open {
        connection.send("GET / HTTP/1.1\r\nHost: site.test\r\n\r\n");
        assert_eq!(connection.response().status, 200);
    }
    for _ in 0..2 {
        connect_as(router.http(), "192.0.2.1").expect_closed();
    }
    assert_eq!(ask_as(&router, "192.0.2.2", "site.test").status, 200);
    let refused = router.metrics().sum("suzerain_client_connections_refused_total", &[]);
    assert_eq!(refused, 2.0);
    drop(open.pop());
    eventually_true("one that ended makes room", SOON, || {
        let mut again = connect_as(router.http(), "192.0.2.1");
        let sent = again.try_send("GET / HTTP/1.1\r\nHost: site.test\r\n\r\n");
        sent.is_ok() && again.try_response("GET").is_ok_and(|answer| answer.status == 200)
    });
}

#[test]
fn a_key_with_too_much_under_way_gets_503_and_other_keys_do_not() {
    let is_open = Arc::new(AtomicBool::new(false));
    let (slow, quick) = (held(&is_open), Origin::echo());
    let router = Router::setup()
        .route(slow.route("slow.test"))
        .route(quick.route("quick.test"))
        .config("[key.\"slow.test\"]\nkey-exchanges-max = 2\n")
        .start();
    let address = router.http();
    let under_way: Vec<_> =
        (0..2).map(|_| std::thread::spawn(move || get(address, "slow.test", "/").status)).collect();
    eventually_true("two are under way", SOON, || slow.seen().len() == 2);
    let start = Instant::now();
    let refused = get(address, "slow.test", "/");
    assert_eq!(refused.status, 503);
    assert!(refused.head.contains("Retry-After: 1"), "{}", refused.head);
    // The answer is held back a little, so that a flood is answered ten times a second at most.
    assert!(start.elapsed() >= Duration::from_millis(90), "{:?}", start.elapsed());
    assert_eq!(get(address, "quick.test", "/").status, 200);
    assert_eq!(shed(&router, "key_exchanges"), 1.0);
    is_open.store(true, SeqCst);
    for client in under_way {
        assert_eq!(client.join().expect("no panic"), 200);
    }
    assert_eq!(get(address, "slow.test", "/").status, 200);
}

/// Goal: without any rule for it a key in flood cannot take all places. Method: one worker with
/// sixteen places, thirty requests for a node that does not answer, then another key.
#[test]
fn a_key_in_flood_leaves_places_for_others() {
    let is_open = Arc::new(AtomicBool::new(false));
    let (slow, quick) = (held(&is_open), Origin::echo());
    let router = Router::setup()
        .route(slow.route("flood.test"))
        .route(quick.route("quiet.test"))
        .config("exchanges-max = 16\n")
        .workers(1)
        .start();
    let address = router.http();
    let flood: Vec<_> = (0..30)
        .map(|_| std::thread::spawn(move || get(address, "flood.test", "/").status))
        .collect();
    eventually_true("the flood is at its bound", SOON, || {
        slow.seen().len() as f64 + shed(&router, "worker_share") == 30.0
    });
    assert_eq!(slow.seen().len(), 14, "seven eighths, while it is alone");
    for _ in 0..10 {
        assert_eq!(get(address, "quiet.test", "/").status, 200);
    }
    is_open.store(true, SeqCst);
    let served = flood.into_iter().map(|one| one.join().expect("no panic"));
    assert_eq!(served.filter(|&status| status == 200).count(), 14);
}
