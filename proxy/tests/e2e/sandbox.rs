//! Confined routers: every thread is, everything still works, and containers that block io_uring or
//! bring our profile can run one.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use seccompiler::{SeccompAction, SeccompFilter, TargetArch};

use crate::harness::process::Process;
use crate::harness::router::{BINARY, Subscribe, io_driver, suzerain, try_admin};
use crate::harness::tools::{Finished, report_missing, run};
use crate::harness::wait::{SOON, eventually};
use crate::harness::{Client, Origin, Router, get};

/// What each thread of the process has in a field of its status.
fn of_threads(pid: u32, field: &str) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("a live process");
    let tasks = tasks.map(|task| task.expect("a thread").path().join("status"));
    let texts = tasks.filter_map(|path| std::fs::read_to_string(path).ok());
    let value = |text: String| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{field}:")));
        line.unwrap_or_default().trim().to_owned()
    };
    texts.map(value).collect()
}

#[track_caller]
fn all_threads_have(pid: u32, field: &str, wanted: &str) {
    let found = of_threads(pid, field);
    assert!(found.len() > 4, "{found:?}");
    assert!(found.iter().all(|each| each == wanted), "{field}: {found:?}");
}

#[test]
fn every_thread_of_a_confined_router_is_confined_and_it_serves() {
    let origin = Origin::echo();
    let mut router = Router::setup()
        .https()
        .subscribe(Subscribe::Udp)
        .args(["--seccomp", "on"])
        .route(origin.route("site.test"))
        .start();
    assert_eq!(get(router.http(), "site.test", "/").status, 200);
    all_threads_have(router.process.pid(), "Seccomp", "2");
    all_threads_have(router.process.pid(), "NoNewPrivs", "1");
    // What signals ask for needs calls that serving does not.
    for signal in [Signal::SIGUSR1, Signal::SIGHUP] {
        router.process.signal(signal);
    }
    assert_eq!(get(router.http(), "site.test", "/").status, 200);
    assert!(router.metrics().sum("process_open_fds", &[]) > 0.0);
    // Large bodies are spliced.
    let body = "b".repeat(1 << 20);
    let head =
        format!("POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut client = Client::connect(router.http());
    client.send(head + &body);
    assert_eq!(client.response().status, 200);
    router.process.signal(Signal::SIGQUIT);
    assert!(router.process.status_within(SOON).success(), "{}", router.process.stderr());
}

#[test]
fn a_router_that_only_logs_is_watched_and_others_are_not() {
    let watched = Router::setup().args(["--seccomp", "log"]).start();
    all_threads_have(watched.process.pid(), "Seccomp", "2");
    let free = Router::setup().args(["--seccomp", "off"]).start();
    all_threads_have(free.process.pid(), "Seccomp", "0");
}

#[test]
fn what_seccomp_may_be_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let ended = suzerain(folder.path(), &["run", "--http", "127.0.0.1:0", "--seccomp", "yes"]);
    assert_eq!(ended.code, Some(64), "{ended:?}");
    assert!(ended.stderr.contains("allowed: on, log or off"), "{ended:?}");
}

/// Tells [`a_confined_start`] to be what it is named, and how.
const FILTER: &str = "SUZERAIN_TEST_STARTED_UNDER";

/// Not a test of its own: the process below, which confines itself as a container would be, and then
/// becomes the program under test.
#[test]
fn a_confined_start() {
    let Ok(kind) = std::env::var(FILTER) else { return };
    let processor = TargetArch::try_from(std::env::consts::ARCH).expect("a known processor");
    let filter = if kind == "profile" {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/seccomp-container.json");
        let profile = std::fs::read_to_string(path).expect("a profile");
        let profile: serde_json::Value = serde_json::from_str(&profile).expect("JSON");
        let names = profile["syscalls"][0]["names"].as_array().expect("names");
        let calls: Vec<_> =
            names.iter().map(|name| serde_json::json!({ "syscall": name })).collect();
        let ours = serde_json::json!({ "container": {
            "mismatch_action": { "errno": 1 }, "match_action": "allow", "filter": calls,
        }});
        let text = ours.to_string();
        let mut made = seccompiler::compile_from_json(text.as_bytes(), processor).expect("names");
        made.remove("container").expect("it is there")
    } else {
        let blocked = BTreeMap::from([(nix::libc::SYS_io_uring_setup, Vec::new())]);
        let refused = SeccompAction::Errno(nix::libc::EPERM as u32);
        let filter = SeccompFilter::new(blocked, SeccompAction::Allow, refused, processor);
        filter.expect("a filter").try_into().expect("a filter")
    };
    seccompiler::apply_filter(&filter).expect("the kernel takes it");
    let arguments = std::env::var("SUZERAIN_TEST_ARGUMENTS").expect("arguments");
    panic!("{}", Command::new(BINARY).arg("run").args(arguments.split(' ')).exec());
}

/// The program under test below such a filter.
fn started_under(kind: &str, arguments: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "sandbox::a_confined_start", "--nocapture"]);
    command.env(FILTER, kind).env("SUZERAIN_TEST_ARGUMENTS", arguments);
    command
}

/// Starts it and returns what it says once it is up.
#[track_caller]
fn greeting_under(kind: &str, arguments: &str, folder: &Path) -> (Process, String) {
    let mut command = started_under(kind, arguments);
    let mut process = Process::start(&mut command, folder, "router", Signal::SIGTERM);
    let greeting = eventually("it is up", SOON, || {
        if let Some(status) = process.try_status() {
            panic!("{status}: {}{}", process.stdout(), process.stderr());
        }
        let said = process.stderr();
        said.contains("  http").then_some(said)
    });
    (process, greeting)
}

#[test]
fn where_io_uring_is_blocked_it_says_that_it_uses_epoll() {
    let folder = tempfile::tempdir().expect("a folder");
    let admin = folder.path().join("admin.sock");
    let arguments = format!("--http 127.0.0.1:0 --workers 1 --admin {}", admin.display());
    let (_process, greeting) = greeting_under("no io_uring", &arguments, folder.path());
    assert!(greeting.contains("is up: 1 worker, epoll"), "{greeting}");
    let told = try_admin(&admin, "/stats").expect("statistics").text();
    assert!(told.contains(r#""io_driver": "epoll""#), "{told}");
    let insisting = format!("{arguments} --io uring");
    let ended: Finished = run(&mut started_under("no io_uring", &insisting));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("io_uring is not available here"), "{ended:?}");
}

#[test]
fn the_container_profile_is_enough_to_become_a_user_and_confine_oneself() {
    if !nix::unistd::Uid::effective().is_root() {
        return report_missing("root");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let driver = io_driver();
    let arguments =
        format!("--http 127.0.0.1:0 --workers 1 --io {driver} --user nobody --seccomp on");
    let (mut process, greeting) = greeting_under("profile", &arguments, folder.path());
    if driver == "uring" {
        assert!(greeting.contains("1 worker, io_uring"), "{greeting}");
    }
    let address = greeting.lines().find_map(|line| line.trim().strip_prefix("http "));
    let address = address.expect("its address").trim().parse().expect("its address");
    assert_eq!(get(address, "site.test", "/").status, 404);
    assert_eq!(of_threads(process.pid(), "Seccomp_filters").first().map(String::as_str), Some("2"));
    process.signal(Signal::SIGQUIT);
    assert!(process.status_within(SOON).success(), "{}", process.stderr());
}
