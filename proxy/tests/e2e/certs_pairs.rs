//! Several pairs of one name, pairs that are refused, and warnings of their end.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::client_certificates::visit;
use crate::harness::certs::{self, KeyKind, utf8};
use crate::harness::client_pki::{Authority, Validity};
use crate::harness::wait::{SOON, eventually_true};
use crate::harness::{Origin, Router, require_tool};
use crate::tls::{s_client, served_certificate};

const ECDSA_ONLY: [&str; 2] = ["-sigalgs", "ECDSA+SHA256"];
const RSA_ONLY: [&str; 2] = ["-sigalgs", "RSA-PSS+SHA256:RSA+SHA256"];

/// The signature that `name`'s server proved itself with; empty if there was no handshake.
fn signature(router: &Router, name: &str, more: &[&str]) -> String {
    let transcript = s_client(router, &[&["-servername", name][..], more].concat());
    let line =
        transcript.lines().find(|line| line.to_ascii_lowercase().contains("signature type:"));
    line.map(|line| line.to_ascii_lowercase()).unwrap_or_default()
}

fn is_ecdsa(line: &str) -> bool {
    line.contains("ecdsa")
}

fn is_rsa(line: &str) -> bool {
    line.contains("rsa") && !is_ecdsa(line)
}

#[test]
fn each_client_gets_the_pair_it_can_verify_and_each_is_renewed_for_itself() {
    let _openssl = require_tool!("openssl");
    let setup = Router::setup().https();
    let folder = setup.folder().join("certs");
    std::fs::create_dir(&folder).expect("a folder");
    let make = |kind, sub: &str, name: &str| {
        let own = setup.folder().join(sub);
        std::fs::create_dir_all(&own).expect("a folder");
        certs::leaf_of(kind, &own, name)
    };
    let (ecdsa, rsa) =
        (make(KeyKind::P256, "e", "both.test"), make(KeyKind::Rsa(2048), "r", "both.test"));
    ecdsa.install(&folder, "both.test.ecdsa");
    rsa.install(&folder, "both.test.rsa");
    let renewed = make(KeyKind::P256, "renewed", "both.test");
    let defaults = [make(KeyKind::P256, "de", "d.test"), make(KeyKind::Rsa(2048), "dr", "d.test")];
    let mut router = setup.args(["--cert-dir", utf8(&folder)]);
    for pair in &defaults {
        let pair = format!("{},{}", utf8(&pair.crt), utf8(&pair.key));
        router = router.args(["--default-cert", &pair]);
    }
    let router = router.start();
    for name in ["both.test", "unknown.test"] {
        for version in ["-tls1_2", "-tls1_3"] {
            let with = |more: &[&str]| signature(&router, name, &[more, &[version]].concat());
            let (all, ecdsa, rsa) = (with(&[]), with(&ECDSA_ONLY), with(&RSA_ONLY));
            assert!(is_ecdsa(&all), "{name} {version}: {all}");
            assert!(is_ecdsa(&ecdsa), "{name} {version}: {ecdsa}");
            assert!(is_rsa(&rsa), "{name} {version}: {rsa}");
        }
        // In TLS 1.2 the suite says it, too.
        let old = signature(&router, name, &["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"]);
        assert!(is_rsa(&old), "{name}: {old}");
    }
    let first = served_certificate(&router, "both.test");
    renewed.install(&folder, "both.test.ecdsa");
    eventually_true("the renewed pair is served", SOON, || {
        served_certificate(&router, "both.test") != first
    });
    assert!(is_rsa(&signature(&router, "both.test", &RSA_ONLY)), "the other one stays");
    for part in ["crt", "key"] {
        std::fs::remove_file(folder.join(format!("both.test.ecdsa.{part}"))).expect("remove");
    }
    eventually_true("only the RSA pair is left", SOON, || {
        is_rsa(&signature(&router, "both.test", &[]))
    });
}

/// Both pairs of a name ask its clients for certificates: authorities belong to the name.
#[test]
fn authorities_hold_for_all_pairs_of_a_name() {
    let (_openssl, _curl) = (require_tool!("openssl"), require_tool!("curl"));
    let origin = Origin::echo();
    let authority = Authority::new("ours");
    let setup = Router::setup().https().route(origin.route("in.test"));
    let folder = setup.folder().join("certs");
    std::fs::create_dir(&folder).expect("a folder");
    certs::leaf(setup.folder(), "in.test").install(&folder, "in.test");
    authority.install(&folder, "in.test", "!");
    certs::leaf_of(KeyKind::Rsa(2048), setup.folder(), "in.test").install(&folder, "in.test.rsa");
    let router = setup.args(["--cert-dir", utf8(&folder)]).start();
    let client = authority.client(router.folder(), "good", Validity::Current);
    let suites = ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"];
    for suite in suites {
        let more = ["--tls-max", "1.2", "--ciphers", suite];
        assert_eq!(visit(&router, "in.test", None, &more).status, 0, "{suite}");
        assert_eq!(visit(&router, "in.test", Some(&client), &more).status, 200, "{suite}");
    }
}

/// What is refused shows by name until it is mended, and says why.
#[test]
fn a_refused_pair_is_shown_by_name_until_it_is_mended() {
    let _openssl = require_tool!("openssl");
    let setup = Router::setup().https();
    let folder = setup.folder().join("certs");
    std::fs::create_dir(&folder).expect("a folder");
    certs::leaf_of(KeyKind::Rsa(1024), setup.folder(), "short.test").install(&folder, "short.test");
    let router = setup.args(["--cert-dir", utf8(&folder)]).start();
    let refused = |router: &Router, name: &str| {
        router.metrics().sum("suzerain_certificate_refused", &[("name", name)])
    };
    assert_eq!(refused(&router, "directory short.test"), 1.0);
    let why = router.stats()["suzerain"]["certificates_refused"][0]["why"].clone();
    assert!(why.as_str().is_some_and(|why| why.contains("1024 bits")), "{why}");
    assert!(router.process.stderr().contains("RSA of 1024 bits is too short"));
    certs::leaf(router.folder(), "short.test").install(&folder, "short.test");
    eventually_true("it is mended", SOON, || refused(&router, "directory short.test") == 0.0);
    assert_eq!(router.metrics().sum("suzerain_certificates_refused", &[]), 0.0);
    // The certificates of these tests live for 30 days, so 7 is the first stage that counts.
    let expiring =
        |days: &str| router.metrics().sum("suzerain_certificates_expiring", &[("within", days)]);
    assert_eq!((expiring("21d"), expiring("7d")), (0.0, 0.0));
    assert!(router.metrics().sum("suzerain_certificate_next_expiry_timestamp_seconds", &[]) > 1e9);
}

/// Goal: one line in the log, also when time goes on. The certificate lives from 100 days ago to twelve
/// hours from now.
#[test]
fn a_certificate_that_ends_today_is_warned_of_once() {
    let setup = Router::setup().https();
    let folder = setup.folder().join("certs");
    std::fs::create_dir(&folder).expect("a folder");
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(["late.test".to_owned()]).expect("a name");
    let hours = |count: u64| Duration::from_secs(count * 60 * 60);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let at = |since: Duration| rcgen::date_time_ymd(1970, 1, 1) + since;
    (params.not_before, params.not_after) = (at(now - hours(2400)), at(now + hours(12)));
    let crt = params.self_signed(&key).expect("signs");
    std::fs::write(folder.join("late.test.crt"), crt.pem()).expect("write");
    std::fs::write(folder.join("late.test.key"), key.serialize_pem()).expect("write");
    let router = setup.args(["--cert-dir", utf8(&folder)]).start();
    let expiring =
        |days: &str| router.metrics().sum("suzerain_certificates_expiring", &[("within", days)]);
    assert_eq!((expiring("21d"), expiring("1d")), (1.0, 1.0));
    let said = || router.process.stderr().matches("certificate expires soon").count();
    eventually_true("it is said", SOON, || said() == 1);
    // Renewed by another one that ends as soon, it is said of that one.
    let crt = params.self_signed(&key).expect("signs");
    std::fs::write(folder.join("late.test.crt"), crt.pem()).expect("write");
    eventually_true("it is served", SOON, || {
        router.process.stderr().matches("certificate loaded").count() == 1
    });
    assert_eq!(said(), 1, "at the next sweep, a minute later");
}
