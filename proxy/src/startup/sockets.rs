//! The sockets clients connect to: bound before any worker starts, and again by every reload.
//!
//! A reload first plans a step, which binds all that is new, and then takes it. Until then nothing
//! changed, and a step that is dropped leaves nothing behind.

use std::{collections::HashMap, path::Path};

use route_table::{Address, RouteKey};
use router_core::{
    address::ListenAddr,
    estate::{Estate, Kind},
    listener::{Bound, ListenError, WorkerSocket},
    socket_file::SocketFile,
    worker::ListenerId,
};

use crate::{
    config::Settings,
    context::{Relay, Role, Scheme},
};

/// The listening addresses of the process.
#[derive(Default)]
pub struct Sockets {
    open: Vec<Open>,
    next: u32,
}

/// One of them.
struct Open {
    id: ListenerId,
    /// As configured; the port may be zero.
    written: ListenAddr,
    bound: ListenAddr,
    role: Role,
    file: Option<SocketFile>,
}

/// From one set of addresses to the next.
pub struct Step<'e> {
    entries: Vec<Entry>,
    next: u32,
    estate: &'e Estate,
    /// The keys of raw listeners, by the number in their role.
    pub tcp_keys: HashMap<u32, RouteKey>,
}

enum Entry {
    /// The one at this place stays, perhaps for something else.
    Kept(usize, Role),
    New(Open, Vec<WorkerSocket>),
}

/// What a step came to, for workers and people.
pub struct Taken {
    /// New sockets, for each worker its own.
    pub by_worker: Vec<Vec<(ListenerId, WorkerSocket, Role)>>,
    /// Listeners that are for something else now.
    pub retargeted: Vec<(ListenerId, Role)>,
    /// Listeners that are gone.
    pub removed: Vec<ListenerId>,
    /// In words.
    pub told: Vec<String>,
}

impl Sockets {
    /// Binds what `settings` have and this has not; `estate` is asked first.
    ///
    /// # Errors
    /// [`ListenError`] of the first that cannot be had.
    pub fn plan<'e>(
        &self,
        settings: &Settings,
        estate: &'e Estate,
    ) -> Result<Step<'e>, ListenError> {
        let tcp_keys = HashMap::new();
        let mut step = Step { entries: Vec::new(), next: self.next, estate, tcp_keys };
        let mut unclaimed: Vec<usize> = (0..self.open.len()).collect();
        for Wanted { address, scheme, relay } in wanted(settings) {
            let found =
                unclaimed.iter().position(|&at| self.open[at].serves(address, scheme, relay));
            let id = match found {
                Some(found) => {
                    let at = unclaimed.remove(found);
                    let open = &self.open[at];
                    let role = Role { scheme, port: open.role.port, relay: named(relay, open.id) };
                    step.entries.push(Entry::Kept(at, role));
                    open.id
                }
                None => step.bind(address, scheme, relay, settings.workers)?,
            };
            if let Some(Wish::Tcp(key)) = relay {
                step.tcp_keys.insert(id.0, key.clone());
            }
        }
        Ok(step)
    }

    /// Takes the step. Workers must be told of it.
    pub fn take(&mut self, mut step: Step<'_>, workers: usize) -> Taken {
        let mut taken = Taken {
            by_worker: Vec::new(),
            retargeted: Vec::new(),
            removed: Vec::new(),
            told: Vec::new(),
        };
        taken.by_worker.resize_with(workers, Vec::new);
        let mut before: Vec<_> = self.open.drain(..).map(Some).collect();
        for entry in step.entries.drain(..) {
            let open = match entry {
                Entry::New(open, sockets) => {
                    taken.told.push(format!("added listener {open}"));
                    for (worker, socket) in (0..workers).cycle().zip(sockets) {
                        taken.by_worker[worker].push((open.id, socket, open.role));
                    }
                    Some(open)
                }
                Entry::Kept(at, role) => before[at].take().map(|open| {
                    let next = Open { role, ..open };
                    if next.role != open.role {
                        taken.told.push(format!("listener {} is {} now", next.bound, next.kind()));
                        taken.retargeted.push((next.id, role));
                    }
                    next
                }),
            };
            self.open.extend(open);
        }
        for gone in before.into_iter().flatten() {
            taken.told.push(format!("removed listener {gone}"));
            taken.removed.push(gone.id);
            step.estate.release(Kind::Stream, &gone.bound);
        }
        self.next = step.next;
        taken
    }

    /// Addresses of those for which this is so.
    pub fn addresses(&self, what: impl Fn(&Role) -> bool) -> Vec<ListenAddr> {
        let mine = self.open.iter().filter(|open| what(&open.role));
        mine.map(|open| open.bound.clone()).collect()
    }

    /// Files of the unix ones.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.open.iter().filter_map(|open| open.file.as_ref()).map(SocketFile::path)
    }

    /// Addresses no subscription may point a node at: the router would talk to itself, or a tenant
    /// to its operator.
    pub fn own_addresses(&self, admin: Option<&ListenAddr>) -> Vec<Address> {
        own(self.open.iter().map(|open| &open.bound).chain(admin))
    }
}

fn own<'a>(all: impl Iterator<Item = &'a ListenAddr>) -> Vec<Address> {
    all.cloned().flat_map(reachable_as).map(upstream_form).collect()
}

impl Step<'_> {
    /// [`Sockets::own_addresses`] once it is taken.
    pub fn own_addresses(&self, before: &Sockets, admin: Option<&ListenAddr>) -> Vec<Address> {
        let all = self.entries.iter().map(|entry| match entry {
            Entry::Kept(at, _) => &before.open[*at].bound,
            Entry::New(open, _) => &open.bound,
        });
        own(all.chain(admin))
    }

    fn bind(
        &mut self,
        address: &ListenAddr,
        scheme: Scheme,
        relay: Option<Wish<'_>>,
        workers: usize,
    ) -> Result<ListenerId, ListenError> {
        let mut bound = Bound::bind(address, workers, self.estate)?;
        let id = ListenerId(self.next);
        self.next += 1;
        let port = bound.address.ip().map(|ip| ip.port());
        let open = Open {
            id,
            written: address.clone(),
            bound: bound.address.clone(),
            role: Role { scheme, port, relay: named(relay, id) },
            file: bound.take_file(),
        };
        self.entries.push(Entry::New(open, bound.into_worker_sockets().collect()));
        Ok(id)
    }
}

impl Drop for Step<'_> {
    /// A step that was not taken gives up what it bound.
    fn drop(&mut self) {
        for entry in &self.entries {
            if let Entry::New(open, _) = entry {
                self.estate.release(Kind::Stream, &open.bound);
            }
        }
    }
}

impl Open {
    /// Whether it is what is wanted. A port that the kernel chose is only known by what it is for.
    fn serves(&self, address: &ListenAddr, scheme: Scheme, relay: Option<Wish<'_>>) -> bool {
        let is_free = address.ip().is_some_and(|ip| ip.port() == 0);
        let same = self.role.scheme == scheme
            && matches!(
                (self.role.relay, relay),
                (None, None)
                    | (Some(Relay::Tls), Some(Wish::Tls))
                    | (Some(Relay::Tcp(_)), Some(Wish::Tcp(_)))
            );
        self.written == *address && (same || !is_free)
    }

    fn kind(&self) -> &'static str {
        match (self.role.relay, self.role.scheme) {
            (Some(Relay::Tls), _) => "tls-passthrough",
            (Some(Relay::Tcp(_)), _) => "tcp",
            (None, scheme) => scheme.name(),
        }
    }
}

impl std::fmt::Display for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind(), self.bound)
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

pub(super) fn upstream_form(address: ListenAddr) -> Address {
    use std::os::unix::ffi::OsStringExt;
    match address {
        ListenAddr::Tcp(ip) => Address::Tcp(ip),
        ListenAddr::Unix(path) => Address::Unix(path.into_os_string().into_vec().into()),
    }
}

/// What is to be bound, and what for.
struct Wanted<'s> {
    address: &'s ListenAddr,
    scheme: Scheme,
    relay: Option<Wish<'s>>,
}

/// Connections that are to be passed on as they come.
#[derive(Clone, Copy)]
enum Wish<'s> {
    Tls,
    Tcp(&'s RouteKey),
}

fn named(relay: Option<Wish<'_>>, id: ListenerId) -> Option<Relay> {
    relay.map(|wish| match wish {
        Wish::Tls => Relay::Tls,
        Wish::Tcp(_) => Relay::Tcp(id.0),
    })
}

fn wanted(settings: &Settings) -> impl Iterator<Item = Wanted<'_>> {
    let of = |scheme, relay| move |address| Wanted { address, scheme, relay };
    let plain = settings.http.iter().map(of(Scheme::Http, None));
    let tls = settings.https.iter().map(of(Scheme::Https, None));
    let passed = settings.tls_passthrough.iter().map(of(Scheme::Https, Some(Wish::Tls)));
    let raw = settings.tcp.iter().map(|raw| Wanted {
        address: &raw.listen,
        scheme: Scheme::Http,
        relay: Some(Wish::Tcp(&raw.key)),
    });
    let packets = settings.packets.listen.iter().map(of(Scheme::Uwsgi, None));
    plain.chain(tls).chain(passed).chain(raw).chain(packets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RawListener;

    fn any() -> ListenAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    fn take(sockets: &mut Sockets, settings: &Settings, estate: &Estate) -> Taken {
        let step = sockets.plan(settings, estate).unwrap();
        sockets.take(step, settings.workers)
    }

    /// Goal: what stays keeps its socket and number, what is new is bound once per worker, and what is gone is
    /// given up.
    #[test]
    fn a_step_adds_removes_and_keeps() {
        let (mut sockets, estate) = (Sockets::default(), Estate::default());
        let mut settings =
            Settings { http: vec![any()], https: vec![any()], workers: 2, ..Settings::default() };
        let first = take(&mut sockets, &settings, &estate);
        assert_eq!(first.by_worker.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
        let before = sockets.addresses(|_| true);

        let same = take(&mut sockets, &settings, &estate);
        assert!(same.told.is_empty() && same.by_worker.iter().all(Vec::is_empty));
        assert_eq!(sockets.addresses(|_| true), before);

        settings.http.clear();
        settings.tls_passthrough.push(any());
        let next = take(&mut sockets, &settings, &estate);
        assert_eq!(next.removed, [ListenerId(0)]);
        assert_eq!(next.by_worker.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
        assert_eq!(sockets.addresses(|_| true)[0], before[1]);
        assert_eq!(estate.bequeath().unwrap().len(), 4, "two addresses, two sockets each");
    }

    #[test]
    fn an_address_changes_what_it_is_for_without_being_bound_again() {
        let (mut sockets, estate) = (Sockets::default(), Estate::default());
        let mut settings = Settings { http: vec![any()], workers: 1, ..Settings::default() };
        take(&mut sockets, &settings, &estate);
        let address = sockets.addresses(|_| true).remove(0);
        settings.http = vec![address.clone()];
        // What was chosen by the kernel is another listener once it is written down.
        sockets.open[0].written = address.clone();
        take(&mut sockets, &settings, &estate);
        settings.https = std::mem::take(&mut settings.http);
        let taken = take(&mut sockets, &settings, &estate);
        assert_eq!(taken.told, [format!("listener {address} is https now")]);
        assert!(taken.removed.is_empty() && taken.retargeted.len() == 1);
    }

    #[test]
    fn a_raw_listener_has_one_number_for_good_and_its_key_may_change() {
        let (mut sockets, estate) = (Sockets::default(), Estate::default());
        let raw = |key: &str| RawListener {
            listen: any(),
            key: RouteKey::parse(key.as_bytes()).unwrap(),
            names_itself: false,
        };
        let mut settings = Settings { tcp: vec![raw("db")], workers: 1, ..Settings::default() };
        take(&mut sockets, &settings, &estate);
        settings.tcp = vec![raw("db2")];
        let step = sockets.plan(&settings, &estate).unwrap();
        assert_eq!(step.tcp_keys[&0].as_str(), "db2");
        assert!(sockets.take(step, 1).told.is_empty());
    }

    #[test]
    fn a_step_that_fails_or_is_not_taken_leaves_nothing_behind() {
        let (sockets, estate) = (Sockets::default(), Estate::default());
        let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = ListenAddr::Tcp(held.local_addr().unwrap());
        let settings = Settings { http: vec![any(), taken], workers: 1, ..Settings::default() };
        assert!(sockets.plan(&settings, &estate).is_err());
        let settings = Settings { http: vec![any()], workers: 1, ..Settings::default() };
        drop(sockets.plan(&settings, &estate).unwrap());
        assert!(estate.bequeath().unwrap().is_empty());
    }
}
