//! The thread with real sockets on loopback, ports by the kernel; datagrams by `announce`.
//!
//! What can be tested turn by turn is, without the thread; time passes only where a lease or a
//! file watch is the subject, and then `eventually` waits no longer than it must.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Instant;

use route_table::{TableHandle, TableWriter};
use rsa::RsaPrivateKey;
use rsa::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use subscribe::announce::{AnnounceFields, Command, Digest, Signer, encode};
use subscribe::limits::{BATCH_DATAGRAMS_MAX, DATAGRAM_BYTES_MAX};
use subscribe::{Reject, key_file_name};
use tempfile::TempDir;

use super::*;

/// A bound subscriber with everything around it.
pub(super) struct Rig {
    pub(super) subscriber: Subscriber,
    pub(super) counters: Arc<SubscriptionCounters>,
    pub(super) table: TableHandle,
    pub(super) certs: Receiver<CertRequest>,
}

pub(super) fn config(binds: &[&str]) -> SubscriberConfig {
    SubscriberConfig {
        binds: binds.iter().map(|bind| bind.parse().expect("an address")).collect(),
        multicast_interfaces: Vec::new(),
        resubscribe: Vec::new(),
        sign_dir: None,
        owner_dirs: Vec::new(),
        registry: RegistryConfig::default(),
        static_nodes: Vec::new(),
        handed_over: None,
        estate: Arc::default(),
        state_file: None,
    }
}

pub(super) fn rig(config: SubscriberConfig) -> Rig {
    let (writer, table) = TableWriter::new();
    let counters = Arc::<SubscriptionCounters>::default();
    let (cert_requests, certs) = mpsc::channel();
    let subscriber =
        Subscriber::bind(config, writer, counters.clone(), cert_requests).expect("binds");
    Rig { subscriber, counters, table, certs }
}

impl Rig {
    pub(super) fn udp_addr(&self) -> SocketAddr {
        self.subscriber.local_addrs()[0].ip().expect("an IP socket")
    }

    /// The thread's own turn, as if its first socket had just become readable.
    pub(super) fn turn(&mut self) {
        self.subscriber.shell.turn(&[0]);
    }

    pub(super) fn count(&self, counter: impl Fn(&SubscriptionCounters) -> &AtomicU64) -> u64 {
        counter(&self.counters).load(Ordering::Relaxed)
    }
}

pub(super) fn fields(key: &str, port: u16) -> AnnounceFields {
    let address = format!("127.0.0.1:{port}");
    AnnounceFields { key: key.into(), address, ..AnnounceFields::default() }
}

/// An announcement that brings a certificate for `name`, and what the loader is asked for then.
pub(super) fn bringing(key: &str, name: &str) -> (AnnounceFields, CertRequest) {
    let mut fields = fields(key, 3000);
    fields.sni_key = Some("/certs/a.key".into());
    fields.sni_crt = Some("/certs/a.crt".into());
    let text = |path: &str| CertText::Path(path.into());
    let (key, crt) = (text("/certs/a.key"), text("/certs/a.crt"));
    (fields, CertRequest::Load { name: name.into(), key, crt, ca: None })
}

pub(super) fn subscribe(key: &str, port: u16) -> Vec<u8> {
    encode(&fields(key, port), Command::Subscribe, None, None).expect("encodes")
}

pub(super) fn send_udp(to: SocketAddr, datagrams: &[Vec<u8>]) {
    let from = if to.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
    let socket = UdpSocket::bind(from).expect("binds");
    for datagram in datagrams {
        socket.send_to(datagram, to).expect("sends");
    }
}

pub(super) fn nodes(table: &TableHandle, key: &str) -> usize {
    table.snapshot().get(key).map_or(0, |route| route.nodes().len())
}

/// Waits until `is_so`, at most `ms`.
pub(super) fn eventually(ms: u64, is_so: impl Fn() -> bool) -> bool {
    let until = Instant::now() + Duration::from_millis(ms);
    while Instant::now() < until {
        if is_so() {
            return true;
        }
        thread::sleep(Duration::from_millis(5));
    }
    is_so()
}

#[test]
fn a_node_announced_over_either_ip_family_is_routed() {
    for bind in ["127.0.0.1:0", "[::1]:0"] {
        let rig = rig(config(&[bind]));
        let addr = rig.udp_addr();
        assert_ne!(addr.port(), 0);
        let handle = rig.subscriber.spawn().expect("spawns");
        send_udp(addr, &[subscribe("shop.example", 3000)]);
        assert!(eventually(5000, || nodes(&rig.table, "shop.example") == 1), "{bind}");
        let view = handle.view().expect("answers");
        assert_eq!((view.nodes.len(), view.is_cut()), (1, false));
        assert_eq!(view.nodes[0].key.as_str(), "shop.example");
        handle.join();
        assert!(handle.view().is_none());
    }
}

#[test]
fn a_node_announced_over_a_unix_socket_is_routed_and_the_path_goes_with_the_thread() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("sub.sock");
    let rig = rig(config(&[path.to_str().expect("text")]));
    let facts = fs::metadata(&path).expect("bound");
    assert!(facts.file_type().is_socket());
    assert_eq!(facts.permissions().mode() & 0o777, 0o660, "unsigned: owner and group only");
    let handle = rig.subscriber.spawn().expect("spawns");
    let sender = UnixDatagram::unbound().expect("a socket");
    sender.send_to(&subscribe("unix.example", 3000), &path).expect("sends");
    assert!(eventually(5000, || nodes(&rig.table, "unix.example") == 1));
    handle.join();
    assert!(!path.exists());
}

#[test]
fn a_stale_socket_is_replaced_and_neither_a_live_one_nor_a_file_is() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("sub.sock");
    let bind = |path: &Path| {
        let (writer, _table) = TableWriter::new();
        let config = config(&[path.to_str().expect("text")]);
        Subscriber::bind(config, writer, Arc::default(), mpsc::channel().0).map(drop)
    };
    let left_behind = UnixDatagram::bind(&path).expect("binds");
    let live = bind(&path).expect_err("somebody receives there");
    assert!(live.to_string().contains("another process owns this socket"), "{live}");
    drop(left_behind);
    assert!(path.exists());
    bind(&path).expect("a stale socket is in nobody's way");

    let file = dir.path().join("notes.txt");
    fs::write(&file, "keep me").expect("writes");
    bind(&file).expect_err("a file stands there");
    assert_eq!(fs::read(&file).expect("still there"), b"keep me");
}

#[test]
fn one_batch_publishes_one_table_however_many_nodes_it_brings() {
    let mut rig = rig(config(&["127.0.0.1:0"]));
    let datagrams: Vec<_> = (0..20).map(|n| subscribe(&format!("s{n}.example"), 3000)).collect();
    send_udp(rig.udp_addr(), &datagrams);
    rig.turn();
    assert_eq!(rig.count(|c| &c.datagrams), 20);
    assert_eq!(rig.count(|c| &c.added), 20);
    assert_eq!((rig.count(|c| &c.batches), rig.count(|c| &c.publishes)), (1, 1));
    assert_eq!(rig.table.snapshot().len(), 20);

    send_udp(rig.udp_addr(), &datagrams);
    rig.turn();
    assert_eq!(rig.count(|c| &c.renewed), 20);
    assert_eq!(rig.count(|c| &c.publishes), 1, "a renewal changes no table");
}

/// However the storm falls into turns, every batch is bounded and publishes are no more than batches.
#[test]
fn a_storm_is_taken_in_bounded_batches_and_published_no_more_often_than_those() {
    let mut rig = rig(config(&["127.0.0.1:0"]));
    let all = 3 * BATCH_DATAGRAMS_MAX + 3;
    let datagrams: Vec<_> = (0..all).map(|n| subscribe(&format!("s{n}.example"), 3000)).collect();
    send_udp(rig.udp_addr(), &datagrams);
    let mut turns = 0;
    while rig.table.snapshot().len() < all {
        turns += 1;
        assert!(turns <= 4, "four batches hold them all");
        rig.turn();
    }
    assert_eq!(rig.count(|c| &c.batches), 4);
    assert_eq!(rig.count(|c| &c.publishes), turns);
    rig.turn();
    assert_eq!(rig.count(|c| &c.batches), 4, "an empty turn is no batch");
}

#[test]
fn a_datagram_that_waits_is_seen_without_taking_it() {
    let mut rig = rig(config(&["127.0.0.1:0", "127.0.0.1:0"]));
    let addr = rig.udp_addr();
    assert!(!thread_loop::has_datagram(&rig.subscriber.shell.sockets));
    send_udp(addr, &[subscribe("waits.example", 3000)]);
    let sockets = &rig.subscriber.shell.sockets;
    assert!(eventually(2000, || thread_loop::has_datagram(sockets)));
    rig.turn();
    assert_eq!(nodes(&rig.table, "waits.example"), 1);
    assert!(!thread_loop::has_datagram(&rig.subscriber.shell.sockets));
}

/// A datagram longer than allowed must be refused whole, even if what fits would be a valid one.
#[test]
fn an_oversize_datagram_is_counted_and_never_cut_to_size() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("sub.sock");
    let mut rig = rig(config(&["127.0.0.1:0", path.to_str().expect("text")]));
    let mut long = subscribe("long.example", 3000);
    long.resize(DATAGRAM_BYTES_MAX + 1, 0);
    let much_longer = vec![0; 60_000];
    send_udp(rig.udp_addr(), &[long.clone(), subscribe("ok.example", 3000), much_longer]);
    let sender = UnixDatagram::unbound().expect("a socket");
    sender.send_to(&long, &path).expect("sends");
    rig.subscriber.shell.turn(&[0, 1]);
    assert_eq!(rig.counters.rejected(Reject::Oversize), 3);
    assert_eq!(rig.table.snapshot().len(), 1);
    assert_eq!(nodes(&rig.table, "ok.example"), 1);
}

#[test]
fn malformed_datagrams_are_counted_by_reason_and_change_nothing() {
    let mut rig = rig(config(&["127.0.0.1:0"]));
    let mut cut = subscribe("cut.example", 3000);
    cut.pop();
    let foreign = [[0].as_slice(), &subscribe("foreign.example", 3000)[1..]].concat();
    send_udp(rig.udp_addr(), &[cut, b"hi".to_vec(), Vec::new(), foreign]);
    rig.turn();
    assert_eq!(rig.counters.rejected(Reject::BadPacket), 3);
    assert_eq!(rig.counters.rejected(Reject::NotSubscription), 1);
    assert_eq!(rig.counters.rejects().map(|(_, number)| number).sum::<u64>(), 4);
    assert!(rig.table.snapshot().is_empty());
    assert_eq!(rig.count(|c| &c.publishes), 0);
}

#[test]
fn a_lease_that_is_not_renewed_runs_out_without_any_datagram() {
    let mut config = config(&["127.0.0.1:0"]);
    config.registry.lease_ms = 300;
    let rig = rig(config);
    let addr = rig.udp_addr();
    let (table, counters) = (rig.table.clone(), rig.counters.clone());
    let handle = rig.subscriber.spawn().expect("spawns");
    let announced = Instant::now();
    send_udp(addr, &[subscribe("brief.example", 3000)]);
    assert!(eventually(5000, || nodes(&table, "brief.example") == 1));
    assert!(eventually(5000, || nodes(&table, "brief.example") == 0));
    assert!(announced.elapsed() >= Duration::from_millis(300));
    assert!(eventually(1000, || counters.lapsed.load(Ordering::Relaxed) == 1));
    handle.join();
}

#[test]
fn configured_nodes_are_published_before_the_thread_starts() {
    let mut config = config(&[]);
    let facts = NodeFacts {
        address: route_table::Address::parse(b"127.0.0.1:3000").expect("an address"),
        announced: "127.0.0.1:3000".into(),
        proto: route_table::Proto::Http,
        opening: route_table::Opening::default(),
        modifier1: 0,
        modifier2: 0,
        weight: 1,
        backup: 0,
        origin: route_table::NodeOrigin::Static,
        announcer: None,
    };
    config.static_nodes = vec![(RouteKey::parse(b"static.example").expect("a key"), facts)];
    let rig = rig(config);
    assert_eq!(nodes(&rig.table, "static.example"), 1);
}

#[test]
fn certificates_of_a_subscription_are_asked_for_and_dropped_with_its_last_node() {
    let mut rig = rig(config(&["127.0.0.1:0"]));
    let (fields, load) = bringing("tls.example:8443", "tls.example");
    let datagram = |command| encode(&fields, command, None, None).expect("encodes");
    send_udp(rig.udp_addr(), &[datagram(Command::Subscribe)]);
    rig.turn();
    assert_eq!(rig.certs.try_recv(), Ok(load));
    send_udp(rig.udp_addr(), &[datagram(Command::Unsubscribe)]);
    rig.turn();
    assert_eq!(rig.certs.try_recv(), Ok(CertRequest::Drop { name: "tls.example".into() }));
}

#[test]
fn a_new_node_is_acknowledged_where_it_asked_and_a_renewal_is_not() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("ack.sock");
    let acknowledged = UnixDatagram::bind(&path).expect("binds");
    acknowledged.set_nonblocking(true).expect("non-blocking");
    let mut rig = rig(config(&["127.0.0.1:0"]));
    let mut fields = fields("ack.example", 3000);
    fields.notify = Some(path.to_str().expect("text").into());
    let datagram = encode(&fields, Command::Subscribe, None, None).expect("encodes");
    send_udp(rig.udp_addr(), &[datagram.clone(), datagram]);
    rig.turn();
    let mut buf = [0; 256];
    let len = acknowledged.recv(&mut buf).expect("acknowledged");
    assert_eq!(&buf[..len], b"[subscription ack] ack.example => new node: 127.0.0.1:3000");
    assert!(acknowledged.recv(&mut buf).is_err(), "once");
    assert_eq!(rig.count(|c| &c.notified), 1);
}

/// A directory with the public key of `key`, and a signed subscriber that uses it.
pub(super) fn signed_rig(key: &str) -> (TempDir, Signer, Rig) {
    let private = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).expect("a key");
    let dir = TempDir::new().expect("a directory");
    let public = private.to_public_key().to_public_key_pem(LineEnding::LF).expect("pem");
    fs::write(dir.path().join(key_file_name(key)), public).expect("writes");
    let pem = private.to_pkcs8_pem(LineEnding::LF).expect("pem");
    let signer = Signer::from_pem(Digest::Sha256, &pem).expect("a signer");
    let mut config = config(&["127.0.0.1:0"]);
    config.sign_dir = Some(dir.path().to_path_buf());
    config.registry.sign = Some(Digest::Sha256);
    (dir, signer, rig(config))
}

pub(super) fn signed(key: &str, signer: &Signer) -> Vec<u8> {
    let unix = Some(crate::wall_clock::unix_now());
    encode(&fields(key, 3000), Command::Subscribe, unix, Some(signer)).expect("encodes")
}

#[test]
fn nodes_of_a_removed_key_file_leave_within_two_seconds() {
    let (dir, signer, rig) = signed_rig("signed.example");
    let addr = rig.udp_addr();
    let (table, counters) = (rig.table.clone(), rig.counters.clone());
    let handle = rig.subscriber.spawn().expect("spawns");
    send_udp(addr, &[subscribe("signed.example", 3000), signed("signed.example", &signer)]);
    assert!(eventually(5000, || nodes(&table, "signed.example") == 1));
    assert_eq!(counters.rejected(Reject::Unsigned), 1);
    fs::remove_file(dir.path().join(key_file_name("signed.example"))).expect("removes");
    assert!(eventually(2000, || nodes(&table, "signed.example") == 0));
    assert!(eventually(1000, || counters.revoked.load(Ordering::Relaxed) == 1));
    handle.join();
}

/// What inotify cannot see: the key file is a link, and what it points to changes elsewhere.
#[test]
fn nodes_leave_when_the_target_of_a_linked_key_file_vanishes() {
    let (dir, signer, rig) = signed_rig("linked.example");
    let elsewhere = TempDir::new().expect("a directory");
    let (file, target) =
        (dir.path().join(key_file_name("linked.example")), elsewhere.path().join("key"));
    fs::rename(&file, &target).expect("moves");
    std::os::unix::fs::symlink(&target, &file).expect("links");
    let addr = rig.udp_addr();
    let table = rig.table.clone();
    let handle = rig.subscriber.spawn().expect("spawns");
    send_udp(addr, &[signed("linked.example", &signer)]);
    assert!(eventually(5000, || nodes(&table, "linked.example") == 1));
    fs::remove_file(&target).expect("removes");
    assert!(eventually(2500, || nodes(&table, "linked.example") == 0));
    handle.join();
}

#[test]
fn a_key_file_is_read_only_inside_its_directory_and_only_if_regular() {
    use subscribe::KeyFiles as _;
    let dir = TempDir::new().expect("a directory");
    let inner = dir.path().join("keys");
    fs::create_dir_all(inner.join("folder.pem")).expect("makes");
    fs::write(dir.path().join("outside.pem"), "x").expect("writes");
    fs::write(inner.join("a.pem"), "pem").expect("writes");
    fs::write(inner.join("huge.pem"), vec![b'x'; 1 << 20]).expect("writes");
    let mut keys = SignDirectory::open(Some(inner)).expect("opens");
    assert_eq!(keys.read("a.pem").as_deref(), Some(b"pem".as_slice()));
    for name in ["../outside.pem", "..", ".", "", "folder.pem", "huge.pem", "a\0.pem", "none.pem"] {
        assert_eq!(keys.read(name), None, "{name:?}");
    }
}

#[test]
fn signatures_without_a_directory_of_keys_are_refused_at_the_start() {
    let mut config = config(&[]);
    config.registry.sign = Some(Digest::Sha256);
    let (writer, _table) = TableWriter::new();
    let error = Subscriber::bind(config, writer, Arc::default(), mpsc::channel().0).err();
    assert!(matches!(error, Some(SubscriberError::NoSignDir)));
}
