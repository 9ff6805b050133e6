//! Nodes that fail in a row are out for a while, and what that must never cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use crate::harness::origin::Exchange;
use crate::harness::{After, Origin, Router, get};

const RULES: &str = "eject-failures = 3\neject-time = \"1s\"\neject-time-max = \"4s\"\n\
                     [timeouts]\nfirst-byte = \"300ms\"\n";

/// Closes every connection without an answer while `is_bad`, else answers.
fn moody(is_bad: &Arc<AtomicBool>) -> Origin {
    let is_bad = is_bad.clone();
    Origin::start(
        move |exchange| {
            if is_bad.load(SeqCst) { Ok(After::Close) } else { answer(exchange, "200 OK") }
        },
    )
}

fn answer(exchange: &mut Exchange, status: &str) -> std::io::Result<After> {
    exchange
        .write(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))?;
    Ok(After::Close)
}

fn statuses(router: &Router, count: usize) -> Vec<u16> {
    (0..count).map(|_| get(router.http(), "site.test", "/").status).collect()
}

#[test]
fn a_node_that_closes_without_an_answer_is_out_after_three_failures_and_comes_back() {
    let is_bad = Arc::new(AtomicBool::new(true));
    let (bad, good) = (moody(&is_bad), Origin::echo());
    let router = Router::setup()
        .route(bad.route("site.test"))
        .route(good.route("site.test"))
        .config(RULES)
        .start();
    let start = Instant::now();
    let failed = statuses(&router, 30).iter().filter(|&&status| status == 502).count();
    if start.elapsed() < Duration::from_millis(900) {
        assert_eq!((failed, bad.seen().len()), (3, 3));
    }
    assert!(router.metrics().sum("suzerain_upstream_ejections_total", &[]) >= 1.0);
    is_bad.store(false, SeqCst);
    let (before, since) = (bad.seen().len(), Instant::now());
    while bad.seen().len() == before {
        assert_eq!(statuses(&router, 1), [200]);
        assert!(since.elapsed() < Duration::from_secs(10), "it never came back");
    }
    // One success forgets everything: the next failure is the first again.
    is_bad.store(true, SeqCst);
    let failed = statuses(&router, 4).iter().filter(|&&status| status == 502).count();
    assert_eq!(failed, 2, "every other request, since two failures do not eject");
}

#[test]
fn silence_and_nonsense_count_as_failures() {
    let silent = Origin::start(|exchange| {
        while exchange.read_some()? > 0 {}
        Ok(After::Close)
    });
    let nonsense = Origin::raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n");
    for (bad, status) in [(silent, 504), (nonsense, 502)] {
        let good = Origin::echo();
        let router = Router::setup()
            .route(bad.route("site.test"))
            .route(good.route("site.test"))
            .config(RULES.replace("1s", "1h").replace("4s", "1h"))
            .start();
        let told = statuses(&router, 20);
        assert_eq!(told.iter().filter(|&&told| told == status).count(), 3, "{told:?}");
        assert_eq!(told[14..], [200; 6]);
    }
}

#[test]
fn a_lone_node_is_asked_however_often_it_failed() {
    let is_bad = Arc::new(AtomicBool::new(true));
    let lone = moody(&is_bad);
    let router = Router::setup().route(lone.route("site.test")).config(RULES).start();
    assert_eq!(statuses(&router, 10), [502; 10]);
    assert_eq!(lone.seen().len(), 10);
    is_bad.store(false, SeqCst);
    assert_eq!(statuses(&router, 1), [200]);
}

#[test]
fn when_all_nodes_are_out_all_are_asked() {
    let is_bad = Arc::new(AtomicBool::new(true));
    let (one, other) = (moody(&is_bad), moody(&is_bad));
    let router = Router::setup()
        .route(one.route("site.test"))
        .route(other.route("site.test"))
        .config(RULES.replace("1s", "1h").replace("4s", "1h"))
        .start();
    assert_eq!(statuses(&router, 20), [502; 20]);
    is_bad.store(false, SeqCst);
    assert_eq!(statuses(&router, 4), [200; 4]);
}

#[test]
fn server_errors_count_only_if_a_key_says_so() {
    for (config, expected) in [("", 8), ("[key.\"site.test\"]\neject-on-5xx = true\n", 3)] {
        let broken = Origin::start(|exchange| answer(exchange, "500 Oops"));
        let good = Origin::echo();
        let router = Router::setup()
            .route(broken.route("site.test"))
            .route(good.route("site.test"))
            .config(format!(
                "eject-failures = 3\neject-time = \"1h\"\neject-time-max = \"1h\"\n{config}"
            ))
            .start();
        statuses(&router, 16);
        assert_eq!(broken.seen().len(), expected, "{config}");
    }
}
