//! Real uWSGI vassals: the master in its own process group, its log kept.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use nix::sys::signal::Signal;

use super::process::Process;
use super::tools::run;

/// The WSGI application they serve.
const APP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../proxy/tests/testdata/app.py");

/// How a vassal is started.
pub struct VassalSetup {
    node: String,
    socket: String,
    arguments: Vec<String>,
}

impl VassalSetup {
    /// Listens there instead of on a TCP port of the kernel's choice: a path, or `@abstract`.
    pub fn socket(mut self, socket: impl Into<String>) -> Self {
        self.socket = socket.into();
        self
    }

    /// Subscribes in the short form: `SERVER:KEY[,MODIFIER1[,DIGEST:FILE]]`.
    pub fn subscribe_to(self, subscription: impl AsRef<str>) -> Self {
        self.args(["--subscribe-to", subscription.as_ref()])
    }

    /// Subscribes in the long form: `server=…,key=…`.
    pub fn subscribe2(self, subscription: impl AsRef<str>) -> Self {
        self.args(["--subscribe2", subscription.as_ref()])
    }

    /// Adds command-line arguments.
    pub fn args<S: AsRef<str>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|text| text.as_ref().to_owned()));
        self
    }

    /// Starts it; its log goes to `folder`.
    #[track_caller]
    pub fn start(self, uwsgi: &Path, folder: &Path) -> Process {
        let mut command = Command::new(uwsgi);
        vassal_command(&mut command, uwsgi, &self.node, &self.socket);
        command.args(&self.arguments).current_dir(folder);
        // uWSGI reloads on SIGTERM; SIGINT ends it.
        Process::start(&mut command, folder, &format!("uwsgi-{}", self.node), Signal::SIGINT)
    }
}

/// The arguments of every vassal, for a `command` that leads to `uwsgi`.
pub fn vassal_command(command: &mut Command, uwsgi: &Path, node: &str, socket: &str) {
    if needs_plugin(uwsgi) {
        command.args(["--plugins", "python3"]);
    }
    command.args(["--master", "--no-orphans", "--need-app", "--disable-logging"]);
    command.args(["--subscribe-freq", "1"]);
    command.args(["--socket", socket, "--wsgi-file", APP]).env("NODE", node);
}

/// The configuration of an emperor's vassal that serves the application, with these lines of its own.
pub fn ini(uwsgi: &Path, own: &str) -> String {
    let plugins = if needs_plugin(uwsgi) { "plugins = python3\n" } else { "" };
    format!("[uwsgi]\n{plugins}master = true\nneed-app = true\nwsgi-file = {APP}\n{own}")
}

/// A vassal whose application answers with `node` as its name.
pub fn vassal(node: &str) -> VassalSetup {
    let socket = "127.0.0.1:0".to_owned();
    VassalSetup { node: node.to_owned(), socket, arguments: Vec::new() }
}

/// Debian builds its languages as plugins; a build from PyPI has Python inside.
pub fn needs_plugin(uwsgi: &Path) -> bool {
    static KNOWN: OnceLock<(PathBuf, bool)> = OnceLock::new();
    let (known, needed) = KNOWN.get_or_init(|| {
        let version = run(Command::new(uwsgi).arg("--version"));
        (uwsgi.to_owned(), version.stdout.contains("debian"))
    });
    debug_assert_eq!(known, uwsgi, "one uWSGI per test process");
    *needed
}
