//! The proxies under test and how each is set up for a run.
//!
//! One file per proxy below this one: a pure function from [`Site`] to [`Launch`], configured as an
//! operator who knows it would for this job: one worker, keep-alive to the upstream, no access log,
//! routing by Host, `X-Forwarded-For` set. The text of every configuration goes into the JSON
//! report, so that a reader may disagree.

pub mod floor;
pub mod haproxy;
pub mod nginx;
pub mod pingora;
pub mod sozu;
pub mod suzerain;
pub mod uwsgi;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;

use crate::origin::Protocol;
use crate::tls::CertFiles;

/// A proxy.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Proxy {
    /// Ours.
    Suzerain,
    /// nginx, open source.
    Nginx,
    /// HAProxy.
    Haproxy,
    /// uWSGI's http router, or its fastrouter.
    Uwsgi,
    /// sozu.
    Sozu,
    /// A minimal proxy on pingora.
    Pingora,
    /// A blind relay: the socket operations without a proxy.
    Floor,
    /// No proxy: the upstream in its place.
    Direct,
}

/// Where the upstream of a run listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum UpstreamAddress {
    /// TCP.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

/// Everything a proxy's configuration depends on.
#[derive(Clone, Debug)]
pub struct Site {
    /// Address the proxy serves HTTP on, or HTTPS if there is a certificate.
    pub listen: SocketAddr,
    /// A unix socket to serve uwsgi packets on, instead.
    pub packets: Option<PathBuf>,
    /// Length of the body of every answer.
    pub body_bytes: usize,
    /// Workers to have, a CPU each.
    pub workers: usize,
    /// A free port for proxies with an admin listener.
    pub admin: SocketAddr,
    /// The host to route; requests for others need not be served.
    pub host: &'static str,
    /// Protocol of the upstream.
    pub protocol: Protocol,
    /// Address of the upstream.
    pub upstream: UpstreamAddress,
    /// Certificate to serve TLS with.
    pub tls: Option<CertFiles>,
    /// Whether connections become WebSockets, which hold an upstream connection each.
    pub carries_tunnels: bool,
    /// A directory of this run, for configuration files and sockets.
    pub directory: PathBuf,
    /// Client connections that must fit.
    pub clients_max: usize,
    /// Descriptors the process may open.
    pub descriptors_max: u64,
    /// Longest accept queue the kernel allows (`net.core.somaxconn`).
    pub backlog: u32,
    /// Whether we run as root, so that workers must not change user away from our files.
    pub as_root: bool,
    /// I/O driver asked of our own router: `auto`, `uring` or `epoll`.
    pub io: String,
}

/// How to start a proxy.
#[derive(Clone, Debug, Serialize)]
pub struct Launch {
    /// Arguments after the program's name.
    #[serde(serialize_with = "as_text")]
    pub arguments: Vec<OsString>,
    /// Configuration file to write first, if it takes one.
    pub file: Option<ConfigFile>,
}

/// A configuration file.
#[derive(Clone, Debug, Serialize)]
pub struct ConfigFile {
    /// Where the arguments expect it.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

impl Proxy {
    /// Ours first, then the peers.
    pub const ALL: [Proxy; 8] = [
        Proxy::Suzerain,
        Proxy::Nginx,
        Proxy::Haproxy,
        Proxy::Uwsgi,
        Proxy::Sozu,
        Proxy::Pingora,
        Proxy::Floor,
        Proxy::Direct,
    ];

    /// Name on the command line and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Proxy::Suzerain => "suzerain",
            Proxy::Nginx => "nginx",
            Proxy::Haproxy => "haproxy",
            Proxy::Uwsgi => "uwsgi",
            Proxy::Sozu => "sozu",
            Proxy::Pingora => "pingora",
            Proxy::Floor => "floor",
            Proxy::Direct => "direct",
        }
    }

    /// Name of its program's file.
    pub fn program(self) -> &'static str {
        match self {
            Proxy::Pingora => "minimal-pingora",
            _ => self.name(),
        }
    }

    /// How to start it for `site`.
    pub fn launch(self, site: &Site) -> Launch {
        match self {
            Proxy::Suzerain => suzerain::launch(site),
            Proxy::Nginx => nginx::launch(site),
            Proxy::Haproxy => haproxy::launch(site),
            // Scenarios with TLS leave it out.
            Proxy::Uwsgi => uwsgi::launch(site),
            Proxy::Sozu => sozu::launch(site),
            Proxy::Pingora => pingora::launch(site),
            Proxy::Floor => floor::launch(site),
            Proxy::Direct => floor::upstream_alone(site),
        }
    }

    /// Whether idle connections are held to weigh it. The floor has room for some, with buffers
    /// that are there from the start: what it keeps for one says nothing about proxies.
    pub fn is_weighed(self) -> bool {
        self != Proxy::Floor
    }

    /// What to name when the program is missing.
    pub fn package(self) -> &'static str {
        match self {
            Proxy::Suzerain => "cargo build --release --bin suzerain",
            Proxy::Nginx => "Debian package nginx-light",
            Proxy::Haproxy => "Debian package haproxy",
            Proxy::Uwsgi => "Debian package uwsgi-core",
            Proxy::Sozu | Proxy::Pingora => "make loadtest PEERS=all builds it",
            Proxy::Floor | Proxy::Direct => "it is part of the load tests",
        }
    }

    /// First line the program says about its version; `None` when it does not run.
    pub fn version(self, program: &Path) -> Option<String> {
        let argument = match self {
            Proxy::Suzerain => "version",
            Proxy::Nginx | Proxy::Haproxy => "-v",
            Proxy::Uwsgi | Proxy::Sozu | Proxy::Pingora => "--version",
            Proxy::Floor | Proxy::Direct => "--version",
        };
        let output = Command::new(program).arg(argument).output().ok()?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        text.lines().find(|line| !line.trim().is_empty()).map(|line| line.trim().to_owned())
    }
}

/// The first executable of that name in `PATH`, or in the directories of system programs, which
/// are often missing in a user's `PATH`.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
}

impl std::str::FromStr for UpstreamAddress {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.starts_with('/') {
            true => Ok(UpstreamAddress::Unix(text.into())),
            false => text.parse().map(UpstreamAddress::Tcp),
        }
    }
}

impl std::fmt::Display for UpstreamAddress {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            UpstreamAddress::Tcp(address) => write!(out, "{address}"),
            UpstreamAddress::Unix(path) => write!(out, "{}", path.display()),
        }
    }
}

impl UpstreamAddress {
    /// The TCP address, for proxies that are only measured with one.
    fn tcp(&self) -> SocketAddr {
        match self {
            UpstreamAddress::Tcp(address) => *address,
            // `Scenario::upstream` gives them no other; port 0 refuses visibly.
            UpstreamAddress::Unix(_) => SocketAddr::from(([127, 0, 0, 1], 0)),
        }
    }
}

fn as_text<S: serde::Serializer>(arguments: &[OsString], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(arguments.iter().map(|argument| argument.to_string_lossy()))
}

#[cfg(test)]
pub fn site(protocol: Protocol, upstream: UpstreamAddress) -> Site {
    Site {
        listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
        packets: None,
        body_bytes: 1024,
        workers: 1,
        admin: SocketAddr::from(([127, 0, 0, 1], 8081)),
        host: crate::scenario::HOST,
        protocol,
        upstream,
        tls: None,
        carries_tunnels: false,
        directory: PathBuf::from("/run/load"),
        clients_max: 8192,
        descriptors_max: 20_000,
        backlog: 4096,
        as_root: false,
        io: "auto".to_owned(),
    }
}
