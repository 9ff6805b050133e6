//! A child process in a group of its own, ended with its owner.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::wait::eventually;

/// How long a process may take to end after its last friendly signal.
const END_WITHIN: Duration = Duration::from_secs(10);

/// A running program whose output goes to files.
pub struct Process {
    child: Child,
    name: String,
    stdout: PathBuf,
    stderr: PathBuf,
    farewell: Signal,
}

impl Process {
    /// Starts `command`; its output goes to `NAME.out` and `NAME.err` in `folder`. `farewell` is
    /// the signal sent when the value is dropped.
    #[track_caller]
    pub fn start(command: &mut Command, folder: &Path, name: &str, farewell: Signal) -> Self {
        let stdout = File::create(folder.join(format!("{name}.out"))).expect("a log file");
        Self::start_with(command, (Stdio::null(), stdout.into()), folder, name, farewell)
    }

    /// [`Self::start`] with this standard input and output.
    #[track_caller]
    pub fn start_with(
        command: &mut Command,
        (stdin, stdout): (Stdio, Stdio),
        folder: &Path,
        name: &str,
        farewell: Signal,
    ) -> Self {
        let (out, err) = (folder.join(format!("{name}.out")), folder.join(format!("{name}.err")));
        let stderr = File::create(&err).expect("a log file");
        command.stdin(stdin).stdout(stdout).stderr(stderr).process_group(0);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, name: name.to_owned(), stdout: out, stderr: err, farewell }
    }

    /// Process id, also the id of its group.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Signals the process alone.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill(self.raw_pid(), signal).unwrap_or_else(|error| panic!("{signal}: {error}"));
    }

    /// Signals the whole group; a group that is gone is fine.
    pub fn signal_group(&self, signal: Signal) {
        let _ = killpg(self.raw_pid(), signal);
    }

    /// Exit status if it ended.
    pub fn try_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("wait for a child of ours")
    }

    /// Waits for the end.
    #[track_caller]
    pub fn status_within(&mut self, within: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        eventually(&what, within, || self.try_status())
    }

    /// What it wrote so far on standard output.
    pub fn stdout(&self) -> String {
        read_lossy(&self.stdout)
    }

    /// What it wrote so far on standard error.
    pub fn stderr(&self) -> String {
        read_lossy(&self.stderr)
    }

    /// Resident memory in KiB.
    #[track_caller]
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("a live process");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
    }

    fn raw_pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a pid fits"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill(self.raw_pid(), self.farewell);
            let start = Instant::now();
            while matches!(self.child.try_wait(), Ok(None)) && start.elapsed() < END_WITHIN {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        self.signal_group(Signal::SIGKILL);
        let _ = self.child.wait();
        if std::thread::panicking() {
            let (name, stdout, stderr) = (&self.name, self.stdout(), self.stderr());
            eprintln!("--- {name} stdout\n{}--- {name} stderr\n{}", tail(&stdout), tail(&stderr));
        }
    }
}

fn read_lossy(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

/// The last lines of a log, for a failure message.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let from = lines.len().saturating_sub(60);
    lines[from..].iter().flat_map(|line| [*line, "\n"]).collect()
}
