//! A new process takes over under traffic, and the old one goes on if it cannot.

use std::{
    net::SocketAddr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use nix::sys::signal::Signal;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    harness::{
        Client, Origin, Router, certs, datagram, eventually, get, require_tool,
        router::{BINARY, Setup, Subscribe},
        wait::SOON,
    },
    websocket,
};

/// Puts `what` in the place of the program, as an installation does.
fn install(program: &Path, what: &Path) {
    let next = program.with_extension("next");
    symlink(what, &next).expect("a link");
    std::fs::rename(next, program).expect("it replaces the other");
}

/// A router whose program can be replaced, and the path of that.
fn replaceable(setup: Setup) -> (Setup, PathBuf) {
    let program = setup.folder().join("suzerain");
    install(&program, Path::new(BINARY));
    let setup = setup.program(program.clone());
    (setup, program)
}

fn script(folder: &Path, name: &str, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("write");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    path
}

fn upgrades(router: &Router, outcome: &str) -> f64 {
    router.metrics().sum("suzerain_upgrades_total", &[("outcome", outcome)])
}

/// Waits until the process that was started is gone and another serves.
fn wait_for_end_of_old(router: &mut Router) {
    let status = router.process.status_within(Duration::from_secs(60));
    assert!(status.success(), "{status}");
    assert!(router.process.stderr().contains("took over"), "{}", router.process.stderr());
}

/// Clients that ask without pause until they are stopped.
struct Traffic {
    stopping: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Result<(), String>>>,
}

impl Traffic {
    fn new() -> Self {
        Self { stopping: Arc::default(), asked: Arc::default(), clients: Vec::new() }
    }

    fn client(mut self, mut ask: impl FnMut() -> Result<(), String> + Send + 'static) -> Self {
        let (stopping, asked) = (self.stopping.clone(), self.asked.clone());
        self.clients.push(std::thread::spawn(move || {
            while !stopping.load(Ordering::SeqCst) {
                ask()?;
                asked.fetch_add(1, Ordering::SeqCst);
            }
            Ok(())
        }));
        self
    }

    /// One connection for as long as the router keeps it, then the next.
    fn keeping_alive(self, at: SocketAddr, host: &'static str) -> Self {
        let mut kept: Option<Client> = None;
        self.client(move || {
            let mut client = match kept.take() {
                Some(client) => client,
                None => Client::try_connect(at).map_err(|error| format!("connect: {error}"))?,
            };
            let request = format!("GET /kept HTTP/1.1\r\nHost: {host}\r\n\r\n");
            client.try_send(request).map_err(|error| format!("send: {error}"))?;
            let answer = client.try_response("GET").map_err(|error| format!("kept: {error}"))?;
            let says_close = answer.field("connection") == Some("close");
            kept = (!says_close).then_some(client);
            is_ok(answer.status)
        })
    }

    fn anew(self, at: SocketAddr, host: &'static str) -> Self {
        self.client(move || {
            let mut client =
                Client::try_connect(at).map_err(|error| format!("connect: {error}"))?;
            let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            client.try_send(request).map_err(|error| format!("send: {error}"))?;
            is_ok(client.try_response("GET").map_err(|error| format!("anew: {error}"))?.status)
        })
    }

    /// Waits until that many more requests were answered.
    fn more(&self, count: usize) {
        let before = self.asked.load(Ordering::SeqCst);
        eventually("traffic flows", Duration::from_secs(30), || {
            let failed = self.clients.iter().any(JoinHandle::is_finished);
            let asked = self.asked.load(Ordering::SeqCst);
            (failed || asked >= before + count).then_some(())
        });
    }

    #[track_caller]
    fn stop(self) -> usize {
        self.stopping.store(true, Ordering::SeqCst);
        let ends = self.clients.into_iter().map(|client| client.join().expect("no panic"));
        let failures: Vec<_> = ends.filter_map(Result::err).collect();
        assert!(failures.is_empty(), "{failures:#?}");
        self.asked.load(Ordering::SeqCst)
    }
}

fn is_ok(status: u16) -> Result<(), String> {
    (status == 200).then_some(()).ok_or_else(|| format!("status {status}"))
}

fn announce(router: &Router, key: &str, origin: &Origin) {
    let address = origin.address().to_string();
    let fields = [("key", key), ("address", &address), ("modifier1", "0"), ("proto", "http")];
    datagram::send(router.subscribe(), &datagram::plain(0, &fields));
}

/// Goal: two upgrades in a row under traffic cost no request, no announcement and no WebSocket.
/// Method: clients that keep connections, clients that come anew, a WebSocket from before, a node
/// announced before and never again, and others announced while it happens.
#[test]
fn two_upgrades_under_traffic_lose_nothing() {
    let origin = Origin::echo();
    let (setup, program) = replaceable(Router::setup());
    let chat = websocket::echo_server();
    let pem = certs::leaf(setup.folder(), "known.test");
    let folder = setup.folder().join("certs");
    std::fs::create_dir(&folder).expect("a folder");
    pem.install(&folder, "known.test");
    let mut router = setup
        .https()
        .subscribe(Subscribe::Udp)
        .route(format!("chat.test={chat},proto=http"))
        .args(["--cert-dir", certs::utf8(&folder)])
        .start();
    announce(&router, "known.test", &origin);
    router.wait_for_nodes("known.test", 1);
    let mut socket = {
        let stream = std::net::TcpStream::connect(router.http()).expect("connects");
        stream.set_read_timeout(Some(SOON)).expect("a timeout");
        websocket::open(stream, "ws", "chat.test")
    };
    websocket::exchange(&mut socket, Message::text("before"));

    let mut traffic = Traffic::new();
    for _ in 0..3 {
        traffic = traffic.keeping_alive(router.http(), "known.test");
        traffic = traffic.anew(router.http(), "known.test");
    }
    traffic.more(100);
    install(&program, Path::new(BINARY));
    router.process.signal(Signal::SIGUSR2);
    let mut announced = Vec::new();
    let predecessor = eventually("another process serves", Duration::from_secs(30), || {
        let key = format!("n{}.test", announced.len());
        announce(&router, &key, &origin);
        announced.push(key);
        let predecessor = router.try_stats()?["suzerain"]["predecessor"]["pid"].as_u64()?;
        Some(predecessor)
    });
    assert_eq!(predecessor, u64::from(router.process.pid()));
    traffic.more(100);
    for key in &announced {
        router.wait_for_nodes(key, 1);
    }
    assert_eq!(router.nodes("known.test").len(), 1, "nobody announced it again");
    websocket::exchange(&mut socket, Message::text("the old one has it"));
    assert_eq!(upgrades(&router, "handed_over"), 1.0);

    let refused = router.signal_serving(Signal::SIGUSR2);
    eventually("a third generation is refused", SOON, || {
        (upgrades(&router, "refused") == 1.0).then_some(())
    });
    socket.close(None).expect("a close frame");
    while socket.read().is_ok() {}
    drop(socket);
    wait_for_end_of_old(&mut router);
    eventually("it is known to have ended", SOON, || {
        router.stats()["suzerain"]["predecessor"].is_null().then_some(())
    });
    router.signal_serving(Signal::SIGUSR2);
    eventually("the third generation serves", Duration::from_secs(30), || {
        (upgrades(&router, "handed_over") == 2.0).then_some(())
    });
    assert_ne!(router.serving_pid(), refused);
    traffic.more(100);
    assert_eq!(router.nodes("known.test").len(), 1);
    assert!(traffic.stop() > 300);
}

/// Goal: a WebSocket stays with the old process for longer than requests may, and not for ever.
#[test]
fn tunnels_drain_by_a_limit_of_their_own() {
    let chat = websocket::echo_server();
    let slow = Origin::start(|exchange| {
        std::thread::sleep(Duration::from_secs(20));
        exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        Ok(crate::harness::After::Close)
    });
    let mut router = Router::setup()
        .config("[timeouts]\ndrain = \"1s\"\ndrain-tunnels = \"6s\"\n")
        .route(format!("chat.test={chat},proto=http"))
        .route(slow.route("slow.test"))
        .start();
    let stream = std::net::TcpStream::connect(router.http()).expect("connects");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let mut socket = websocket::open(stream, "ws", "chat.test");
    websocket::exchange(&mut socket, Message::text("before"));
    let mut client = Client::connect(router.http());
    client.send("GET / HTTP/1.1\r\nHost: slow.test\r\n\r\n");
    eventually("the slow one is asked", SOON, || (slow.seen().len() == 1).then_some(()));
    router.process.signal(Signal::SIGUSR2);
    eventually("another process serves", Duration::from_secs(30), || {
        router.process.stderr().contains("took over").then_some(())
    });
    let began = std::time::Instant::now();
    let cut = client.try_response("GET");
    assert!(cut.is_err() || cut.is_ok_and(|answer| answer.status >= 500), "it had 1 s");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    websocket::exchange(&mut socket, Message::text("still there"));
    assert!(socket.read().is_err(), "it is cut in the end");
    assert!(began.elapsed() > Duration::from_secs(5), "{:?}", began.elapsed());
    router.process.status_within(SOON);
}

/// Goal: TLS clients resume their sessions, and a name of a certificate is served by both.
#[test]
fn a_tls_session_is_resumed_after_an_upgrade() {
    let openssl = require_tool!("openssl");
    let origin = Origin::echo();
    let mut router = Router::setup().https().route(origin.route("localhost")).start();
    let session = router.folder().join("session.pem");
    let connect = |router: &Router, how: &str| {
        let at = router.https().to_string();
        let mut command = std::process::Command::new(&openssl);
        command.args(["s_client", "-connect", &at, "-servername", "localhost", "-tls1_2"]);
        command.arg(how).arg(&session);
        let finished = crate::harness::tools::run(&mut command);
        finished.stdout + &finished.stderr
    };
    let fresh = connect(&router, "-sess_out");
    assert!(fresh.contains("New, TLSv1.2"), "{fresh}");
    router.process.signal(Signal::SIGUSR2);
    wait_for_end_of_old(&mut router);
    let resumed = connect(&router, "-sess_in");
    assert!(resumed.contains("Reused, TLSv1.2"), "{resumed}");
}

/// Goal: a successor that cannot take over costs nothing, however it fails.
#[test]
fn a_successor_that_fails_leaves_the_old_one_serving() {
    let origin = Origin::echo();
    let (setup, program) = replaceable(Router::setup());
    let config = setup.folder().join("suzerain.toml");
    let mut router =
        setup.subscribe(Subscribe::Udp).config("").route(origin.route("static.test")).start();
    announce(&router, "app.test", &origin);
    router.wait_for_nodes("app.test", 1);
    let traffic =
        Traffic::new().keeping_alive(router.http(), "app.test").anew(router.http(), "static.test");

    let folder = router.folder().to_owned();
    let exits = script(&folder, "exits", "exit 3");
    let no_program = folder.join("nowhere");
    let mut failed = 0.0;
    for (what, says) in [
        (exits.as_path(), "exit status: 3"),
        (no_program.as_path(), "cannot be started"),
        (Path::new("/bin/true"), "before it had read its configuration"),
    ] {
        install(&program, what);
        failed += 1.0;
        upgrade_fails(&router, failed, says);
    }
    install(&program, Path::new(BINARY));
    std::fs::write(&config, "no-such-option = 1\n").expect("write");
    upgrade_fails(&router, failed + 1.0, "exit status: 64");
    // Found out when the sockets are there already.
    std::fs::write(&config, "cert-dir = \"/\"\ndefault-cert = \"/dev/null,/dev/null\"\n")
        .expect("write");
    upgrade_fails(&router, failed + 2.0, "the new process");

    announce(&router, "late.test", &origin);
    router.wait_for_nodes("late.test", 1);
    traffic.more(50);
    assert!(router.process.try_status().is_none(), "it is the same process");
    std::fs::write(&config, "").expect("write");
    router.process.signal(Signal::SIGUSR2);
    eventually("an upgrade that can succeeds", Duration::from_secs(30), || {
        (upgrades(&router, "handed_over") == 1.0).then_some(())
    });
    assert_eq!(upgrades(&router, "failed"), failed + 2.0, "the new process goes on counting");
    assert_eq!(get(router.http(), "late.test", "/").status, 200);
    traffic.stop();
}

#[track_caller]
fn upgrade_fails(router: &Router, count: f64, says: &str) {
    router.process.signal(Signal::SIGUSR2);
    eventually("the upgrade failed", Duration::from_secs(20), || {
        (upgrades(router, "failed") == count).then_some(())
    });
    let log = router.process.stderr();
    let line = log.lines().rfind(|line| line.contains("the upgrade failed"));
    assert!(line.is_some_and(|line| line.contains(says)), "{says}: {line:?}");
}

/// Goal: one that hangs is given up, and an order to end is not held up by it.
#[test]
fn a_successor_that_hangs_is_given_up() {
    let origin = Origin::echo();
    let (setup, program) = replaceable(Router::setup());
    let hangs = script(setup.folder(), "hangs", "exec sleep 120");
    let mut router = setup.route(origin.route("app.test")).start();
    install(&program, &hangs);
    let traffic = Traffic::new().keeping_alive(router.http(), "app.test");
    upgrade_fails(&router, 1.0, "said nothing within 10 s");
    traffic.more(10);
    traffic.stop();
    router.process.signal(Signal::SIGUSR2);
    eventually("another is started", SOON, || {
        (router.process.stderr().matches("upgrading").count() == 2).then_some(())
    });
    router.process.signal(Signal::SIGTERM);
    assert!(router.process.status_within(Duration::from_secs(5)).success());
}

/// Goal: a successor killed at any moment of the handoff leaves the old one serving.
/// Method: kill the successor of one upgrade after the other, each a little later after it appears.
#[test]
fn a_successor_killed_in_the_middle_leaves_the_old_one_serving() {
    let origin = Origin::echo();
    let mut router = Router::setup().subscribe(Subscribe::Udp).start();
    announce(&router, "app.test", &origin);
    router.wait_for_nodes("app.test", 1);
    let traffic =
        Traffic::new().keeping_alive(router.http(), "app.test").anew(router.http(), "app.test");
    let mut killed = 0;
    for delay_ms in [0, 5, 10, 15, 20, 25, 30] {
        router.process.signal(Signal::SIGUSR2);
        let child = eventually("a successor", SOON, || child_of(router.process.pid()));
        std::thread::sleep(Duration::from_millis(delay_ms));
        if upgrades(&router, "handed_over") > 0.0 {
            break;
        }
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(child), Signal::SIGKILL);
        killed += 1;
        eventually("it is given up", SOON, || {
            let failed = upgrades(&router, "failed") as usize;
            (failed == killed || router.process.try_status().is_some()).then_some(())
        });
        if router.process.stderr().contains("took over") {
            panic!("killed after it served, {delay_ms} ms after its start: use a shorter delay");
        }
    }
    assert!(killed > 0);
    announce(&router, "late.test", &origin);
    router.wait_for_nodes("late.test", 1);
    traffic.more(20);
    traffic.stop();
}

/// A child of `pid`, as the kernel lists them.
fn child_of(pid: u32) -> Option<i32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let children = tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    children
        .flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .find_map(|child| child.parse().ok())
}
