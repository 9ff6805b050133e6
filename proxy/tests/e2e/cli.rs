//! The command line: help, versions, refusals that say what is allowed, and the demo.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::harness::process::Process;
use crate::harness::router::{BINARY, suzerain};
use crate::harness::tools::{Finished, curl};
use crate::harness::wait::{SOON, eventually};
use crate::harness::{Client, require_tool};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn help_starts_with_examples() {
    let folder = folder();
    for command in
        [&["--help"][..], &["run", "--help"], &["announce", "--help"], &["demo", "--help"]]
    {
        let finished = suzerain(folder.path(), command);
        assert_eq!(finished.code, Some(0), "{finished:?}");
        let examples = finished.stdout.find("Examples:").expect("examples");
        let usage = finished.stdout.find("Usage:").expect("a usage line");
        assert!(examples < usage, "{command:?}: examples come first");
        assert!(finished.stdout.lines().all(|line| line.len() <= 100), "{command:?}: wide lines");
    }
}

#[test]
fn help_of_run_names_every_flag_of_the_contract() {
    let help = suzerain(folder().path(), &["run", "--help"]).stdout;
    let flags = [
        "config",
        "http",
        "https",
        "subscribe",
        "sign-check",
        "sign-tolerance",
        "tolerance",
        "dotsplit",
        "default-cert",
        "cert-dir",
        "cert-root",
        "upstream-allow",
        "route",
        "admin",
        "workers",
        "io",
        "access-log",
        "allow-unsigned",
    ];
    for flag in flags {
        assert!(help.contains(&format!("--{flag}")), "--{flag} is not in the help");
    }
}

#[test]
fn the_version_is_told() {
    for command in ["version", "--version"] {
        let finished = suzerain(folder().path(), &[command]);
        assert_eq!(finished.code, Some(0));
        assert_eq!(finished.stdout.trim(), concat!("suzerain ", env!("CARGO_PKG_VERSION")));
    }
}

#[track_caller]
fn expect_usage_error(finished: &Finished, parts: &[&str]) {
    assert_eq!(finished.code, Some(64), "{finished:?}");
    for part in parts {
        assert!(finished.stderr.contains(part), "{part:?} not in {}", finished.stderr);
    }
}

#[test]
fn bad_flags_say_what_is_allowed() {
    let folder = folder();
    let run = |arguments: &[&str]| {
        suzerain(folder.path(), &[&["run", "--http", "127.0.0.1:0"], arguments].concat())
    };
    let cases: [(&[&str], &[&str]); 9] = [
        (&["--io", "aio"], &["io", "aio", "epoll"]),
        (&["--workers", "0"], &["workers", "0"]),
        (&["--tolerance", "soon"], &["tolerance", "soon"]),
        (&["--sign-check", "MD5:/tmp"], &["sign-check", "MD5", "SHA256"]),
        (&["--sign-check", "SHA256:/does/not/exist"], &["sign-check", "/does/not/exist"]),
        (&["--route", "nonsense"], &["route", "nonsense"]),
        (&["--route", "a.test=somewhere:80"], &["route", "somewhere:80"]),
        (&["--upstream-allow", "10.0.0.0/99"], &["upstream-allow", "10.0.0.0/99"]),
        (&["--cert-dir", "/does/not/exist"], &["cert-dir", "/does/not/exist"]),
    ];
    for (arguments, parts) in cases {
        expect_usage_error(&run(arguments), parts);
    }
    expect_usage_error(&run(&["--no-such-flag"]), &["--no-such-flag"]);
    expect_usage_error(&suzerain(folder.path(), &["run"]), &["--http"]);
    expect_usage_error(&suzerain(folder.path(), &["dance"]), &["dance"]);
}

#[track_caller]
fn write_config(folder: &Path, text: &str) -> String {
    let file = folder.join("bad.toml");
    std::fs::write(&file, text).expect("write");
    file.display().to_string()
}

#[test]
fn a_bad_file_is_named_with_its_line() {
    let folder = folder();
    let cases: [(&str, &str, &[&str]); 6] = [
        ("http = \"127.0.0.1:0\"\nworkers = 0\n", "2", &["workers", "0"]),
        ("http = \"127.0.0.1:0\"\n\nsuscribe = \"127.0.0.1:1\"\n", "3", &["suscribe", "subscribe"]),
        ("http = [\"127.0.0.1:0\",\n  \"nonsense\"]\n", "2", &["http", "nonsense"]),
        (
            "http = \"127.0.0.1:0\"\n[timeouts]\nhead = \"1 fortnight\"\n",
            "3",
            &["head", "fortnight"],
        ),
        ("http = \"127.0.0.1:0\"\ndotsplit = \"yes\"\n", "2", &["dotsplit", "true or false"]),
        ("http = \"127.0.0.1:0\nworkers = 1\n", "1", &["TOML"]),
    ];
    for (text, line, parts) in cases {
        let file = write_config(folder.path(), text);
        let place = format!("{file}:{line}");
        for command in [&["check", &file][..], &["run", "--config", &file]] {
            let finished = suzerain(folder.path(), command);
            expect_usage_error(&finished, &[&[place.as_str()], parts].concat());
        }
    }
    let missing = folder.path().join("missing.toml").display().to_string();
    expect_usage_error(&suzerain(folder.path(), &["check", &missing]), &[&missing]);
}

#[test]
fn a_good_file_is_ok_and_is_used() {
    let folder = folder();
    let text = "http = \"127.0.0.1:0\"\nroute = [\"a.test=127.0.0.1:9,proto=http\"]\n\
                workers = 1\n[timeouts]\nhead = \"2s\"\n";
    let file = write_config(folder.path(), text);
    let finished = suzerain(folder.path(), &["check", &file]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stdout.contains("ok"), "{finished:?}");
}

#[test]
fn unsigned_subscriptions_from_elsewhere_need_to_be_asked_for() {
    let folder = folder();
    let open = ["run", "--http", "127.0.0.1:0", "--subscribe"];
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:7171"] {
        let finished = suzerain(folder.path(), &[&open[..], &[address]].concat());
        expect_usage_error(&finished, &["subscribe", "sign-check", "allow-unsigned"]);
    }
    // With the flag it is the operator's word: the router starts.
    let mut command = Command::new(BINARY);
    command.args(open).args(["0.0.0.0:0", "--allow-unsigned", "--workers", "1"]);
    let mut process = Process::start(&mut command, folder.path(), "open", Signal::SIGTERM);
    eventually("it is up", SOON, || {
        assert!(process.try_status().is_none(), "it ended: {}", process.stderr());
        process.stderr().contains("is up").then_some(())
    });
}

#[test]
fn an_occupied_address_is_said_and_fails() {
    let folder = folder();
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = occupied.local_addr().expect("bound").to_string();
    let finished = suzerain(folder.path(), &["run", "--http", &address, "--workers", "1"]);
    assert!(finished.code.is_some_and(|code| code != 0 && code != 101), "{finished:?}");
    assert!(finished.stderr.contains(&address), "{finished:?}");
}

/// The demo, its output awaited.
fn start_demo(folder: &Path) -> (Process, String) {
    let mut command = Command::new(BINARY);
    command.arg("demo").args(["--http", "127.0.0.1:0", "--https", "127.0.0.1:0"]);
    command.args(["--admin", "127.0.0.1:0", "--subscribe", "127.0.0.1:0"]).current_dir(folder);
    let mut process = Process::start(&mut command, folder, "demo", Signal::SIGINT);
    let output = eventually("the demo tells its URLs", SOON, || {
        assert!(process.try_status().is_none(), "the demo ended: {}", process.stderr());
        let output = process.stdout() + &process.stderr();
        let complete = ["http://demo.localhost", "https://demo.localhost", "/dashboard", "uwsgi"];
        complete.iter().all(|part| output.contains(part)).then_some(output)
    });
    (process, output)
}

/// First URL in `output` that starts so, without what follows it.
fn url_in(output: &str, start: &str) -> String {
    let at = output.find(start).unwrap_or_else(|| panic!("{start} not in {output}"));
    output[at..].split_whitespace().next().unwrap_or_default().to_owned()
}

#[test]
fn the_demos_urls_answer_and_ctrl_c_ends_it() {
    let curl_program = require_tool!("curl");
    let folder = folder();
    let (mut demo, output) = start_demo(folder.path());
    let plain = curl(&curl_program, &[&url_in(&output, "http://demo.localhost")]);
    assert_eq!(plain.status, 200, "{plain:?}");
    let secure = curl(&curl_program, &["-k", &url_in(&output, "https://demo.localhost")]);
    assert_eq!(secure.status, 200, "{secure:?}");
    let stats_url = output.split_whitespace().find(|word| word.ends_with("/stats"));
    let stats = curl(&curl_program, &[stats_url.expect("the stats URL")]);
    let text = stats.json().to_string();
    assert!(text.contains("demo.localhost"), "{text}");
    let dashboard_url = output.split_whitespace().find(|word| word.ends_with("/dashboard"));
    let dashboard = curl(&curl_program, &[dashboard_url.expect("the dashboard's URL")]);
    assert_eq!(dashboard.status, 200, "{dashboard:?}");
    demo.signal(Signal::SIGINT);
    assert_eq!(demo.status_within(SOON).code(), Some(0));
}

#[test]
fn the_demos_uwsgi_line_subscribes_a_real_application() {
    let (uwsgi, curl_program) = (require_tool!("uwsgi"), require_tool!("curl"));
    let folder = folder();
    let (_demo, output) = start_demo(folder.path());
    let line = output
        .lines()
        .find(|line| line.contains("--subscribe2") || line.contains("--subscribe-to"))
        .unwrap_or_else(|| panic!("no uwsgi line in {output}"));
    // The line as printed, with the application of the tests instead of the reader's.
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words.iter().position(|word| word.starts_with("--subscribe")).expect("the flag");
    let subscription = words.get(at + 1).expect("its value").trim_matches(['\'', '"', '\\']);
    let key = subscription.split(',').find_map(|part| part.strip_prefix("key="));
    let key = key.unwrap_or_else(|| panic!("no key in {subscription}")).to_owned();
    let _app = crate::harness::vassal::vassal("mine")
        .subscribe2(subscription)
        .start(&uwsgi, folder.path());
    let http = url_in(&output, "http://demo.localhost");
    let port = http.trim_start_matches("http://demo.localhost:").trim_end_matches('/');
    let address: SocketAddr = format!("127.0.0.1:{port}").parse().expect("a port");
    eventually("the application is served", SOON, || {
        let answer =
            curl(&curl_program, &["-H", &format!("Host: {key}"), &format!("http://{address}/")]);
        (answer.status == 200 && answer.body.contains("\"mine\"")).then_some(())
    });
    drop(Client::connect(address));
}
