//! The router under test as its operator has it: a program file, a configuration, certificates and keys
//! in one folder, and a process whose number changes with every upgrade.

use std::{
    fs,
    net::{SocketAddr, TcpStream, UdpSocket},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use subscribe::{
    Digest,
    announce::{AnnounceFields, Command as Announcement, Signer, encode},
};
use tempfile::TempDir;

use crate::{
    harness::{
        certs,
        metrics::Metrics,
        port::Port,
        process::Process,
        response::Response,
        router::{SECCOMP, io_driver, try_admin},
        wait::eventually,
    },
    traffic::HOST,
};

/// Longest that anything which is done to the router may take.
pub const DONE_WITHIN: Duration = Duration::from_secs(30);

/// The router and what it stands on.
pub struct Site {
    process: Process,
    folder: TempDir,
    http: Port,
    https: Port,
    extra: Port,
    subscribe: SocketAddr,
    signer: Signer,
    node: SocketAddr,
}

impl Site {
    /// Starts a router for `node` and waits until it serves.
    pub fn start(node: SocketAddr, hosts: &[String]) -> Self {
        let folder = tempfile::Builder::new().prefix("soak").tempdir().expect("a folder");
        let path = folder.path();
        fs::create_dir(path.join("certs")).expect("a folder");
        certs::leaf(path, HOST).install(&path.join("certs"), HOST);
        let mut keys: Vec<&str> = hosts.iter().map(String::as_str).collect();
        keys.push(HOST);
        certs::sign_check_folder(path, &keys);
        let private = fs::read_to_string(certs::honest().private).expect("a key");
        let (http, https, extra) = (Port::reserve(), Port::reserve(), Port::reserve());
        let subscribe = free_udp_port();
        let text = config(path, [http.1, https.1, extra.1], subscribe, 0);
        fs::write(path.join("suzerain.toml"), text).expect("write");
        install_program(path, Path::new(&crate::program()));
        let mut command = Command::new(path.join("suzerain"));
        command.current_dir(path).args(["run", "--config", "suzerain.toml"]);
        if let Some(seccomp) = std::env::var_os(SECCOMP) {
            command.arg("--seccomp").arg(seccomp);
        }
        let process = Process::start(&mut command, path, "router", Signal::SIGTERM);
        let signer = Signer::from_pem(Digest::Sha256, &private).expect("a key that signs");
        let mut site = Self { process, folder, http, https, extra, subscribe, signer, node };
        site.wait_until_up();
        site
    }

    fn wait_until_up(&mut self) {
        let up = eventually("the router is up or ends", DONE_WITHIN, || {
            if self.process.try_status().is_some() {
                return Some(false);
            }
            self.admin("/readyz").is_ok_and(|answer| answer.status == 200).then_some(true)
        });
        assert!(up, "the router did not start:\n{}", self.log());
    }

    pub fn http(&self) -> SocketAddr {
        self.http.1
    }

    pub fn https(&self) -> SocketAddr {
        self.https.1
    }

    /// What all its processes said.
    pub fn log(&self) -> String {
        self.process.stderr()
    }

    fn admin(&self, target: &str) -> std::io::Result<Response> {
        try_admin(&self.folder.path().join("admin.sock"), target)
    }

    /// The process that serves now, if it answers.
    pub fn pid(&self) -> Option<u32> {
        let stats = self.admin("/stats?keys=0").ok()?;
        (stats.status == 200)
            .then(|| stats.json()["pid"].as_u64())?
            .and_then(|pid| pid.try_into().ok())
    }

    /// Upgrades whose new process did not come up, as the serving process counts them.
    pub fn failed_upgrades(&self) -> f64 {
        self.metric("suzerain_upgrades_total", &[("outcome", "failed")])
    }

    /// Whether requests of the last upgrade are still under way in the process before.
    pub fn is_draining(&self) -> bool {
        self.metric("suzerain_predecessor_draining", &[]) > 0.0
    }

    fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let answer = self.admin("/metrics");
        answer.map_or(0.0, |answer| Metrics::parse(&answer.text()).sum(name, labels))
    }

    pub fn signal(&self, pid: u32, signal: Signal) {
        let pid = i32::try_from(pid).expect("a pid fits");
        kill(Pid::from_raw(pid), signal).unwrap_or_else(|error| panic!("{signal}: {error}"));
    }

    /// A new certificate for the host that everybody asks for; what it begins with.
    pub fn swap_certificate(&self, number: u32) {
        let made = self.folder.path().join(format!("made-{number}"));
        fs::create_dir(&made).expect("a folder");
        certs::leaf(&made, HOST).install(&self.folder.path().join("certs"), HOST);
    }

    /// Changes the file: every second one has a listener more, and each another deadline for a key.
    pub fn configure(&self, revision: u32) {
        let ports = [self.http.1, self.https.1, self.extra.1];
        let text = config(self.folder.path(), ports, self.subscribe, revision);
        let file = self.folder.path().join("suzerain.toml");
        fs::write(file.with_extension("new"), text).expect("write");
        fs::rename(file.with_extension("new"), file).expect("rename");
    }

    /// Makes the file one that no router starts with.
    pub fn spoil_config(&self) {
        fs::write(self.folder.path().join("suzerain.toml"), "http = [\"nowhere\"\n")
            .expect("write");
    }

    /// Whether the listener of every second revision accepts.
    pub fn extra_listens(&self) -> bool {
        TcpStream::connect(self.extra.1).is_ok()
    }

    /// Puts a program that aborts at once where the router's was.
    pub fn spoil_program(&self) {
        let script = self.folder.path().join("script");
        fs::write(&script, "#!/bin/sh\nkill -ABRT $$\n").expect("write");
        install_program(self.folder.path(), &script);
    }

    /// Puts the router's program back.
    pub fn mend_program(&self) {
        install_program(self.folder.path(), Path::new(&crate::program()));
    }

    /// Kills the first child that `pid` has within the time that an upgrade may take.
    ///
    /// # Errors
    /// If it has none.
    pub fn kill_child_of(&self, pid: u32) -> Result<(), String> {
        let started = Instant::now();
        while started.elapsed() < DONE_WITHIN {
            if let Some(child) = child_of(pid) {
                self.signal(child, Signal::SIGKILL);
                return Ok(());
            }
        }
        Err("no successor was started".to_owned())
    }

    /// Announces the node for `host` by one signed datagram.
    pub fn subscribe(&self, host: &str) {
        self.tell(host, Announcement::Subscribe);
    }

    /// Withdraws it, by one datagram as well.
    pub fn unsubscribe(&self, host: &str) {
        self.tell(host, Announcement::Unsubscribe);
    }

    fn tell(&self, host: &str, command: Announcement) {
        let fields = AnnounceFields {
            key: host.to_owned(),
            address: self.node.to_string(),
            proto: route_table::Proto::Http,
            ..AnnounceFields::default()
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let datagram = encode(&fields, command, Some(now), Some(&self.signer)).expect("it fits");
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.send_to(&datagram, self.subscribe).expect("sent");
    }
}

/// A process that `pid` started. Not every kernel lists the children of a process, so all are looked at.
fn child_of(pid: u32) -> Option<u32> {
    let processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers.filter(|number| parent_of(*number) == Some(pid)).find(|number| *number != pid)
}

/// Out of `PID (NAME) STATE PARENT ...`; a NAME may hold anything (proc_pid_stat(5)).
fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn free_udp_port() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port")
}

/// Puts `program` in the folder by a rename, as a package manager does.
fn install_program(folder: &Path, program: &Path) {
    let (staged, place) = (folder.join("suzerain.new"), folder.join("suzerain"));
    fs::copy(program, &staged).expect("copy");
    fs::set_permissions(&staged, fs::Permissions::from_mode(0o755)).expect("executable");
    fs::rename(staged, place).expect("rename");
}

fn config(
    folder: &Path,
    [http, https, extra]: [SocketAddr; 3],
    subscribe: SocketAddr,
    revision: u32,
) -> String {
    let http =
        if revision % 2 == 1 { format!("\"{http}\", \"{extra}\"") } else { format!("\"{http}\"") };
    let io = io_driver();
    let path = |name: &str| -> PathBuf { folder.join(name) };
    format!(
        "http = [{http}]\nhttps = [\"{https}\"]\nsubscribe = [\"{subscribe}\"]\n\
         sign-check = \"SHA256:{keys}\"\nadmin = \"{admin}\"\ncert-dir = \"{certs}\"\n\
         workers = 2\nio = \"{io}\"\ntolerance = \"60s\"\n\
         [timeouts]\ndrain = \"3s\"\n\
         [key.\"reloaded.test\".timeouts]\nfirst-byte = \"{seconds}s\"\n",
        keys = path("keys").display(),
        admin = path("admin.sock").display(),
        certs = path("certs").display(),
        seconds = 10 + revision,
    )
}
