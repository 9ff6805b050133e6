//! Subscriptions over a unix socket whose senders the kernel names.

use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
use nix::unistd::{Gid, Uid, chown};

use crate::harness::datagram;
use crate::harness::router::{Subscribe, suzerain};
use crate::harness::tools::run;
use crate::harness::vassal::vassal;
use crate::harness::{Router, eventually, get, require_tool};

/// A user and a group that are neither root's nor those of these tests.
const UID: u32 = 4242;
const GID: u32 = 4343;

fn is_root() -> bool {
    Uid::effective().is_root()
}

/// Sends `datagram` to `socket` as another user.
#[track_caller]
fn send_as(setpriv: &Path, (uid, gid): (u32, u32), socket: &str, datagram: &[u8]) {
    const SEND: &str = "import socket, sys; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\
         .sendto(bytes.fromhex(sys.argv[2]), sys.argv[1])";
    let hex: String = datagram.iter().map(|byte| format!("{byte:02x}")).collect();
    let sent = run(Command::new(setpriv)
        .args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()])
        .args(["/usr/bin/python3", "-c", SEND, socket, &hex]));
    assert_eq!(sent.code, Some(0), "{sent:?}");
}

/// Other users must be able to reach the socket.
fn open_folder(router: &Router) {
    use std::os::unix::fs::PermissionsExt as _;
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(router.folder(), open).expect("our own folder");
}

#[track_caller]
fn wait_for_reject(router: &Router, reason: &str, count: f64) {
    let name = "suzerain_subscription_rejects_total";
    let seen = || (router.metrics().sum(name, &[("reason", reason)]) == count).then_some(());
    eventually(&format!("{reason} is {count}"), crate::harness::wait::SOON, seen);
}

fn fields(key: &str) -> [(&str, &str); 2] {
    [("key", key), ("address", "127.0.0.1:9")]
}

#[test]
fn a_real_vassal_that_sends_credentials_is_served_and_shown() {
    let uwsgi = require_tool!("uwsgi");
    let router = Router::setup().subscribe(Subscribe::Unix).args(["--use-credentials"]).start();
    let app = vassal("a")
        .args(["--subscriptions-use-credentials"])
        .subscribe2(format!("server={},key=cred.test", router.subscribe_text()))
        .start(&uwsgi, router.folder());
    router.wait_for_nodes("cred.test", 1);
    assert_eq!(get(router.http(), "cred.test", "/").json()["node"], "a");
    let node = &router.nodes("cred.test")[0];
    assert_eq!(node["pid"], app.pid());
    assert_eq!(node["uid"], Uid::effective().as_raw());
    assert_eq!(node["gid"], Gid::effective().as_raw());
    app.signal(Signal::SIGINT);
    router.wait_for_nodes("cred.test", 0);
}

#[test]
fn a_key_belongs_to_the_owner_of_its_entry_for_coming_and_going() {
    let setpriv = require_tool!("setpriv");
    if !is_root() {
        return crate::harness::tools::report_missing("root");
    }
    let setup = Router::setup().subscribe(Subscribe::Unix);
    let owners = setup.folder().join("owners");
    std::fs::create_dir(&owners).expect("a fresh folder");
    let entry = owners.join("shop.test");
    std::fs::write(&entry, "").expect("write");
    chown(&entry, Some(Uid::from_raw(UID)), Some(Gid::from_raw(GID))).expect("root may");
    let router = setup
        .args(["--use-credentials", "--credentials-check", &owners.display().to_string()])
        .start();
    open_folder(&router);
    let socket = router.subscribe_text();
    let come = datagram::plain(0, &fields("shop.test"));
    let go = datagram::plain(1, &fields("shop.test"));

    send_as(&setpriv, (UID, GID + 1), &socket, &come);
    send_as(&setpriv, (UID + 1, GID), &socket, &come);
    wait_for_reject(&router, "not_owner", 2.0);
    send_as(&setpriv, (UID, GID), &socket, &come);
    router.wait_for_nodes("shop.test", 1);
    let node = &router.nodes("shop.test")[0];
    assert_eq!((&node["uid"], &node["gid"]), (&UID.into(), &GID.into()));
    assert_ne!(node["pid"], 0);
    // Root is nobody special here, and leaving is checked like coming.
    send_as(&setpriv, (0, 0), &socket, &go);
    send_as(&setpriv, (UID, GID), &socket, &datagram::plain(0, &fields("other.test")));
    wait_for_reject(&router, "not_owner", 4.0);
    assert_eq!(router.nodes("shop.test").len(), 1);
    send_as(&setpriv, (UID, GID), &socket, &go);
    router.wait_for_nodes("shop.test", 0);
}

#[test]
fn a_trusted_user_subscribes_unsigned_where_others_must_sign() {
    let setpriv = require_tool!("setpriv");
    if !is_root() {
        return crate::harness::tools::report_missing("root");
    }
    let setup = Router::setup().subscribe(Subscribe::Unix);
    let keys = setup.folder().join("keys");
    std::fs::create_dir(&keys).expect("a fresh folder");
    let router = setup
        .args(["--use-credentials", "--sign-check", &format!("SHA256:{}", keys.display())])
        .args(["--sign-skip-uid", &UID.to_string()])
        .start();
    open_folder(&router);
    let socket = router.subscribe_text();
    let come = datagram::plain(0, &fields("skip.test"));
    send_as(&setpriv, (0, 0), &socket, &come);
    send_as(&setpriv, (UID + 1, GID), &socket, &come);
    wait_for_reject(&router, "unsigned", 2.0);
    send_as(&setpriv, (UID, GID), &socket, &come);
    router.wait_for_nodes("skip.test", 1);
}

/// Descriptors that come with datagrams are not kept, whether credentials are asked for or not.
#[test]
fn attached_descriptors_do_not_fill_the_router() {
    for asks in [false, true] {
        let setup = Router::setup().subscribe(Subscribe::Unix);
        let router = if asks { setup.args(["--use-credentials"]) } else { setup }.start();
        let open = || router.metrics().sum("process_open_fds", &[]);
        let before = open();
        let to = UnixAddr::new(router.subscribe_text().as_str()).expect("a path");
        let sender = UnixDatagram::unbound().expect("a socket");
        for _ in 0..40 {
            let fds = [sender.as_raw_fd(); 3];
            let control = [ControlMessage::ScmRights(&fds)];
            let bytes = [std::io::IoSlice::new(b"junk")];
            let flags = MsgFlags::empty();
            sendmsg(sender.as_raw_fd(), &bytes, &control, flags, Some(&to)).expect("sends");
        }
        let all = || (router.rejects_total() == 40.0).then_some(());
        eventually("all are refused", crate::harness::wait::SOON, all);
        assert!(open() < before + 10.0, "{before} descriptors became {}", open());
    }
}

#[test]
fn a_udp_socket_with_credentials_is_refused_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let told = suzerain(
        folder.path(),
        &["run", "--http", "127.0.0.1:0", "--subscribe", "127.0.0.1:7171", "--use-credentials"],
    );
    assert_ne!(told.code, Some(0));
    assert!(told.stderr.contains("its senders have none; allowed: unix sockets"), "{told:?}");
    let root = ["run", "--http", "127.0.0.1:0", "--sign-skip-uid", "0"];
    let told = suzerain(folder.path(), &root);
    assert!(told.stderr.contains("root is never trusted"), "{told:?}");
    let lonely = ["run", "--http", "127.0.0.1:0", "--sign-skip-uid", "33"];
    let told = suzerain(folder.path(), &lonely);
    assert!(told.stderr.contains("--sign-skip-uid needs use-credentials"), "{told:?}");
}
