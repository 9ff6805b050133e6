//! Routers that are killed, and what their successors serve from the state file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command as Program;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;
use route_table::Proto;
use subscribe::announce::{AnnounceFields, Command, Digest, Signer, encode};

use crate::ctl::{controlled, said};
use crate::harness::certs::{honest, sign_check_folder};
use crate::harness::datagram;
use crate::harness::router::{Setup, Subscribe};
use crate::harness::wait::{SOON, eventually_true};
use crate::harness::{Origin, Router, get, require_tool};

/// Sites of a test: more than one batch of datagrams.
const SITES: usize = 300;

fn with_state_file(setup: Setup) -> (Setup, PathBuf) {
    let path = setup.folder().join("subscriptions.state");
    (setup.subscribe(Subscribe::Udp).args(["--state-file", &path.display().to_string()]), path)
}

fn site(number: usize) -> String {
    format!("site{number}.test")
}

/// Sends a site's datagram for a node at `origin`.
fn send(router: &Router, site: &str, origin: &Origin, command: Command, signer: Option<&Signer>) {
    let fields = AnnounceFields {
        key: site.into(),
        address: origin.address().to_string(),
        proto: Proto::Http,
        ..AnnounceFields::default()
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let datagram = encode(&fields, command, signer.map(|_| now), signer).expect("encodes");
    datagram::send(router.subscribe(), &datagram);
}

fn status(router: &Router, site: &str) -> u16 {
    get(router.http(), site, "/").status
}

#[track_caller]
fn wait_for_status(router: &Router, site: &str, due: u16) {
    eventually_true(&format!("{site} gets {due}"), SOON, || status(router, site) == due);
}

#[test]
fn after_a_kill_every_site_is_served_at_once_but_those_that_left() {
    let origin = Origin::echo();
    let (setup, path) = with_state_file(Router::setup());
    let mut router = setup.start();
    for number in 0..SITES {
        send(&router, &site(number), &origin, Command::Subscribe, None);
    }
    wait_for_status(&router, &site(SITES - 1), 200);
    for number in (0..SITES).filter(|number| number % 10 == 3) {
        send(&router, &site(number), &origin, Command::Unsubscribe, None);
    }
    wait_for_status(&router, &site(SITES - 7), 404);
    router.crash();
    router.start_again();
    let due = |number: usize| if number % 10 == 3 { 404 } else { 200 };
    for number in 0..SITES {
        assert_eq!(status(&router, &site(number)), due(number), "{}", site(number));
    }
    let heard = router.metrics().sum("suzerain_subscription_datagrams_total", &[]);
    assert_eq!(heard, 0.0, "none was heard");
    // It is measured at the first turn of its writer, which may come after all of these requests.
    eventually_true("the file has bytes", SOON, || {
        router.metrics().sum("suzerain_state_file_bytes", &[]) > 0.0
    });
    // What was restored is as alive as before: it can leave, and stay away over another crash.
    send(&router, &site(0), &origin, Command::Unsubscribe, None);
    wait_for_status(&router, &site(0), 404);
    router.crash();
    // The kill came while a record was written.
    let length = fs::metadata(&path).expect("it is there").len();
    send_torn(&path, length);
    router.start_again();
    assert_eq!([0, 1, 3].map(|number| status(&router, &site(number))), [404, 200, 404]);
}

/// Ends the file inside of one more record.
fn send_torn(path: &Path, length: u64) {
    let mut bytes = fs::read(path).expect("reads");
    assert_eq!(bytes.len() as u64, length);
    bytes.extend([40, 0, 0, 0, 1, 2, 3, 4, 3]);
    fs::write(path, bytes).expect("writes");
}

#[test]
fn what_operators_decided_outlives_a_kill() {
    let origin = Origin::echo();
    let route = origin.route("written.test");
    let (setup, _) = with_state_file(controlled(Router::setup().route(&route)));
    let mut router = setup.start();
    for site in ["drained.test", "open.test"] {
        send(&router, site, &origin, Command::Subscribe, None);
        wait_for_status(&router, site, 200);
    }
    let address = origin.address().to_string();
    said(&router, &["route", "add", "added.test", &address, "--proto", "http"]);
    for key in ["drained.test", "written.test", "open.test"] {
        said(&router, &["drain", &address, "--key", key]);
    }
    said(&router, &["undrain", &address, "--key", "open.test"]);
    router.crash();
    router.start_again();
    let sites = ["drained.test", "written.test", "open.test", "added.test"];
    assert_eq!(sites.map(|site| status(&router, site)), [503, 503, 200, 200]);
}

#[test]
fn a_site_whose_public_key_went_while_the_router_was_down_is_not_back() {
    let origin = Origin::echo();
    let (setup, _) = with_state_file(Router::setup());
    let keys = sign_check_folder(setup.folder(), &["kept.test", "revoked.test"]);
    let check = format!("SHA256:{}", keys.display());
    let mut router = setup.args(["--sign-check", &check]).start();
    let pem = fs::read_to_string(honest().private).expect("reads");
    let signer = Signer::from_pem(Digest::Sha256, &pem).expect("a key");
    for site in ["kept.test", "revoked.test"] {
        send(&router, site, &origin, Command::Subscribe, Some(&signer));
        wait_for_status(&router, site, 200);
    }
    router.crash();
    fs::remove_file(keys.join("revoked.test.pem")).expect("removes");
    router.start_again();
    assert_eq!(status(&router, "kept.test"), 200);
    assert_eq!(status(&router, "revoked.test"), 404);
    // The key that vouched is watched again, though no datagram asked for it.
    fs::remove_file(keys.join("kept.test.pem")).expect("removes");
    wait_for_status(&router, "kept.test", 404);
}

#[test]
fn a_file_older_than_a_lease_brings_nobody_back() {
    let origin = Origin::echo();
    let (setup, _) = with_state_file(Router::setup());
    let mut router = setup.args(["--tolerance", "1"]).start();
    send(&router, "old.test", &origin, Command::Subscribe, None);
    wait_for_status(&router, "old.test", 200);
    router.crash();
    std::thread::sleep(Duration::from_millis(2500));
    router.start_again();
    assert_eq!(status(&router, "old.test"), 404);
    assert!(router.process.stderr().contains("longer ago than a lease"));
}

#[test]
fn a_disk_that_is_full_stops_nothing_and_brings_nobody_back() {
    let prlimit = require_tool!("prlimit");
    let origin = Origin::echo();
    let (setup, path) = with_state_file(Router::setup());
    let mut router = setup.start();
    send(&router, "left.test", &origin, Command::Subscribe, None);
    wait_for_status(&router, "left.test", 200);
    // Longer than any log of this test, shorter than the file will be.
    let pid = router.process.pid().to_string();
    let limited = Program::new(prlimit).args(["--pid", &pid, "--fsize=131072"]).status();
    assert!(limited.expect("runs").success());
    for number in 0..3000 {
        send(&router, &site(number), &origin, Command::Subscribe, None);
        if number % 100 == 99 {
            wait_for_status(&router, &site(number), 200);
        }
    }
    assert!(router.metrics().sum("suzerain_state_file_failures_total", &[]) >= 1.0);
    assert!(!path.exists(), "an incomplete file is none");
    send(&router, "left.test", &origin, Command::Unsubscribe, None);
    wait_for_status(&router, "left.test", 404);
    assert!(router.process.try_status().is_none(), "the router lives");
    let log = router.process.stderr();
    assert_eq!(log.matches("no state file").count(), 1, "{log}");
    router.crash();
    router.start_again();
    assert_eq!(status(&router, "left.test"), 404);
}

/// A restart by the operator is no crash and loses nobody either.
#[test]
fn a_router_that_was_drained_and_started_serves_its_sites_at_once() {
    let origin = Origin::echo();
    let (setup, _) = with_state_file(Router::setup());
    let mut router = setup.start();
    send(&router, "stays.test", &origin, Command::Subscribe, None);
    wait_for_status(&router, "stays.test", 200);
    router.process.signal(Signal::SIGQUIT);
    router.process.status_within(SOON);
    router.start_again();
    assert_eq!(status(&router, "stays.test"), 200);
}
