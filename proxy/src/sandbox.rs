//! `seccomp`: once it serves, the process may make the system calls of a list and no others.
//!
//! The filter is installed for all threads between the last bind and the first thread that serves, and
//! holds for everything the process does or starts from then on. What io_uring does on behalf of the
//! process is no system call and is not seen by it; `io = "epoll"` leaves io_uring out of the list.

pub mod syscalls;

#[cfg(test)]
mod document;

use std::collections::BTreeMap;

use router_core::runtime::IoChoice;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

use syscalls::{Call, GROUPS, When};

use crate::config::Seccomp;

/// Why the process could not be confined. Nothing is served then.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The filter cannot be made, or the kernel does not take it.
    #[error("seccomp: {0}; seccomp = \"off\" starts without")]
    Filter(#[from] seccompiler::Error),
    /// Nobody wrote a filter for this processor.
    #[error("seccomp is not built for this processor: {0}; seccomp = \"off\" starts without")]
    Processor(#[from] seccompiler::BackendError),
}

/// Confines every thread of the process, as configured.
///
/// # Errors
/// [`SandboxError`]
pub fn confine(seccomp: Seccomp, io: IoChoice) -> Result<(), SandboxError> {
    let otherwise = match seccomp {
        Seccomp::Off => return Ok(()),
        Seccomp::Log => SeccompAction::Log,
        Seccomp::On => SeccompAction::KillProcess,
    };
    seccompiler::apply_filter_all_threads(&filter(io, otherwise)?)?;
    tracing::info!("confined to {} system calls", allowed(io).count());
    Ok(())
}

/// The calls that are allowed with this choice of driver.
pub fn allowed(io: IoChoice) -> impl Iterator<Item = &'static Call> {
    let groups = GROUPS.iter().filter(move |group| match group.when {
        When::Always => true,
        When::Ring => io != IoChoice::Epoll,
    });
    groups.flat_map(|group| group.calls)
}

fn filter(io: IoChoice, otherwise: SeccompAction) -> Result<BpfProgram, SandboxError> {
    let processor = TargetArch::try_from(std::env::consts::ARCH)?;
    // No conditions on arguments: a call is allowed or not.
    let rules: BTreeMap<_, _> = allowed(io).map(|call| (call.number, Vec::new())).collect();
    let filter = SeccompFilter::new(rules, otherwise, SeccompAction::Allow, processor)?;
    Ok(filter.try_into()?)
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt as _, process::Command};

    use super::*;

    /// Names the mode in the environment of a child, which is this test program.
    const CHILD: &str = "SUZERAIN_TEST_CONFINED_CHILD";

    /// Not a test of its own: what the tests below run in a process that may be killed.
    #[test]
    fn child_that_makes_a_forbidden_call() {
        let Ok(mode) = std::env::var(CHILD) else { return };
        let (seccomp, io) = match mode.as_str() {
            "log" => (Seccomp::Log, IoChoice::Auto),
            "off" => (Seccomp::Off, IoChoice::Auto),
            _ => (Seccomp::On, IoChoice::Auto),
        };
        // A thread from before is confined too.
        let (go, went) = std::sync::mpsc::channel::<()>();
        let early = std::thread::spawn(move || {
            went.recv().expect("told to go");
            forbidden_and_harmless();
        });
        confine(seccomp, io).expect("a filter");
        if mode == "allowed" {
            assert!(std::fs::read_dir("/proc/self/fd").expect("a directory").count() > 2);
            assert!(std::thread::spawn(|| 7).join().is_ok_and(|seven| seven == 7));
            let status = std::fs::read_to_string("/proc/self/status").expect("of this process");
            assert!(status.contains("Seccomp:\t2"), "{status}");
            return;
        }
        forbidden_and_harmless();
        go.send(()).expect("it waits");
        early.join().expect("it returns");
    }

    /// It changes nothing, because where it is only logged it succeeds.
    fn forbidden_and_harmless() {
        let _ = nix::unistd::getsid(None);
    }

    fn child(mode: &str) -> std::process::ExitStatus {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", "sandbox::tests::child_that_makes_a_forbidden_call"]);
        command.env(CHILD, mode).output().expect("it runs").status
    }

    #[test]
    fn a_call_that_is_not_on_the_list_kills_the_process() {
        assert_eq!(child("on").signal(), Some(nix::libc::SIGSYS));
        assert!(child("allowed").success());
    }

    #[test]
    fn a_call_that_is_not_on_the_list_passes_where_it_is_only_logged() {
        assert!(child("log").success());
        assert!(child("off").success());
    }

    #[test]
    fn io_uring_is_left_out_where_it_is_not_used() {
        let has = |io| allowed(io).any(|call| call.name == "io_uring_setup");
        assert!(has(IoChoice::Auto) && has(IoChoice::Uring) && !has(IoChoice::Epoll));
    }

    #[test]
    fn no_call_is_listed_twice_and_each_has_a_reason() {
        let mut seen = std::collections::HashSet::new();
        for call in GROUPS.iter().flat_map(|group| group.calls) {
            assert!(seen.insert(call.number), "{}", call.name);
            assert!(call.why.len() > 5, "{}", call.name);
        }
    }
}
