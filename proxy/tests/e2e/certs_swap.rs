//! Certificates that change while they are used: every layout of files, and nobody who is turned away.

use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::harness::certs::{self, Pair, place, utf8};
use crate::harness::router::Subscribe;
use crate::harness::tls_client::{Trust, fetch};
use crate::harness::wait::{SOON, eventually_true};
use crate::harness::{Origin, Router, datagram, require_tool};
use crate::tls::{served_certificate, served_subject};

/// Swaps under load.
const SWAPS: usize = 20;
/// Clients that shake hands all the time meanwhile.
const CLIENTS: usize = 4;

/// Whether the router serves `pair` for `name` now.
fn is_served(router: &Router, name: &str, pair: &Pair) -> bool {
    let pem = std::fs::read_to_string(&pair.crt).expect("a certificate");
    let end = pem.find("-----END CERTIFICATE").expect("PEM");
    let begin = pem.find("-----BEGIN CERTIFICATE").expect("PEM");
    served_certificate(router, name) == pem[begin..end]
}

#[track_caller]
fn wait_until_served(router: &Router, name: &str, pair: &Pair) {
    eventually_true("the new certificate is served", SOON, || is_served(router, name, pair));
}

/// Renames a link to `to` over `path`.
fn relink(to: &str, path: &Path) {
    let staged = path.with_file_name("staged-link");
    symlink(to, &staged).expect("a link");
    std::fs::rename(staged, path).expect("rename");
}

/// Clients that do not rest.
#[derive(Default)]
struct Load {
    is_over: AtomicBool,
    served: AtomicU64,
}

impl Load {
    fn run(&self, to: SocketAddr) -> Result<(), String> {
        let trust = Trust::in_the_ca();
        while !self.is_over.load(Ordering::Relaxed) {
            fetch(to, "busy.test", &trust)?;
            self.served.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Writes a pair into the files that are there, the certificate first.
fn write_over(pair: &Pair, folder: &Path, name: &str) {
    for (from, part) in [(&pair.crt, "crt"), (&pair.key, "key")] {
        let text = std::fs::read(from).expect("a file");
        std::fs::write(folder.join(format!("{name}.{part}")), text).expect("write");
    }
}

/// Goal: a swap costs no client anything. Clients with the CA as their only trust shake hands and fetch
/// all the time while the pair is replaced, by rename and in place, whole and for a moment half.
#[test]
fn no_handshake_fails_while_pairs_are_swapped() {
    let _openssl = require_tool!("openssl");
    let origin = Origin::echo();
    let setup = Router::setup().https().route(origin.route("busy.test"));
    let folder = setup.folder().join("certs");
    std::fs::create_dir(&folder).expect("a folder");
    let pairs: Vec<Pair> = (0..2)
        .map(|n| {
            let own = setup.folder().join(n.to_string());
            std::fs::create_dir(&own).expect("a folder");
            certs::leaf(&own, "busy.test")
        })
        .collect();
    pairs[0].install(&folder, "busy.test");
    let router = setup.args(["--cert-dir", utf8(&folder)]).start();

    let load = Load::default();
    std::thread::scope(|scope| {
        let client = || load.run(router.https());
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        let mut slowest = Duration::ZERO;
        for swap in 1..=SWAPS {
            let next = &pairs[swap % 2];
            let begun = Instant::now();
            if swap % 3 == 0 {
                write_over(next, &folder, "busy.test");
            } else {
                next.install(&folder, "busy.test");
            }
            wait_until_served(&router, "busy.test", next);
            slowest = slowest.max(begun.elapsed());
        }
        load.is_over.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().expect("no panic").expect("every handshake and every answer is good");
        }
        let served = load.served.load(Ordering::Relaxed);
        println!("{served} served during {SWAPS} swaps, the slowest in {slowest:?}");
        assert!(served >= SWAPS as u64);
    });
    let metrics = router.metrics();
    assert_eq!(metrics.sum("suzerain_certificate_loads_total", &[("outcome", "refused")]), 0.0);
}

/// `live/NAME` of certbot as the default pair and as the pair of a subscription.
#[test]
fn renewals_of_certbot_are_picked_up() {
    let _openssl = require_tool!("openssl");
    let setup = Router::setup().subscribe(Subscribe::Udp).https();
    let base = setup.folder().join("letsencrypt");
    let issue = {
        let (base, work) = (base.clone(), setup.folder().to_owned());
        move |name: &str, version: u32| {
            let (live, archive) = (base.join("live").join(name), base.join("archive").join(name));
            for folder in [&live, &archive] {
                std::fs::create_dir_all(folder).expect("a folder");
            }
            let pair = certs::leaf(&work, name);
            for (from, file) in [(&pair.crt, "fullchain"), (&pair.key, "privkey")] {
                place(from, &archive.join(format!("{file}{version}.pem")));
                let target = format!("../../archive/{name}/{file}{version}.pem");
                relink(&target, &live.join(format!("{file}.pem")));
            }
            pair
        }
    };
    issue("default.test", 1);
    issue("site.test", 1);
    let live = |name: &str, file: &str| base.join("live").join(name).join(format!("{file}.pem"));
    let (crt, key) = (live("default.test", "fullchain"), live("default.test", "privkey"));
    let router = setup
        .args(["--default-cert", &format!("{},{}", utf8(&crt), utf8(&key))])
        .args(["--cert-root", utf8(&base)])
        .start();
    let (crt, key) = (live("site.test", "fullchain"), live("site.test", "privkey"));
    let fields = [
        ("key", "site.test"),
        ("address", "127.0.0.1:9"),
        ("sni_crt", utf8(&crt)),
        ("sni_key", utf8(&key)),
    ];
    datagram::send(router.subscribe(), &datagram::plain(0, &fields));
    eventually_true("the subscription's pair is served", SOON, || {
        served_subject(&router, "site.test").contains("site.test")
    });
    for version in 2..4 {
        for name in ["default.test", "site.test"] {
            let pair = issue(name, version);
            wait_until_served(&router, name, &pair);
        }
    }
}

/// A mounted secret of Kubernetes as the certificate directory.
#[test]
fn a_swapped_secret_of_kubernetes_is_picked_up() {
    let _openssl = require_tool!("openssl");
    let setup = Router::setup().https();
    let mount = setup.folder().join("mount");
    let work = setup.folder().to_owned();
    let publish = |version: &str| {
        let data = mount.join(version);
        std::fs::create_dir_all(&data).expect("a folder");
        let pair = certs::leaf(&work, "pod.test");
        pair.install(&data, "pod.test");
        relink(version, &mount.join("..data"));
        pair
    };
    let first = publish("..2026_01");
    for part in ["crt", "key"] {
        let link = mount.join(format!("pod.test.{part}"));
        symlink(format!("..data/pod.test.{part}"), link).expect("a link");
    }
    let router = setup.args(["--cert-dir", utf8(&mount)]).start();
    assert!(is_served(&router, "pod.test", &first));
    for version in ["..2026_02", "..2026_03"] {
        let next = publish(version);
        wait_until_served(&router, "pod.test", &next);
    }
}

/// A trust that a broken pair must not shake, and the deletion of a pair.
#[test]
fn bad_pairs_keep_the_old_one_and_removed_ones_leave() {
    let _openssl = require_tool!("openssl");
    let setup = Router::setup().https();
    let folder = setup.folder().join("certs");
    std::fs::create_dir(&folder).expect("a folder");
    let good = certs::leaf(setup.folder(), "kept.test");
    good.install(&folder, "kept.test");
    let router = setup.args(["--cert-dir", utf8(&folder)]).start();
    let work = router.folder().join("work");
    std::fs::create_dir(&work).expect("a folder");
    let other = certs::leaf(&work, "kept.test");
    let refused =
        || router.metrics().sum("suzerain_certificate_loads_total", &[("outcome", "refused")]);
    for (count, (part, text)) in [("crt", "garbage"), ("key", "garbage")].into_iter().enumerate() {
        good.install(&folder, "kept.test");
        std::fs::write(folder.join(format!("kept.test.{part}")), text).expect("write");
        eventually_true("it is refused", SOON, || refused() > count as f64);
        assert!(is_served(&router, "kept.test", &good), "{part}");
    }
    other.install(&folder, "kept.test");
    wait_until_served(&router, "kept.test", &other);
    for part in ["crt", "key"] {
        std::fs::remove_file(folder.join(format!("kept.test.{part}"))).expect("remove");
    }
    eventually_true("the name is served no longer", SOON, || {
        served_subject(&router, "kept.test").contains("localhost")
            || !is_served(&router, "kept.test", &other)
    });
}
