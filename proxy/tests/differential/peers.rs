//! The upstreams a request goes to: the recorder itself, and real programs in front of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::harness::process::Process;
use crate::harness::tools::{find, report_missing, run};
use crate::recorder::{Recorder, Seen};

/// What stands behind the router.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Recorder,
    Nginx,
    Haproxy,
    Uwsgi,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Recorder, Self::Nginx, Self::Haproxy, Self::Uwsgi];

    pub fn name(self) -> &'static str {
        match self {
            Self::Recorder => "recorder",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Uwsgi => "uwsgi",
        }
    }

    /// The program it needs; `None` if that is not installed, which `CI=true` does not forgive.
    pub fn find(self) -> Option<PathBuf> {
        if self == Self::Recorder {
            return Some(PathBuf::new());
        }
        let found = find(self.name());
        if found.is_none() {
            report_missing(self.name());
        }
        found
    }

    /// Name and the first two parts of the version, such as `nginx 1.22`.
    pub fn version(self, program: &Path) -> String {
        let flag = if self == Self::Uwsgi { "--version" } else { "-v" };
        let finished = run(Command::new(program).arg(flag));
        let text = finished.stdout + &finished.stderr;
        let digits = text.split(|c: char| !c.is_ascii_digit() && c != '.');
        let number = digits.into_iter().find(|part| part.contains('.')).unwrap_or_default();
        let parts: Vec<&str> = number.split('.').take(2).collect();
        format!("{} {}", self.name(), parts.join("."))
    }
}

/// A running upstream.
pub struct Upstream {
    pub kind: Kind,
    recorder: Recorder,
    folder: TempDir,
    _process: Option<Process>,
}

impl Upstream {
    pub fn start(kind: Kind, program: &Path) -> Self {
        let recorder = Recorder::start();
        let folder = tempfile::Builder::new().prefix("szd").tempdir().expect("a folder");
        let at = folder.path();
        let command = match kind {
            Kind::Recorder => None,
            Kind::Nginx => Some((nginx(program, at, &recorder), Signal::SIGTERM)),
            Kind::Haproxy => Some((haproxy(program, at, &recorder), Signal::SIGTERM)),
            Kind::Uwsgi => Some((uwsgi(program, at), Signal::SIGINT)),
        };
        let process = command.map(|(mut command, farewell)| {
            Process::start(command.current_dir(at), at, kind.name(), farewell)
        });
        Self { kind, recorder, folder, _process: process }
    }

    /// `--route` argument that sends `key` here.
    pub fn route(&self, key: &str) -> String {
        let socket = self.folder.path().join("s").display().to_string();
        match self.kind {
            Kind::Recorder => format!("{key}={},proto=http", self.recorder.address()),
            Kind::Nginx | Kind::Haproxy => format!("{key}={socket},proto=http"),
            Kind::Uwsgi => format!("{key}={socket},proto=uwsgi"),
        }
    }

    /// Takes the complete requests seen so far, in order; `cut` counts are not requests.
    pub fn take(&self) -> Vec<Seen> {
        if self.kind != Kind::Uwsgi {
            return self.recorder.take();
        }
        let path = self.folder.path().join("record");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let _ = std::fs::remove_file(&path);
        text.lines().filter_map(seen_by_app).collect()
    }

    /// Request lines this upstream met so far, complete requests or not; `None` if it keeps no log.
    pub fn lines(&self) -> Option<Vec<String>> {
        let log = match self.kind {
            Kind::Recorder => return Some(self.recorder.record().lines),
            Kind::Nginx => "access.log",
            Kind::Haproxy => "haproxy.out",
            Kind::Uwsgi => return None,
        };
        let bytes = std::fs::read(self.folder.path().join(log)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let requests = text.lines().filter_map(|line| Some(line.split_once("request ")?.1));
        let line = |text: &str| {
            let text = text.strip_suffix(" HTTP/1.1").unwrap_or(text);
            // HAProxy's way of writing these two.
            text.replace("#22", "\"").replace("#23", "#")
        };
        Some(requests.map(line).collect())
    }

    /// What the recorder did not understand.
    pub fn violations(&self) -> Vec<String> {
        self.recorder.record().violations
    }
}

/// One line of the application's record.
fn seen_by_app(line: &str) -> Option<Seen> {
    let mut parts = line.split('\t');
    let (method, target, hex) = (parts.next()?, parts.next()?, parts.next()?);
    if hex == "cut" {
        return None;
    }
    let digits: Vec<u8> = hex
        .bytes()
        .map(|digit| (digit as char).to_digit(16))
        .map_while(|d| d.and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let body = digits.chunks(2).map(|pair| pair.iter().fold(0, |sum, digit| sum << 4 | digit));
    Some(Seen { method: method.to_owned(), target: target.to_owned(), body: body.collect() })
}

/// nginx as one process, wide open: what it refuses, it refuses by its grammar.
fn nginx(program: &Path, at: &Path, recorder: &Recorder) -> Command {
    let folder = at.display();
    let text = format!(
        "daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 256; }}
http {{
    log_format lines escape=none 'request $request';
    access_log {folder}/access.log lines;
    keepalive_requests 1000000;
    client_max_body_size 0;
    client_body_buffer_size 1m;
    large_client_header_buffers 8 128k;
    client_body_temp_path {folder}/client;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen unix:{folder}/s default_server;
        location / {{
            proxy_pass http://{recorder};
            proxy_http_version 1.1;
            proxy_set_header Host $host;
        }}
    }}
}}
",
        recorder = recorder.address(),
    );
    let path = at.join("nginx.conf");
    std::fs::write(&path, text).expect("write");
    let mut command = Command::new(program);
    command.args(["-e", "stderr", "-p"]).arg(at).arg("-c").arg(path);
    command
}

/// HAProxy with one thread and buffers above our own limits. Without the bytes (`%B`) it would write
/// one line before the response and one behind it.
fn haproxy(program: &Path, at: &Path, recorder: &Recorder) -> Command {
    let text = format!(
        "global
    nbthread 1
    maxconn 256
    tune.bufsize 131072
    tune.http.maxhdr 256
    tune.http.logurilen 32768
    log stdout len 65535 format raw local0
defaults
    mode http
    log global
    log-format \"%B request %r\"
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend web
    bind unix@{folder}/s
    default_backend app
backend app
    server app1 {recorder}
",
        folder = at.display(),
        recorder = recorder.address(),
    );
    let path = at.join("haproxy.cfg");
    std::fs::write(&path, text).expect("write");
    let mut command = Command::new(program);
    command.arg("-db").arg("-f").arg(path);
    command
}

/// uWSGI with one process, so that requests are served in their order.
fn uwsgi(program: &Path, at: &Path) -> Command {
    const APP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/differential/app.py");
    let mut command = Command::new(program);
    if run(Command::new(program).arg("--version")).stdout.contains("debian") {
        command.args(["--plugins", "python3"]);
    }
    command.args(["--master", "--no-orphans", "--need-app", "--disable-logging"]);
    command
        .args(["--buffer-size", "65535", "--max-vars", "200", "--wsgi-file", APP, "--socket"])
        .arg(at.join("s"));
    command.env("RECORD", at.join("record"));
    command
}
