//! Which key and which node serve where the announcements leave it open: the fallback key and the
//! default algorithm.

use crate::harness::datagram;
use crate::harness::origin::Origin;
use crate::harness::router::{Subscribe, suzerain};
use crate::harness::vassal::vassal;
use crate::harness::{Client, Router, get, require_tool};

#[test]
fn a_host_without_a_key_is_served_by_the_fallback_key() {
    let (site, rest) = (Origin::echo(), Origin::echo());
    let router = Router::setup()
        .route(site.route("site.test"))
        .route(rest.route("rest.test"))
        .args(["--fallback-key", "rest.test"])
        .start();
    let mut client = Client::connect(router.http());
    for host in ["site.test", "made-up.test", "rest.test", "other.test:81"] {
        client.send(format!("GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(client.response().status, 200, "{host}");
    }
    assert_eq!(site.seen().len(), 1);
    let hosts: Vec<_> = rest.seen().iter().map(|seen| seen.fields("host").join(",")).collect();
    assert_eq!(hosts, ["made-up.test", "rest.test", "other.test:81"], "the Host stays");
    assert_eq!(router.metrics().sum("suzerain_requests_fallback_total", &[]), 2.0);
    assert_eq!(router.stats()["suzerain"]["fallback_key"], "rest.test");
    let admin = router.admin_path().display().to_string();
    let told = suzerain(router.folder(), &["explain", "--admin", &admin, "http://made-up.test/"]);
    assert!(told.stdout.contains("rest.test found (fallback)"), "{told:?}");
}

#[test]
fn a_fallback_key_may_subscribe_and_until_then_there_is_none() {
    let uwsgi = require_tool!("uwsgi");
    let router = Router::setup()
        .subscribe(Subscribe::Udp)
        .args(["--fallback-key", "rest.test", "--dotsplit"])
        .start();
    assert_eq!(get(router.http(), "any.test", "/").status, 404);
    let _app = vassal("rest")
        .subscribe_to(format!("{}:rest.test", router.subscribe()))
        .start(&uwsgi, router.folder());
    router.wait_for_nodes("rest.test", 1);
    assert_eq!(get(router.http(), "any.test", "/").json()["node"], "rest");
}

#[test]
fn keys_that_name_no_algorithm_get_the_one_of_the_configuration() {
    let router = Router::setup().subscribe(Subscribe::Udp).args(["--algorithm", "iphash"]).start();
    let origins = [Origin::echo(), Origin::echo()];
    for (key, algo) in [("plain.test", None), ("own.test", Some("lrc"))] {
        for origin in &origins {
            let address = origin.address().to_string();
            let mut fields = vec![("key", key), ("address", address.as_str()), ("proto", "http")];
            fields.extend(algo.map(|algo| ("algo", algo)));
            datagram::send(router.subscribe(), &datagram::plain(0, &fields));
        }
        router.wait_for_nodes(key, 2);
    }
    let stats = router.stats();
    let algorithms: Vec<_> = stats["subscriptions"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| (entry["key"].as_str().unwrap(), entry["algo"].as_str().unwrap()))
        .collect();
    assert_eq!(algorithms, [("own.test", "lrc"), ("plain.test", "iphash")]);
    for _ in 0..5 {
        assert_eq!(get(router.http(), "plain.test", "/").status, 200);
    }
    // As uWSGI does: 127.0.0.1 of two nodes is the second.
    assert_eq!((origins[0].seen().len(), origins[1].seen().len()), (0, 5));
}
