//! Real uWSGI applications that sign: right and wrong keys, revocation, and sniffed datagrams.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::certs::{honest, place, sign_check_folder, stranger};
use crate::harness::datagram::{self, Tap};
use crate::harness::process::Process;
use crate::harness::router::Subscribe;
use crate::harness::vassal::vassal;
use crate::harness::wait::{SOON, eventually, eventually_true};
use crate::harness::{Router, get, require_tool};

/// A router that wants signatures with `digest`, and its key folder.
fn signed_router(digest: &str, subscribe: Subscribe, keys: &[&str]) -> (Router, PathBuf) {
    let setup = Router::setup().subscribe(subscribe);
    let folder = sign_check_folder(setup.folder(), keys);
    let check = format!("{digest}:{}", folder.display());
    (setup.args(["--sign-check", &check]).start(), folder)
}

fn signed_vassal(uwsgi: &Path, router: &Router, server: &str, key: &str, sign: &str) -> Process {
    vassal("a")
        .subscribe2(format!("server={server},key={key},sign={sign}"))
        .start(uwsgi, router.folder())
}

fn honest_sign(digest: &str) -> String {
    format!("{digest}:{}", honest().private.display())
}

#[test]
fn sha1_and_sha256_signatures_are_served_over_udp_and_unix() {
    let uwsgi = require_tool!("uwsgi");
    for digest in ["SHA1", "SHA256"] {
        for subscribe in [Subscribe::Udp, Subscribe::Unix] {
            let (router, _) = signed_router(digest, subscribe, &["signed.test"]);
            let server = router.subscribe_text();
            let sign = honest_sign(digest);
            let _app = signed_vassal(&uwsgi, &router, &server, "signed.test", &sign);
            router.wait_for_nodes("signed.test", 1);
            let answer = get(router.http(), "signed.test", "/");
            assert_eq!(answer.status, 200, "{digest} over {subscribe:?}");
            assert_eq!(answer.json()["node"], "a");
        }
    }
}

#[test]
fn the_short_form_signs_too() {
    let uwsgi = require_tool!("uwsgi");
    let (router, _) = signed_router("SHA256", Subscribe::Udp, &["short.test:8080"]);
    let (server, sign) = (router.subscribe_text(), honest_sign("SHA256"));
    let _app = vassal("a")
        .subscribe_to(format!("{server}:short.test:8080,0,{sign}"))
        .start(&uwsgi, router.folder());
    router.wait_for_nodes("short.test:8080", 1);
    assert_eq!(get(router.http(), "short.test:8080", "/").status, 200);
}

/// Starts a vassal the router must refuse; waits for the refusal to be counted under `reason`.
fn expect_refused(sign: Option<&str>, keys: &[&str], reason: &str) {
    let uwsgi = require_tool!("uwsgi");
    let (router, _) = signed_router("SHA256", Subscribe::Udp, keys);
    let server = router.subscribe_text();
    let sign = sign.map(|sign| format!(",sign={sign}")).unwrap_or_default();
    let _app = vassal("a")
        .subscribe2(format!("server={server},key=signed.test{sign}"))
        .start(&uwsgi, router.folder());
    let rejects = eventually("the refusal is counted", SOON, || {
        (router.rejects_total() >= 2.0).then(|| router.metrics())
    });
    let name = "suzerain_subscription_rejects_total";
    let counted = rejects.sum(name, &[("reason", reason)]);
    assert!(counted >= 2.0, "not as {reason}: {:?}", rejects.non_zero(name));
    assert_eq!(get(router.http(), "signed.test", "/").status, 404);
}

#[test]
fn a_wrong_key_is_refused_and_counted() {
    let sign = format!("SHA256:{}", stranger().private.display());
    expect_refused(Some(&sign), &["signed.test"], "bad_signature");
}

#[test]
fn a_wrong_digest_is_refused_and_counted() {
    expect_refused(Some(&honest_sign("SHA1")), &["signed.test"], "bad_signature");
}

#[test]
fn an_unsigned_subscription_is_refused_and_counted() {
    expect_refused(None, &["signed.test"], "unsigned");
}

#[test]
fn a_key_without_a_file_is_refused_and_counted() {
    expect_refused(Some(&honest_sign("SHA256")), &["other.test"], "no_key_file");
}

#[test]
fn a_signed_vassal_can_unsubscribe() {
    let uwsgi = require_tool!("uwsgi");
    let (router, _) = signed_router("SHA256", Subscribe::Udp, &["bye.test"]);
    let (server, sign) = (router.subscribe_text(), honest_sign("SHA256"));
    let mut app = signed_vassal(&uwsgi, &router, &server, "bye.test", &sign);
    router.wait_for_nodes("bye.test", 1);
    app.signal(Signal::SIGINT);
    app.status_within(SOON);
    eventually_true("the key is gone", Duration::from_secs(2), || {
        get(router.http(), "bye.test", "/").status == 404
    });
}

#[test]
fn a_restarted_vassal_is_back_in_service() {
    let uwsgi = require_tool!("uwsgi");
    let (router, _) = signed_router("SHA256", Subscribe::Udp, &["back.test"]);
    let (server, sign) = (router.subscribe_text(), honest_sign("SHA256"));
    let socket = router.folder().join("app.sock").display().to_string();
    for _ in 0..2 {
        let subscription = format!("server={server},key=back.test,sign={sign}");
        let mut app =
            vassal("a").socket(&socket).subscribe2(subscription).start(&uwsgi, router.folder());
        // The same address each time: the stamps of the life before are remembered.
        router.wait_for_nodes("back.test", 1);
        assert_eq!(get(router.http(), "back.test", "/").status, 200);
        app.signal(Signal::SIGINT);
        app.status_within(SOON);
        router.wait_for_nodes("back.test", 0);
    }
}

#[test]
fn a_revoked_key_takes_its_nodes_along_at_once() {
    let uwsgi = require_tool!("uwsgi");
    let (router, folder) = signed_router("SHA256", Subscribe::Udp, &["rev.test"]);
    let (server, sign) = (router.subscribe_text(), honest_sign("SHA256"));
    let _app = signed_vassal(&uwsgi, &router, &server, "rev.test", &sign);
    router.wait_for_nodes("rev.test", 1);
    let file = folder.join(subscribe::key_file_name("rev.test"));
    std::fs::remove_file(&file).expect("remove");
    eventually_true("the node left", Duration::from_secs(3), || {
        get(router.http(), "rev.test", "/").status == 404
    });
    // The vassal goes on announcing itself: it must not come back.
    let before = router.rejects_total();
    eventually_true("refused again", SOON, || router.rejects_total() >= before + 2.0);
    assert_eq!(get(router.http(), "rev.test", "/").status, 404);
    place(&honest().public, &file);
    router.wait_for_nodes("rev.test", 1);
    place(&stranger().public, &file);
    eventually_true("a changed key counts as revoked", Duration::from_secs(3), || {
        get(router.http(), "rev.test", "/").status == 404
    });
}

/// A sniffed datagram is used again in every way an attacker could; the node must stay, and stay
/// away once it left. Method: the vassal subscribes through a tap that keeps copies.
#[test]
fn sniffed_datagrams_are_worth_nothing() {
    let uwsgi = require_tool!("uwsgi");
    let (router, _) = signed_router("SHA256", Subscribe::Udp, &["tap.test"]);
    let tap = Tap::start(router.subscribe());
    let (server, sign) = (tap.address().to_string(), honest_sign("SHA256"));
    let mut app = signed_vassal(&uwsgi, &router, &server, "tap.test", &sign);
    router.wait_for_nodes("tap.test", 1);
    let sniffed = eventually("three announcements", SOON, || {
        let copies = tap.copies();
        (copies.len() >= 3).then_some(copies)
    });

    for copy in &sniffed {
        let mut flipped = copy.clone();
        flipped[datagram::COMMAND_AT] = 1;
        expect_reject(&router, &flipped);
        expect_reject(&router, copy);
        let mut altered = copy.clone();
        altered[10] ^= 1;
        expect_reject(&router, &altered);
    }
    assert_eq!(router.nodes("tap.test").len(), 1, "a flipped datagram removed the node");
    assert_eq!(get(router.http(), "tap.test", "/").status, 200);

    app.signal(Signal::SIGINT);
    app.status_within(SOON);
    router.wait_for_nodes("tap.test", 0);
    for copy in tap.copies() {
        let mut revived = copy.clone();
        revived[datagram::COMMAND_AT] = 0;
        expect_reject(&router, &revived);
        expect_reject(&router, &copy);
    }
    assert_eq!(get(router.http(), "tap.test", "/").status, 404, "a replay revived the node");
}

#[track_caller]
fn expect_reject(router: &Router, datagram: &[u8]) {
    let before = router.rejects_total();
    datagram::send(router.subscribe(), datagram);
    eventually_true("a replay is refused", SOON, || router.rejects_total() > before);
}
