//! Saying the same claims again and again, with stamps that always rise.
//!
//! A router takes each stamp once per key and address, so two announcements never share one, even
//! if the clock stands still or steps back by less than what was already said.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixStream};
use std::time::Duration;

use route_table::{Address, Algorithm, Proto, RouteKey};
use router_core::address::ListenAddr;
use router_core::wall_clock::unix_now;
use subscribe::announce::{AnnounceError as Unsayable, AnnounceFields, Command, Signer, encode};

use super::server::Server;

/// A loopback connect answers at once; another machine may need this long.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

/// One key and the node that serves it.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The name to be served under.
    pub key: RouteKey,
    /// Where the node listens, as the router will read it.
    pub address: String,
    /// What it speaks.
    pub proto: Proto,
    /// First modifier of uwsgi requests.
    pub modifier1: u8,
    /// Second modifier of uwsgi requests.
    pub modifier2: u8,
    /// Share against the key's other nodes.
    pub weight: u32,
    /// Backup level, 0 first.
    pub backup: u8,
    /// How the key's requests are spread.
    pub algo: Option<Algorithm>,
    /// Its name, whatever its address.
    pub vassal: Option<String>,
    /// For HTTPS.
    pub certificate: Option<Certificate>,
}

/// Paths the router reads.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// Private key.
    pub key: String,
    /// Chain.
    pub crt: String,
}

/// Claims, the servers they go to, and the last stamp used.
pub struct Voice {
    servers: Vec<Server>,
    claims: Vec<Claim>,
    signer: Option<Signer>,
    last_stamp: u64,
}

impl Voice {
    /// Nothing is said yet.
    pub fn new(servers: Vec<Server>, claims: Vec<Claim>, signer: Option<Signer>) -> Self {
        Self { servers, claims, signer, last_stamp: 0 }
    }

    /// The voice of an HTTP site that answers at `site`.
    ///
    /// # Errors
    /// If no socket towards a server can be opened.
    pub fn for_http_site(
        key: RouteKey,
        site: SocketAddr,
        servers: &[ListenAddr],
        signer: Signer,
    ) -> io::Result<Self> {
        let claim = Claim {
            key,
            address: site.to_string(),
            proto: Proto::Http,
            modifier1: 0,
            modifier2: 0,
            weight: 1,
            backup: 0,
            algo: None,
            vassal: None,
            certificate: None,
        };
        let servers = servers.iter().map(Server::open).collect::<io::Result<_>>()?;
        Ok(Self::new(servers, vec![claim], Some(signer)))
    }

    /// Announces every claim to every server.
    pub fn subscribe(&mut self) {
        self.say(Command::Subscribe);
    }

    /// Withdraws every claim, with a stamp above everything said before.
    pub fn unsubscribe(&mut self) {
        self.say(Command::Unsubscribe);
    }

    fn say(&mut self, command: Command) {
        // The command is added to the clock, as uWSGI does.
        let added = u64::from(command.byte());
        let clock = unix_now().max((self.last_stamp + 1).saturating_sub(added));
        self.last_stamp = clock + added;
        let copies = if command == Command::Unsubscribe { 2 } else { 1 };
        for claim in &self.claims {
            let datagram = match claim.datagram(command, clock, self.signer.as_ref()) {
                Ok(datagram) => datagram,
                Err(error) => {
                    tracing::error!(key = %claim.key, %error, "cannot be announced");
                    continue;
                }
            };
            for server in &mut self.servers {
                // A second copy is refused as a replay, unless the first got lost.
                for _ in 0..if server.is_lossy() { copies } else { 1 } {
                    server.send(&datagram);
                }
            }
        }
    }
}

impl Claim {
    /// The datagram that says it, for a sender's clock in seconds.
    ///
    /// # Errors
    /// If it does not fit a datagram or the key does not sign.
    pub fn datagram(
        &self,
        command: Command,
        clock: u64,
        signer: Option<&Signer>,
    ) -> Result<Vec<u8>, Unsayable> {
        let fields = AnnounceFields {
            key: self.key.to_string(),
            address: self.address.clone(),
            modifier1: self.modifier1,
            modifier2: self.modifier2,
            weight: self.weight,
            backup: self.backup,
            algo: self.algo,
            vassal: self.vassal.clone(),
            proto: self.proto,
            sni_key: self.certificate.as_ref().map(|files| files.key.clone()),
            sni_crt: self.certificate.as_ref().map(|files| files.crt.clone()),
            ..AnnounceFields::default()
        };
        // Without a signature nobody could believe the stamp; uWSGI leaves it out as well.
        encode(&fields, command, signer.map(|_| clock), signer)
    }
}

/// Whether somebody accepts connections at `address` right now.
pub fn accepts(address: &Address) -> bool {
    match address {
        Address::Nowhere => false,
        Address::Tcp(addr) => TcpStream::connect_timeout(addr, PROBE_TIMEOUT).is_ok(),
        Address::Unix(path) => UnixStream::connect(std::ffi::OsStr::from_bytes(path)).is_ok(),
        Address::Abstract(name) => UnixAddr::from_abstract_name(name)
            .and_then(|addr| UnixStream::connect_addr(&addr))
            .is_ok(),
    }
}
