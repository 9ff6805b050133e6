//! What a run needs to know of the machine, and the limits it raises for itself.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::Serialize;

/// The machine as named in a report.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Kernel release.
    pub kernel: String,
    /// Model of the first CPU.
    pub cpu: String,
    /// CPUs this process may use.
    pub cpus: usize,
    /// Memory in KB.
    pub memory_kb: u64,
    /// Load average when the run began.
    pub load_average: String,
    /// Open files allowed per process, after raising it.
    pub descriptors_max: u64,
    /// `net.core.somaxconn`.
    pub backlog_max: u32,
    /// `net.ipv4.ip_local_port_range`.
    pub client_ports: String,
}

impl Machine {
    /// Looks at the machine. What it does not tell reads "unknown".
    pub fn look(cpus: usize, descriptors_max: u64) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let or_unknown = |text: Option<&str>| text.unwrap_or("unknown").trim().to_owned();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            or_unknown(line.and_then(|line| line.split_once(':')).map(|(_, value)| value))
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        Self {
            kernel: read("/proc/sys/kernel/osrelease"),
            cpu: field(&read("/proc/cpuinfo"), "model name"),
            cpus,
            memory_kb: memory.trim_end_matches(" kB").trim().parse().unwrap_or(0),
            load_average: read("/proc/loadavg"),
            descriptors_max,
            backlog_max: read("/proc/sys/net/core/somaxconn").parse().unwrap_or(128),
            client_ports: read("/proc/sys/net/ipv4/ip_local_port_range"),
        }
    }

    /// Idle client connections that fit both the descriptors and the client ports, at most `wanted`.
    pub fn idle_connections(&self, wanted: usize, clients_most: usize) -> usize {
        let mut bounds =
            self.client_ports.split_whitespace().map_while(|port| port.parse::<usize>().ok());
        let ports = match (bounds.next(), bounds.next()) {
            (Some(low), Some(high)) if high > low => high - low,
            _ => 28_000,
        };
        wanted.min(self.clients_max(clients_most)).min(ports / 2)
    }

    /// Client connections a proxy is configured for, `most` where there are descriptors: HAProxy wants
    /// two for each.
    pub fn clients_max(&self, most: usize) -> usize {
        let descriptors = usize::try_from(self.descriptors_max).unwrap_or(usize::MAX);
        (descriptors.saturating_sub(DESCRIPTORS_SPARE) / 2).clamp(64, most)
    }
}

/// Raises the soft limit of open files to the hard one; children inherit it. Returns the limit.
pub fn raise_descriptor_limit() -> Result<u64> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("reading RLIMIT_NOFILE")?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("raising RLIMIT_NOFILE")?;
    // Some programs size arrays by the limit: what nobody needs would distort their memory.
    let useful = hard.min(DESCRIPTORS_USEFUL);
    setrlimit(Resource::RLIMIT_NOFILE, useful, hard).context("setting RLIMIT_NOFILE")?;
    Ok(useful)
}

/// Different addresses on 127.0.0.1 the kernel says are free. They are released again: another program
/// could take one before the proxy does, which then fails visibly.
pub fn free_addresses<const N: usize>() -> Result<[SocketAddr; N]> {
    // All are held until the last is found, or the kernel may give one twice.
    let mut listeners = Vec::with_capacity(N);
    let mut addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); N];
    for address in &mut addresses {
        let listener = TcpListener::bind(*address).context("asking for a free port")?;
        *address = listener.local_addr().context("reading the free port")?;
        listeners.push(listener);
    }
    Ok(addresses)
}

/// Sets the scheduler's weight of this session (`/proc/self/autogroup`), which all children share.
pub fn set_autogroup_nice(nice: i32) -> Result<()> {
    fs::write("/proc/self/autogroup", nice.to_string())
        .with_context(|| format!("setting this session's autogroup to nice {nice}"))
}

const DESCRIPTORS_SPARE: usize = 256;
/// Two for each of 10,000 clients, and spare.
const DESCRIPTORS_USEFUL: u64 = 20_300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_descriptors_or_ports_scale_the_idle_connections_down() {
        let mut machine = Machine::look(2, 20_000);
        machine.client_ports = "32768\t60999".to_owned();
        assert_eq!(machine.idle_connections(5_000, 8_192), 5_000);
        machine.descriptors_max = 1_024;
        assert_eq!(machine.idle_connections(5_000, 8_192), 384);
        machine.descriptors_max = 20_000;
        machine.client_ports = "40000\t44000".to_owned();
        assert_eq!(machine.idle_connections(5_000, 8_192), 2_000);
    }

    #[test]
    fn free_addresses_are_on_loopback_and_different() {
        let addresses = free_addresses::<50>().unwrap();
        let ports: std::collections::HashSet<u16> = addresses.iter().map(|a| a.port()).collect();
        assert!(addresses.iter().all(|a| a.ip().is_loopback()));
        assert!(ports.len() == 50 && !ports.contains(&0), "{ports:?}");
    }
}
