//! Who may depend on whom: the arrows of `docs/ARCHITECTURE.md`, checked over `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use crate::tree::{expect_none, root, sources};

/// Our crates and those of ours each may use. A crate that is not listed fails the test, so that
/// its arrows are thought about.
const ARROWS: &[(&str, &[&str])] = &[
    ("uwsgi-wire", &[]),
    ("http1-wire", &[]),
    ("http2-wire", &["http1-wire"]),
    ("tls-wire", &[]),
    ("route-table", &[]),
    ("subscribe", &["uwsgi-wire", "route-table"]),
    ("router-core", &["subscribe", "route-table"]),
    (
        "proxy",
        &[
            "router-core",
            "http1-wire",
            "http2-wire",
            "tls-wire",
            "uwsgi-wire",
            "route-table",
            "subscribe",
        ],
    ),
    ("uwsgi-request", &["uwsgi-wire", "route-table"]),
    ("fastrouter", &["proxy", "router-core", "uwsgi-request", "http1-wire", "route-table"]),
    ("sidecar", &["subscribe"]),
    (
        "fuzz",
        &[
            "uwsgi-wire",
            "http1-wire",
            "http2-wire",
            "tls-wire",
            "route-table",
            "subscribe",
            "uwsgi-request",
        ],
    ),
    ("benches", &["uwsgi-wire", "http1-wire", "route-table", "subscribe", "router-core"]),
    ("loadtests", &["subscribe", "uwsgi-wire"]),
];

/// Crates that take bytes and values and give bytes and values.
const PURE: &[&str] = &[
    "uwsgi-wire",
    "http1-wire",
    "http2-wire",
    "tls-wire",
    "route-table",
    "subscribe",
    "uwsgi-request",
];

/// What a pure crate may not use: runtimes, sockets, system calls, logs.
const IMPURE: &[&str] =
    &["monoio", "tokio", "mio", "socket2", "nix", "libc", "rustls", "axum", "tracing"];

/// Crates that may name the runtime of the data plane.
const RUNTIME_USERS: &[&str] = &["router-core", "benches"];

/// Files in which the runtime is named.
const RUNTIME_FILES: &[&str] = &["proxy/router-core/src/runtime.rs", "proxy/router-core/src/io.rs"];

/// Dependencies of each of our crates: all of them, and those that are not for tests only.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    command.args(["metadata", "--format-version", "1", "--no-deps", "--offline"]);
    let output = command.current_dir(root()).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let name_of = |value: &serde_json::Value| value["name"].as_str().unwrap_or_default().to_owned();
    packages
        .iter()
        .map(|package| {
            let all = package["dependencies"].as_array().expect("dependencies").iter();
            let real = all.filter(|dependency| dependency["kind"] != "dev");
            (name_of(package), real.map(name_of).collect())
        })
        .collect()
}

#[test]
fn crates_depend_only_along_the_arrows() {
    let dependencies = dependencies();
    let ours: BTreeSet<_> = dependencies.keys().cloned().collect();
    let mut wrong = Vec::new();
    for (name, uses) in &dependencies {
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| known == name) else {
            wrong.push(format!("{name} has no row in ARROWS"));
            continue;
        };
        let forbidden = uses.intersection(&ours).filter(|used| !allowed.contains(&used.as_str()));
        wrong.extend(forbidden.map(|used| format!("{name} -> {used}")));
    }
    expect_none("forbidden arrows", &wrong);
}

#[test]
fn pure_crates_know_no_runtime_and_no_socket() {
    let dependencies = dependencies();
    let mut wrong = Vec::new();
    for name in PURE {
        let uses = dependencies.get(*name).cloned().unwrap_or_default();
        let impure = uses.iter().filter(|used| IMPURE.contains(&used.as_str()));
        wrong.extend(impure.map(|used| format!("{name} -> {used}")));
    }
    expect_none("impure dependencies", &wrong);
}

#[test]
fn the_runtime_is_named_in_one_place() {
    let users = dependencies()
        .into_iter()
        .filter(|(name, uses)| uses.contains("monoio") && !RUNTIME_USERS.contains(&name.as_str()));
    let mut wrong: Vec<_> = users.map(|(name, _)| format!("{name} -> monoio")).collect();
    for source in sources() {
        let allowed =
            RUNTIME_FILES.contains(&source.path.as_str()) || source.path.starts_with("benches/");
        if !allowed && let Some(at) = source.code.find("monoio::") {
            wrong.push(format!("{}:{}: monoio::", source.path, source.line_of(at)));
        }
    }
    expect_none("a change of runtime must be the work of one crate", &wrong);
}
