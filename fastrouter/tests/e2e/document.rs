//! docs/NGINX.md as its readers take it: its quick start is run as written but for the ports, and no
//! option of uWSGI's fastrouter is left out.

use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::port::Port;
use crate::harness::process::Process;
use crate::harness::tools::run;
use crate::harness::{eventually, require_tool};

const DOCUMENT: &str = include_str!("../../../docs/NGINX.md");

/// The blocks of the quick start, each with its language.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let quick = DOCUMENT.split("## Quick start").nth(1).expect("a quick start");
    let quick = quick.split("\n## ").next().expect("its end");
    let fenced = quick.split("```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').expect("a language")).collect()
}

/// The only block of this language that contains `mark`.
#[track_caller]
fn block(language: &str, mark: &str) -> &'static str {
    let all = blocks();
    let mut found = all.iter().filter(|(of, text)| *of == language && text.contains(mark));
    let (_, text) = found.next().unwrap_or_else(|| panic!("no {language} with {mark}"));
    assert!(found.next().is_none(), "two of {language} with {mark}");
    text
}

/// Runs a command of the document in the background.
fn start(folder: &Path, name: &str, script: &str, farewell: Signal) -> Process {
    let programs = Path::new(crate::BINARY).parent().expect("a folder").display();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("exec {script}")]).current_dir(folder);
    command.env("PATH", format!("{programs}:{path}:/usr/sbin"));
    Process::start(&mut command, folder, name, farewell)
}

#[test]
fn the_quick_start_works_as_written() {
    let (_nginx, _uwsgi) = (require_tool!("nginx"), require_tool!("uwsgi"));
    let curl = require_tool!("curl");
    let folder = tempfile::Builder::new().prefix("sz").tempdir().expect("a folder");
    let (web, packets) = (Port::reserve(), Port::reserve());
    let subscribe = {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
        socket.local_addr().expect("bound").port()
    };
    let here = |text: &str| {
        text.replace("127.0.0.1:3031", &packets.1.to_string())
            .replace("127.0.0.1:7171", &format!("127.0.0.1:{subscribe}"))
            .replace("--admin 127.0.0.1:9090", "--admin \"$PWD/admin.sock\"")
            .replace("listen 127.0.0.1:8080;", &format!("listen {} reuseport;", web.1))
            .replace(":8080", &format!(":{}", web.1.port()))
            // Where users who are not root may write.
            .replace("http {", &format!("http {{ {}", temporary(folder.path())))
    };
    std::fs::write(folder.path().join("app.py"), block("python", "def application"))
        .expect("write");
    std::fs::write(folder.path().join("nginx.conf"), here(block("nginx", "http {")))
        .expect("write");
    let run_it =
        |name, mark, farewell| start(folder.path(), name, &here(block("sh", mark)), farewell);
    let router = run_it("router", "suzerain-fastrouter run", Signal::SIGTERM);
    let _vassal = run_it("vassal", "uwsgi --plugins", Signal::SIGINT);
    let _web = run_it("nginx", "nginx -e", Signal::SIGTERM);
    let ask = format!("{} -q -sS", curl.display());
    let ask = here(block("sh", "curl http")).replace("curl", &ask);
    let told = eventually("the visitor is served", Duration::from_secs(30), || {
        let told = run(Command::new("sh").args(["-c", &ask])).stdout;
        told.starts_with("shop").then_some(told)
    });
    assert!(DOCUMENT.contains(&format!("says `{}`", told.trim_end())), "{told}");
    eventually("its line is written", Duration::from_secs(20), || {
        let log = router.stdout();
        log.contains(r#"host="shop.localhost" target="/cart""#).then_some(())
    });
}

fn temporary(folder: &Path) -> String {
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    kinds.map(|kind| format!("{kind}_temp_path {}/{kind};\n", folder.display())).concat()
}

#[test]
fn every_option_of_the_fastrouter_has_its_row() {
    let uwsgi = require_tool!("uwsgi");
    let help = run(Command::new(uwsgi).args(["--plugins", "fastrouter", "--help"])).stdout;
    let options: Vec<_> = help
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("--"))
        .filter(|name| name.starts_with("fastrouter"))
        .collect();
    assert!(options.len() > 25, "{options:?}");
    for option in options {
        assert!(DOCUMENT.contains(&format!("`{option}`")), "{option} is not in docs/NGINX.md");
    }
}
