//! Vassals on demand with a real emperor, as far as uWSGI 2.0 has one: it takes no commands, so a
//! program of ours stands beside it; or it holds the vassals' sockets itself and needs none.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::emperor::Emperor;
use crate::harness::process::Process;
use crate::harness::router::{BINARY, Subscribe};
use crate::harness::vassal::ini;
use crate::harness::wait::{SOON, eventually_true};
use crate::harness::{Router, get, require_tool};

const KEY: &str = "lazy.test";
/// What stands in for the command socket of uWSGI 2.1.
const COMMANDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/emperor-commands.py");

/// A real emperor over the vassals in `enabled`.
fn emperor(uwsgi: &Path, folder: &Path, enabled: &Path, more: &[&str]) -> Process {
    let mut command = Command::new(uwsgi);
    command.arg("--emperor").arg(enabled).args(["--emperor-freq", "1"]).args(more);
    Process::start(command.current_dir(folder), folder, "emperor", Signal::SIGINT)
}

fn folder(parent: &Path, name: &str) -> PathBuf {
    let path = parent.join(name);
    std::fs::create_dir(&path).expect("a folder");
    path
}

/// Goal: a site with a real emperor sleeps whenever nobody wants it. Method: its vassal ends when it is
/// idle, which takes its link away; each request that finds it asleep brings it back.
#[test]
fn a_real_emperor_starts_vassals_that_sleep_again_when_they_are_idle() {
    let (uwsgi, python) = (require_tool!("uwsgi"), require_tool!("python3"));
    let setup = Router::setup().subscribe(Subscribe::Udp);
    let parent = setup.folder().to_owned();
    let (available, enabled) = (folder(&parent, "available"), folder(&parent, "enabled"));
    let at = Emperor::path(&parent);
    let mut command = Command::new(python);
    command.arg(COMMANDS).arg(&at).arg(&available).arg(&enabled);
    let _commands = Process::start(&mut command, &parent, "commands", Signal::SIGTERM);
    eventually_true("commands are taken", SOON, || at.exists());
    let router = setup.args(["--emperor-socket", &at.display().to_string()]).start();
    let socket = parent.join("foo.sock");
    let own = format!(
        "socket = {}\nsubscribe2 = server={},key={KEY}\nidle = 1\ndie-on-idle = true\n\
         exec-as-user-atexit = rm -f %d%s\n",
        socket.display(),
        router.subscribe_text(),
    );
    std::fs::write(available.join("foo.ini"), ini(&uwsgi, &own)).expect("write");
    let _emperor = emperor(&uwsgi, &parent, &enabled, &[]);
    let mut keeper = Command::new(BINARY);
    keeper.args(["announce", "--server", &router.subscribe_text(), "--key", KEY]);
    keeper.args(["--vassal", "foo.ini", "--address", "none", "--every", "1s"]);
    let _keeper = Process::start(&mut keeper, &parent, "keeper", Signal::SIGTERM);
    router.wait_for_nodes(KEY, 1);

    let mut pids = Vec::new();
    for spawned in 1..=2 {
        let served = get(router.http(), KEY, "/");
        assert_eq!(served.status, 200, "{}", served.head);
        pids.push(served.json()["pid"].clone());
        let sent = router.metrics().sum("suzerain_vassal_spawns_total", &[("outcome", "sent")]);
        assert!(sent >= f64::from(spawned), "{sent}");
        eventually_true("it sleeps again", Duration::from_secs(20), || {
            let nodes = router.nodes(KEY);
            !enabled.join("foo.ini").exists() && nodes.len() == 1 && nodes[0]["name"] == ""
        });
    }
    assert_ne!(pids[0], pids[1], "another process");
}

/// The emperor of 2.0 can hold a vassal's socket and start it at the first connection: a route to that
/// socket is all it takes here.
#[test]
fn an_emperor_that_holds_the_socket_itself_needs_no_command() {
    let uwsgi = require_tool!("uwsgi");
    let setup = Router::setup();
    let parent = setup.folder().to_owned();
    let (sockets, enabled) = (folder(&parent, "sockets"), folder(&parent, "enabled"));
    std::fs::write(enabled.join("foo.ini"), ini(&uwsgi, "idle = 30\ndie-on-idle = true\n"))
        .expect("write");
    let at = sockets.display().to_string();
    let process = emperor(&uwsgi, &parent, &enabled, &["--emperor-on-demand-directory", &at]);
    let socket = sockets.join("foo.socket");
    eventually_true("the emperor listens", SOON, || socket.exists());
    let router = setup.route(format!("{KEY}={}", socket.display())).start();
    assert!(!process.stderr().contains("vassal foo.ini is ready"), "{}", process.stderr());
    let served = get(router.http(), KEY, "/");
    assert_eq!(served.status, 200, "{}", served.head);
    assert!(process.stderr().contains("[emperor] vassal foo.ini"), "{}", process.stderr());
}

/// What is no command, and names that lead elsewhere, start nothing.
#[test]
fn the_stand_in_takes_plain_names_of_its_folder_only() {
    let python = require_tool!("python3");
    let parent = tempfile::tempdir().expect("a folder");
    let (available, enabled) =
        (folder(parent.path(), "available"), folder(parent.path(), "enabled"));
    std::fs::write(available.join("good.ini"), "").expect("write");
    std::fs::write(parent.path().join("other.ini"), "").expect("write");
    let at = Emperor::path(parent.path());
    let mut command = Command::new(python);
    command.arg(COMMANDS).arg(&at).arg(&available).arg(&enabled);
    let process = Process::start(&mut command, parent.path(), "commands", Signal::SIGTERM);
    eventually_true("commands are taken", SOON, || at.exists());
    let socket = std::os::unix::net::UnixDatagram::unbound().expect("a socket");
    let packet = |cmd: &str, vassal: &str| {
        let fields = [("cmd", cmd), ("vassal", vassal)];
        let mut packet = crate::harness::datagram::plain(0, &fields);
        packet[0] = 0;
        packet
    };
    let cut = packet("spawn", "good.ini")[..20].to_vec();
    let bad = [
        packet("spawn", "../other.ini"),
        packet("spawn", ".."),
        packet("spawn", "missing.ini"),
        packet("stop", "good.ini"),
        cut,
        vec![0],
    ];
    for packet in &bad {
        socket.send_to(packet, &at).expect("send");
    }
    eventually_true("all are dropped", SOON, || {
        process.stderr().matches("dropped").count() == bad.len()
    });
    assert_eq!(std::fs::read_dir(&enabled).expect("a folder").count(), 0);
    socket.send_to(&packet("spawn", "good.ini"), &at).expect("send");
    eventually_true("the good one is there", SOON, || enabled.join("good.ini").exists());
}
