//! Subscriptions sent to a multicast group or to the broadcast address: one announcement, several
//! routers.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use nix::unistd::Uid;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::harness::datagram;
use crate::harness::origin::Origin;
use crate::harness::process::Process;
use crate::harness::router::{BINARY, Subscribe, io_driver, suzerain, try_admin};
use crate::harness::tools::{report_missing, run};
use crate::harness::vassal::vassal_command;
use crate::harness::wait::SOON;
use crate::harness::{Router, eventually, get, require_tool};

/// A UDP port that was free a moment ago.
fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("bind").port()
}

/// A group of this test process, on a free port.
fn group() -> SocketAddr {
    let [low, high, ..] = std::process::id().to_le_bytes();
    (Ipv4Addr::new(239, 77, high, low), free_port()).into()
}

fn router_at(at: &str) -> Router {
    let setup = Router::setup().subscribe(Subscribe::Nowhere).args(["--subscribe", at]);
    setup.args(["--multicast-interface", "127.0.0.1", "--allow-unsigned"]).start()
}

fn sender() -> Socket {
    Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket")
}

#[test]
fn one_announcement_to_a_group_reaches_every_router_in_it() {
    let group = group();
    let routers = [router_at(&group.to_string()), router_at(&group.to_string())];
    let origin = Origin::echo();
    let address = origin.address().to_string();
    let fields = [("key", "group.test"), ("address", address.as_str()), ("proto", "http")];
    let sender = sender();
    sender.set_multicast_if_v4(&Ipv4Addr::LOCALHOST).expect("loopback");
    sender.send_to(&datagram::plain(0, &fields), &SockAddr::from(group)).expect("sends");
    for router in &routers {
        router.wait_for_nodes("group.test", 1);
        assert_eq!(get(router.http(), "group.test", "/").status, 200);
    }
    // What is sent to the port but not to the group is not for them.
    datagram::send(
        SocketAddr::from((Ipv4Addr::LOCALHOST, group.port())),
        &datagram::plain(1, &fields),
    );
    sender.send_to(&datagram::plain(0, &fields), &SockAddr::from(group)).expect("sends");
    for router in &routers {
        let renewed = || {
            let name = "suzerain_subscription_verdicts_total";
            (router.metrics().sum(name, &[("verdict", "renewed")]) == 1.0).then_some(())
        };
        eventually("the second one counts", SOON, renewed);
        assert_eq!(router.metrics().sum("suzerain_subscription_datagrams_total", &[]), 2.0);
    }
}

#[test]
fn a_group_is_never_local_so_unsigned_subscriptions_are_refused_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    for address in ["239.1.2.3:7171", "255.255.255.255:7171"] {
        let told =
            suzerain(folder.path(), &["run", "--http", "127.0.0.1:0", "--subscribe", address]);
        assert_ne!(told.code, Some(0));
        assert!(told.stderr.contains("can be reached by other machines"), "{told:?}");
    }
}

/// A network of its own, in which groups lead to loopback and there is nothing else.
struct Network {
    ip: PathBuf,
    name: String,
}

impl Network {
    fn new(ip: &Path, subject: &str) -> Option<Self> {
        let name = format!("sz-{subject}-{}", std::process::id());
        let network = Self { ip: ip.to_owned(), name };
        let added = run(Command::new(ip).args(["netns", "add", &network.name]));
        if added.code != Some(0) {
            return None;
        }
        for line in [
            "link set lo up",
            "route add 239.0.0.0/8 dev lo",
            "route add broadcast 255.255.255.255 dev lo",
        ] {
            let done = run(network.inside(ip).args(line.split(' ')));
            assert_eq!(done.code, Some(0), "{line}: {done:?}");
        }
        Some(network)
    }

    /// `program`, to be run in this network.
    fn inside(&self, program: &Path) -> Command {
        let mut command = Command::new(&self.ip);
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        run(Command::new(&self.ip).args(["netns", "delete", &self.name]));
    }
}

#[test]
fn a_real_vassal_announces_to_a_group_and_to_everybody() {
    let (uwsgi, ip, curl) = (require_tool!("uwsgi"), require_tool!("ip"), require_tool!("curl"));
    if !Uid::effective().is_root() {
        return report_missing("root");
    }
    let Some(network) = Network::new(&ip, "cast") else {
        return report_missing("network namespaces");
    };
    let folder = tempfile::tempdir().expect("a folder");
    let admin = folder.path().join("admin.sock");
    let mut command = network.inside(Path::new(BINARY));
    command.args(["run", "--http", "127.0.0.1:8080", "--workers", "1", "--io", &io_driver()]);
    command.args(["--subscribe", "239.1.2.3:7171", "--subscribe", "255.255.255.255:7172"]);
    command.arg("--allow-unsigned").arg("--admin").arg(&admin);
    let _router = Process::start(&mut command, folder.path(), "router", Signal::SIGTERM);
    eventually("the router is ready", SOON, || {
        try_admin(&admin, "/readyz").is_ok_and(|answer| answer.status == 200).then_some(())
    });
    let mut command = network.inside(&uwsgi);
    vassal_command(&mut command, &uwsgi, "grouped", "127.0.0.1:0");
    command.args(["--subscribe-to", "239.1.2.3:7171:group.test"]);
    let _vassal = Process::start(&mut command, folder.path(), "uwsgi", Signal::SIGINT);
    let ask = |host: &str| {
        let header = format!("Host: {host}");
        run(network.inside(&curl).args(["-s", "-H", &header, "http://127.0.0.1:8080/"]))
    };
    eventually("the vassal is served", SOON, || {
        ask("group.test").stdout.contains("grouped").then_some(())
    });
    // No uWSGI asks for the right to send to everybody, so this one is sent by hand.
    let python = require_tool!("python3");
    const SEND: &str = "import socket, sys; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); \
         s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1); \
         s.sendto(bytes.fromhex(sys.argv[1]), ('255.255.255.255', 7172))";
    let bytes = datagram::plain(0, &[("key", "everybody.test"), ("address", "127.0.0.1:9")]);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let sent = run(network.inside(&python).args(["-c", SEND, &hex]));
    assert_eq!(sent.code, Some(0), "{sent:?}");
    eventually("everybody.test has a node", SOON, || {
        ask("everybody.test").stdout.contains("503").then_some(())
    });
}
