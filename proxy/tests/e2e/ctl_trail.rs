//! `suzerain ctl audit KEY`: real vassals that are served and refused leave a trail of who, when, from
//! where and why, which no flood of made-up keys pushes out.

use std::net::UdpSocket;

use nix::sys::signal::Signal;
use nix::unistd::Uid;
use serde_json::Value;

use crate::ctl::{controlled, ctl, json, said};
use crate::harness::certs::{honest, sign_check_folder, stranger};
use crate::harness::datagram;
use crate::harness::router::Subscribe;
use crate::harness::vassal::vassal;
use crate::harness::wait::{SOON, eventually, eventually_true};
use crate::harness::{Router, require_tool};

fn rows<'a>(told: &'a Value, list: &str) -> Vec<&'a Value> {
    told[list].as_array().map(|rows| rows.iter().collect()).unwrap_or_default()
}

#[test]
fn an_accepted_and_a_refused_vassal_leave_their_trail() {
    let uwsgi = require_tool!("uwsgi");
    let setup = Router::setup().subscribe(Subscribe::Udp);
    let keys = sign_check_folder(setup.folder(), &["trail.test"]);
    let check = format!("SHA256:{}", keys.display());
    let router = controlled(setup.args(["--sign-check", &check])).start();
    let start = |name: &str, private: &std::path::Path| {
        let sign = format!("SHA256:{}", private.display());
        vassal(name)
            .subscribe2(format!("server={},key=trail.test,sign={sign}", router.subscribe_text()))
            .start(&uwsgi, router.folder())
    };
    let good = start("a", &honest().private);
    router.wait_for_nodes("trail.test", 1);
    let _bad = start("b", &stranger().private);
    let told = eventually("the refusal is told", SOON, || {
        let told = json(&router, &["audit", "trail.test"]);
        (!rows(&told, "refused").is_empty()).then_some(told)
    });
    let event = rows(&told, "events")[0];
    assert_eq!((&event["what"], &event["key"]), (&"added".into(), &"trail.test".into()));
    assert_eq!(event["address"], told["now"]["nodes"][0]["address"]);
    let from = event["from"]["peer"].as_str().expect("a sender");
    assert!(from.starts_with("127.0.0.1:"), "{from}");
    let refused = rows(&told, "refused")[0];
    assert_eq!(refused["reason"], "bad_signature", "{refused}");
    assert_ne!(refused["address"], event["address"]);
    let table = said(&router, &["audit", "trail.test"]);
    assert!(table.contains("added") && table.contains("signature"), "{table}");

    good.signal(Signal::SIGINT);
    router.wait_for_nodes("trail.test", 0);
    let told = json(&router, &["audit", "trail.test"]);
    let what: Vec<_> = rows(&told, "events").iter().map(|event| event["what"].clone()).collect();
    assert_eq!(what, ["added", "unsubscribed"]);
    assert!(rows(&told, "refused")[0]["count"].as_u64() >= Some(1));
}

#[test]
fn the_trail_names_the_process_where_the_kernel_was_asked() {
    let uwsgi = require_tool!("uwsgi");
    let setup = Router::setup().subscribe(Subscribe::Unix).args(["--use-credentials"]);
    let router = controlled(setup).start();
    let app = vassal("a")
        .args(["--subscriptions-use-credentials"])
        .subscribe2(format!("server={},key=cred.test", router.subscribe_text()))
        .start(&uwsgi, router.folder());
    router.wait_for_nodes("cred.test", 1);
    let told = json(&router, &["audit", "cred.test"]);
    let from = &rows(&told, "events")[0]["from"];
    assert_eq!((&from["peer"], &from["pid"]), (&"unix".into(), &app.pid().into()));
    assert_eq!(from["uid"], Uid::effective().as_raw());
}

/// Made-up keys by the ten thousand, from this machine, while an honest key was refused and served.
#[test]
fn a_flood_of_made_up_keys_pushes_no_honest_key_out() {
    let setup = Router::setup().subscribe(Subscribe::Udp).args(["--upstream-allow", "127.0.0.1"]);
    let router = controlled(setup).start();
    let send = |key: &str, address: &str| {
        let fields = [("key", key), ("address", address), ("proto", "http")];
        datagram::send(router.subscribe(), &datagram::plain(0, &fields));
    };
    send("honest.test", "127.0.0.1:9");
    router.wait_for_nodes("honest.test", 1);
    send("honest.test", "10.1.1.1:9");
    let refused =
        |count: f64| eventually_true("all are refused", SOON, || router.rejects_total() >= count);
    refused(1.0);
    let before = router.process.resident_kib();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
    for number in 0..20_000 {
        let key = format!("{number}.{}.test", "x".repeat(60));
        let fields = [("key", key.as_str()), ("address", "10.1.1.1:9")];
        socket.send_to(&datagram::plain(0, &fields), router.subscribe()).expect("send");
        if number % 200 == 199 {
            // The kernel's buffer is bounded; what it drops floods nobody.
            refused(f64::from(number) * 0.5);
        }
    }
    let told = json(&router, &["audit", "honest.test"]);
    assert_eq!(rows(&told, "events").len(), 1);
    assert_eq!(rows(&told, "refused")[0]["reason"], "address_refused");
    let all = json(&router, &["audit", "--limit", "100000"]);
    assert!(rows(&all, "refused").len() <= 17, "{}", rows(&all, "refused").len());
    let grown = router.process.resident_kib().saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} KiB");
}

/// What others put into a datagram is printed, and no terminal obeys it.
#[test]
fn a_hostile_key_is_shown_without_its_control_bytes() {
    let router = controlled(Router::setup().subscribe(Subscribe::Udp)).start();
    let fields = [("key", "\u{1b}[2J\u{7}evil"), ("address", "\u{9b}31m")];
    datagram::send(router.subscribe(), &datagram::plain(0, &fields));
    eventually_true("it is refused", SOON, || router.rejects_total() == 1.0);
    for arguments in [&["audit"][..], &["audit", "--json"]] {
        let told = ctl(&router, arguments).stdout;
        assert!(told.contains("evil"), "{told}");
        assert!(!told.chars().any(|c| c.is_control() && c != '\n'), "{told:?}");
    }
}
