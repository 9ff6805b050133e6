//! A bound on what one node has in hand, and the queue before it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::harness::response::Response;
use crate::harness::wait::{SOON, eventually};
use crate::harness::{After, Client, Origin, Router, get};

/// An origin that answers when it is let, and knows how many it had in hand at once.
struct Busy {
    origin: Origin,
    is_open: Arc<AtomicBool>,
    most: Arc<AtomicUsize>,
}

impl Busy {
    fn start(takes: Duration) -> Self {
        let (is_open, most) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (open, peak, now) = (is_open.clone(), most.clone(), AtomicUsize::new(0));
        let origin = Origin::start(move |exchange| {
            peak.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            while !open.load(SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(takes);
            now.fetch_sub(1, SeqCst);
            exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
            Ok(After::KeepOpen)
        });
        Self { origin, is_open, most }
    }

    fn open(&self) {
        self.is_open.store(true, SeqCst);
    }
}

fn ask(address: SocketAddr) -> JoinHandle<(Response, Duration)> {
    std::thread::spawn(move || {
        let start = Instant::now();
        (get(address, "site.test", "/"), start.elapsed())
    })
}

/// Goal: the bound holds over all workers and everybody is served in the end. Method: forty clients
/// at once on two workers, a node that takes two requests at a time.
#[test]
fn a_node_never_has_more_in_hand_than_it_may_and_all_are_served() {
    let busy = Busy::start(Duration::from_millis(5));
    let router = Router::setup()
        .route(busy.origin.route("site.test"))
        .config("node-connections-max = 2\nqueue-timeout = \"30s\"\n")
        .start();
    busy.open();
    let (address, barrier) = (router.http(), Arc::new(Barrier::new(40)));
    let clients: Vec<_> = (0..40)
        .map(|_| {
            let barrier = barrier.clone();
            std::thread::spawn(move || {
                barrier.wait();
                get(address, "site.test", "/").status
            })
        })
        .collect();
    for client in clients {
        assert_eq!(client.join().expect("no panic"), 200);
    }
    assert!(busy.most.load(SeqCst) <= 2, "{} at once", busy.most.load(SeqCst));
    assert!(router.metrics().sum("suzerain_queue_waits_total", &[]) >= 1.0);
}

#[test]
fn a_full_queue_and_a_long_wait_are_503_with_retry_after() {
    let busy = Busy::start(Duration::ZERO);
    let router = Router::setup()
        .route(busy.origin.route("site.test"))
        .config(
            "[key.\"site.test\"]\nnode-connections-max = 1\nqueue-max = 1\n\
             queue-timeout = \"1s\"\n",
        )
        .start();
    let in_hand = ask(router.http());
    eventually("the node has one", SOON, || (busy.origin.seen().len() == 1).then_some(()));
    let waits = ask(router.http());
    eventually("one waits", SOON, || {
        (router.metrics().sum("suzerain_queue_waits_total", &[]) == 1.0).then_some(())
    });
    let (full, took) = ask(router.http()).join().expect("no panic");
    assert_eq!(full.status, 503, "{}", full.head);
    assert!(full.head.contains("Retry-After: "), "{}", full.head);
    assert!(took < Duration::from_millis(900), "{took:?}");
    let (late, took) = waits.join().expect("no panic");
    assert_eq!(late.status, 503, "{}", late.head);
    assert!(took >= Duration::from_millis(900), "{took:?}");
    let metrics = router.metrics();
    for reason in ["full", "timeout"] {
        let count = metrics.sum("suzerain_queue_refusals_total", &[("reason", reason)]);
        assert_eq!(count, 1.0, "{reason}");
    }
    busy.open();
    assert_eq!(in_hand.join().expect("no panic").0.status, 200);
    assert_eq!(get(router.http(), "site.test", "/").status, 200);
}

#[test]
fn a_client_that_leaves_the_queue_leaves_no_trace() {
    let busy = Busy::start(Duration::ZERO);
    let router = Router::setup()
        .route(busy.origin.route("site.test"))
        .config("node-connections-max = 1\nqueue-max = 1\nqueue-timeout = \"60s\"\n")
        .start();
    let in_hand = ask(router.http());
    eventually("the node has one", SOON, || (busy.origin.seen().len() == 1).then_some(()));
    let mut client = Client::connect(router.http());
    client.send("GET /left HTTP/1.1\r\nHost: site.test\r\n\r\n");
    eventually("it waits", SOON, || {
        (router.metrics().sum("suzerain_queue_waits_total", &[]) == 1.0).then_some(())
    });
    drop(client);
    eventually("its leaving is seen", SOON, || {
        let left = [("reason", "client_left")];
        (router.metrics().sum("suzerain_queue_refusals_total", &left) == 1.0).then_some(())
    });
    // The only place of the queue is free again, and the node never hears of who left.
    let next = ask(router.http());
    eventually("the next one waits", SOON, || {
        (router.metrics().sum("suzerain_queue_waits_total", &[]) == 2.0).then_some(())
    });
    busy.open();
    assert_eq!(in_hand.join().expect("no panic").0.status, 200);
    assert_eq!(next.join().expect("no panic").0.status, 200);
    assert!(busy.origin.seen().iter().all(|seen| seen.target() != "/left"));
}

#[test]
fn a_free_node_is_taken_before_anybody_waits() {
    let (busy, free) = (Busy::start(Duration::ZERO), Origin::echo());
    let router = Router::setup()
        .route(busy.origin.route("site.test"))
        .route(free.route("site.test"))
        .config("node-connections-max = 1\n")
        .start();
    let address = router.http();
    // Whichever node the first gets: once the busy one is taken, all others go to the free one.
    let mut in_hand = Vec::new();
    eventually("the busy node is taken", SOON, || {
        if busy.origin.seen().is_empty() {
            in_hand.push(ask(address));
        }
        std::thread::sleep(Duration::from_millis(20));
        (busy.origin.seen().len() == 1).then_some(())
    });
    for _ in 0..5 {
        assert_eq!(get(address, "site.test", "/").status, 200);
    }
    busy.open();
    for client in in_hand {
        assert_eq!(client.join().expect("no panic").0.status, 200);
    }
}
