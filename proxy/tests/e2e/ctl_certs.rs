//! `suzerain ctl cert` against a real router: the list, one pair in full, reading again, who may.

use nix::unistd::Uid;
use serde_json::Value;

use crate::ctl::{GID, UID, ask_as, controlled, ctl, json, open_folder, said, socket_of};
use crate::harness::certs::{self, KeyKind, utf8};
use crate::harness::tools::report_missing;
use crate::harness::{Router, require_tool};
use crate::tls::served_certificate;

/// A router with certificates for a name and for a wildcard, and one that is refused.
fn router() -> Router {
    let setup = controlled(Router::setup().https());
    let folder = setup.folder().join("certs");
    std::fs::create_dir(&folder).expect("a folder");
    for name in ["good.test", "*.wild.test"] {
        certs::leaf(setup.folder(), name).install(&folder, name);
    }
    certs::leaf_of(KeyKind::Rsa(1024), setup.folder(), "short.test").install(&folder, "short.test");
    setup.args(["--cert-dir", utf8(&folder)]).start()
}

/// The texts at `field` of the rows of a list.
fn texts<'v>(list: &'v Value, field: &str) -> Vec<&'v str> {
    let rows = list.as_array().expect("rows").iter();
    rows.map(|row| row[field].as_str().unwrap_or("-")).collect()
}

#[test]
fn certificates_are_listed_with_those_that_are_refused() {
    let _openssl = require_tool!("openssl");
    let router = router();
    for list in [&["cert", "list"][..], &["certs"]] {
        let told = json(&router, list);
        let mut names = texts(&told["certificates"], "name");
        names.sort_unstable();
        assert_eq!(names, ["*.wild.test", "-", "good.test"], "{told}");
        assert_eq!(texts(&told["refused"], "name"), ["directory short.test"]);
        assert!(texts(&told["refused"], "why")[0].contains("1024 bits"), "{told}");
        let table = said(&router, list);
        assert!(table.contains("\n*.wild.test  directory   "), "{table}");
        assert!(table.contains("\n\nREFUSED               WHY\ndirectory short.test  "), "{table}");
    }
    let first = json(&router, &["cert", "list", "--limit", "1"]);
    assert_eq!((&first["total"], texts(&first["certificates"], "name").len()), (&3.into(), 1));
}

#[test]
fn a_pair_is_shown_with_its_certificate_its_files_and_its_last_error() {
    let _openssl = require_tool!("openssl");
    let router = router();
    let show = |name: &str| json(&router, &["cert", "show", name])["pairs"].clone();
    for (name, shown) in [("GOOD.test", "good.test"), ("*.wild.test", "*.wild.test")] {
        let pairs = show(name);
        assert_eq!(texts(&pairs, "name"), [format!("directory {shown}")]);
        let leaf = &pairs[0]["certificate"];
        assert_eq!(leaf["subject"], format!("CN={shown}"));
        assert_eq!(leaf["sans"], serde_json::json!([shown]));
        assert_eq!((&leaf["key"], &leaf["chain"]), (&"ECDSA P-256".into(), &1.into()));
        let crt = router.folder().join("certs").join(format!("{shown}.crt"));
        assert_eq!(pairs[0]["files"][0], utf8(&crt));
        assert!(pairs[0]["last_error"].is_null(), "{pairs}");
    }
    let refused = show("short.test");
    assert!(refused[0]["certificate"].is_null(), "{refused}");
    assert!(refused[0]["last_error"].as_str().is_some_and(|why| why.contains("1024 bits")));
    assert_eq!(texts(&show("default"), "name"), ["self-signed"]);

    // A pair that went bad is served as it was, and says both.
    let broken = router.folder().join("certs").join("good.test.crt");
    std::fs::write(&broken, "no certificate").expect("write");
    assert_eq!(ctl(&router, &["cert", "reload", "good.test"]).code, Some(1));
    let table = said(&router, &["cert", "show", "good.test"]);
    for part in ["  subject    CN=good.test\n", "  served     since 20", "\n  last error "] {
        assert!(table.contains(part), "{part} in {table}");
    }
    for (name, code) in [("x.wild.test", 1), ("a/b", 64)] {
        let told = ctl(&router, &["cert", "show", name]);
        assert_eq!((told.code, told.stdout.as_str()), (Some(code), ""), "{told:?}");
        assert!(told.stderr.contains(name), "{told:?}");
    }
}

#[test]
fn certificates_are_read_again_by_name_or_all_and_the_outcome_is_audited() {
    let _openssl = require_tool!("openssl");
    let router = router();
    let folder = router.folder().join("certs");
    let before = served_certificate(&router, "good.test");
    certs::leaf(router.folder(), "good.test").install(&folder, "good.test");
    // The watch may have been first.
    let told = said(&router, &["cert", "reload", "good.test"]);
    assert!(told.starts_with("1 pair read: ") && told.contains(" 0 refused\n"), "{told}");
    assert_ne!(served_certificate(&router, "good.test"), before);
    assert!(said(&router, &["cert", "reload", "*.wild.test"]).contains(" 1 unchanged"));

    let all = ctl(&router, &["cert", "reload"]);
    assert_eq!(all.code, Some(1), "{all:?}");
    let expected = "3 pairs read: 0 loaded, 2 unchanged, 1 refused\ndirectory short.test refused: ";
    assert!(all.stderr.contains(expected), "{all:?}");
    certs::leaf(router.folder(), "short.test").install(&folder, "short.test");
    let mended = json(&router, &["cert", "reload"])["outcome"].clone();
    assert!(mended.as_str().is_some_and(|text| text.contains(" 0 refused")), "{mended}");
    let nothing = ctl(&router, &["cert", "reload", "default"]);
    assert_eq!(nothing.code, Some(1), "the default pair has no files here: {nothing:?}");

    let changes = json(&router, &["audit"])["changes"].clone();
    let words = ["good.test", "*.wild.test", "", "", "default"];
    let expected = words.map(|name| format!("cert reload {name}").trim_end().to_owned());
    assert_eq!(texts(&changes, "change"), expected);
    assert_eq!(texts(&changes, "ended"), ["done", "done", "failed", "done", "failed"]);
    assert!(texts(&changes, "outcome")[2].contains("1 refused; directory short.test refused: "));
}

#[test]
fn whoever_may_only_ask_sees_certificates_and_reads_none_again() {
    let (_openssl, setpriv) = (require_tool!("openssl"), require_tool!("setpriv"));
    if !Uid::effective().is_root() {
        return report_missing("root");
    }
    let setup = controlled(Router::setup().https());
    let router = setup.args(["--ctl-mode", "0666"]).start();
    open_folder(&router);
    let ask = |line: &str| ask_as(&setpriv, (UID, GID), &socket_of(&router), line);
    let asked = ["GET /v1/certs", "GET /v1/cert?name=default", "POST /v1/cert-reload"].map(ask);
    assert_eq!(asked, ["200", "200", "403"]);
    assert_eq!(texts(&json(&router, &["audit"])["changes"], "ended"), ["denied"]);
}
