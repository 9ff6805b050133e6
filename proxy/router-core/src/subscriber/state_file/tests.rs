//! Files on a real disk, turn by turn; a crash is a rig that is dropped.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::atomic::Ordering;

use route_table::{Address, Intake, NodeFacts, RouteKey};
use subscribe::announce::{Command, encode};
use tempfile::TempDir;

use crate::subscriber::tests::{
    Rig, config, fields, nodes, rig, send_udp, signed, signed_rig, subscribe,
};

/// A router with a state file in `dir`, as if it had just been started.
fn started(dir: &TempDir) -> Rig {
    let mut config = config(&["127.0.0.1:0"]);
    config.state_file = Some(dir.path().join("state"));
    begun(rig(config))
}

fn begun(mut rig: Rig) -> Rig {
    rig.subscriber.shell.begin_state_file();
    rig
}

fn announce(rig: &mut Rig, datagrams: &[Vec<u8>]) {
    send_udp(rig.udp_addr(), datagrams);
    rig.turn();
}

fn unsubscribe(key: &str, port: u16) -> Vec<u8> {
    encode(&fields(key, port), Command::Unsubscribe, None, None).expect("encodes")
}

fn failures(rig: &Rig) -> u64 {
    rig.count(|counters| &counters.state_file_failures)
}

/// Turns until a file that is made on the other thread is in force.
fn turn_until(rig: &mut Rig, is_so: impl Fn(&mut Rig) -> bool) {
    for _ in 0..1000 {
        rig.subscriber.shell.turn(&[]);
        if is_so(rig) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    panic!("it never came about");
}

#[test]
fn after_a_crash_all_are_back_but_those_who_left() {
    let dir = TempDir::new().expect("a directory");
    let mut before = started(&dir);
    let all = ["a.example", "b.example", "c.example"].map(|key| subscribe(key, 3000));
    announce(&mut before, &all);
    announce(&mut before, &[unsubscribe("b.example", 3000)]);
    drop(before);
    let mut after = started(&dir);
    let there = |rig: &Rig| ["a", "b", "c"].map(|key| nodes(&rig.table, &format!("{key}.example")));
    assert_eq!(there(&after), [1, 0, 1]);
    announce(&mut after, &[unsubscribe("a.example", 3000)]);
    drop(after);
    assert_eq!(there(&started(&dir)), [0, 0, 1], "what was restored may leave");
    let mode = fs::metadata(dir.path().join("state")).expect("is there").permissions().mode();
    assert_eq!(mode & 0o7777, 0o600, "it may hold private keys");
}

/// Also over a file that was made from what came back, and over one that was written on since.
#[test]
fn what_operators_decided_is_back_until_they_take_it_back() {
    let dir = TempDir::new().expect("a directory");
    let key = |text: &str| RouteKey::parse(text.as_bytes()).expect("a key");
    let at = |port: u16| Address::parse(format!("127.0.0.1:{port}").as_bytes()).expect("a node");
    let (subscribed, added) = (key("a.example"), key("b.example"));
    let there = |rig: &Rig| ["a.example", "b.example"].map(|key| nodes(&rig.table, key));
    let mut rig = started(&dir);
    announce(&mut rig, &[subscribe("a.example", 3000), subscribe("a.example", 3001)]);
    let route =
        rig.table.snapshot().get("a.example").expect("it is there").nodes()[0].facts.clone();
    let facts = |port: u16| NodeFacts {
        address: at(port),
        announced: format!("127.0.0.1:{port}").into(),
        ..route.clone()
    };
    let registry = &mut rig.subscriber.shell.registry;
    for port in [4000, 4001, 4002] {
        registry.add_operators(added.clone(), facts(port)).expect("room");
    }
    registry.set_intake(&subscribed, &at(3000), Intake::Drained);
    registry.set_intake(&added, &at(4000), Intake::Drained);
    assert!(registry.remove_operators(&added, &at(4002)));
    rig.turn();
    assert_eq!(there(&rig), [1, 1]);
    drop(rig);
    assert_eq!(there(&started(&dir)), [1, 1]);
    let mut rig = started(&dir);
    assert_eq!(there(&rig), [1, 1], "out of a file that was made of what came back");
    let registry = &mut rig.subscriber.shell.registry;
    assert_eq!(registry.set_intake(&subscribed, &at(3000), Intake::Open), Some(true));
    assert!(registry.remove_operators(&added, &at(4000)));
    rig.turn();
    // Whoever comes where a drained node was is another one.
    announce(&mut rig, &[subscribe("b.example", 4000)]);
    drop(rig);
    assert_eq!(there(&started(&dir)), [2, 2]);
}

#[test]
fn a_torn_record_is_left_aside_and_damage_leaves_all_aside() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("state");
    let mut before = started(&dir);
    announce(&mut before, &[subscribe("a.example", 3000)]);
    announce(&mut before, &[subscribe("b.example", 3000)]);
    drop(before);
    let whole = fs::read(&path).expect("reads");
    fs::write(&path, &whole[..whole.len() - 3]).expect("writes");
    let after = started(&dir);
    assert_eq!(["a.example", "b.example"].map(|key| nodes(&after.table, key)), [1, 0]);
    let mut damaged = whole.clone();
    damaged[whole.len() - 3] ^= 1;
    fs::write(&path, &damaged).expect("writes");
    let after = started(&dir);
    assert_eq!(["a.example", "b.example"].map(|key| nodes(&after.table, key)), [0, 0]);
    assert_eq!(failures(&after), 0);
}

#[test]
fn a_file_that_others_may_write_is_not_believed() {
    let dir = TempDir::new().expect("a directory");
    announce(&mut started(&dir), &[subscribe("a.example", 3000)]);
    let path = dir.path().join("state");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).expect("changes");
    assert_eq!(nodes(&started(&dir).table, "a.example"), 0);
}

#[test]
fn nodes_of_a_key_file_that_changed_meanwhile_do_not_come_back() {
    let state = TempDir::new().expect("a directory");
    let (dir, signer, _) = signed_rig("signed.example");
    let started = || {
        let mut config = config(&["127.0.0.1:0"]);
        config.sign_dir = Some(dir.path().to_path_buf());
        config.registry.sign = Some(subscribe::Digest::Sha256);
        config.state_file = Some(state.path().join("state"));
        begun(rig(config))
    };
    let mut before = started();
    announce(&mut before, &[signed("signed.example", &signer)]);
    assert_eq!(nodes(&before.table, "signed.example"), 1);
    drop(before);
    assert_eq!(nodes(&started().table, "signed.example"), 1);
    let (other, _, _) = signed_rig("signed.example");
    let name = subscribe::key_file_name("signed.example");
    fs::copy(other.path().join(&name), dir.path().join(&name)).expect("copies");
    assert_eq!(nodes(&started().table, "signed.example"), 0);
}

#[test]
fn a_file_that_cannot_be_written_is_removed_and_later_made_anew() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("state");
    let mut router = started(&dir);
    announce(&mut router, &[subscribe("a.example", 3000)]);
    // As a disk that is full does: the next write fails.
    let shell = &mut router.subscriber.shell;
    let file = shell.state_file.as_mut().and_then(|file| file.in_force.as_mut()).expect("in force");
    file.file = fs::File::open(&path).expect("opens for reading only");
    announce(&mut router, &[unsubscribe("a.example", 3000), subscribe("b.example", 3000)]);
    assert_eq!(failures(&router), 1);
    assert!(!path.exists(), "it would bring back who left");
    assert_eq!(nodes(&router.table, "b.example"), 1, "the table goes on");
    announce(&mut router, &[subscribe("c.example", 3000)]);
    let shell = &mut router.subscriber.shell;
    shell.state_file.as_mut().expect("there is one").rewrite_ms = 0;
    turn_until(&mut router, |_| path.exists());
    announce(&mut router, &[unsubscribe("b.example", 3000)]);
    drop(router);
    let after = started(&dir);
    let there = ["a", "b", "c"].map(|key| nodes(&after.table, &format!("{key}.example")));
    assert_eq!(there, [0, 0, 1]);
}

#[test]
fn a_file_that_grew_is_made_short_while_it_is_written_on() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("state");
    let mut router = started(&dir);
    let length = |path: &Path| fs::metadata(path).map_or(0, |facts| facts.len());
    let inode = |path: &Path| fs::metadata(path).map_or(0, |facts| facts.ino());
    announce(&mut router, &[subscribe("stays.example", 3000)]);
    for _ in 0..20 {
        announce(&mut router, &[subscribe("comes.example", 3000)]);
        announce(&mut router, &[unsubscribe("comes.example", 3000)]);
    }
    let (long, first) = (length(&path), inode(&path));
    let state_file = router.subscriber.shell.state_file.as_mut().expect("there is one");
    state_file.rewrite_ms = 0;
    state_file.growth_bytes_min = 0;
    router.subscriber.shell.turn(&[]);
    announce(&mut router, &[subscribe("late.example", 3000), unsubscribe("stays.example", 3000)]);
    assert_eq!(router.count(|counters| &counters.state_file_failures), 0);
    turn_until(&mut router, |_| inode(&path) != first);
    assert!(length(&path) < long / 2, "{} {long}", length(&path));
    drop(router);
    let after = started(&dir);
    let there =
        ["stays", "comes", "late"].map(|key| nodes(&after.table, &format!("{key}.example")));
    assert_eq!(there, [0, 0, 1]);
    assert_eq!(after.counters.state_file_bytes.load(Ordering::Relaxed), 0, "no turn yet");
    assert_eq!(fs::read_dir(dir.path()).expect("lists").count(), 1, "nothing is left beside it");
}
