//! The loader on real files in temporary directories, driven tick by tick: no thread, no sleep.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rcgen::{CertificateParams, KeyPair};
use router_core::subscriber::CertRequest;
use subscribe::CertText;
use tempfile::TempDir;

use std::time::Duration;

use super::*;
use crate::tls::cert_store::{CertId, ClientAuth};

/// Text of a certificate and its key.
pub(super) struct Pem {
    pub(super) crt: String,
    pub(super) key: String,
}

pub(super) fn pem(names: &[&str]) -> Pem {
    pem_of_years(names, 2000, 4000)
}

pub(super) fn pem_of_years(names: &[&str], from: i32, to: i32) -> Pem {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(names).expect("names");
    params.not_before = rcgen::date_time_ymd(from, 1, 1);
    params.not_after = rcgen::date_time_ymd(to, 1, 1);
    let crt = params.self_signed(&key).expect("signs");
    Pem { crt: crt.pem(), key: key.serialize_pem() }
}

impl Pem {
    pub(super) fn write(&self, dir: &Path, name: &str) {
        fs::write(dir.join(format!("{name}.crt")), &self.crt).expect("writes");
        fs::write(dir.join(format!("{name}.key")), &self.key).expect("writes");
    }
}

/// A loader with a directory of its own and one root.
pub(super) struct Rig {
    pub(super) dir: TempDir,
    pub(super) root: TempDir,
    pub(super) store: CertStore,
    pub(super) loader: CertLoader,
}

pub(super) fn rig() -> Rig {
    let (dir, root) = (TempDir::new().expect("dir"), TempDir::new().expect("dir"));
    let store = CertStore::empty();
    let config = CertLoaderConfig {
        dir: Some(dir.path().into()),
        roots: vec![root.path().into()],
        ..CertLoaderConfig::default()
    };
    let loader = CertLoader::new(config, store.clone()).expect("roots exist");
    Rig { dir, root, store, loader }
}

impl Rig {
    pub(super) fn id(&self, sni: &str) -> CertId {
        self.store.cert_id_for(Some(sni)).expect("something is served")
    }

    fn default_id(&self) -> CertId {
        self.store.cert_id_for(None).expect("a default is served")
    }

    pub(super) fn is_served(&self, sni: &str) -> bool {
        self.id(sni) != self.default_id()
    }

    pub(super) fn count(
        &self,
        counter: impl Fn(&super::super::cert_store::CertCounters) -> &AtomicU64,
    ) -> u64 {
        counter(self.store.counters()).load(Ordering::Relaxed)
    }

    /// A subscription that names `NAME.crt` and `NAME.key` at `dir`.
    pub(super) fn subscribe_paths(&mut self, sni: &str, dir: &Path, name: &str) {
        let path = |part| dir.join(format!("{name}.{part}")).into_os_string().into_encoded_bytes();
        let (key, crt) = (CertText::Path(path("key")), CertText::Path(path("crt")));
        self.loader.apply([CertRequest::Load { name: sni.into(), key, crt, ca: None }]);
    }

    pub(super) fn subscribe_pem(&mut self, sni: &str, pem: &Pem, ca: Option<&str>) {
        let text = |text: &str| CertText::Pem(text.as_bytes().to_vec());
        let (key, crt, ca) = (text(&pem.key), text(&pem.crt), ca.map(text));
        self.loader.apply([CertRequest::Load { name: sni.into(), key, crt, ca }]);
    }
}

#[test]
fn without_a_default_pair_a_self_signed_one_for_localhost_is_served() {
    let mut rig = rig();
    rig.loader.load_initial().expect("loads");
    let id = rig.default_id();
    assert_eq!(id.entry().source, CertSource::SelfSigned);
    for host in ["localhost", "demo.localhost", "127.0.0.1", "[::1]"] {
        assert!(rig.store.covers(&id, host), "{host}");
    }
    assert!(id.entry().is_current(unix_now().cast_signed()));
}

#[test]
fn a_default_pair_that_does_not_load_ends_the_start_and_names_its_file() {
    let dir = TempDir::new().expect("dir");
    pem(&["a"]).write(dir.path(), "a");
    pem(&["b"]).write(dir.path(), "b");
    let load = |crt: &str, key: &str| {
        let (crt, key) = (dir.path().join(crt), dir.path().join(key));
        let default = vec![DefaultPair { crt, key, ca: None }];
        let config = CertLoaderConfig { default, ..CertLoaderConfig::default() };
        let store = CertStore::empty();
        CertLoader::new(config, store).expect("no roots").load_initial()
    };
    load("a.crt", "a.key").expect("a pair");
    let missing = load("none.crt", "a.key").expect_err("no such file").to_string();
    assert!(missing.contains("none.crt"), "{missing}");
    let mismatch = load("a.crt", "b.key").expect_err("not a pair").to_string();
    assert!(mismatch.contains("private key does not belong to the certificate"), "{mismatch}");
    let swapped = load("a.key", "a.crt").expect_err("the wrong way round").to_string();
    assert!(swapped.contains("certificate: 0 certificates"), "{swapped}");
}

#[test]
fn the_directory_serves_its_names_and_a_broken_pair_there_stops_nobody() {
    let mut rig = rig();
    let dir = rig.dir.path().to_path_buf();
    pem(&["shop.example"]).write(&dir, "shop.example");
    pem(&["*.wild.example"]).write(&dir, "*.wild.example");
    fs::write(dir.join("broken.example.crt"), "no certificate").expect("writes");
    fs::write(dir.join("broken.example.key"), "no key").expect("writes");
    fs::write(dir.join("half.example.crt"), "alone").expect("writes");
    rig.loader.load_initial().expect("loads");
    assert!(rig.is_served("shop.example"));
    assert!(rig.is_served("any.wild.example"));
    assert!(!rig.is_served("deep.any.wild.example"));
    assert!(!rig.is_served("broken.example"));
    assert_eq!(rig.count(|c| &c.load_failures), 1);
    assert_eq!(rig.count(|c| &c.publishes), 1);
}

#[test]
fn names_that_come_to_the_directory_are_served_and_names_that_leave_it_are_not() {
    let mut rig = rig();
    rig.loader.load_initial().expect("loads");
    let dir = rig.dir.path().to_path_buf();
    pem(&["new.example"]).write(&dir, "new.example");
    rig.loader.tick();
    assert!(rig.is_served("new.example"));

    fs::remove_file(dir.join("new.example.key")).expect("removes");
    for _ in 0..3 {
        rig.loader.tick();
    }
    assert!(rig.is_served("new.example"), "half a pair may be a renewal under way");
    fs::remove_file(dir.join("new.example.crt")).expect("removes");
    rig.loader.tick();
    assert!(rig.is_served("new.example"), "missing once may be a renewal too");
    rig.loader.tick();
    assert!(!rig.is_served("new.example"));
}

#[test]
fn a_renewed_pair_is_swapped_in_and_a_broken_one_never_evicts_it() {
    let mut rig = rig();
    let dir = rig.dir.path().to_path_buf();
    pem(&["hot.example"]).write(&dir, "hot.example");
    rig.loader.load_initial().expect("loads");
    let first = rig.id("hot.example");

    let renewed = pem(&["hot.example"]);
    renewed.write(&dir, "hot.example");
    rig.loader.tick();
    let second = rig.id("hot.example");
    assert_ne!(first, second);

    let breakages = [
        ("crt", "garbage".to_owned()),
        ("crt", String::new()),
        ("crt", pem(&["hot.example"]).crt),
        ("key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_owned()),
        ("key", "x".repeat(300 * 1024)),
    ];
    for (failures, (part, text)) in breakages.into_iter().enumerate() {
        renewed.write(&dir, "hot.example");
        rig.loader.tick();
        fs::write(dir.join(format!("hot.example.{part}")), text).expect("writes");
        rig.loader.tick();
        assert_eq!(rig.id("hot.example"), second, "breakage {failures}");
        assert_eq!(rig.count(|c| &c.load_failures), failures as u64 + 1);
    }
    rig.loader.tick();
    assert_eq!(rig.count(|c| &c.load_failures), 5, "said once");
    let third = pem(&["hot.example"]);
    third.write(&dir, "hot.example");
    rig.loader.tick();
    assert_ne!(rig.id("hot.example"), second);
}

#[test]
fn an_expired_pair_is_served_only_where_nothing_better_is() {
    let mut rig = rig();
    let dir = rig.dir.path().to_path_buf();
    let expired = || pem_of_years(&["old.example"], 2000, 2001);
    expired().write(&dir, "old.example");
    rig.loader.load_initial().expect("loads");
    assert!(rig.is_served("old.example"));
    pem(&["old.example"]).write(&dir, "old.example");
    rig.loader.tick();
    let good = rig.id("old.example");
    expired().write(&dir, "old.example");
    rig.loader.tick();
    assert_eq!(rig.id("old.example"), good);
    pem_of_years(&["old.example"], 3000, 4000).write(&dir, "old.example");
    rig.loader.tick();
    assert_eq!(rig.id("old.example"), good, "not valid yet");
}

#[test]
fn a_subscription_serves_its_host_from_a_root_until_it_is_dropped() {
    let mut rig = rig();
    rig.loader.load_initial().expect("loads");
    let root = rig.root.path().to_path_buf();
    rig.subscribe_paths("app.example", &root, "app");
    assert!(!rig.is_served("app.example"), "nothing there yet");
    pem(&["app.example"]).write(&root, "app");
    rig.loader.tick();
    assert!(rig.is_served("app.example"));
    let first = rig.id("app.example");
    pem(&["app.example"]).write(&root, "app");
    rig.loader.tick();
    assert_ne!(rig.id("app.example"), first, "renewed while subscribed");
    rig.loader.apply([CertRequest::Drop { name: "app.example".into() }]);
    assert!(!rig.is_served("app.example"));
    rig.loader.tick();
    assert!(!rig.is_served("app.example"));
}

/// Every way out of the roots: beside them, above them, by a link, by a relative path, a prefix
/// that is no parent, and what is no regular file.
#[test]
fn paths_of_a_subscription_do_not_leave_the_roots() {
    let mut rig = rig();
    rig.loader.load_initial().expect("loads");
    let (root, outside) = (rig.root.path().to_path_buf(), TempDir::new().expect("dir"));
    pem(&["x.example"]).write(outside.path(), "x");
    let twin = format!("{}-twin", root.display());
    fs::create_dir(&twin).expect("makes");
    pem(&["x.example"]).write(Path::new(&twin), "x");
    symlink(outside.path(), root.join("way-out")).expect("links");
    for part in ["crt", "key"] {
        symlink(outside.path().join(format!("x.{part}")), root.join(format!("x.{part}")))
            .expect("links");
        fs::create_dir(root.join(format!("folder.{part}"))).expect("makes");
        nix::unistd::mkfifo(&root.join(format!("pipe.{part}")), nix::sys::stat::Mode::S_IRWXU)
            .expect("makes");
    }
    let up = root.join("..").join(outside.path().file_name().expect("a name"));
    let ways: [(&Path, &str); 8] = [
        (outside.path(), "x"),
        (Path::new(&twin), "x"),
        (&root, "x"),
        (&root.join("way-out"), "x"),
        (&up, "x"),
        (Path::new("."), "x"),
        (&root, "folder"),
        (&root, "pipe"),
    ];
    for (dir, name) in ways {
        rig.subscribe_paths("x.example", dir, name);
        assert!(!rig.is_served("x.example"), "{} {name}", dir.display());
    }
    assert_eq!(rig.count(|c| &c.paths_refused), 6);
    fs::remove_dir_all(twin).expect("cleans up");
}

#[test]
fn a_link_inside_the_root_may_point_inside_the_root() {
    let mut rig = rig();
    rig.loader.load_initial().expect("loads");
    let root = rig.root.path().to_path_buf();
    fs::create_dir(root.join("archive")).expect("makes");
    pem(&["link.example"]).write(&root.join("archive"), "one");
    for part in ["crt", "key"] {
        symlink(format!("archive/one.{part}"), root.join(format!("live.{part}"))).expect("links");
    }
    rig.subscribe_paths("link.example", &root, "live");
    assert!(rig.is_served("link.example"));
}

#[test]
fn without_roots_paths_are_refused_and_inline_text_is_served() {
    let elsewhere = TempDir::new().expect("dir");
    pem(&["p.example"]).write(elsewhere.path(), "p");
    let mut rig = rig();
    rig.loader = CertLoader::new(CertLoaderConfig::default(), rig.store.clone()).expect("new");
    rig.loader.load_initial().expect("loads");
    rig.subscribe_paths("p.example", elsewhere.path(), "p");
    assert!(!rig.is_served("p.example"));
    assert_eq!(rig.count(|c| &c.paths_refused), 1);
    rig.subscribe_pem("p.example", &pem(&["p.example"]), None);
    assert!(rig.is_served("p.example"));
    let good = rig.id("p.example");
    let broken = Pem { crt: pem(&["p.example"]).crt, key: pem(&["p.example"]).key };
    rig.subscribe_pem("p.example", &broken, None);
    assert_eq!(rig.id("p.example"), good, "a mismatch evicts nobody");
}

#[test]
fn of_many_requests_for_one_name_only_the_last_is_carried_out() {
    let mut rig = rig();
    rig.loader.load_initial().expect("loads");
    let before = rig.count(|c| &c.loads);
    let load = |pem: &Pem| CertRequest::Load {
        name: "flap.example".into(),
        key: CertText::Pem(pem.key.clone().into()),
        crt: CertText::Pem(pem.crt.clone().into()),
        ca: None,
    };
    let one = pem(&["flap.example"]);
    let drop = || CertRequest::Drop { name: "flap.example".into() };
    rig.loader.apply([load(&one), drop(), load(&one), drop(), load(&one)]);
    assert!(rig.is_served("flap.example"));
    assert_eq!(rig.count(|c| &c.loads), before + 1);
    assert_eq!(rig.count(|c| &c.publishes), 2);
}

#[test]
fn client_authorities_are_kept_with_what_they_demand() {
    let mut rig = rig();
    rig.loader.load_initial().expect("loads");
    let (pair, ca) = (pem(&["mtls.example"]), pem(&["ca.example"]));
    rig.subscribe_pem("mtls.example", &pair, Some(&ca.crt));
    let auth = |rig: &Rig| rig.id("mtls.example").entry().client_ca.as_ref().map(|ca| ca.auth);
    assert_eq!(auth(&rig), Some(ClientAuth::Requested));
    rig.subscribe_pem("mtls.example", &pair, Some(&format!("!{}", ca.crt)));
    assert_eq!(auth(&rig), Some(ClientAuth::Required));
    rig.subscribe_pem("mtls.example", &pair, Some("!no authority"));
    assert_eq!(auth(&rig), Some(ClientAuth::Required), "a broken one opens nothing");
}

/// Whoever names authorities that cannot be read is served to nobody, not by the default pair.
#[test]
fn a_name_whose_authorities_never_loaded_is_sealed() {
    let mut rig = rig();
    let dir = rig.dir.path().to_path_buf();
    pem(&["dir.example"]).write(&dir, "dir.example");
    fs::write(dir.join("dir.example.ca"), "!no authority").expect("writes");
    rig.loader.load_initial().expect("loads");
    rig.subscribe_pem("sub.example", &pem(&["sub.example"]), Some("nonsense"));
    for name in ["dir.example", "sub.example"] {
        assert_eq!(rig.store.cert_id_for(Some(name)), None, "{name}");
    }
    fs::write(dir.join("dir.example.ca"), format!("!\n{}", pem(&["ca"]).crt)).expect("writes");
    rig.loader.tick();
    let auth = |rig: &Rig| rig.id("dir.example").entry().client_auth();
    assert_eq!(auth(&rig), Some(ClientAuth::Required), "the file says so itself");
    fs::write(dir.join("dir.example.ca"), pem(&["ca"]).crt).expect("writes");
    rig.loader.tick();
    assert_eq!(auth(&rig), Some(ClientAuth::Requested));
    // Gone for one listing it may be on its way; gone for two it is not wanted.
    fs::remove_file(dir.join("dir.example.ca")).expect("removes");
    rig.loader.tick();
    assert_eq!(auth(&rig), Some(ClientAuth::Requested));
    rig.loader.tick();
    assert_eq!(auth(&rig), None);
    rig.loader.apply([CertRequest::Drop { name: "sub.example".into() }]);
    assert_eq!(rig.id("sub.example"), rig.default_id());
}

/// A pair with more wrong than the one it would replace does not replace it, and is remembered for
/// operators until it is mended.
#[test]
fn a_pair_that_names_another_host_replaces_none_that_names_its_own() {
    let mut rig = rig();
    let dir = rig.dir.path().to_path_buf();
    pem(&["other.example"]).write(&dir, "own.example");
    rig.loader.load_initial().expect("loads");
    let flawed = rig.id("own.example");
    assert!(rig.is_served("own.example"), "nothing better is there");
    pem(&["own.example"]).write(&dir, "own.example");
    rig.loader.tick();
    let good = rig.id("own.example");
    assert_ne!(good, flawed);
    assert!(rig.store.troubles().is_empty());
    pem(&["other.example"]).write(&dir, "own.example");
    rig.loader.tick();
    assert_eq!(rig.id("own.example"), good);
    let troubles = rig.store.troubles().list(9);
    assert_eq!(troubles.len(), 1, "{troubles:?}");
    assert_eq!(troubles[0].name, "directory own.example");
    assert!(troubles[0].why.contains("does not name the host"), "{troubles:?}");
    pem(&["own.example"]).write(&dir, "own.example");
    rig.loader.tick();
    assert!(rig.store.troubles().is_empty());
}

/// As when a renewal brings the certificate of an issuer that has a new key by now.
#[test]
fn a_chain_of_another_key_replaces_no_sound_one() {
    let mut rig = rig();
    let dir = rig.dir.path().to_path_buf();
    pem(&["own.example"]).write(&dir, "own.example");
    rig.loader.load_initial().expect("loads");
    let good = rig.id("own.example");
    let (leaf, namesake) = (pem(&["own.example"]), pem(&["own.example"]));
    let chained = Pem { crt: leaf.crt.clone() + &namesake.crt, key: leaf.key.clone() };
    chained.write(&dir, "own.example");
    rig.loader.tick();
    assert_eq!(rig.id("own.example"), good);
    let troubles = rig.store.troubles().list(9);
    assert!(troubles[0].why.contains("did not sign one before it"), "{troubles:?}");
    leaf.write(&dir, "own.example");
    rig.loader.tick();
    assert_ne!(rig.id("own.example"), good);
}

#[test]
fn polling_comes_round_to_every_name() {
    let mut rig = rig();
    let dir = rig.dir.path().to_path_buf();
    for n in 0..5 {
        pem(&["n"]).write(&dir, &format!("n{n}.example"));
    }
    rig.loader.load_initial().expect("loads");
    let all: Vec<Slot> = rig.loader.tracked.keys().cloned().collect();
    assert_eq!(rig.loader.next_slots(10), all);
    rig.loader.cursor = Some(all[1].clone());
    let turned = [&all[2..], &all[..2]].concat();
    assert_eq!(rig.loader.next_slots(10), turned);
}

/// The thread itself: requests come in by the channel, and the end of the senders is not its own.
#[test]
fn the_thread_serves_requests_and_ends_when_asked() {
    let mut rig = rig();
    rig.loader.load_initial().expect("loads");
    let Rig { store, loader, .. } = rig;
    let (errands, inbox) = errands().expect("a bell");
    let handle = loader.spawn(inbox, errands.clone()).expect("spawns");
    let pem = pem(&["thread.example"]);
    let text = |text: String| CertText::Pem(text.into_bytes());
    let (key, crt) = (text(pem.key), text(pem.crt));
    let name = "thread.example".to_owned();
    assert!(errands.request(CertRequest::Load { name, key, crt, ca: None }));
    drop(errands);
    let until = std::time::Instant::now() + Duration::from_secs(5);
    while store.is_empty() && std::time::Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(store.len(), 1);
    handle.join();
}
