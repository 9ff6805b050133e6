//! Changed files as the watch tells of them: real directories, no round of looking, no sleep.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use router_core::subscriber::CertRequest;

use super::tests::{Rig, pem, rig};
use super::*;
use crate::tls::cert_store::CertId;

impl Rig {
    /// What the thread does between two rounds, with all waiting done. Events are there as soon as the
    /// call that caused them has returned.
    fn hear(&mut self) {
        let now = Instant::now();
        self.loader.listen(now);
        self.loader.look_noticed(now + Duration::from_millis(200));
    }

    /// As [`Rig::hear`], when doubts are over.
    fn hear_later(&mut self) {
        self.hear();
        self.loader.look_noticed(Instant::now() + Duration::from_secs(2));
    }

    /// Runs `step`, and tells whether another certificate is served for `sni` then.
    fn is_swapped(&mut self, sni: &str, step: impl FnOnce(&Path)) -> bool {
        let before = self.id(sni);
        step(self.dir.path());
        self.hear();
        self.id(sni) != before
    }
}

/// Writes beside and renames over, as careful programs do.
fn replace(path: &Path, text: &str) {
    let staged = path.with_extension("staged");
    fs::write(&staged, text).expect("writes");
    fs::rename(staged, path).expect("renames");
}

fn relink(to: &str, path: &Path) {
    let staged = path.with_file_name("staged");
    symlink(to, &staged).expect("links");
    fs::rename(staged, path).expect("renames");
}

#[test]
fn changed_files_of_the_directory_are_noticed_without_a_look_at_all() {
    let mut rig = rig();
    rig.loader.load_initial().expect("loads");
    let swapped = |rig: &mut Rig, step: &dyn Fn(&Path)| rig.is_swapped("a.example", step);
    assert!(swapped(&mut rig, &|dir| pem(&["a.example"]).write(dir, "a.example")), "new");
    assert!(swapped(&mut rig, &|dir| pem(&["a.example"]).write(dir, "a.example")), "in place");
    assert!(swapped(&mut rig, &|dir| {
        let pem = pem(&["a.example"]);
        replace(&dir.join("a.example.crt"), &pem.crt);
        replace(&dir.join("a.example.key"), &pem.key);
    }));
    assert!(!swapped(&mut rig, &|dir| fs::write(dir.join("other.txt"), "x").expect("writes")));
    assert_eq!(rig.count(|c| &c.load_failures), 0);
    // Gone: found by the listing, as ever.
    for part in ["crt", "key"] {
        fs::remove_file(rig.dir.path().join(format!("a.example.{part}"))).expect("removes");
    }
    rig.hear_later();
    assert!(rig.is_served("a.example"));
    for _ in 0..2 {
        rig.loader.tick();
    }
    assert!(!rig.is_served("a.example"));
}

/// A directory that is watched is not listed for every change; what left it is found all the same, and
/// so are authorities that did.
#[test]
fn what_leaves_a_watched_directory_is_missed_twice_and_then_gone() {
    let mut rig = rig();
    let dir = rig.dir.path().to_path_buf();
    pem(&["a.example"]).write(&dir, "a.example");
    pem(&["b.example"]).write(&dir, "b.example");
    fs::write(dir.join("b.example.ca"), pem(&["ca"]).crt).expect("writes");
    rig.loader.load_initial().expect("loads");
    let is_asking = |rig: &Rig| rig.id("b.example").entry().client_auth().is_some();
    fs::remove_file(dir.join("a.example.key")).expect("removes");
    fs::remove_file(dir.join("b.example.ca")).expect("removes");
    rig.hear();
    for _ in 0..2 {
        assert!(is_asking(&rig));
        rig.loader.begin_round();
    }
    rig.hear();
    assert!(!is_asking(&rig), "missed twice");
    assert!(rig.is_served("a.example"), "half of it is there");
    fs::remove_file(dir.join("a.example.crt")).expect("removes");
    rig.loader.begin_round();
    assert!(rig.is_served("a.example"), "missed once");
    rig.loader.begin_round();
    assert!(!rig.is_served("a.example"));
    assert!(rig.loader.vanished.is_empty());
}

/// The certificate comes first and its key later, once in time and once not.
#[test]
fn half_a_renewal_keeps_the_old_pair_and_is_told_of_only_if_it_stays_half() {
    let mut rig = rig();
    pem(&["a.example"]).write(rig.dir.path(), "a.example");
    rig.loader.load_initial().expect("loads");
    let (next, last) = (pem(&["a.example"]), pem(&["a.example"]));
    assert!(!rig.is_swapped("a.example", |dir| replace(&dir.join("a.example.crt"), &next.crt)));
    rig.loader.tick();
    assert_eq!(rig.count(|c| &c.load_failures), 0, "nobody is told yet");
    assert!(rig.is_swapped("a.example", |dir| replace(&dir.join("a.example.key"), &next.key)));
    rig.hear_later();
    assert_eq!(rig.count(|c| &c.load_failures), 0);

    let good = rig.id("a.example");
    replace(&rig.dir.path().join("a.example.crt"), &last.crt);
    rig.hear_later();
    assert_eq!(rig.count(|c| &c.load_failures), 1);
    rig.hear_later();
    rig.loader.tick();
    assert_eq!(rig.count(|c| &c.load_failures), 1, "told once");
    assert_eq!(rig.id("a.example"), good);
    assert!(rig.is_swapped("a.example", |dir| replace(&dir.join("a.example.key"), &last.key)));
}

/// certbot: `live/NAME/*.pem` are links to files of `archive/NAME`, replaced one after the other.
#[test]
fn links_of_certbot_are_followed_to_where_they_point_next() {
    let mut rig = rig();
    rig.loader.load_initial().expect("loads");
    let root = rig.root.path().to_path_buf();
    let (archive, live) = (root.join("archive"), root.join("live"));
    fs::create_dir_all(&archive).expect("makes");
    fs::create_dir_all(&live).expect("makes");
    let issue = |n: u32| {
        let pem = pem(&["c.example"]);
        fs::write(archive.join(format!("cert{n}.crt")), pem.crt).expect("writes");
        fs::write(archive.join(format!("cert{n}.key")), pem.key).expect("writes");
        for part in ["crt", "key"] {
            relink(&format!("../archive/cert{n}.{part}"), &live.join(format!("cert.{part}")));
        }
    };
    issue(1);
    rig.subscribe_paths("c.example", &live, "cert");
    assert!(rig.is_served("c.example"));
    assert!(rig.is_swapped("c.example", |_| issue(2)));
    assert!(rig.is_swapped("c.example", |_| issue(3)));
    let rewritten = pem(&["c.example"]);
    assert!(rig.is_swapped("c.example", |_| rewritten.write(&archive, "cert3")), "in the archive");
    assert!(!rig.is_swapped("c.example", |_| pem(&["c.example"]).write(&archive, "cert1")), "old");
    rig.loader.apply([CertRequest::Drop { name: "c.example".into() }]);
    assert_eq!(rig.loader.watch.len(), 1, "only the certificate directory");
}

/// Kubernetes: the files are links through `..data`, and only that link is ever replaced.
#[test]
fn a_swap_of_the_data_link_of_kubernetes_is_noticed() {
    let mut rig = rig();
    let dir = rig.dir.path().to_path_buf();
    let publish = |version: &str| {
        fs::create_dir(dir.join(version)).expect("makes");
        pem(&["k.example"]).write(&dir.join(version), "k.example");
        relink(version, &dir.join("..data"));
    };
    publish("..2001");
    for part in ["crt", "key"] {
        symlink(format!("..data/k.example.{part}"), dir.join(format!("k.example.{part}")))
            .expect("links");
    }
    rig.loader.load_initial().expect("loads");
    assert!(rig.is_served("k.example"));
    for version in ["..2002", "..2003"] {
        assert!(rig.is_swapped("k.example", |_| publish(version)), "{version}");
    }
    assert_eq!(rig.count(|c| &c.load_failures), 0);
}

#[test]
fn a_directory_that_is_replaced_is_watched_again() {
    let mut rig = rig();
    rig.loader.load_initial().expect("loads");
    let root = rig.root.path().to_path_buf();
    let site = root.join("site");
    let build = |path: &Path| {
        fs::create_dir(path).expect("makes");
        pem(&["d.example"]).write(path, "d");
    };
    build(&site);
    rig.subscribe_paths("d.example", &site, "d");
    let first = rig.id("d.example");
    build(&root.join("next"));
    fs::rename(&site, root.join("before")).expect("renames");
    fs::rename(root.join("next"), &site).expect("renames");
    rig.hear();
    let second = rig.id("d.example");
    assert_ne!(second, first);
    assert!(rig.is_swapped("d.example", |_| pem(&["d.example"]).write(&site, "d")));
}

/// The way of a subscription is looked at below the roots only, also link by link.
#[test]
fn a_way_that_leads_out_of_the_roots_is_not_watched() {
    let mut rig = rig();
    rig.loader.load_initial().expect("loads");
    let outside = tempfile::tempdir().expect("a directory");
    pem(&["o.example"]).write(outside.path(), "o");
    let root = rig.root.path().to_path_buf();
    symlink(outside.path(), root.join("out")).expect("links");
    rig.subscribe_paths("o.example", &root.join("out"), "o");
    rig.subscribe_paths("p.example", outside.path(), "o");
    assert_eq!(rig.loader.watch.len(), 2, "the certificate directory and the root");
}

/// More happened than the kernel keeps: everything is looked at once.
#[test]
fn what_was_missed_is_found_by_looking_at_everything() {
    let mut rig = rig();
    rig.loader.load_initial().expect("loads");
    pem(&["a.example"]).write(rig.dir.path(), "a.example");
    rig.loader.watch = FileWatch::new();
    rig.loader.list_directory(unix_now(), &mut Vec::new()).expect("lists");
    rig.loader.listen(Instant::now());
    assert!(!rig.is_served("a.example"));
    let missed = watch::News { is_incomplete: true, ..watch::News::default() };
    rig.loader.learn(missed, Instant::now());
    while rig.loader.left_in_round > 0 {
        rig.loader.look_on();
    }
    assert!(rig.is_served("a.example"));
}

/// A file system whose time stamps tell nothing: read at a renewal, though nothing seems to have moved.
#[test]
fn a_renewed_subscription_has_its_files_read_now_and_then() {
    let mut rig = rig();
    rig.loader.load_initial().expect("loads");
    let root = rig.root.path().to_path_buf();
    pem(&["r.example"]).write(&root, "r");
    rig.subscribe_paths("r.example", &root, "r");
    let first: CertId = rig.id("r.example");
    let renewal = || [CertRequest::LookAgain { name: "r.example".into() }];
    pem(&["r.example"]).write(&root, "r");
    rig.loader.apply(renewal());
    assert_ne!(rig.id("r.example"), first, "looked at");
    rig.loader.apply([CertRequest::LookAgain { name: "nobody.example".into() }]);
    assert!(!rig.is_served("nobody.example"));
}

/// With looks an hour apart, whatever is served in this test was heard of.
#[test]
fn the_thread_hears_of_changes_and_carries_out_reloads() {
    let (dir, store) = (tempfile::tempdir().expect("a directory"), CertStore::empty());
    let config = CertLoaderConfig {
        dir: Some(dir.path().into()),
        poll: Duration::from_secs(3600),
        ..CertLoaderConfig::default()
    };
    pem(&["a.example"]).write(dir.path(), "a.example");
    let mut loader = CertLoader::new(config, store.clone()).expect("no roots");
    loader.load_initial().expect("loads");
    let (errands, inbox) = errands().expect("a bell");
    let handle = loader.spawn(inbox, errands).expect("spawns");
    let id = || store.cert_id_for(Some("a.example")).expect("something is served");
    for _ in 0..5 {
        let before = id();
        let pem = pem(&["a.example"]);
        replace(&dir.path().join("a.example.crt"), &pem.crt);
        replace(&dir.path().join("a.example.key"), &pem.key);
        let begun = Instant::now();
        while id() == before && begun.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_ne!(id(), before);
    }
    let reload = |what| handle.errands().reload(what, Duration::from_secs(10)).expect("an answer");
    let report = reload(Reloadable::All);
    assert_eq!((report.read, report.unchanged), (1, 1), "{report:?}");
    fs::write(dir.path().join("a.example.crt"), "broken").expect("writes");
    let name = Reloadable::parse(Some("A.example")).expect("a name");
    let report = reload(name.clone());
    assert_eq!((report.refused, report.lines[0].outcome), (1, "refused"), "{report:?}");
    assert_eq!(reload(name).refused, 1, "again");
    assert_eq!(reload(Reloadable::Default), ReloadReport::default(), "made, not read");
    let errands = handle.errands().clone();
    handle.join();
    let late = errands.reload(Reloadable::All, Duration::from_secs(10));
    assert_eq!(late, Err(ReloadError::Ended));
}
