//! The sockets clients connect to, bound before any worker starts.

use route_table::Address;
use router_core::{
    address::ListenAddr,
    admin::AdminServer,
    estate::Estate,
    listener::{Bound, ListenError, WorkerSocket},
    socket_file::SocketFile,
};

use crate::{
    config::Settings,
    context::{Relay, Role, Scheme},
};

/// Listening sockets by worker.
pub struct Sockets {
    bound: Vec<(ListenAddr, Role)>,
    /// Files of the unix ones.
    pub files: Vec<SocketFile>,
    /// For each worker its own.
    pub by_worker: Vec<Vec<(WorkerSocket, Role)>>,
}

impl Sockets {
    /// Takes what `estate` has of them and binds the rest.
    ///
    /// # Errors
    /// [`ListenError`] of the first that cannot be had.
    pub fn bind(settings: &Settings, estate: &Estate) -> Result<Self, ListenError> {
        let mut sockets = Self { bound: Vec::new(), files: Vec::new(), by_worker: Vec::new() };
        sockets.by_worker.resize_with(settings.workers, Vec::new);
        for (address, role) in wanted(settings) {
            let mut bound = Bound::bind(address, settings.workers, estate)?;
            sockets.files.extend(bound.take_file());
            let role = Role { port: bound.address.ip().map(|ip| ip.port()), ..role };
            sockets.bound.push((bound.address.clone(), role));
            let turns = (0..settings.workers).cycle();
            for (worker, socket) in turns.zip(bound.into_worker_sockets()) {
                sockets.by_worker[worker].push((socket, role));
            }
        }
        Ok(sockets)
    }

    /// Addresses of those for which this is so.
    pub fn addresses(&self, what: impl Fn(&Role) -> bool) -> Vec<ListenAddr> {
        let mine = self.bound.iter().filter(|(_, role)| what(role));
        mine.map(|(address, _)| address.clone()).collect()
    }

    /// Addresses no subscription may point a node at: the router would talk to itself, or a tenant
    /// to its operator.
    pub fn own_addresses(&self, admin: Option<&AdminServer>) -> Vec<Address> {
        let mut all: Vec<ListenAddr> =
            self.bound.iter().map(|(address, _)| address.clone()).collect();
        all.extend(admin.map(|admin| admin.local_addr().clone()));
        all.into_iter().flat_map(reachable_as).map(upstream_form).collect()
    }
}

/// A socket bound to every address is reachable by each address of this machine.
fn reachable_as(address: ListenAddr) -> Vec<ListenAddr> {
    let Some(bound) = address.ip().filter(|bound| bound.ip().is_unspecified()) else {
        return vec![address];
    };
    let mut all = vec![address];
    for interface in nix::ifaddrs::getifaddrs().into_iter().flatten() {
        let Some(found) = interface.address else { continue };
        let v4 = found.as_sockaddr_in().map(|v4| v4.ip().into());
        let v6 = found.as_sockaddr_in6().map(|v6| v6.ip().into());
        all.extend(
            v4.or(v6).map(|ip| ListenAddr::Tcp(std::net::SocketAddr::new(ip, bound.port()))),
        );
    }
    all
}

fn upstream_form(address: ListenAddr) -> Address {
    use std::os::unix::ffi::OsStringExt;
    match address {
        ListenAddr::Tcp(ip) => Address::Tcp(ip),
        ListenAddr::Unix(path) => Address::Unix(path.into_os_string().into_vec().into()),
    }
}

/// What is to be bound, and what for; ports are known later.
fn wanted(settings: &Settings) -> impl Iterator<Item = (&ListenAddr, Role)> {
    let role = |scheme, relay| Role { scheme, port: None, relay };
    let plain = settings.http.iter().map(move |address| (address, role(Scheme::Http, None)));
    let tls = settings.https.iter().map(move |address| (address, role(Scheme::Https, None)));
    let passed = settings.tls_passthrough.iter();
    let passed = passed.map(move |address| (address, role(Scheme::Https, Some(Relay::Tls))));
    let raw = (0..)
        .zip(&settings.tcp)
        .map(move |(number, raw)| (&raw.listen, role(Scheme::Http, Some(Relay::Tcp(number)))));
    let packets = settings.packets.listen.iter();
    let packets = packets.map(move |address| (address, role(Scheme::Uwsgi, None)));
    plain.chain(tls).chain(passed).chain(raw).chain(packets)
}
