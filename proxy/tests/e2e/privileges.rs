//! Giving up root's powers: what every thread is afterwards, and what still works then.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::{Gid, Group, Uid, User, chown, getgrouplist};

use crate::harness::certs;
use crate::harness::process::Process;
use crate::harness::router::{BINARY, Setup, Subscribe};
use crate::harness::tools::{report_missing, run};
use crate::harness::wait::{SOON, eventually};
use crate::harness::{Origin, Router, get, require_tool};

/// An account that every machine has and nobody uses.
const USER: &str = "nobody";
/// Bit of CAP_NET_BIND_SERVICE.
const NET_BIND_SERVICE: u64 = 1 << 10;

/// Ends the test early unless it is root's, who alone can become somebody else.
macro_rules! require_root {
    () => {
        if !Uid::effective().is_root() {
            return report_missing("root");
        }
    };
}

fn user() -> User {
    User::from_name(USER).expect("accounts").expect("nobody exists")
}

/// A folder of the user's, since logs and sockets are made in it.
fn owned(setup: Setup) -> Setup {
    let user = user();
    chown(setup.folder(), Some(user.uid), Some(user.gid)).expect("root may");
    setup
}

/// What the kernel says of each thread of a process.
struct Threads(Vec<(String, String)>);

impl Threads {
    #[track_caller]
    fn of(pid: u32) -> Self {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("a live process");
        let tasks = tasks.map(|task| task.expect("a thread").path());
        let status = tasks.filter_map(|task| fs::read_to_string(task.join("status")).ok());
        Self(status.map(|text| (value(&text, "Name"), text)).collect())
    }

    fn each(&self, field: &str) -> Vec<(&str, String)> {
        self.0.iter().map(|(name, text)| (name.as_str(), value(text, field))).collect()
    }

    #[track_caller]
    fn all_have(&self, field: &str, wanted: &str) {
        for (name, found) in self.each(field) {
            assert_eq!(found, wanted, "{field} of {name}");
        }
    }
}

fn value(status: &str, field: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(&format!("{field}:")));
    let words = line.unwrap_or_default().split_whitespace();
    words.collect::<Vec<_>>().join(" ")
}

fn four(number: u32) -> String {
    [number; 4].map(|number| number.to_string()).join(" ")
}

#[test]
fn every_thread_becomes_the_user_and_keeps_no_power() {
    require_root!();
    let origin = Origin::echo();
    let low = low_address();
    let mut router = owned(Router::setup().https().subscribe(Subscribe::Unix))
        .args(["--user", USER, "--http", &low])
        .route(origin.route("site.test"))
        .start();
    for address in [router.http(), low.parse().expect("an address")] {
        assert_eq!(get(address, "site.test", "/").status, 200);
    }
    let threads = Threads::of(router.process.pid());
    let names: Vec<_> = threads.0.iter().map(|(name, _)| name.clone()).collect();
    for expected in ["worker-0", "worker-1", "subscriber", "signals", "admin", "cert-loader"] {
        assert!(names.iter().any(|name| name == expected), "{expected} is not in {names:?}");
    }
    let user = user();
    threads.all_have("Uid", &four(user.uid.as_raw()));
    threads.all_have("Gid", &four(user.gid.as_raw()));
    let name = std::ffi::CString::new(USER).expect("a name");
    let groups = getgrouplist(&name, user.gid).expect("groups");
    let mut groups: Vec<_> = groups.into_iter().map(Gid::as_raw).collect();
    groups.sort_unstable();
    let groups: Vec<_> = groups.iter().map(u32::to_string).collect();
    threads.all_have("Groups", &groups.join(" "));
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        threads.all_have(set, "0000000000000000");
    }
    threads.all_have("NoNewPrivs", "1");
    // What the kernel gives to root belongs to a process that cannot be looked into.
    let mem = fs::metadata(format!("/proc/{}/mem", router.process.pid())).expect("alive");
    assert_eq!(mem.uid(), 0, "dumpable");

    let socket = router.folder().join("sub.sock");
    assert_eq!(fs::metadata(&socket).expect("bound").uid(), user.uid.as_raw());
    router.process.signal(Signal::SIGQUIT);
    assert!(router.process.status_within(SOON).success());
    assert!(!socket.exists() && !router.admin_path().exists(), "left behind");
}

/// An address of this machine's own network whose port only root may bind, used by no other test.
fn low_address() -> String {
    static USED: AtomicU8 = AtomicU8::new(1);
    let [_, _, a, b] = std::process::id().to_be_bytes();
    format!("127.{}.{a}.{b}:80", 100 + USED.fetch_add(1, Ordering::Relaxed))
}

#[test]
fn a_kept_capability_is_the_only_one() {
    require_root!();
    let group = Group::from_gid(Gid::from_raw(1)).expect("accounts").expect("a first group");
    let router = owned(Router::setup())
        .args(["--user", USER, "--group", &group.name])
        .args(["--keep-capabilities", "net-bind-service"])
        .start();
    let threads = Threads::of(router.process.pid());
    threads.all_have("Gid", &four(1));
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        for (name, found) in threads.each(set) {
            let bits = u64::from_str_radix(&found, 16).expect("hexadecimal");
            // The thread of signals was there before and needs none.
            let wanted = if name == "signals" { 0 } else { NET_BIND_SERVICE };
            assert_eq!(bits, wanted, "{set} of {name}");
        }
    }
    threads.all_have("CapBnd", &format!("{NET_BIND_SERVICE:016x}"));
}

/// Goal: what was given up stays so in the next process, and what was kept gets there.
#[test]
fn a_confined_user_upgrades_and_keeps_its_low_port_and_its_capability() {
    require_root!();
    let setup = owned(Router::setup());
    // The user must be able to reach the program.
    let program = setup.folder().join("suzerain");
    fs::copy(BINARY, &program).expect("copy");
    let low = low_address();
    let router = setup
        .program(program)
        .args(["--user", USER, "--seccomp", "on", "--http", &low])
        .args(["--keep-capabilities", "net-bind-service"])
        .start();
    let old = router.serving_pid();
    router.process.signal(Signal::SIGUSR2);
    let new = eventually("another process serves", Duration::from_secs(20), || {
        let pid = router.try_stats()?["pid"].as_i64()?;
        (pid != i64::from(old)).then(|| u32::try_from(pid).expect("a pid"))
    });
    assert_eq!(get(low.parse().expect("an address"), "site.test", "/").status, 404);
    let threads = Threads::of(new);
    threads.all_have("Uid", &four(user().uid.as_raw()));
    threads.all_have("CapBnd", &format!("{NET_BIND_SERVICE:016x}"));
    threads.all_have("NoNewPrivs", "1");
    threads.all_have("Seccomp", "2");
    let kept = threads.each("CapEff").into_iter().find(|(name, _)| *name == "worker-0");
    assert_eq!(kept.expect("a worker").1, format!("{NET_BIND_SERVICE:016x}"));
}

#[test]
fn logs_are_opened_again_as_the_user() {
    require_root!();
    let router = owned(Router::setup()).args(["--user", USER]).start();
    let log = router.folder().join("access.log");
    let rotated = router.folder().join("access.log.1");
    assert_eq!(fs::metadata(&log).expect("opened").uid(), user().uid.as_raw());
    fs::rename(&log, &rotated).expect("rename");
    router.process.signal(Signal::SIGUSR1);
    let made = eventually("the log is there again", SOON, || fs::metadata(&log).ok());
    assert_eq!(made.uid(), user().uid.as_raw());
}

#[test]
fn a_log_the_user_cannot_write_ends_the_start() {
    require_root!();
    let setup = Router::setup();
    let log = setup.folder().join("roots.log");
    fs::write(&log, "").expect("write");
    fs::set_permissions(&log, fs::Permissions::from_mode(0o600)).expect("our own file");
    let mut command = Command::new(BINARY);
    command.args(["run", "--http", "127.0.0.1:0", "--user", USER, "--access-log"]).arg(&log);
    let ended = run(&mut command);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("cannot open the access log: Permission denied"), "{ended:?}");
}

#[test]
fn certificates_of_root_are_served_and_their_renewal_is_said_to_be_out_of_reach() {
    require_root!();
    let origin = Origin::echo();
    let mut setup = owned(Router::setup().https());
    let folder = setup.folder().join("certs");
    fs::create_dir(&folder).expect("a folder");
    certs::leaf(setup.folder(), "site.test").install(&folder, "site.test");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("our own folder");
    setup = setup.args(["--cert-dir", certs::utf8(&folder), "--user", USER]);
    let router = setup.route(origin.route("site.test")).start();
    let served = || crate::tls::served_subject(&router, "site.test");
    assert!(served().contains("CN = site.test"), "{}", served());
    let log = router.process.stderr();
    assert!(log.contains("cannot be read again") && log.contains("certs"), "{log}");
    // The directory is looked at every second; one that cannot be read takes nothing away.
    std::thread::sleep(Duration::from_millis(2500));
    assert!(served().contains("CN = site.test"), "{}", served());
}

#[test]
fn somebody_else_than_root_cannot_become_the_user() {
    let setpriv = require_tool!("setpriv");
    require_root!();
    let folder = tempfile::tempdir().expect("a folder");
    // Where the tests were built other users may not look.
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder.path(), open).expect("our own folder");
    let program = folder.path().join("suzerain");
    fs::copy(BINARY, &program).expect("copy");
    let started_as = |uid: u32| {
        let mut command = Command::new(&setpriv);
        command.args([format!("--reuid={uid}"), "--clear-groups".to_owned()]).arg(&program);
        command.args(["run", "--http", "127.0.0.1:0", "--user", USER]).current_dir("/");
        command
    };
    let ended = run(&mut started_as(4242));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("only root can become the user nobody"), "{ended:?}");

    // An upgrade starts the new process as the user that the old one became.
    let uid = user().uid.as_raw();
    let process = Process::start(&mut started_as(uid), folder.path(), "router", Signal::SIGTERM);
    eventually("it serves", SOON, || process.stderr().contains("is up").then_some(()));
    let threads = Threads::of(process.pid());
    threads.all_have("Uid", &four(uid));
    threads.all_have("NoNewPrivs", "1");
}

#[test]
fn a_router_that_stays_root_is_told_to_give_that_up() {
    require_root!();
    let router = Router::setup().start();
    assert!(router.process.stderr().contains("this serves as root"), "{}", router.process.stderr());
}

#[test]
fn group_without_user_and_strangers_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = |arguments: &[&str]| {
        let mut all = vec!["run", "--http", "127.0.0.1:0"];
        all.extend(arguments);
        let ended = crate::harness::router::suzerain(folder.path(), &all);
        assert_eq!(ended.code, Some(64), "{ended:?}");
        ended.stderr
    };
    assert!(said(&["--group", "1"]).contains("--group needs user"));
    assert!(said(&["--keep-capabilities", "net-admin"]).contains("--keep-capabilities needs user"));
    assert!(said(&["--user", "no-such-user"]).contains("this machine has no such user"));
    assert!(said(&["--user", "root"]).contains("this is root"));
    let unknown = said(&["--user", USER, "--keep-capabilities", "sys-admin"]);
    assert!(unknown.contains("allowed: net-bind-service or net-admin"), "{unknown}");
}
