//! A loader that is told of other sources while it serves.

use tempfile::TempDir;

use super::tests::{pem, rig};
use super::*;

fn default_pair(dir: &TempDir) -> DefaultPair {
    let path = |part: &str| dir.path().join(format!("pair.{part}"));
    DefaultPair { crt: path("crt"), key: path("key"), ca: None }
}

#[test]
fn another_directory_and_default_pair_are_served_and_old_names_go() {
    let mut rig = rig();
    pem(&["a.test"]).write(rig.dir.path(), "a.test");
    pem(&["both.test"]).write(rig.dir.path(), "both.test");
    rig.loader.load_initial().expect("loads");
    assert!(rig.is_served("a.test") && rig.is_served("both.test"));
    let (self_signed, both) = (rig.id("other.test"), rig.id("both.test"));

    let (other, pair) = (TempDir::new().expect("dir"), TempDir::new().expect("dir"));
    pem(&["b.test"]).write(other.path(), "b.test");
    pem(&["both.test"]).write(other.path(), "both.test");
    pem(&["default.test"]).write(pair.path(), "pair");
    let config = CertLoaderConfig {
        default: vec![default_pair(&pair)],
        dir: Some(other.path().into()),
        ..CertLoaderConfig::default()
    };
    rig.loader.reconfigure(config).expect("all of it can be served");
    assert!(rig.is_served("b.test") && rig.is_served("both.test"));
    assert_ne!(rig.id("other.test"), self_signed, "the default pair is another one");
    assert_ne!(rig.id("both.test"), both, "of two directories the new one counts");
    rig.loader.tick();
    rig.loader.tick();
    assert!(!rig.is_served("a.test"), "it is not in the new directory");

    rig.loader.reconfigure(CertLoaderConfig::default()).expect("nothing is to be served");
    assert!(!rig.is_served("b.test") && !rig.is_served("both.test"));
}

#[test]
fn a_default_pair_that_cannot_be_served_changes_nothing() {
    let mut rig = rig();
    pem(&["a.test"]).write(rig.dir.path(), "a.test");
    rig.loader.load_initial().expect("loads");
    let (default, a) = (rig.id("other.test"), rig.id("a.test"));
    let pair = TempDir::new().expect("dir");
    let config =
        CertLoaderConfig { default: vec![default_pair(&pair)], ..CertLoaderConfig::default() };
    let error = rig.loader.reconfigure(config).expect_err("there is no such file");
    assert!(error.to_string().contains("pair.crt"), "{error}");
    rig.loader.tick();
    rig.loader.tick();
    assert_eq!([rig.id("other.test"), rig.id("a.test")], [default, a]);
}
