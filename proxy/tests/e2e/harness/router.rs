//! The product's binary as a test runs it.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use socket2::{Domain, SockAddr, Socket, Type};
use tempfile::TempDir;

use super::client::Client;
use super::metrics::Metrics;
use super::process::Process;
use super::response::Response;
use super::wait::{SOON, eventually};

pub use crate::{BINARY, LISTEN};

/// How often a start is repeated when a UDP port was taken in the meantime.
const STARTS_MAX: usize = 3;

/// Value of `--seccomp` for every router of the tests, if the environment has it.
pub const SECCOMP: &str = "SUZERAIN_TEST_SECCOMP";

/// I/O driver asked for by the environment.
pub fn io_driver() -> String {
    std::env::var("SUZERAIN_TEST_IO").unwrap_or_else(|_| "auto".to_owned())
}

/// A TCP port kept for the router: bound with `SO_REUSEPORT`, so that the router can bind it too,
/// and never listening, so that no connection comes here.
struct Reserved(#[expect(dead_code, reason = "held for its port")] Socket, SocketAddr);

impl Reserved {
    fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_reuse_port(true).expect("reuse port");
        socket.set_reuse_address(true).expect("reuse address");
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        socket.bind(&SockAddr::from(any)).expect("bind");
        let address = socket.local_addr().expect("bound").as_socket().expect("IP");
        Self(socket, address)
    }
}

/// What a router under test is started with.
pub struct Setup {
    folder: TempDir,
    arguments: Vec<String>,
    config: Option<String>,
    workers: usize,
    wants_https: bool,
    file_alone: bool,
    subscribe: Subscribe,
    program: PathBuf,
    environment: Vec<(String, String)>,
}

/// Where the subscription socket is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Subscribe {
    Nowhere,
    Udp,
    UdpV6,
    Unix,
}

impl Setup {
    /// Folder of the test: configuration, keys, sockets, logs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Adds command-line arguments.
    pub fn args<S: AsRef<str>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|text| text.as_ref().to_owned()));
        self
    }

    /// Adds a static route, in the form of `--route`.
    pub fn route(self, route: impl AsRef<str>) -> Self {
        self.args(["--route", route.as_ref()])
    }

    /// Adds an HTTPS listener.
    pub fn https(mut self) -> Self {
        self.wants_https = true;
        self
    }

    /// Adds a subscription socket.
    pub fn subscribe(mut self, subscribe: Subscribe) -> Self {
        self.subscribe = subscribe;
        self
    }

    /// Uses a configuration file with this text.
    pub fn config(mut self, toml: impl Into<String>) -> Self {
        self.config = Some(toml.into());
        self
    }

    /// Leaves listeners, admin socket and access log to the configuration file, which must have the admin
    /// socket `admin.sock` of the folder.
    pub fn file_alone(mut self) -> Self {
        self.file_alone = true;
        self
    }

    /// Sets the number of workers; 2 unless told.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Sets a variable of its environment.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Starts the router by this path.
    pub fn program(mut self, path: PathBuf) -> Self {
        self.program = path;
        self
    }

    /// Starts the router and waits until it is ready.
    #[track_caller]
    pub fn start(self) -> Router {
        let mut setup = self;
        for _ in 1..STARTS_MAX {
            match setup.try_start() {
                Ok(router) => return router,
                Err(back) if back.1.contains("in use") => setup = back.0,
                Err(back) => panic!("the router did not start:\n{}", back.1),
            }
        }
        setup.try_start().unwrap_or_else(|back| panic!("the router did not start:\n{}", back.1))
    }

    /// One start. Gives the setup back with the log if the process ended.
    fn try_start(self) -> Result<Router, Box<(Self, String)>> {
        let folder = self.folder.path().to_owned();
        let http = Reserved::new();
        let https = Reserved::new();
        let admin = folder.join("admin.sock");
        let (subscribe_at, subscribe) = self.subscribe_address();
        let mut command = Command::new(&self.program);
        command.arg("run").current_dir(&folder).envs(self.environment.iter().cloned());
        if let Some(text) = &self.config {
            let file = folder.join("suzerain.toml");
            std::fs::write(&file, text).expect("write");
            command.arg("--config").arg(file);
        }
        if !self.file_alone {
            command.args([LISTEN, &http.1.to_string()]);
            command.arg("--admin").arg(&admin);
            command.arg("--access-log").arg(folder.join("access.log"));
        }
        if self.wants_https {
            command.args(["--https", &https.1.to_string()]);
        }
        if let Some(at) = &subscribe_at {
            command.args(["--subscribe", at]);
        }
        command.args(["--workers", &self.workers.to_string(), "--io", &io_driver()]);
        let confines_itself = self.arguments.iter().any(|argument| argument == "--seccomp");
        if let Some(seccomp) = std::env::var_os(SECCOMP).filter(|_| !confines_itself) {
            command.arg("--seccomp").arg(seccomp);
        }
        command.args(&self.arguments);
        let mut process = Process::start(&mut command, &folder, "router", Signal::SIGTERM);
        if !is_ready(&mut process, &admin) {
            let log = process.stderr();
            return Err(Box::new((self, log)));
        }
        Ok(Router { process, command, folder: self.folder, admin, http, https, subscribe })
    }

    fn subscribe_address(&self) -> (Option<String>, SubscribeAt) {
        let udp = |bind: &str| {
            let socket = UdpSocket::bind(bind).expect("bind");
            let address = socket.local_addr().expect("bound");
            (Some(address.to_string()), SubscribeAt::Udp(address))
        };
        match self.subscribe {
            Subscribe::Nowhere => (None, SubscribeAt::Nowhere),
            Subscribe::Udp => udp("127.0.0.1:0"),
            Subscribe::UdpV6 => udp("[::1]:0"),
            Subscribe::Unix => {
                let path = self.folder.path().join("sub.sock");
                (Some(path.display().to_string()), SubscribeAt::Unix(path))
            }
        }
    }
}

/// Waits until the router says so; false if it ended.
#[track_caller]
fn is_ready(process: &mut Process, admin: &Path) -> bool {
    eventually("the router is ready or ends", SOON, || {
        if process.try_status().is_some() {
            return Some(false);
        }
        let answer = try_admin(admin, "/readyz");
        answer.is_ok_and(|answer| answer.status == 200).then_some(true)
    })
}

enum SubscribeAt {
    Nowhere,
    Udp(SocketAddr),
    Unix(PathBuf),
}

/// A running router. Ended by `SIGTERM` when dropped.
pub struct Router {
    /// The process itself.
    pub process: Process,
    /// What it was started with.
    command: Command,
    folder: TempDir,
    admin: PathBuf,
    http: Reserved,
    https: Reserved,
    subscribe: SubscribeAt,
}

impl Router {
    /// A router with a plain HTTP listener and two workers.
    pub fn setup() -> Setup {
        Setup {
            folder: tempfile::Builder::new().prefix("sz").tempdir().expect("a folder"),
            arguments: Vec::new(),
            config: None,
            workers: 2,
            wants_https: false,
            file_alone: false,
            subscribe: Subscribe::Nowhere,
            program: BINARY.into(),
            environment: Vec::new(),
        }
    }

    /// A router with one static route.
    #[track_caller]
    pub fn with_route(route: impl AsRef<str>) -> Self {
        Self::setup().route(route).start()
    }

    /// Ends the process without a word.
    #[track_caller]
    pub fn crash(&mut self) {
        self.process.signal(Signal::SIGKILL);
        self.process.status_within(SOON);
    }

    /// Starts it again as it was, after it ended.
    #[track_caller]
    pub fn start_again(&mut self) {
        let folder = self.folder.path();
        let mut process = Process::start(&mut self.command, folder, "router", Signal::SIGTERM);
        let ready = is_ready(&mut process, &self.admin);
        assert!(ready, "the router did not start again:\n{}", process.stderr());
        self.process = process;
    }

    /// Folder of the test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The listener of [`LISTEN`].
    pub fn http(&self) -> SocketAddr {
        self.http.1
    }

    /// The HTTPS listener.
    pub fn https(&self) -> SocketAddr {
        self.https.1
    }

    /// The UDP subscription socket.
    #[track_caller]
    pub fn subscribe(&self) -> SocketAddr {
        match &self.subscribe {
            SubscribeAt::Udp(address) => *address,
            _ => panic!("no UDP subscription socket was asked for"),
        }
    }

    /// What vassals put in `server=`.
    #[track_caller]
    pub fn subscribe_text(&self) -> String {
        match &self.subscribe {
            SubscribeAt::Udp(address) => address.to_string(),
            SubscribeAt::Unix(path) => path.display().to_string(),
            SubscribeAt::Nowhere => panic!("no subscription socket was asked for"),
        }
    }

    /// The admin socket's path.
    pub fn admin_path(&self) -> &Path {
        &self.admin
    }

    /// Writes the configuration file anew and has it reloaded; what was logged of that.
    #[track_caller]
    pub fn reload(&self, toml: &str) -> String {
        std::fs::write(self.folder().join("suzerain.toml"), toml).expect("write");
        self.reload_again()
    }

    /// Has the configuration reloaded as it is; what was logged of that.
    #[track_caller]
    pub fn reload_again(&self) -> String {
        let logged = self.process.stderr().len();
        let reloads = || self.metrics().sum("suzerain_reloads_total", &[]);
        let before = reloads();
        self.process.signal(Signal::SIGHUP);
        eventually("it was reloaded", SOON, || (reloads() > before).then_some(()));
        self.process.stderr().get(logged..).unwrap_or_default().to_owned()
    }

    /// One request to the admin socket.
    #[track_caller]
    pub fn admin(&self, target: &str) -> Response {
        try_admin(&self.admin, target).unwrap_or_else(|error| panic!("admin {target}: {error}"))
    }

    /// The metrics as of now.
    #[track_caller]
    pub fn metrics(&self) -> Metrics {
        Metrics::parse(&self.admin("/metrics").text())
    }

    /// All rejected datagrams so far.
    #[track_caller]
    pub fn rejects_total(&self) -> f64 {
        self.metrics().sum("suzerain_subscription_rejects_total", &[])
    }

    /// The statistics document.
    #[track_caller]
    pub fn stats(&self) -> serde_json::Value {
        self.admin("/stats").json()
    }

    /// The statistics document, if the router answers.
    pub fn try_stats(&self) -> Option<serde_json::Value> {
        try_admin(&self.admin, "/stats").ok().map(|answer| answer.json())
    }

    /// Process that answers now, which is not the one that was started after an upgrade.
    #[track_caller]
    pub fn serving_pid(&self) -> i32 {
        let pid = self.stats()["suzerain"]["pid"].as_i64().expect("a pid");
        i32::try_from(pid).expect("a pid fits")
    }

    /// Signals the process that answers now; returns its id.
    #[track_caller]
    pub fn signal_serving(&self, signal: Signal) -> i32 {
        let pid = self.serving_pid();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).expect("it is there");
        pid
    }

    /// Nodes of `key` in the statistics.
    #[track_caller]
    pub fn nodes(&self, key: &str) -> Vec<serde_json::Value> {
        let stats = self.stats();
        let subscriptions = stats["subscriptions"].as_array().cloned().unwrap_or_default();
        let of_key = subscriptions.iter().filter(|entry| entry["key"] == key);
        of_key.flat_map(|entry| entry["nodes"].as_array().cloned().unwrap_or_default()).collect()
    }

    /// Waits until `key` has that many nodes.
    #[track_caller]
    pub fn wait_for_nodes(&self, key: &str, count: usize) {
        eventually(&format!("{key} has {count} nodes"), Duration::from_secs(20), || {
            (self.nodes(key).len() == count).then_some(())
        });
    }

    /// The access log so far.
    pub fn access_log(&self) -> String {
        std::fs::read_to_string(self.folder().join("access.log")).unwrap_or_default()
    }
}

/// One request over a router's admin unix socket.
pub fn try_admin(path: &Path, target: &str) -> std::io::Result<Response> {
    let mut client = Client::try_connect_unix(path)?;
    client
        .try_send(format!("GET {target} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n"))?;
    client.try_response("GET")
}

/// Runs the binary to its end with these arguments.
#[track_caller]
pub fn suzerain(folder: &Path, arguments: &[&str]) -> super::tools::Finished {
    super::tools::run(Command::new(BINARY).args(arguments).current_dir(folder))
}
