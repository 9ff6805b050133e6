//! Sockets that a service manager bound: what is queued in them is served, and they survive the router.

use std::{
    net::{SocketAddr, TcpListener},
    os::{fd::OwnedFd, unix::net::UnixDatagram},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use nix::sys::signal::Signal;

use crate::harness::{
    Client, Origin, datagram, eventually,
    process::Process,
    router::{BINARY, io_driver, try_admin},
    wait::SOON,
};

/// Gives both sockets to what follows as a service manager does, as descriptors 3 and 4.
const ACTIVATE: &str = r#"exec 3<&0 4<&1 0</dev/null 1>/dev/null
export LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=http:subscribe
exec "$@""#;

/// The sockets of a service that may not run yet.
struct Service {
    folder: tempfile::TempDir,
    http: TcpListener,
    subscribe: UnixDatagram,
}

impl Service {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let http = TcpListener::bind("127.0.0.1:0").expect("bind");
        let subscribe = UnixDatagram::bind(folder.path().join("sub.sock")).expect("bind");
        Self { folder, http, subscribe }
    }

    fn address(&self) -> SocketAddr {
        self.http.local_addr().expect("bound")
    }

    fn subscribe_at(&self) -> std::path::PathBuf {
        self.folder.path().join("sub.sock")
    }

    /// Starts it as process `name`, without waiting.
    fn start(&self, name: &str) -> Process {
        let folder = self.folder.path();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", ACTIVATE, "activate", BINARY, "run"]).current_dir(folder);
        command.args(["--http", &self.address().to_string(), "--workers", "2"]);
        command.arg("--subscribe").arg(self.subscribe_at());
        command.arg("--admin").arg(admin(folder)).args(["--io", &io_driver()]);
        let listener: OwnedFd = self.http.try_clone().expect("a descriptor").into();
        let datagrams: OwnedFd = self.subscribe.try_clone().expect("a descriptor").into();
        let stdio = (Stdio::from(listener), Stdio::from(datagrams));
        Process::start_with(&mut command, stdio, folder, name, Signal::SIGTERM)
    }

    fn announce(&self, key: &str, address: &str) {
        let fields = [("key", key), ("address", address), ("modifier1", "0"), ("proto", "http")];
        let sender = UnixDatagram::unbound().expect("a socket");
        sender.send_to(&datagram::plain(0, &fields), self.subscribe_at()).expect("queued");
    }
}

fn admin(folder: &Path) -> std::path::PathBuf {
    folder.join("admin.sock")
}

fn ask(client: &mut Client) -> u16 {
    client.send("GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n");
    client.response().status
}

/// Goal: nobody is refused and no announcement is lost while the service is down.
/// Method: everything is sent before a router runs, and again between two of them.
#[test]
fn what_waits_in_given_sockets_is_served_before_between_and_after() {
    let node = Origin::echo();
    let service = Service::new();
    service.announce("app.test", &node.address().to_string());
    let mut early = Client::connect(service.address());
    let mut first = service.start("first");
    eventually("the announcement counts", SOON, || {
        let stats = try_admin(&admin(service.folder.path()), "/stats").ok()?.json();
        (stats["subscriptions"].as_array()?.len() == 1).then_some(())
    });
    assert_eq!(ask(&mut early), 200);
    for _ in 0..8 {
        assert_eq!(ask(&mut Client::connect(service.address())), 200, "whichever worker has it");
    }
    assert!(!first.stderr().contains("LISTEN_FDS"), "{}", first.stderr());

    first.signal(Signal::SIGQUIT);
    assert!(first.status_within(Duration::from_secs(10)).success());
    assert!(service.subscribe_at().exists(), "it is the service manager's");
    let mut between = Client::connect(service.address());
    service.announce("app.test", &node.address().to_string());
    let _second = service.start("second");
    eventually("the second serves", SOON, || {
        try_admin(&admin(service.folder.path()), "/readyz")
            .is_ok_and(|a| a.status == 200)
            .then_some(())
    });
    eventually("the announcement counts again", SOON, || {
        let stats = try_admin(&admin(service.folder.path()), "/stats").ok()?.json();
        (stats["subscriptions"].as_array()?.len() == 1).then_some(())
    });
    assert_eq!(ask(&mut between), 200);
}

#[test]
fn a_socket_that_is_not_configured_is_named_and_closed() {
    let service = Service::new();
    let folder = service.folder.path();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", ACTIVATE, "activate", BINARY, "run"]).current_dir(folder);
    command.args(["--http", &service.address().to_string(), "--io", &io_driver()]);
    let listener: OwnedFd = service.http.try_clone().expect("a descriptor").into();
    let datagrams: OwnedFd = service.subscribe.try_clone().expect("a descriptor").into();
    let stdio = (Stdio::from(listener), Stdio::from(datagrams));
    let router = Process::start_with(&mut command, stdio, folder, "router", Signal::SIGTERM);
    eventually("it says so", SOON, || {
        router.stderr().contains("sub.sock was inherited and is not configured").then_some(())
    });
}
