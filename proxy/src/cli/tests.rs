//! What commands print and which code they end with.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;

use super::*;

fn code(line: &[&str]) -> String {
    let args = std::iter::once(&"suzerain").chain(line).map(OsString::from);
    let code = dispatch(args).unwrap_or_else(|error| error.code());
    format!("{code:?}")
}

fn message(line: &[&str]) -> String {
    let args = std::iter::once(&"suzerain").chain(line).map(OsString::from);
    dispatch(args).expect_err("a wrong line").to_string()
}

fn exit(code: u8) -> String {
    format!("{:?}", ExitCode::from(code))
}

#[test]
fn the_command_line_is_put_together_right() {
    arguments::command().debug_assert();
}

#[test]
fn help_and_version_are_answers() {
    assert_eq!(code(&["--help"]), exit(0));
    assert_eq!(code(&["run", "--help"]), exit(0));
    assert_eq!(code(&["version"]), exit(0));
    assert_eq!(code(&["--version"]), exit(0));
}

#[test]
fn help_shows_examples_before_flags() {
    for name in ["run", "demo", "check", "explain", "announce"] {
        let help = message(&[name, "--help"]);
        let examples = help.find("Examples:").expect("examples");
        assert!(examples < help.find("Usage:").expect("usage"), "{help}");
    }
}

#[test]
fn every_flag_of_the_catalogue_is_in_the_help_of_run() {
    let help = message(&["run", "--help"]);
    let has = |opt| Program::Suzerain.has(opt);
    let options = crate::config::catalog::OPTIONS.iter();
    for facts in options.filter(|facts| facts.is_flag() && has(facts.opt)) {
        assert!(help.contains(&format!("--{}", facts.name)), "{}", facts.name);
    }
}

#[test]
fn bad_flags_and_files_end_with_64() {
    let lines: [&[&str]; 9] = [
        &[],
        &["rum"],
        &["run", "--htp", "127.0.0.1:1"],
        &["run"],
        &["run", "--http", "localhost:80"],
        &["run", "--config", "/nonexistent/r.toml"],
        &["check", "/nonexistent/r.toml"],
        &["announce", "--server", "x", "--key", "a", "--address", "127.0.0.1:1"],
        &["explain", "--admin", "x", "http://a/"],
    ];
    for line in lines {
        assert_eq!(code(line), exit(USAGE), "{line:?}");
    }
}

#[test]
fn check_accepts_a_right_file_and_names_the_line_of_a_wrong_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("r.toml");
    let name = path.to_str().expect("a path in UTF-8");
    std::fs::write(&path, "http = \"127.0.0.1:0\"\n").expect("a file");
    assert_eq!(code(&["check", name]), exit(0));
    std::fs::write(&path, "http = \"127.0.0.1:0\"\nworkers = \"many\"\n").expect("a file");
    assert_eq!(code(&["check", name]), exit(USAGE));
    let told = message(&["check", name]);
    assert!(told.starts_with(&format!("{name}:2:11: workers \"many\": ")), "{told}");
}

/// A stand-in admin socket answers once; what it was asked is returned.
fn explained(status: &'static str) -> (String, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("admin.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    let admin = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a question");
        let mut asked = [0; 1024];
        let count = stream.read(&mut asked).expect("a question");
        let answer = format!("HTTP/1.0 {status}\r\ncontent-type: text/plain\r\n\r\nsaid\n");
        stream.write_all(answer.as_bytes()).expect("an answer");
        String::from_utf8_lossy(&asked[..count]).into_owned()
    });
    let name = path.to_str().expect("a path in UTF-8");
    let ended = code(&["explain", "--admin", name, "http://a.example/x?y"]);
    (ended, admin.join().expect("an answer"))
}

#[test]
fn explain_asks_the_admin_socket_and_a_refused_url_is_a_bad_argument() {
    let (ended, asked) = explained("200 OK");
    assert_eq!(ended, exit(0));
    let line = "GET /explain?format=text&url=http%3A%2F%2Fa.example%2Fx%3Fy HTTP/1.0\r\n";
    assert!(asked.starts_with(line), "{asked}");
    assert_eq!(explained("400 Bad Request").0, exit(USAGE));
    assert_eq!(explained("500 Internal Server Error").0, exit(FAILED));
}
