//! Reading what a family of processes costs: CPU time and resident memory.
//!
//! A family is a process with all its descendants (nginx forks a worker, uWSGI forks its http
//! process). CPU is the scheduler's own nanosecond count, summed over every thread; the
//! split into user and kernel time comes from the coarser tick counters and is only a proportion.
//! Work the kernel does on loopback packets is charged to whichever task was running, for every
//! proxy alike.

use std::collections::HashMap;
use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use crate::procfs::{self, ProcessStat, Resident};

/// CPU time used up to a moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuTime {
    /// Nanoseconds on a CPU.
    pub run_ns: u64,
    /// User mode, in clock ticks.
    pub user_ticks: u64,
    /// Kernel mode, in clock ticks.
    pub system_ticks: u64,
}

/// CPU used within a window.
#[derive(Clone, Copy, Debug)]
pub struct CpuUse {
    /// Nanoseconds on a CPU.
    pub run_ns: f64,
    /// The part of it in user mode, 0 to 1.
    pub user_share: f64,
}

impl CpuTime {
    /// What was used from `earlier` until this moment.
    pub fn since(&self, earlier: &CpuTime) -> CpuUse {
        let user = self.user_ticks.saturating_sub(earlier.user_ticks) as f64;
        let system = self.system_ticks.saturating_sub(earlier.system_ticks) as f64;
        let ticks = user + system;
        CpuUse {
            run_ns: self.run_ns.saturating_sub(earlier.run_ns) as f64,
            user_share: if ticks > 0.0 { user / ticks } else { 0.0 },
        }
    }
}

/// `root` and all its living descendants, with their stat lines.
pub fn family(root: i32) -> Result<Vec<(i32, ProcessStat)>> {
    let mut all = HashMap::new();
    for entry in fs::read_dir("/proc").context("reading /proc")? {
        let Ok(entry) = entry else { continue };
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // A process may end between the listing and the reading; it is then no member.
        let Ok(text) = fs::read_to_string(format!("/proc/{id}/stat")) else { continue };
        if let Some(stat) = procfs::process_stat(&text) {
            all.insert(id, stat);
        }
    }
    let belongs = |mut id: i32| {
        while id != root {
            match all.get(&id) {
                Some(stat) if stat.parent != id && stat.parent > 0 => id = stat.parent,
                _ => return false,
            }
        }
        true
    };
    Ok(all.iter().filter(|(id, _)| belongs(**id)).map(|(id, stat)| (*id, *stat)).collect())
}

/// CPU time of the given processes, over all their threads.
///
/// # Errors
/// When not one thread could be read: a zero must never pass for a cheap proxy.
pub fn cpu_time(members: &[i32]) -> Result<CpuTime> {
    let mut sum = CpuTime::default();
    let mut threads = 0;
    for id in members {
        let Ok(tasks) = fs::read_dir(format!("/proc/{id}/task")) else { continue };
        for task in tasks.flatten() {
            let Ok(text) = fs::read_to_string(task.path().join("schedstat")) else { continue };
            sum.run_ns += procfs::schedstat_run_ns(&text).context("odd schedstat line")?;
            threads += 1;
        }
        let Ok(text) = fs::read_to_string(format!("/proc/{id}/stat")) else { continue };
        let stat = procfs::process_stat(&text).context("odd stat line")?;
        sum.user_ticks += stat.user_ticks;
        sum.system_ticks += stat.system_ticks;
    }
    anyhow::ensure!(threads > 0, "no thread of processes {members:?} could be read");
    Ok(sum)
}

/// Nanoseconds this process has used, and those of its children that have ended.
pub fn own_cpu_ns() -> Result<u64> {
    let own_id = i32::try_from(std::process::id()).context("process id")?;
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("asking for the children's time")?;
    let children = [usage.user_time(), usage.system_time()];
    let children_ns = children.iter().map(|time| u64::try_from(time.num_nanoseconds()));
    let children_ns = children_ns.sum::<Result<u64, _>>().context("time below zero")?;
    Ok(cpu_time(&[own_id])?.run_ns + children_ns)
}

/// Memory of the given processes, summed.
///
/// # Errors
/// When a process vanished or its memory may not be read.
pub fn memory(members: &[i32]) -> Result<Resident> {
    let mut sum = Resident::default();
    for id in members {
        let path = format!("/proc/{id}/smaps_rollup");
        let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let one = procfs::resident(&text).with_context(|| format!("odd {path}"))?;
        sum.rss_kb += one.rss_kb;
        sum.pss_kb += one.pss_kb;
    }
    Ok(sum)
}

/// How busy the machine was, and how much of that was not ours.
#[derive(Clone, Copy, Debug)]
pub struct MachineClock {
    at: Instant,
    busy_ticks: u64,
    ours: CpuTime,
}

impl MachineClock {
    /// The machine and this process's family as of now.
    pub fn now() -> Result<Self> {
        let text = fs::read_to_string("/proc/stat").context("reading /proc/stat")?;
        let own_id = i32::try_from(std::process::id()).context("process id")?;
        let members: Vec<i32> = family(own_id)?.into_iter().map(|(id, _)| id).collect();
        Ok(Self {
            at: Instant::now(),
            busy_ticks: procfs::machine_busy_ticks(&text).context("odd /proc/stat")?,
            ours: cpu_time(&members)?,
        })
    }

    /// CPU of programs that are none of ours since `earlier`, in CPUs (1.0 = one CPU fully busy).
    pub fn foreign_cpus_since(&self, earlier: &MachineClock) -> f64 {
        let busy_ticks = self.busy_ticks.saturating_sub(earlier.busy_ticks) as f64;
        let busy_s = busy_ticks / ticks_per_second();
        let ours_s = self.ours.since(&earlier.ours).run_ns / 1e9;
        ((busy_s - ours_s) / (self.at - earlier.at).as_secs_f64()).max(0.0)
    }
}

/// Clock ticks per second of this system; 100 where it does not say.
fn ticks_per_second() -> f64 {
    match nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK) {
        Ok(Some(ticks)) => ticks as f64,
        _ => 100.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_share_is_a_proportion_of_the_ticks() {
        let start = CpuTime { run_ns: 1_000, user_ticks: 10, system_ticks: 10 };
        let end = CpuTime { run_ns: 4_000, user_ticks: 11, system_ticks: 13 };
        let used = end.since(&start);
        assert_eq!((used.run_ns, used.user_share), (3_000.0, 0.25));
        assert_eq!(start.since(&start).user_share, 0.0);
    }

    #[test]
    fn a_family_holds_its_own_root_and_costs_something() {
        let own_id = i32::try_from(std::process::id()).unwrap();
        let members: Vec<i32> = family(own_id).unwrap().into_iter().map(|(id, _)| id).collect();
        assert!(members.contains(&own_id));
        assert!(cpu_time(&members).unwrap().run_ns > 0);
        assert!(memory(&[own_id]).unwrap().rss_kb > 100);
    }
}
