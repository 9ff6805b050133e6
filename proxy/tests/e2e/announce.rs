//! `suzerain announce`: programs without uWSGI subscribe, signed or not, and leave when they end.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::certs::{honest, sign_check_folder};
use crate::harness::process::Process;
use crate::harness::router::{BINARY, Subscribe, suzerain};
use crate::harness::uwsgi_origin::UwsgiOrigin;
use crate::harness::wait::{SOON, eventually_true};
use crate::harness::{Origin, Router, get, require_tool};

fn announce(folder: &Path, arguments: &[&str]) -> Process {
    let mut command = Command::new(BINARY);
    command.arg("announce").args(arguments).current_dir(folder);
    Process::start(&mut command, folder, "announce", Signal::SIGTERM)
}

#[test]
fn it_announces_over_udp_ipv4_ipv6_and_unix_until_a_signal() {
    let origin = Origin::echo();
    for subscribe in [Subscribe::Udp, Subscribe::UdpV6, Subscribe::Unix] {
        let router = Router::setup().subscribe(subscribe).start();
        let (server, address) = (router.subscribe_text(), origin.address().to_string());
        let mut announcer = announce(
            router.folder(),
            &["--server", &server, "--key", "ann.test", "--address", &address, "--proto", "http"],
        );
        router.wait_for_nodes("ann.test", 1);
        assert_eq!(get(router.http(), "ann.test", "/").status, 200, "{subscribe:?}");
        announcer.signal(Signal::SIGINT);
        announcer.status_within(SOON);
        eventually_true("the key is gone", Duration::from_secs(2), || {
            get(router.http(), "ann.test", "/").status == 404
        });
    }
}

#[test]
fn it_signs_and_keeps_the_lease() {
    let origin = UwsgiOrigin::ok();
    let setup = Router::setup().subscribe(Subscribe::Udp);
    let keys = sign_check_folder(setup.folder(), &["lease.test"]);
    let check = format!("SHA256:{}", keys.display());
    let router = setup.args(["--sign-check", &check, "--tolerance", "3"]).start();
    let sign = format!("SHA256:{}", honest().private.display());
    let (server, address) = (router.subscribe_text(), origin.address().to_string());
    let _announcer = announce(
        router.folder(),
        &[
            "--server",
            &server,
            "--key",
            "lease.test",
            "--address",
            &address,
            "--sign",
            &sign,
            "--every",
            "1s",
        ],
    );
    router.wait_for_nodes("lease.test", 1);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        assert_eq!(get(router.http(), "lease.test", "/").status, 200);
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn an_honest_restart_is_back_within_a_second_and_a_half() {
    let origin = Origin::echo();
    let setup = Router::setup().subscribe(Subscribe::Udp);
    let keys = sign_check_folder(setup.folder(), &["again.test"]);
    let router = setup.args(["--sign-check", &format!("SHA256:{}", keys.display())]).start();
    let sign = format!("SHA256:{}", honest().private.display());
    let (server, address) = (router.subscribe_text(), origin.address().to_string());
    let arguments = [
        "--server",
        &server,
        "--key",
        "again.test",
        "--address",
        &address,
        "--proto",
        "http",
        "--sign",
        &sign,
    ];
    // Stamps count seconds: of two lives within one, the wire cannot tell the second farewell from
    // a copy of the first. Each life here is longer than that, and each restart is immediate.
    let life = Duration::from_millis(2100);
    let mut announcer = announce(router.folder(), &arguments);
    router.wait_for_nodes("again.test", 1);
    for round in 0..4 {
        let born = Instant::now();
        eventually_true("a life has passed", SOON, || born.elapsed() >= life);
        announcer.signal(Signal::SIGTERM);
        announcer.status_within(SOON);
        router.wait_for_nodes("again.test", 0);
        let start = Instant::now();
        announcer = announce(router.folder(), &arguments);
        eventually_true("it is in service", SOON, || {
            get(router.http(), "again.test", "/").status == 200
        });
        let took = start.elapsed();
        // The promise is 1.5 s from the first announcement; a busy machine gets some more.
        assert!(took < Duration::from_millis(2500), "round {round}: {took:?}");
    }
}

#[test]
fn it_runs_a_program_and_takes_over_its_status() {
    let python = require_tool!("python3");
    let router = Router::setup().subscribe(Subscribe::Udp).start();
    let site = router.folder().join("site");
    std::fs::create_dir(&site).expect("a folder");
    std::fs::write(site.join("hello.txt"), "hello").expect("write");
    // A unix address is free of port races, and http.server cannot have one: take a port that was
    // just free.
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let port = port.expect("a free port").port();
    let script = format!(
        "import http.server, sys, threading\n\
         class Handler(http.server.SimpleHTTPRequestHandler):\n\
         \x20   def do_GET(self):\n\
         \x20       super().do_GET()\n\
         \x20       if self.path == '/end': threading.Thread(target=server.shutdown).start()\n\
         server = http.server.ThreadingHTTPServer(('127.0.0.1', {port}), Handler)\n\
         server.serve_forever()\n\
         sys.exit(7)\n"
    );
    let file = router.folder().join("app.py");
    std::fs::write(&file, script).expect("write");
    let (server, address) = (router.subscribe_text(), format!("127.0.0.1:{port}"));
    let mut announcer = announce(
        &site,
        &[
            "--server",
            &server,
            "--key",
            "run.test",
            "--address",
            &address,
            "--proto",
            "http",
            "--",
            &python.display().to_string(),
            &file.display().to_string(),
        ],
    );
    router.wait_for_nodes("run.test", 1);
    assert_eq!(get(router.http(), "run.test", "/hello.txt").text(), "hello");
    assert_eq!(get(router.http(), "run.test", "/end").status, 404);
    let status = announcer.status_within(SOON);
    assert_eq!(status.code(), Some(7), "the program's own status");
    eventually_true("the key is gone", Duration::from_secs(2), || {
        get(router.http(), "run.test", "/").status == 404
    });
}

#[test]
fn signals_reach_the_program() {
    let router = Router::setup().subscribe(Subscribe::Udp).start();
    let server = router.subscribe_text();
    let mut announcer = announce(
        router.folder(),
        &[
            "--server",
            &server,
            "--key",
            "sleep.test",
            "--address",
            "127.0.0.1:9",
            "--wait",
            "1s",
            "--",
            "sleep",
            "600",
        ],
    );
    router.wait_for_nodes("sleep.test", 1);
    announcer.signal(Signal::SIGTERM);
    announcer.status_within(SOON);
    router.wait_for_nodes("sleep.test", 0);
}

#[test]
fn bad_arguments_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = ["announce", "--server", "127.0.0.1:7171", "--key", "k.test", "--address"];
    let cases: [(&[&str], &str); 4] = [
        (&["127.0.0.1:http"], "127.0.0.1:http"),
        (&["127.0.0.1:1", "--sign", "MD5:x.pem"], "MD5"),
        (&["127.0.0.1:1", "--sign", "SHA256:missing.pem"], "missing.pem"),
        (&["127.0.0.1:1", "--proto", "gopher"], "gopher"),
    ];
    for (more, named) in cases {
        let arguments: Vec<&str> = base.iter().chain(more).copied().collect();
        let finished = suzerain(folder.path(), &arguments);
        assert_eq!(finished.code, Some(64), "{more:?}: {finished:?}");
        assert!(finished.stderr.contains(named), "{more:?}: {finished:?}");
    }
}
