//! Third-party programs used as clients and peers: found, run, bounded.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longest a program may take to end by itself.
const RUN_MAX: Duration = Duration::from_secs(40);

/// Path of a program, looked for in `PATH` and the system directories.
///
/// `SUZERAIN_TEST_UWSGI` names another uWSGI than the system's.
pub fn find(name: &str) -> Option<PathBuf> {
    if name == "uwsgi"
        && let Some(path) = std::env::var_os("SUZERAIN_TEST_UWSGI")
    {
        return Some(path.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from);
    let mut folders = std::env::split_paths(&path).chain(system);
    folders.find_map(|folder| {
        let candidate = folder.join(name);
        candidate.is_file().then_some(candidate)
    })
}

/// Says that a test could not run for want of `name`.
///
/// # Panics
/// Under `CI=true`: there a skipped test would be a silent hole.
pub fn report_missing(name: &str) {
    let ci = std::env::var("CI").is_ok_and(|value| value == "true" || value == "1");
    assert!(!ci, "{name} is not installed, and CI must not skip (see packaging/)");
    eprintln!("SKIPPED: {name} is not installed");
}

/// A Python that has `module`: that of `packaging/install-test-deps.sh`, else the system's.
pub fn python_with(module: &str) -> Option<PathBuf> {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/test-python/bin/python3");
    let candidates = [Some(PathBuf::from(own)).filter(|path| path.exists()), find("python3")];
    let import = format!("import {module}");
    candidates
        .into_iter()
        .flatten()
        .find(|python| run(Command::new(python).args(["-c", &import])).code == Some(0))
}

/// What a finished program left behind.
#[derive(Debug)]
pub struct Finished {
    /// Exit code, `None` if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a program to its end with nothing on its standard input.
///
/// # Panics
/// If it cannot be started, or does not end by itself; then it is killed first.
#[track_caller]
pub fn run(command: &mut Command) -> Finished {
    run_with_input(command, b"")
}

/// [`run`] with these bytes on the standard input.
#[track_caller]
pub fn run_with_input(command: &mut Command, input: &[u8]) -> Finished {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // A program that does not read its input is no error.
    let _ = child.stdin.take().expect("piped").write_all(input);
    let stdout = drain(child.stdout.take().expect("piped"));
    let stderr = drain(child.stderr.take().expect("piped"));
    let start = Instant::now();
    let status = loop {
        match child.try_wait().expect("wait for a child of ours") {
            Some(status) => break Some(status),
            None if start.elapsed() > RUN_MAX => break None,
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let text = |pipe: JoinHandle<Vec<u8>>| {
        String::from_utf8_lossy(&pipe.join().expect("reading does not panic")).into_owned()
    };
    let (stdout, stderr) = (text(stdout), text(stderr));
    let Some(status) = status else {
        panic!("{command:?} still ran after {RUN_MAX:?}: {stdout}{stderr}");
    };
    Finished { code: status.code(), stdout, stderr }
}

fn drain(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

/// A curl run: the status, the body, and what went wrong.
#[derive(Debug)]
pub struct Curl {
    /// curl's own exit code.
    pub exit: i32,
    /// Status of the last response, 0 if there was none.
    pub status: u16,
    pub body: String,
    pub stderr: String,
}

impl Curl {
    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs curl with these arguments, quietly and bounded.
#[track_caller]
pub fn curl(program: &Path, arguments: &[&str]) -> Curl {
    let mut command = Command::new(program);
    command.args(["-q", "-sS", "--noproxy", "*", "--max-time", "30"]);
    command.args(["-w", "\n%{http_code}"]).args(arguments);
    let finished = run(&mut command);
    let (body, status) = finished.stdout.rsplit_once('\n').unwrap_or_default();
    Curl {
        exit: finished.code.unwrap_or(-1),
        status: status.trim().parse().unwrap_or(0),
        body: body.to_owned(),
        stderr: finished.stderr,
    }
}

/// Runs an openssl sub-command that must succeed.
#[track_caller]
pub fn openssl(program: &Path, arguments: &[&str]) -> String {
    let finished = run(Command::new(program).args(arguments));
    assert_eq!(finished.code, Some(0), "openssl {arguments:?}: {}", finished.stderr);
    finished.stdout
}
