//! How often a warm exchange calls the kernel: the batches of the ring, and what escapes them.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::process::Process;
use crate::harness::router::io_driver;
use crate::harness::tools::{find, report_missing};
use crate::harness::wait::{SOON, eventually};
use crate::harness::{Client, Origin, Router};

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: site.test\r\n\r\n";

/// Counts the system calls of a process while `work` runs; `None` if it may not be traced.
fn calls_while(pid: u32, folder: &Path, work: impl FnOnce()) -> Option<HashMap<String, f64>> {
    let strace = find("strace").or_else(|| {
        report_missing("strace");
        None
    })?;
    let counts = folder.join("calls");
    let mut command = Command::new(strace);
    command.args(["-f", "-c", "-p", &pid.to_string(), "-o"]).arg(&counts);
    let mut tracer = Process::start(&mut command, folder, "strace", Signal::SIGINT);
    let is_attached = eventually("strace to attach", SOON, || {
        let told = tracer.stderr();
        let refused = tracer.try_status().is_some();
        (refused || told.contains("attached")).then_some(!refused)
    });
    if !is_attached {
        println!("SKIPPED: this process may not be traced: {}", tracer.stderr());
        return None;
    }
    work();
    tracer.signal(Signal::SIGINT);
    tracer.status_within(Duration::from_secs(10));
    let text = std::fs::read_to_string(&counts).expect("strace wrote its table");
    let rows = text.lines().filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let calls = columns.get(3)?.parse().ok()?;
        Some(((*columns.last()?).to_owned(), calls))
    });
    Some(rows.collect())
}

/// Goal: a request costs four operations of the ring (two receives, two sends), which share their entries
/// into the kernel with those of other connections, and one look at the pooled connection; nothing else.
/// Method: `connections` send at once and are answered, many times over, under strace.
#[test]
fn a_warm_exchange_enters_the_kernel_rarely_and_more_rarely_under_load() {
    const ROUNDS: usize = 50;
    if io_driver() == "epoll" {
        println!("SKIPPED: epoll has no ring");
        return;
    }
    let origin = Origin::echo();
    let router = Router::setup().workers(1).route(origin.route("site.test")).start();
    let pid = router.process.pid();
    // The ticks of the worker are among these, so a slow machine counts a few more.
    for (connections, enters_max) in [(1, 5.0), (16, 2.5), (64, 1.5)] {
        let mut clients: Vec<_> =
            (0..connections).map(|_| Client::connect(router.http())).collect();
        let mut all_ask = || {
            clients.iter_mut().for_each(|client| client.send(REQUEST));
            clients.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
        };
        all_ask();
        let Some(calls) = calls_while(pid, router.folder(), || (0..ROUNDS).for_each(|_| all_ask()))
        else {
            return;
        };
        let per_request = |name: &str| {
            calls.get(name).copied().unwrap_or_default() / (ROUNDS * connections) as f64
        };
        let (enters, looks) = (per_request("io_uring_enter"), per_request("recvfrom"));
        println!("{connections} connections: {enters:.2} enters and {looks:.2} looks a request");
        if io_driver() != "uring" && calls.contains_key("epoll_wait") {
            println!("SKIPPED: this machine has no ring to use");
            return;
        }
        assert!(enters > 0.0, "the ring is used: {calls:?}");
        assert!(enters <= enters_max, "{enters} at {connections}: {calls:?}");
        assert!(looks < 1.2, "{looks} at {connections}: {calls:?}");
        for name in ["sendto", "connect", "setsockopt", "close", "epoll_wait", "futex"] {
            let often = per_request(name);
            assert!(often < 0.2, "{name} {often} at {connections}: {calls:?}");
        }
    }
}
