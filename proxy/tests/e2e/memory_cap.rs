//! Memory that runs short: new connections and nodes are refused and counted, what is there goes on, and
//! when memory is given back everything is welcome again, in the same process.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio_tungstenite::tungstenite::{Message, WebSocket};

use crate::exhaustion::{limit, proc_number};
use crate::harness::router::{Setup, Subscribe};
use crate::harness::tools::run_with_input;
use crate::harness::uwsgi_origin::UwsgiOrigin;
use crate::harness::wait::{SOON, eventually, eventually_true};
use crate::harness::{Client, Origin, Router, datagram, get, require_tool};
use crate::websocket;

const MIB: u64 = 1 << 20;
/// Connections after which a test gives up filling.
const FILLERS_MAX: usize = 4000;
/// Connections that come at once; with what they say they would take more than the group has.
const BURST: usize = 2500;

/// What was there before memory became short.
struct Old {
    tunnel: WebSocket<TcpStream>,
    kept: Client,
}

fn setup(plain: &Origin) -> Setup {
    let sockets = websocket::echo_server();
    Router::setup()
        .subscribe(Subscribe::Udp)
        .route(format!("ws.test={sockets},proto=http"))
        .route(plain.route("a.test"))
        .config("[timeouts]\nhead = \"60s\"\n")
}

fn old_work(router: &Router) -> Old {
    announce(router, "old.test");
    router.wait_for_nodes("old.test", 1);
    let stream = TcpStream::connect(router.http()).expect("the router listens");
    stream.set_read_timeout(Some(SOON)).expect("a timeout");
    let mut old = Old {
        tunnel: websocket::open(stream, "ws", "ws.test"),
        kept: Client::connect(router.http()),
    };
    old.goes_on();
    old
}

impl Old {
    fn goes_on(&mut self) {
        websocket::exchange(&mut self.tunnel, Message::text("still there"));
        self.kept.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        assert_eq!(self.kept.response().status, 200);
    }
}

fn announce(router: &Router, key: &str) {
    let fields = [("key", key), ("address", "127.0.0.1:9")];
    datagram::send(router.subscribe(), &datagram::plain(0, &fields));
}

/// A connection whose head is long and has no end.
fn long_head(router: &Router) -> Option<Client> {
    let mut client = Client::try_connect(router.http()).ok()?;
    let head = format!("GET / HTTP/1.1\r\nHost: a.test\r\nX: {}", "x".repeat(60_000));
    client.try_send(head).ok()?;
    Some(client)
}

/// A connection whose body is held in memory, since its end has not come.
fn held_body(router: &Router) -> Option<Client> {
    let mut client = Client::try_connect(router.http()).ok()?;
    client
        .try_send("POST / HTTP/1.1\r\nHost: held.test\r\nTransfer-Encoding: chunked\r\n\r\n")
        .ok()?;
    client
        .try_send([b"f0000\r\n".to_vec(), vec![b'x'; 0xf_0000], b"\r\n".to_vec()].concat())
        .ok()?;
    Some(client)
}

fn refused(router: &Router) -> f64 {
    router.metrics().sum("suzerain_memory_refused_connections_total", &[])
}

/// The status that a new connection gets, if it gets any.
fn ask_anew(router: &Router) -> Option<u16> {
    let mut client = Client::try_connect(router.http()).ok()?;
    let _ = client.try_send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    client.try_response("GET").ok().map(|answer| answer.status)
}

#[track_caller]
fn wait_until_served(router: &Router) {
    eventually_true("new connections are served again", 2 * SOON, || ask_anew(router) == Some(200));
}

/// Goal: the whole subject. Method: connections that hold memory until one is refused; then everything
/// that must go on is asked for, and everything that must not; then they end.
#[track_caller]
fn fill_and_recover(router: &Router, fill: impl Fn(&Router) -> Option<Client>) {
    let mut old = old_work(router);
    let is_short = || router.metrics().sum("suzerain_memory_short", &[]) == 1.0;
    assert!(!is_short(), "there is room at first:\n{}", router.process.stderr());
    let mut fillers = Vec::new();
    while !is_short() {
        fillers.extend((0..8).filter_map(|_| fill(router)));
        assert!(fillers.len() < FILLERS_MAX, "it never becomes short");
    }

    eventually_true("new connections are refused", SOON, || ask_anew(router).is_none());
    assert!(refused(router) >= 1.0);
    let ready = router.admin("/readyz");
    assert_eq!((ready.status, ready.text().contains("short of memory")), (503, true));
    let reason = [("reason", "short_of_memory")];
    let rejects = || router.metrics().sum("suzerain_subscription_rejects_total", &reason);
    announce(router, "new.test");
    eventually_true("a new node is refused with its reason", SOON, || rejects() == 1.0);
    let renewed = || {
        let renewals = [("verdict", "renewed")];
        router.metrics().sum("suzerain_subscription_verdicts_total", &renewals)
    };
    let before = renewed();
    announce(router, "old.test");
    eventually_true("a node that is there is renewed", SOON, || renewed() == before + 1.0);
    assert_eq!(rejects(), 1.0);
    old.goes_on();

    drop(fillers);
    wait_until_served(router);
    assert_eq!(router.admin("/readyz").status, 200);
    announce(router, "new.test");
    router.wait_for_nodes("new.test", 1);
    old.goes_on();
    assert_eq!(get(router.http(), "a.test", "/").status, 200);
    let log = router.process.stderr();
    let times = router.metrics().sum("suzerain_memory_shortages_total", &[]) as usize;
    assert_eq!(log.matches("memory is short:").count(), times, "one line each:\n{log}");
    assert_eq!(log.matches("memory is there again").count(), times, "{log}");
}

/// A cap that comes with a reload, as near as the least there is.
#[test]
fn a_memory_max_refuses_new_work_and_nothing_else_until_there_is_room() {
    let origin = Origin::echo();
    let router = setup(&origin).start();
    let cap = proc_number(&router, "status", "RssAnon:") * 1024 + 16 * MIB;
    let log = router.reload(&format!("memory-max = {cap}\n[timeouts]\nhead = \"60s\"\n"));
    assert!(log.contains("memory-max"), "{log}");
    eventually_true("it holds", SOON, || {
        router.metrics().sum("suzerain_memory_max_bytes", &[]) == cap as f64
    });
    fill_and_recover(&router, long_head);
    let log = router.reload("memory-max = \"off\"\n[timeouts]\nhead = \"60s\"\n");
    assert!(log.contains("memory-max"), "{log}");
    eventually_true("it does not hold any more", 2 * SOON, || {
        router.metrics().sum("suzerain_memory_max_bytes", &[]) == 0.0
    });
}

/// A limit of the address space, which ends a process that meets it.
#[test]
fn a_limited_address_space_is_not_met() {
    let _prlimit = require_tool!("prlimit");
    let (origin, held) = (Origin::echo(), UwsgiOrigin::ok());
    let router = setup(&origin).route(format!("held.test={}", held.address())).start();
    // Half of it is left alone: any thread may still reserve 64 MiB for its allocations.
    let cap = proc_number(&router, "status", "VmSize:") * 1024 + 192 * MIB;
    limit(&router, &format!("as={cap}"));
    eventually_true("it is seen", 2 * SOON, || {
        router.metrics().sum("suzerain_memory_max_bytes", &[]) > 0.0
    });
    fill_and_recover(&router, held_body);
}

/// A control group of its own, removed with its last process.
struct Group(PathBuf);

impl Group {
    /// One below the group of the test; `None` where that is not permitted.
    fn with_limit(bytes: u64) -> Option<Self> {
        static GROUPS: AtomicUsize = AtomicUsize::new(0);
        let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
        let number = GROUPS.fetch_add(1, Ordering::Relaxed);
        let name = format!("suzerain-test-{}-{number}", std::process::id());
        let below = |parent: &str, limit: &str| {
            // Without it the folder is one that groups are mounted in.
            Path::new(parent).join("cgroup.procs").exists().then_some(())?;
            let path = Path::new(parent).join(&name);
            std::fs::create_dir(&path).ok()?;
            let group = Self(path);
            std::fs::write(group.0.join(limit), bytes.to_string()).ok().map(|()| group)
        };
        own.lines().find_map(|line| match line.splitn(3, ':').collect::<Vec<_>>()[..] {
            [_, "", path] => below(&format!("/sys/fs/cgroup{path}"), "memory.max"),
            [_, "memory", path] => {
                below(&format!("/sys/fs/cgroup/memory{path}"), "memory.limit_in_bytes")
            }
            _ => None,
        })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = std::fs::remove_dir(&self.0);
            return;
        }
        eventually("the group is empty", Duration::from_secs(10), || {
            std::fs::remove_dir(&self.0).ok()
        });
    }
}

/// A router in a group of 64 MiB, if there can be one. The kernel kills who meets that. The router has to go
/// before its group.
fn start_in_group(origin: &Origin) -> Option<(Group, Router)> {
    let Some(group) = Group::with_limit(64 * MIB) else {
        println!("skipped: no control group with a memory limit can be made here");
        return None;
    };
    let setup = setup(origin);
    // It must be there before its first page is.
    let program = setup.folder().join("in-the-group");
    let procs = group.0.join("cgroup.procs").display().to_string();
    let text = format!("#!/bin/sh\necho $$ > {procs}\nexec {} \"$@\"\n", crate::BINARY);
    // Not written by this process: another test may start a program meanwhile, which would have the
    // file open for writing too, and then it cannot be run.
    let mut install = Command::new("install");
    install.args(["-m", "755", "/dev/stdin"]).arg(&program);
    let installed = run_with_input(&mut install, text.as_bytes());
    assert_eq!(installed.code, Some(0), "{installed:?}");
    let router = setup.program(program).start();
    let told = router.metrics().sum("suzerain_memory_max_bytes", &[]);
    assert_eq!(told, (64 * MIB / 10 * 9) as f64);
    Some((group, router))
}

/// Goal: the cap that most routers have.
#[test]
fn the_limit_of_a_control_group_is_not_met() {
    let origin = Origin::echo();
    let Some((_group, router)) = start_in_group(&origin) else { return };
    fill_and_recover(&router, long_head);
}

/// Goal: connections that come all at once do not fill a group before anybody looks. Method: the router
/// stands still, as one that gets no CPU does, while they queue up with what they have to say.
#[test]
fn a_burst_of_connections_does_not_meet_the_limit_of_a_control_group() {
    if crate::idle::allow_files() < 2 * BURST as u64 {
        println!("skipped: too few open files are allowed here");
        return;
    }
    let origin = Origin::echo();
    let Some((_group, mut router)) = start_in_group(&origin) else { return };
    router.process.signal(Signal::SIGSTOP);
    let head = format!("GET / HTTP/1.1\r\nHost: a.test\r\nX: {}", "x".repeat(60_000));
    let queued: Vec<_> = (0..BURST)
        .map(|_| {
            let mut stream = TcpStream::connect_timeout(&router.http(), SOON).expect("it queues");
            stream.set_nonblocking(true).expect("a socket");
            // As much as fits.
            let _ = stream.write(head.as_bytes());
            stream
        })
        .collect();
    router.process.signal(Signal::SIGCONT);
    eventually_true("some are refused", SOON, || refused(&router) >= 1.0);
    drop(queued);
    wait_until_served(&router);
    assert!(router.process.try_status().is_none(), "it lives");
}
