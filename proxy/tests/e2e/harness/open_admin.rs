//! A router whose admin socket a browser can reach: over TCP, on a port the kernel chose.

use std::net::SocketAddr;
use std::process::Command;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::process::Process;
use super::router::{BINARY, LISTEN, io_driver};
use super::wait::{SOON, eventually};

/// A running router that says where it listens.
pub struct OpenAdmin {
    /// The process itself.
    pub process: Process,
    /// Its clients' listener.
    pub http: SocketAddr,
    /// Its subscription socket.
    pub subscribe: SocketAddr,
    /// Its admin socket.
    pub admin: SocketAddr,
    /// Holds its logs.
    pub folder: TempDir,
}

impl OpenAdmin {
    /// Starts a router with these further arguments.
    #[track_caller]
    pub fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("sz").tempdir().expect("a folder");
        let mut command = Command::new(BINARY);
        command.args(["run", LISTEN, "127.0.0.1:0", "--subscribe", "127.0.0.1:0"]);
        command.args(["--admin", "127.0.0.1:0", "--workers", "2", "--io", &io_driver()]);
        command.args(arguments);
        let process = Process::start(&mut command, folder.path(), "router", Signal::SIGTERM);
        let [http, subscribe, admin] = ["http", "subscribe", "admin"].map(|what| {
            eventually(&format!("the router says where {what} is"), SOON, || {
                let log = process.stderr();
                let mut lines = log.lines().map(|line| line.split_whitespace());
                lines.find_map(|mut words| {
                    (words.next()? == what).then(|| words.next()?.parse().ok())?
                })
            })
        });
        Self { process, http, subscribe, admin, folder }
    }
}
