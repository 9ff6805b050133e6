//! Nodes that are asked whether they serve, and skipped while they do not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crate::harness::origin::Refusing;
use crate::harness::uwsgi_origin::UwsgiOrigin;
use crate::harness::wait::{SOON, eventually_true};
use crate::harness::{After, Origin, Router, get};

const CHECKS: &str = "[key.\"site.test\"]\nhealth-check = \"/healthz?from=router\"\n\
                      health-interval = \"100ms\"\nhealth-timeout = \"1s\"\n\
                      health-rise = 1\nhealth-fall = 2\neject-failures = 0\n";

/// An origin that serves everybody and tells checks whether it is well.
fn judged(is_well: &Arc<AtomicBool>) -> Origin {
    let is_well = is_well.clone();
    Origin::start(move |exchange| {
        let is_check = exchange.request.target().starts_with("/healthz");
        let status = if is_check && !is_well.load(SeqCst) { "500 Ill" } else { "200 OK" };
        exchange.write(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"))?;
        Ok(After::KeepOpen)
    })
}

fn unhealthy(router: &Router) -> f64 {
    router.metrics().sum("suzerain_node_unhealthy", &[("key", "site.test")])
}

fn served(origin: &Origin) -> usize {
    origin.seen().iter().filter(|seen| seen.target() == "/").count()
}

#[test]
fn a_node_that_fails_its_checks_gets_nothing_until_they_are_good() {
    let is_well = Arc::new(AtomicBool::new(false));
    let (ill, well) = (judged(&is_well), Origin::echo());
    let router = Router::setup()
        .route(ill.route("site.test"))
        .route(well.route("site.test"))
        .config(CHECKS)
        .start();
    eventually_true("it is out", SOON, || unhealthy(&router) == 1.0);
    let before = served(&ill);
    for _ in 0..10 {
        assert_eq!(get(router.http(), "site.test", "/").status, 200);
    }
    assert_eq!(served(&ill), before);
    let check = ill.seen().into_iter().find(|seen| seen.target() == "/healthz?from=router");
    assert_eq!(check.expect("a check").fields("Host"), ["site.test"]);
    is_well.store(true, SeqCst);
    eventually_true("it is back", SOON, || unhealthy(&router) == 0.0);
    eventually_true("it serves again", SOON, || {
        get(router.http(), "site.test", "/").status == 200 && served(&ill) > before
    });
}

#[test]
fn when_all_fail_their_checks_all_are_asked() {
    let is_well = Arc::new(AtomicBool::new(false));
    let (one, other) = (judged(&is_well), judged(&is_well));
    let router = Router::setup()
        .route(one.route("site.test"))
        .route(other.route("site.test"))
        .config(CHECKS)
        .start();
    eventually_true("both are out", SOON, || unhealthy(&router) == 2.0);
    for _ in 0..6 {
        assert_eq!(get(router.http(), "site.test", "/").status, 200);
    }
    assert!(served(&one) > 0 && served(&other) > 0);
}

#[test]
fn uwsgi_nodes_are_asked_in_their_protocol_and_a_port_that_refuses_is_ill() {
    let (node, refusing) = (UwsgiOrigin::ok(), Refusing::start());
    let router = Router::setup()
        .route(format!("site.test={}", node.address()))
        .route(format!("site.test={}", refusing.address()))
        .config(CHECKS)
        .start();
    eventually_true("the refusing one is out", SOON, || unhealthy(&router) == 1.0);
    eventually_true("the other was asked", SOON, || node.seen().len() > 3);
    let check = &node.seen()[0];
    assert_eq!(check.var("PATH_INFO"), Some("/healthz"));
    assert_eq!(check.var("QUERY_STRING"), Some("from=router"));
    assert_eq!(check.var("HTTP_HOST"), Some("site.test"));
    assert_eq!(unhealthy(&router), 1.0, "and is well");
    assert_eq!(get(router.http(), "site.test", "/").status, 200);
}
