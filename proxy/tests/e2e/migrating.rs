//! docs/MIGRATING.md as its readers take it: its commands are run as written but for the ports.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::port::Port;
use crate::harness::process::Process;
use crate::harness::tools::{Finished, run};
use crate::harness::{eventually, require_tool};

const DOCUMENT: &str = include_str!("../../../docs/MIGRATING.md");

/// Blocks of a section, each with its language.
fn blocks(section: &str) -> Vec<(&'static str, &'static str)> {
    let text = DOCUMENT.split(&format!("## {section}\n")).nth(1).expect("the section");
    let text = text.split("\n## ").next().expect("its end");
    let fenced = text.split("```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').expect("a language")).collect()
}

#[track_caller]
fn block(section: &str, language: &str, mark: &str) -> &'static str {
    let all = blocks(section);
    let mut found = all.iter().filter(|(of, text)| *of == language && text.contains(mark));
    let (_, text) = found.next().unwrap_or_else(|| panic!("no {language} with {mark}"));
    assert!(found.next().is_none(), "two of {language} with {mark}");
    text
}

/// A shell in `folder` that finds the programs under test.
fn shell(folder: &Path, script: &str) -> Command {
    let programs = Path::new(crate::BINARY).parent().expect("a folder").display();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("sh");
    command.args(["-ec", script]).current_dir(folder);
    command.env("PATH", format!("{programs}:{path}:/usr/sbin"));
    command
}

#[track_caller]
fn run_it(folder: &Path, script: &str) -> Finished {
    let finished = run(&mut shell(folder, script));
    assert_eq!(finished.code, Some(0), "{script}: {finished:?}");
    finished
}

#[test]
fn the_quick_start_works_as_written() {
    const SECTION: &str = "Quick start";
    let _uwsgi = require_tool!("uwsgi");
    let curl = require_tool!("curl");
    let folder = tempfile::Builder::new().prefix("sz").tempdir().expect("a folder");
    let http = Port::reserve();
    let subscribe = {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
        socket.local_addr().expect("bound").to_string()
    };
    let here = |text: &str| {
        text.replace("127.0.0.1:8080", &http.1.to_string()).replace("127.0.0.1:7171", &subscribe)
    };
    let app = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/testdata/app.py");
    fs::copy(app, folder.path().join("app.py")).expect("copy");
    let ini = here(block(SECTION, "ini", "[uwsgi]"));
    fs::write(folder.path().join("edge.ini"), ini).expect("write");
    let told = run_it(folder.path(), block(SECTION, "sh", "import-uwsgi"));
    assert_eq!(told.stderr, block(SECTION, "", "edge.ini:2:"));
    assert_eq!(told.stdout, "suzerain.toml: ok\n");

    let start = |name: &str, mark: &str, farewell| {
        let script = format!("exec {}", here(block(SECTION, "sh", mark)));
        Process::start(&mut shell(folder.path(), &script), folder.path(), name, farewell)
    };
    let _router = start("router", "suzerain run", Signal::SIGTERM);
    let _vassal = start("vassal", "uwsgi --plugin", Signal::SIGINT);
    let ask = here(block(SECTION, "sh", "curl -H"));
    let ask = ask.replace("curl", &format!("{} -q -sSf", curl.display()));
    let answer = eventually("the vassal is served", Duration::from_secs(30), || {
        let asked = run(&mut shell(folder.path(), &ask));
        (asked.code == Some(0)).then_some(asked.stdout)
    });
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(answer["path"], "/cart");
}

#[test]
fn the_other_examples_are_imported_as_the_page_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let fast = block("The fastrouter", "ini", "fastrouter =");
    fs::write(folder.path().join("fast.ini"), fast).expect("write");
    let script = block("The fastrouter", "sh", "--program fastrouter");
    // Its program is another package's, which need not be built here.
    let script = script.lines().next().expect("a command");
    assert_eq!(
        run_it(folder.path(), script).stderr,
        "fast.ini:2: plugins: not needed: everything \
        is built in\nfast.ini: 2 options translated, 0 not\n"
    );

    let both = block("An application with `http` in its own file", "ini", "wsgi-file");
    fs::write(folder.path().join("both.ini"), both).expect("write");
    let told = run_it(folder.path(), "suzerain import-uwsgi both.ini");
    assert!(told.stdout.contains("route = [\"all=127.0.0.1:3031\"]"), "{told:?}");
}
