//! `suzerain ctl`: asks a running router over its control socket, or orders it to change.
//!
//! The router decides what its answers look like and who may do what; here a command line becomes one
//! request, and the answer an exit code.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Command, Subcommand};
use router_core::address::ListenAddr;
use router_core::ctl::limits::CONNECTION_TIMEOUT;

use super::arguments::template;
use super::exit::{FAILED, NOT_PERMITTED, UNAVAILABLE, USAGE};
use super::http::{Bounds, exchange, percent_encoded, split};
use crate::config::Program;

/// Where the socket is by convention.
const SOCKET: &str = "/run/suzerain/ctl.sock";

/// An upgrade may take as long as the router lets a connection take.
const BOUNDS: Bounds = Bounds {
    wait: Duration::from_secs(CONNECTION_TIMEOUT.as_secs() + 5),
    bytes_max: 1024 * 1024 * 1024,
};

const EXAMPLES: &str = "Examples:
  NAME ctl routes
  NAME ctl nodes shop.example
      Keys; nodes of a key with their leases and what they are doing.
  NAME ctl drain 10.0.0.5:3031
  NAME ctl drain 10.0.0.5 --key shop.example
      New requests go to other nodes. Without a port: to any port of that machine.
  NAME ctl route add shop.example 127.0.0.1:3000 --proto http
      A node without a subscription, until it is deleted or the router ends.
  NAME ctl cert show shop.example
      Its certificate, the files it comes from and why they are refused if they are.
  NAME ctl audit shop.example
      Who announced the key and what was changed about it.
  NAME --json and --socket may stand behind any command.

Exit codes: 0 done, 1 not done, 64 wrong command, 69 no router there, 77 not permitted";

/// Arguments of `ctl`.
#[derive(Args, Debug)]
pub struct CtlArgs {
    /// Control socket of the router.
    #[arg(long, value_name = "/PATH", env = "SUZERAIN_CTL", default_value = SOCKET, global = true)]
    pub socket: PathBuf,
    /// Print JSON instead of tables.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to ask or change.
    #[command(subcommand)]
    pub command: CtlCommand,
}

/// One command.
#[derive(Debug, Subcommand)]
pub enum CtlCommand {
    /// List keys
    Routes(ListArgs),
    /// List nodes: address, lease, requests in flight, failures, who announced them
    Nodes(ListArgs),
    /// Count client connections by worker
    Conns,
    /// List certificates, show everything about one, or have them read again
    #[command(subcommand)]
    Cert(CertCommand),
    /// List certificates (as cert list)
    Certs(CertListArgs),
    /// Tell who changed what, and the story of a key
    Audit(ListArgs),
    /// Say which key, node and certificate a URL gets
    Explain {
        /// The URL somebody would ask for.
        url: String,
    },
    /// Give a node no new requests; what it has in hand may finish
    Drain(NodeArgs),
    /// Give a drained node requests again
    Undrain(NodeArgs),
    /// Add or delete a node without a subscription
    #[command(subcommand)]
    Route(RouteCommand),
    /// Show how much is logged, or change it
    Loglevel {
        /// off, error, warn, info, debug or trace
        level: Option<String>,
        /// Only this part: proxy, router_core, subscribe or a module in one.
        target: Option<String>,
    },
    /// Read the configuration again (as SIGHUP)
    Reload,
    /// Hand over to a new process of the program on disk (as SIGUSR2)
    Upgrade,
    /// Open log files again after a rotation (as SIGUSR1)
    ReopenLogs,
    /// End gently: accept nothing new, let requests finish (as SIGQUIT)
    #[command(alias = "drain-router")]
    Quit,
    /// End at once (as SIGTERM)
    Stop,
    /// Say which program runs, since when
    Version,
}

/// Which entries.
#[derive(Args, Debug)]
pub struct ListArgs {
    /// Only those of this key.
    pub key: Option<String>,
    /// List so many at most.
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
}

/// What to do with certificates.
#[derive(Debug, Subcommand)]
pub enum CertCommand {
    /// List them, the first to end first, and those that are refused
    List(CertListArgs),
    /// Show subject, names, files and the last error of the pairs of a name
    Show {
        /// Host name, *.example.com for a wildcard, or default.
        name: String,
    },
    /// Read files again whatever they look like; fails if a pair is refused
    Reload {
        /// Only the pairs of this name.
        name: Option<String>,
    },
}

/// How many certificates.
#[derive(Args, Debug)]
pub struct CertListArgs {
    /// List so many at most.
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
}

/// Which node.
#[derive(Args, Debug)]
pub struct NodeArgs {
    /// Its address, or an IP for all ports of that machine.
    #[arg(value_name = "NODE")]
    pub node: String,
    /// Only in this key, not in every key that has it.
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
}

/// What to do with a node of ours.
#[derive(Debug, Subcommand)]
pub enum RouteCommand {
    /// Add a node; it has no lease and stays until it is deleted
    Add {
        /// The key it serves.
        key: String,
        /// Where it is.
        address: String,
        /// What it speaks: uwsgi, http, h2c, tls or tcp.
        #[arg(long, value_name = "PROTO")]
        proto: Option<String>,
        /// Its share against the key's other nodes.
        #[arg(long, value_name = "N")]
        weight: Option<String>,
        /// What its connections begin with: off or v2.
        #[arg(long, value_name = "off|v2")]
        send_proxy: Option<String>,
    },
    /// Delete a node that was added like that
    Del {
        /// The key it serves.
        key: String,
        /// Where it is.
        address: String,
    },
}

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub enum CtlClientError {
    /// The path is none of a socket.
    #[error("--socket {}: {why}", path.display())]
    Socket {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody answers there.
    #[error(
        "no router answers on its control socket {socket}: {cause}; one with --ctl {socket} would"
    )]
    Unreachable {
        /// The socket.
        socket: ListenAddr,
        /// What failed.
        #[source]
        cause: io::Error,
    },
    /// What answers there is no control socket.
    #[error("{socket} does not answer as a control socket")]
    Stranger {
        /// The socket.
        socket: ListenAddr,
    },
    /// The router says no.
    #[error("{}", said.trim_end())]
    Refused {
        /// Why.
        said: String,
        /// The status of its answer.
        status: u16,
        /// Whether that is JSON, for the program that asked.
        json: bool,
    },
}

impl CtlClientError {
    /// The exit code of the process.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Socket { .. } | Self::Refused { status: 400 | 501, .. } => USAGE,
            Self::Unreachable { cause, .. } if cause.kind() == io::ErrorKind::PermissionDenied => {
                NOT_PERMITTED
            }
            Self::Unreachable { .. } | Self::Stranger { .. } => UNAVAILABLE,
            Self::Refused { status: 403, .. } => NOT_PERMITTED,
            Self::Refused { .. } => FAILED,
        }
    }
}

/// `ctl` of a program.
#[must_use]
pub fn command(program: Program) -> Command {
    let about = "Ask a running router, or change it, over its control socket";
    let examples = EXAMPLES.replace("  NAME --json", "  --json").replace("NAME", program.name());
    let command = Command::new("ctl").help_template(template(&examples, "{all-args}"));
    CtlArgs::augment_args(command).about(about)
}

/// Sends the command and returns what the router answered.
pub fn run(args: &CtlArgs) -> Result<String, CtlClientError> {
    let socket = match args.socket.to_string_lossy().parse() {
        Ok(address @ ListenAddr::Unix(_)) => address,
        Ok(ListenAddr::Tcp(_)) => return Err(bad_socket(args, "not the path of a unix socket")),
        Err(why) => return Err(bad_socket(args, why)),
    };
    let request = request(&args.command, args.json);
    let answer = match exchange(&socket, &request, BOUNDS) {
        Ok(answer) => answer,
        Err(cause) => return Err(CtlClientError::Unreachable { socket, cause }),
    };
    let Some((status, body)) = split(&answer) else {
        return Err(CtlClientError::Stranger { socket });
    };
    let said = String::from_utf8_lossy(body).into_owned();
    match status {
        200 => Ok(said),
        _ => Err(CtlClientError::Refused { said, status, json: args.json }),
    }
}

fn bad_socket(args: &CtlArgs, why: impl ToString) -> CtlClientError {
    CtlClientError::Socket { path: args.socket.clone(), why: why.to_string() }
}

/// The head that asks for a command.
fn request(command: &CtlCommand, json: bool) -> String {
    let (method, name, arguments) = sent(command);
    let format = if json { "json" } else { "text" };
    let mut query = format!("format={format}");
    for (name, value) in arguments {
        query.push_str(&format!("&{name}={}", percent_encoded(&value)));
    }
    format!("{method} /v1/{name}?{query} HTTP/1.0\r\nHost: localhost\r\n\r\n")
}

type Sent<'c> = (&'static str, &'static str, Vec<(&'static str, String)>);

/// Method, name and arguments of a command.
fn sent(command: &CtlCommand) -> Sent<'_> {
    const ASK: &str = "GET";
    const CHANGE: &str = "POST";
    match command {
        CtlCommand::Routes(list) => (ASK, "routes", list.arguments()),
        CtlCommand::Nodes(list) => (ASK, "nodes", list.arguments()),
        CtlCommand::Conns => (ASK, "conns", Vec::new()),
        CtlCommand::Certs(list) | CtlCommand::Cert(CertCommand::List(list)) => {
            (ASK, "certs", list.limit.iter().map(|limit| ("limit", limit.to_string())).collect())
        }
        CtlCommand::Cert(CertCommand::Show { name }) => (ASK, "cert", vec![("name", name.clone())]),
        CtlCommand::Cert(CertCommand::Reload { name }) => {
            (CHANGE, "cert-reload", name.iter().map(|name| ("name", name.clone())).collect())
        }
        CtlCommand::Audit(list) => (ASK, "audit", list.arguments()),
        CtlCommand::Explain { url } => (ASK, "explain", vec![("url", url.clone())]),
        CtlCommand::Version => (ASK, "version", Vec::new()),
        CtlCommand::Drain(node) => (CHANGE, "drain", node.arguments()),
        CtlCommand::Undrain(node) => (CHANGE, "undrain", node.arguments()),
        CtlCommand::Route(RouteCommand::Del { key, address }) => {
            (CHANGE, "route-del", vec![("key", key.clone()), ("address", address.clone())])
        }
        CtlCommand::Route(RouteCommand::Add { key, address, proto, weight, send_proxy }) => {
            let mut route = format!("{key}={address}");
            for (name, value) in [("proto", proto), ("weight", weight), ("send-proxy", send_proxy)]
            {
                if let Some(value) = value {
                    route.push_str(&format!(",{name}={value}"));
                }
            }
            (CHANGE, "route-add", vec![("route", route)])
        }
        CtlCommand::Loglevel { level: None, .. } => (ASK, "loglevel", Vec::new()),
        CtlCommand::Loglevel { level: Some(level), target } => {
            let target = target.iter().map(|target| ("target", target.clone()));
            let level = std::iter::once(("level", level.clone()));
            (CHANGE, "loglevel", level.chain(target).collect())
        }
        CtlCommand::Reload => (CHANGE, "reload", Vec::new()),
        CtlCommand::Upgrade => (CHANGE, "upgrade", Vec::new()),
        CtlCommand::ReopenLogs => (CHANGE, "reopen-logs", Vec::new()),
        CtlCommand::Quit => (CHANGE, "quit", Vec::new()),
        CtlCommand::Stop => (CHANGE, "stop", Vec::new()),
    }
}

impl ListArgs {
    fn arguments(&self) -> Vec<(&'static str, String)> {
        let key = self.key.iter().map(|key| ("key", key.clone()));
        key.chain(self.limit.iter().map(|limit| ("limit", limit.to_string()))).collect()
    }
}

impl NodeArgs {
    fn arguments(&self) -> Vec<(&'static str, String)> {
        let node = std::iter::once(("node", self.node.clone()));
        node.chain(self.key.iter().map(|key| ("key", key.clone()))).collect()
    }
}
