//! Arguments of `announce`, parsed and checked before anything is sent or started.

use std::io;
use std::time::Duration;

use route_table::{Address, Proto, RouteKey};
use router_core::address::ListenAddr;
use subscribe::announce::{AnnounceError as Unsayable, Command, Signer};

use crate::config::{units, values};

use super::AnnounceArgs;
use super::server::Server;
use super::voice::{Certificate, Claim, Voice};

const EVERY_MIN: Duration = Duration::from_secs(1);
/// What stands for the address of a vassal that sleeps.
const ASLEEP: &str = "none";
const PATIENCE_MAX: Duration = Duration::from_secs(3600);

/// Why announcing cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AnnounceError {
    /// A flag's value means nothing.
    #[error("--{flag} \"{read}\": {why}; allowed: {allowed}")]
    Flag {
        /// Without its dashes.
        flag: &'static str,
        /// The text read.
        read: String,
        /// What is wrong with it.
        why: String,
        /// What may stand there.
        allowed: &'static str,
    },
    /// The announcement cannot be written down.
    #[error("{key}: {cause}")]
    Unsayable {
        /// The key to be announced.
        key: RouteKey,
        /// What does not fit.
        cause: Unsayable,
    },
    /// The router's socket cannot be used.
    #[error("the server {server}: {cause}")]
    Server {
        /// Its address.
        server: ListenAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// Signals cannot be received.
    #[error("signals: {0}")]
    Signals(io::Error),
    /// The program does not start.
    #[error("{name} does not start: {cause}")]
    Program {
        /// Its name.
        name: String,
        /// What the system said.
        cause: io::Error,
    },
}

impl AnnounceError {
    /// Whether an argument is to blame.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Flag { .. } | Self::Unsayable { .. })
    }
}

/// What to announce, to whom, how often, and what to run.
pub struct Plan {
    servers: Vec<ListenAddr>,
    claims: Vec<Claim>,
    signer: Option<Signer>,
    /// Where the program listens.
    pub address: Address,
    /// Pause between two announcements.
    pub every: Duration,
    /// Patience with a starting program.
    pub wait: Duration,
    /// Program and arguments; empty: none.
    pub command: Vec<String>,
}

impl Plan {
    /// Reads and checks `args`.
    pub fn of(args: &AnnounceArgs) -> Result<Self, AnnounceError> {
        let address = match args.address.as_str() {
            ASLEEP => nowhere(args)?,
            text => address(text)?,
        };
        let certificate = match (&args.sni_key, &args.sni_crt) {
            (Some(key), Some(crt)) => Some(Certificate { key: key.clone(), crt: crt.clone() }),
            _ => None,
        };
        let claim = |key: &String| {
            Ok(Claim {
                key: route_key(key)?,
                address: address.to_string(),
                proto: match args.proto.as_str() {
                    "http" => Proto::Http,
                    "h2c" => Proto::H2c,
                    "tls" => Proto::Tls,
                    "tcp" => Proto::Tcp,
                    _ => Proto::Uwsgi,
                },
                modifier1: args.modifier1,
                modifier2: args.modifier2,
                weight: args.weight,
                backup: args.backup,
                algo: args.algo.as_deref().and_then(|name| name.parse().ok()),
                vassal: args.vassal.clone(),
                certificate: certificate.clone(),
            })
        };
        let plan = Self {
            servers: args.server.iter().map(|text| server(text)).collect::<Result<_, _>>()?,
            claims: args.key.iter().map(claim).collect::<Result<_, _>>()?,
            signer: args.sign.as_deref().map(signer).transpose()?,
            every: duration("every", &args.every, EVERY_MIN, "a duration from 1s to 1h")?,
            wait: duration("wait", &args.wait, Duration::ZERO, "a duration up to 1h")?,
            address,
            command: args.command.clone(),
        };
        plan.rehearse()?;
        Ok(plan)
    }

    /// Builds every announcement once, so that none can fail later.
    fn rehearse(&self) -> Result<(), AnnounceError> {
        for claim in &self.claims {
            claim
                .datagram(Command::Unsubscribe, u64::MAX - 1, self.signer.as_ref())
                .map_err(|cause| AnnounceError::Unsayable { key: claim.key.clone(), cause })?;
        }
        Ok(())
    }

    /// Opens the sockets to the servers and hands the claims over.
    pub fn voice(&self) -> Result<Voice, AnnounceError> {
        let open = |server: &ListenAddr| {
            Server::open(server)
                .map_err(|cause| AnnounceError::Server { server: server.clone(), cause })
        };
        let servers = self.servers.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Voice::new(servers, self.claims.clone(), self.signer.clone()))
    }

    /// The keys, for people.
    pub fn keys_text(&self) -> String {
        let keys: Vec<_> = self.claims.iter().map(|claim| claim.key.as_str()).collect();
        keys.join(", ")
    }
}

fn wrong(
    flag: &'static str,
    read: &str,
    allowed: &'static str,
) -> impl Fn(String) -> AnnounceError {
    let read = read.to_owned();
    move |why| AnnounceError::Flag { flag, read: read.clone(), why, allowed }
}

fn server(text: &str) -> Result<ListenAddr, AnnounceError> {
    let wrong = wrong("server", text, "IP:PORT, [IPV6]:PORT or /PATH");
    let server: ListenAddr = text.parse().map_err(|error| wrong(format!("{error}")))?;
    match server.ip() {
        Some(addr) if addr.port() == 0 => Err(wrong("nothing can be sent to port 0".to_owned())),
        _ => Ok(server),
    }
}

fn route_key(text: &str) -> Result<RouteKey, AnnounceError> {
    let wrong = wrong("key", text, "a host name, optionally with :PORT");
    RouteKey::parse(text.as_bytes()).map_err(|error| wrong(error.to_string()))
}

/// Keeps the name of a vassal that sleeps, and of nothing else.
fn nowhere(args: &AnnounceArgs) -> Result<Address, AnnounceError> {
    let wrong = wrong("address", ASLEEP, "none with --vassal, and without a program");
    match &args.vassal {
        None => Err(wrong("there is no name to be known by".to_owned())),
        Some(_) if !args.command.is_empty() => Err(wrong("the program is awake".to_owned())),
        Some(_) => Ok(Address::Nowhere),
    }
}

/// The program's address; a relative socket path is made absolute, for the router runs elsewhere.
fn address(text: &str) -> Result<Address, AnnounceError> {
    let wrong = wrong("address", text, "IP:PORT, [IPV6]:PORT, /PATH or @ABSTRACT");
    let whole = if text.contains([':', '@']) || text.is_empty() {
        text.to_owned()
    } else {
        let path = std::path::absolute(text).map_err(|error| wrong(error.to_string()))?;
        path.to_string_lossy().into_owned()
    };
    Address::parse(whole.as_bytes()).map_err(|error| wrong(error.to_string()))
}

fn signer(text: &str) -> Result<Signer, AnnounceError> {
    const ALLOWED: &str = "DIGEST:FILE with DIGEST one of SHA1, SHA256, SHA512 and FILE an RSA \
         private key in PEM";
    let wrong = wrong("sign", text, ALLOWED);
    let Some((digest, file)) = text.split_once(':') else {
        return Err(wrong("there is no : between digest and file".to_owned()));
    };
    let digest = values::digest(digest).map_err(&wrong)?;
    let pem = std::fs::read_to_string(file).map_err(|error| wrong(format!("{file}: {error}")))?;
    Signer::from_pem(digest, &pem).map_err(|error| wrong(format!("{file}: {error}")))
}

fn duration(
    flag: &'static str,
    text: &str,
    min: Duration,
    allowed: &'static str,
) -> Result<Duration, AnnounceError> {
    let wrong = wrong(flag, text, allowed);
    match units::duration(text) {
        Some(duration) if duration < min => Err(wrong("too short".to_owned())),
        Some(duration) if duration > PATIENCE_MAX => Err(wrong("too long".to_owned())),
        Some(duration) => Ok(duration),
        None => Err(wrong("not a duration".to_owned())),
    }
}
