//! Programs started by a test, and the promise that none of them outlives it.
//!
//! Every child is remembered by process id and start time together with its descendants, asked to
//! end, and killed when it does not; only these ids are ever signalled. Dropping the guard does so on
//! every way out, errors and Ctrl-C included.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::measure;
use crate::peers::find_program;
use crate::procfs::ProcessStat;

/// How long a child may take to end on its own.
const END_WAIT: Duration = Duration::from_secs(2);

/// A started program; dropping it ends the program and its descendants.
#[derive(Debug)]
pub struct Running {
    child: Child,
    name: String,
    log: PathBuf,
    /// Descendants seen so far: still ours to end when their parent has died.
    known: Vec<(i32, ProcessStat)>,
}

impl Running {
    /// Starts `program` bound to the CPUs `cores`, its output in `log`. Its standard input is a pipe that
    /// closes when we end, however we end.
    pub fn start(
        name: &str,
        program: &Path,
        arguments: &[OsString],
        cores: &[usize],
        log: PathBuf,
    ) -> Result<Self> {
        let output = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let errors = output.try_clone().context("doubling the log's descriptor")?;
        let mut command = outlived_by_us(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(output).stderr(errors);
        // Affinity is inherited, so the child and all it forks start on their core.
        let child = on_cores(cores, || command.spawn())?
            .with_context(|| format!("starting {}", program.display()))?;
        Ok(Self { child, name: name.to_owned(), log, known: Vec::new() })
    }

    /// Ids of the program and all its descendants as of now.
    pub fn members(&self) -> Result<Vec<i32>> {
        Ok(self.family()?.into_iter().map(|(id, _)| id).collect())
    }

    /// Binds every thread of the family to `cores` again, should the program have chosen others. Where there
    /// are more than one, a choice within them stays.
    pub fn confine(&mut self, cores: &[usize]) -> Result<()> {
        let set = cpu_set(cores)?;
        self.known = self.family()?;
        for (id, _) in &self.known {
            let Ok(tasks) = std::fs::read_dir(format!("/proc/{id}/task")) else { continue };
            for task in tasks.flatten() {
                let name = task.file_name();
                let Some(thread) = name.to_str().and_then(|name| name.parse().ok()) else {
                    continue;
                };
                let thread = Pid::from_raw(thread);
                let chosen = sched_getaffinity(thread).unwrap_or_default();
                let strays = (0..CpuSet::count()).any(|cpu| {
                    chosen.is_set(cpu).unwrap_or(false) && !set.is_set(cpu).unwrap_or(false)
                });
                if strays {
                    // A thread may have ended meanwhile.
                    let _ = sched_setaffinity(thread, &set);
                }
            }
        }
        Ok(())
    }

    /// An error when the program has already ended, with the end of its output.
    pub fn ensure_alive(&mut self) -> Result<()> {
        match self.child.try_wait().context("asking for the child's state")? {
            None => Ok(()),
            Some(status) => anyhow::bail!("{} ended ({status}):\n{}", self.name, self.log_tail()),
        }
    }

    /// The last lines the program wrote.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }

    fn family(&self) -> Result<Vec<(i32, ProcessStat)>> {
        measure::family(i32::try_from(self.child.id()).context("process id")?)
    }

    /// Ends the family: politely, then for certain.
    fn end(&mut self) {
        let mut members = self.family().unwrap_or_default();
        members.append(&mut self.known);
        if let Ok(id) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
        }
        let until = Instant::now() + END_WAIT;
        while Instant::now() < until {
            let root_ended = !matches!(self.child.try_wait(), Ok(None));
            if root_ended && !members.iter().any(|member| is_same(*member)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        for (id, stat) in members {
            if is_same((id, stat)) {
                let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
            }
        }
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// A command for `program` that the kernel also ends when we are killed and cannot clean up, where
/// util-linux's `setpriv` is installed: it sets that up and becomes the program.
fn outlived_by_us(program: &Path) -> Command {
    let Some(setpriv) = find_program("setpriv") else { return Command::new(program) };
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "TERM", "--"]).arg(program);
    command
}

/// Whether the process of that id is still the one that was seen, and not a later one.
fn is_same((id, seen): (i32, ProcessStat)) -> bool {
    std::fs::read_to_string(format!("/proc/{id}/stat"))
        .ok()
        .filter(|text| !text.contains(") Z "))
        .and_then(|text| crate::procfs::process_stat(&text))
        .is_some_and(|now| now.started_ticks == seen.started_ticks)
}

/// CPUs this process may use, in order.
pub fn allowed_cpus() -> Result<Vec<usize>> {
    let set = sched_getaffinity(Pid::from_raw(0)).context("reading the CPU affinity")?;
    Ok((0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).collect())
}

/// Binds the calling thread to one CPU.
pub fn pin_this_thread(core: usize) -> Result<()> {
    sched_setaffinity(Pid::from_raw(0), &cpu_set(&[core])?)
        .with_context(|| format!("binding a thread to CPU {core}"))
}

/// Runs `work` with the calling thread on `cores`, and puts the thread back where it was.
fn on_cores<T>(cores: &[usize], work: impl FnOnce() -> T) -> Result<T> {
    let before = sched_getaffinity(Pid::from_raw(0)).context("reading the CPU affinity")?;
    sched_setaffinity(Pid::from_raw(0), &cpu_set(cores)?).context("binding a thread")?;
    let result = work();
    sched_setaffinity(Pid::from_raw(0), &before).context("restoring the CPU affinity")?;
    Ok(result)
}

fn cpu_set(cores: &[usize]) -> Result<CpuSet> {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core).with_context(|| format!("CPU {core} does not fit a CPU set"))?;
    }
    Ok(set)
}

/// Lines of a child's output shown with an error.
const LOG_LINES_SHOWN: usize = 15;
