//! `suzerain top` against a running router: as text, and on a terminal that is one.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::harness::router::{BINARY, suzerain};
use crate::harness::wait::{SOON, eventually};
use crate::harness::{Origin, Router, get, require_tool};

#[test]
fn one_look_at_a_router_has_its_keys_and_their_nodes() {
    let origin = Origin::echo();
    let router = Router::setup()
        .route(origin.route("shop.test"))
        .route("blog.test=127.0.0.1:9,proto=http")
        .start();
    for _ in 0..3 {
        assert_eq!(get(router.http(), "shop.test", "/").status, 200);
    }
    let admin = router.admin_path().display().to_string();
    let look = |more: &[&str]| {
        let arguments = ["top", "--once", "--interval", "500ms", "--admin", &admin];
        let finished = suzerain(router.folder(), &[&arguments, more].concat());
        assert_eq!(finished.code, Some(0), "{finished:?}");
        finished.stdout
    };
    let text = look(&[]);
    assert!(text.starts_with("suzerain ") && text.contains(": serving\n"), "{text}");
    assert!(text.contains("keys 2, nodes 2\n"), "{text}");
    let words = |start: &str| -> Vec<&str> {
        let line = text.lines().find(|line| line.trim_start().starts_with(start));
        line.unwrap_or_else(|| panic!("no {start} in\n{text}")).split_whitespace().collect()
    };
    assert_eq!(words("shop.test")[2], "3", "requests of the key: {text}");
    let node = words(&origin.address().to_string());
    assert_eq!(node[1..], ["ready", "configured", "3", "served", "0", "failed"], "{text}");
    assert!(text.ends_with("2 of 2 keys\n"), "{text}");

    let text = look(&["--keys", "1"]);
    assert!(text.ends_with("1 of 2 keys\n"), "{text}");
}

#[test]
fn whoever_looks_where_no_router_is_learns_how_to_look() {
    let folder = tempfile::tempdir().expect("a folder");
    let admin = folder.path().join("admin.sock").display().to_string();
    let finished = suzerain(folder.path(), &["top", "--once", "--admin", &admin]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(1), ""));
    assert!(finished.stderr.contains(&format!("start it with --admin {admin}")), "{finished:?}");
    let finished = suzerain(folder.path(), &["top", "--interval", "1ms"]);
    assert_eq!(finished.code, Some(64), "{finished:?}");
}

/// A command on a terminal of its own, ended when dropped.
struct OnTerminal(Child);

impl OnTerminal {
    fn start(script: &Path, folder: &Path, command: &str) -> Self {
        let screen = File::create(folder.join("screen")).expect("a file");
        let mut script = Command::new(script);
        // A terminal nobody sized has no columns to draw on.
        script.args(["-qefc", &format!("stty rows 24 cols 110; exec {command}"), "/dev/null"]);
        script.env("TERM", "xterm").stdin(Stdio::piped()).stdout(screen).stderr(Stdio::null());
        Self(script.spawn().expect("script starts"))
    }

    fn press(&mut self, keys: &[u8]) {
        self.0.stdin.as_mut().expect("piped").write_all(keys).expect("it reads");
    }

    fn ended(&mut self) -> ExitStatus {
        eventually("the command ends", SOON, || self.0.try_wait().expect("a child of ours"))
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Method: what reaches the terminal is read, with the sequences that move its cursor; a word that is
/// drawn at once stands there in one piece.
#[test]
fn a_terminal_shows_the_keys_until_q_and_is_left_as_it_was() {
    let script = require_tool!("script");
    let router = Router::setup().route("shop.test=127.0.0.1:9,proto=http").start();
    let admin = router.admin_path().display();
    let command = format!("{BINARY} top --interval 500ms --admin {admin}");
    let mut terminal = OnTerminal::start(&script, router.folder(), &command);
    let path = router.folder().join("screen");
    let screen = || String::from_utf8_lossy(&std::fs::read(&path).expect("a file")).into_owned();
    let shows = |what: &str| {
        eventually(&format!("the terminal shows {what}"), SOON, || {
            screen().contains(what).then_some(())
        });
    };
    shows("\u{1b}[?1049h");
    shows("shop.test");
    shows("by rate");
    terminal.press(b"/blog");
    shows("search: ");
    terminal.press(b"\r");
    shows("keys with \"blog\"");
    terminal.press(b"q");
    assert_eq!(terminal.ended().code(), Some(0), "{}", screen());
    assert!(screen().contains("\u{1b}[?1049l"), "the terminal is given back: {}", screen());
}
