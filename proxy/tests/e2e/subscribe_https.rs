//! Certificates that subscriptions bring, and applications served over HTTPS.

use std::time::Duration;

use crate::harness::certs::{self, honest, sign_check_folder};
use crate::harness::router::Subscribe;
use crate::harness::tools::curl;
use crate::harness::uwsgi_origin::UwsgiOrigin;
use crate::harness::vassal::vassal;
use crate::harness::wait::{SOON, eventually, eventually_true};
use crate::harness::{Router, require_tool};
use crate::tls::{served_certificate, served_subject};

#[test]
fn a_signed_application_is_served_over_http_and_https() {
    let (uwsgi, curl_program) = (require_tool!("uwsgi"), require_tool!("curl"));
    for digest in ["SHA1", "SHA256"] {
        let setup = Router::setup().subscribe(Subscribe::Udp).https();
        let pair = certs::leaf(setup.folder(), "shop.test");
        let keys = sign_check_folder(setup.folder(), &["shop.test"]);
        let root = setup.folder().display().to_string();
        let check = format!("{digest}:{}", keys.display());
        let router = setup.args(["--sign-check", &check, "--cert-root", &root]).start();
        let subscription = format!(
            "server={},key=shop.test,sign={digest}:{},sni_key={},sni_crt={}",
            router.subscribe(),
            honest().private.display(),
            pair.key.display(),
            pair.crt.display(),
        );
        let _app = vassal("a").subscribe2(subscription).start(&uwsgi, router.folder());
        router.wait_for_nodes("shop.test", 1);
        eventually_true("the certificate is served", SOON, || {
            served_subject(&router, "shop.test").contains("shop.test")
        });
        let port = router.https().port();
        let resolve = format!("shop.test:{port}:127.0.0.1");
        let (url, ca) = (format!("https://shop.test:{port}/s?x=1"), certs::ca());
        let secure = curl(
            &curl_program,
            &["--resolve", &resolve, "--cacert", certs::utf8(&ca), "--data", "hello", &url],
        );
        assert_eq!((secure.status, secure.exit), (200, 0), "{secure:?}");
        let answer = secure.json();
        assert_eq!(answer["node"], "a");
        assert_eq!(answer["body_len"], 5);
        assert_eq!(answer["host"], format!("shop.test:{port}"));
        let plain =
            curl(&curl_program, &["-H", "Host: shop.test", &format!("http://{}/", router.http())]);
        assert_eq!(plain.status, 200, "{plain:?}");
    }
}

#[test]
fn the_application_knows_that_the_client_came_over_tls() {
    let curl_program = require_tool!("curl");
    let origin = UwsgiOrigin::ok();
    let router = Router::setup().https().route(format!("tls.test={}", origin.address())).start();
    let port = router.https().port();
    let answer = curl(
        &curl_program,
        &[
            "-k",
            "--resolve",
            &format!("tls.test:{port}:127.0.0.1"),
            &format!("https://tls.test:{port}/"),
        ],
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    let packet = origin.only_packet();
    assert_eq!(packet.var("HTTPS"), Some("on"));
    assert_eq!(packet.var("SERVER_PORT"), Some(port.to_string().as_str()));
}

#[test]
fn a_renewed_certificate_of_a_subscription_is_picked_up() {
    let (uwsgi, _openssl) = (require_tool!("uwsgi"), require_tool!("openssl"));
    let setup = Router::setup().subscribe(Subscribe::Udp).https();
    let served = setup.folder().join("served");
    std::fs::create_dir(&served).expect("a folder");
    certs::leaf(setup.folder(), "renew.test").install(&served, "renew.test");
    let root = served.display().to_string();
    let router = setup.args(["--cert-root", &root]).start();
    let _app = vassal("a")
        .subscribe2(format!(
            "server={},key=renew.test,sni_key={root}/renew.test.key,sni_crt={root}/renew.test.crt",
            router.subscribe()
        ))
        .start(&uwsgi, router.folder());
    let first = eventually("the certificate is served", SOON, || {
        served_subject(&router, "renew.test")
            .contains("renew.test")
            .then(|| served_certificate(&router, "renew.test"))
    });
    certs::leaf(router.folder(), "renew.test").install(&served, "renew.test");
    eventually_true("the renewed certificate is served", Duration::from_secs(15), || {
        served_certificate(&router, "renew.test") != first
    });
    // A broken file afterwards evicts nothing.
    let good = served_certificate(&router, "renew.test");
    std::fs::write(served.join("renew.test.crt"), "not a certificate").expect("write");
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(served_certificate(&router, "renew.test"), good);
}

#[test]
fn certificate_paths_outside_the_roots_are_not_read() {
    let (uwsgi, _openssl) = (require_tool!("uwsgi"), require_tool!("openssl"));
    let setup = Router::setup().subscribe(Subscribe::Udp).https();
    let allowed = setup.folder().join("allowed");
    std::fs::create_dir(&allowed).expect("a folder");
    let pair = certs::leaf(setup.folder(), "out.test");
    let escape = format!("{}/../{}", allowed.display(), pair.crt.file_name().unwrap().display());
    let router = setup.args(["--cert-root", certs::utf8(&allowed)]).start();
    let server = router.subscribe();
    let outside = format!("sni_key={},sni_crt={}", pair.key.display(), pair.crt.display());
    let climbing = format!("sni_key={},sni_crt={escape}", pair.key.display());
    let _apps = [("a", "out.test", outside), ("b", "up.test", climbing)].map(|(node, key, sni)| {
        vassal(node)
            .subscribe2(format!("server={server},key={key},{sni}"))
            .start(&uwsgi, router.folder())
    });
    eventually_true("both were looked at", SOON, || {
        let nodes = router.nodes("out.test").len() + router.nodes("up.test").len();
        nodes == 2 || router.rejects_total() >= 4.0
    });
    for key in ["out.test", "up.test"] {
        let subject = served_subject(&router, key);
        assert!(!subject.contains("out.test"), "{key}: {subject}");
    }
}

#[test]
fn a_certificate_inside_the_datagram_is_served() {
    let _openssl = require_tool!("openssl");
    let setup = Router::setup().subscribe(Subscribe::Udp).https();
    let pair = certs::leaf(setup.folder(), "inline.test");
    let origin = UwsgiOrigin::ok();
    let router = setup.start();
    let read = |path: &std::path::Path| std::fs::read_to_string(path).expect("a PEM file");
    let (address, key, crt) = (origin.address().to_string(), read(&pair.key), read(&pair.crt));
    let datagram = crate::harness::datagram::plain(
        0,
        &[("key", "inline.test"), ("address", &address), ("sni_key", &key), ("sni_crt", &crt)],
    );
    crate::harness::datagram::send(router.subscribe(), &datagram);
    eventually_true("the certificate is served", SOON, || {
        served_subject(&router, "inline.test").contains("inline.test")
    });
}
