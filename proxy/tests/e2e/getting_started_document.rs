//! docs/GETTING_STARTED.md as its readers take it: its commands in one shell, as written but for the loopback
//! address and the ports, and the answers it promises.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::process::Process;
use crate::harness::require_tool;
use crate::harness::router::io_driver;
use crate::harness::vassal::needs_plugin;
use crate::operating_document::{PORTS, Started, curl_settings, own_addresses, shell, steps};

const DOCUMENT: &str = include_str!("../../../docs/GETTING_STARTED.md");

/// What a reader does between starting the application and asking it.
const PAUSE: &str = "until curl -sf -o /dev/null http://shop.localhost:8080/; do sleep 0.1; done\n";

#[test]
fn every_command_works_as_written() {
    let _tools = (require_tool!("curl"), require_tool!("openssl"));
    let uwsgi = require_tool!("uwsgi");
    let folder = tempfile::Builder::new().prefix("sz").tempdir().expect("a folder");
    let _started = Started(folder.path());
    let (address, ports) = own_addresses();
    curl_settings(folder.path(), &address, &ports);
    let (_, app) = DOCUMENT.split_once("```python\n").expect("an application");
    let (app, _) = app.split_once("```").expect("its end");
    fs::write(folder.path().join("app.py"), app).expect("write");

    let run = format!("suzerain run --io {}", io_driver());
    // As the document says of uWSGI from PyPI.
    let plugin = if needs_plugin(&uwsgi) { "--plugins python3 " } else { "" };
    let here = |text: &str| {
        let text = text.replace("127.0.0.1", &address).replace("suzerain run", &run);
        let text = text.replace("--plugins python3 ", plugin);
        PORTS.iter().zip(&ports).fold(text, |text, (written, own)| text.replace(written, own))
    };
    let mut steps = steps(DOCUMENT, here);
    let questions = steps.last_mut().expect("blocks");
    questions.script.insert_str(0, &here(PAUSE));
    let mut command = shell(folder.path(), &steps);
    let mut walk = Process::start(&mut command, folder.path(), "walk", Signal::SIGKILL);
    let status = walk.status_within(Duration::from_secs(60));
    let said = walk.stdout();
    assert!(status.success(), "{status}: {said}");
    for port in [&ports[0], &ports[2]] {
        let hello = format!("hello from shop.localhost:{port}");
        assert!(said.lines().any(|line| line == hello), "no {hello} in {said}");
    }
    assert!(said.contains("by a candidate node"), "why is not said: {said}");
}
