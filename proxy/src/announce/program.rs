//! The program that is announced: started, signalled, and asked for its status.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitCode};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

/// A running child process.
pub struct Program {
    child: Child,
    pid: Pid,
}

impl Program {
    /// Starts it. `ended` is called once, from another thread, when it has ended.
    ///
    /// It gets its own process group: a Ctrl-C on the terminal reaches it once, through us, after
    /// it was unsubscribed.
    pub fn start(
        name: &str,
        arguments: &[String],
        ended: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let child = Command::new(name).args(arguments).process_group(0).spawn()?;
        let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
        let program = Self { child, pid };
        std::thread::Builder::new().name("program".to_owned()).spawn(move || {
            // WNOWAIT leaves the zombie: its pid stays ours until `status` collects it, so a
            // signal can never hit a stranger.
            while let Err(nix::Error::EINTR) =
                waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)
            {}
            ended();
        })?;
        Ok(program)
    }

    /// Passes a signal on.
    pub fn signal(&self, signal: Signal) {
        if let Err(error) = kill(self.pid, signal) {
            tracing::warn!(%error, %signal, "the program cannot be signalled");
        }
    }

    /// Waits for its end. A death by signal N is the status 128 + N, as in shells.
    pub fn status(mut self) -> ExitCode {
        let Ok(status) = self.child.wait() else { return ExitCode::FAILURE };
        let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
        ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
    }
}
