//! The router under test: started with a subscription socket, looked at from outside.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use super::Bench;
use crate::child::Running;
use crate::{machine, measure, procfs};

/// A running router.
pub struct Router {
    running: Running,
    /// Where it serves HTTP.
    pub http: SocketAddr,
    /// Where it serves HTTPS.
    pub https: SocketAddr,
    /// Where it takes datagrams.
    pub subscribe: SocketAddr,
    admin: SocketAddr,
}

impl Router {
    /// Starts it with one worker on the worker's CPU and its control threads on the other one.
    pub fn start(bench: &Bench<'_>, options: &[&str]) -> Result<Self> {
        let router = Self::start_anywhere(bench, options)?;
        for name in ["subscriber", "cert-loader", "admin"] {
            router.pin(name, bench.other_core)?;
        }
        Ok(router)
    }

    /// Starts it with its control threads wherever the scheduler puts them.
    pub fn start_anywhere(bench: &Bench<'_>, options: &[&str]) -> Result<Self> {
        let [http, https, subscribe, admin] = machine::free_addresses()?;
        let mut arguments: Vec<OsString> = vec!["run".into()];
        let own =
            [("--http", http), ("--https", https), ("--subscribe", subscribe), ("--admin", admin)];
        for (flag, address) in own {
            arguments.extend([flag.into(), address.to_string().into()]);
        }
        let fixed = ["--workers", "1", "--access-log", "off", "--log-level", "warn"];
        arguments.extend(fixed.iter().chain(options).map(Into::into));
        let log = bench.directory.join("suzerain.log");
        let cores = [bench.worker_core, bench.other_core];
        let running = Running::start("suzerain", bench.program, &arguments, &cores, log)?;
        let mut router = Self { running, http, https, subscribe, admin };
        router.wait_until_ready(START_WAIT)?;
        router.pin("worker", bench.worker_core)?;
        Ok(router)
    }

    /// Waits until it says that it is ready.
    fn wait_until_ready(&mut self, wait: Duration) -> Result<()> {
        let until = Instant::now() + wait;
        while !self.get("/readyz").is_ok_and(|text| text.starts_with("HTTP/1.1 200")) {
            self.running.ensure_alive()?;
            anyhow::ensure!(Instant::now() < until, "not ready: {}", self.running.log_tail());
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Binds the threads whose name begins so to a CPU.
    pub fn pin(&self, name: &str, core: usize) -> Result<()> {
        let mut set = CpuSet::new();
        set.set(core).context("CPU set")?;
        for (thread, its_name) in self.threads()? {
            if its_name.starts_with(name) {
                sched_setaffinity(Pid::from_raw(thread), &set).context("binding a thread")?;
            }
        }
        Ok(())
    }

    /// CPU time so far of the living threads whose name begins so, in nanoseconds.
    pub fn cpu_ns(&self, name: &str) -> Result<u64> {
        let id = self.id()?;
        let mut sum = 0;
        for (thread, _) in self.threads()?.iter().filter(|(_, its)| its.starts_with(name)) {
            let path = format!("/proc/{id}/task/{thread}/schedstat");
            let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
            sum += procfs::schedstat_run_ns(&text).context("odd schedstat line")?;
        }
        Ok(sum)
    }

    /// Resident memory, in bytes.
    pub fn resident_bytes(&self) -> Result<u64> {
        Ok(measure::memory(&[self.id()?])?.rss_kb * 1024)
    }

    /// A number of `/metrics`: the sample that begins with `name`, labels included.
    pub fn metric(&self, name: &str) -> Result<u64> {
        let page = self.get("/metrics")?;
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let number = line.with_context(|| format!("no metric {name}"))?.trim();
        number.parse().with_context(|| format!("odd metric {name}: {number}"))
    }

    /// Waits until a metric is at least that much.
    pub fn wait_for(&self, name: &str, least: u64, wait: Duration) -> Result<()> {
        let until = Instant::now() + wait;
        loop {
            let now = self.metric(name)?;
            if now >= least {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < until, "{name} is {now} and not {least}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn get(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(self.admin).context("connecting to the admin side")?;
        stream.set_read_timeout(Some(ANSWER_WAIT)).context("setting a timeout")?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .context("asking the admin side")?;
        let mut text = String::new();
        stream.read_to_string(&mut text).context("reading the admin side's answer")?;
        Ok(text)
    }

    fn id(&self) -> Result<i32> {
        self.running.members()?.into_iter().min().context("the router is gone")
    }

    fn threads(&self) -> Result<Vec<(i32, String)>> {
        let directory = format!("/proc/{}/task", self.id()?);
        let mut threads = Vec::new();
        for task in std::fs::read_dir(&directory).context("listing threads")?.flatten() {
            let name = task.file_name();
            let Some(thread) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            let comm = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            threads.push((thread, comm));
        }
        Ok(threads)
    }
}

/// Datagrams the kernel dropped at the UDP sockets bound to this port.
pub fn drops_at(port: u16) -> Result<u64> {
    let text = std::fs::read_to_string("/proc/net/udp").context("reading /proc/net/udp")?;
    let mine = |line: &&str| {
        let local = line.split_ascii_whitespace().nth(1).and_then(|at| at.rsplit_once(':'));
        local.is_some_and(|(_, its)| u16::from_str_radix(its, 16) == Ok(port))
    };
    let drops = |line: &str| line.split_ascii_whitespace().next_back()?.parse::<u64>().ok();
    Ok(text.lines().skip(1).filter(mine).filter_map(drops).sum())
}

/// Starts the upstream all keys lead to; it answers everything.
pub fn start_upstream(
    bench: &Bench<'_>,
    protocol: &str,
    core: usize,
) -> Result<(SocketAddr, Running)> {
    let [address] = machine::free_addresses()?;
    let arguments =
        ["origin", "--listen", &address.to_string(), "--protocol", protocol, "--body-bytes", "64"]
            .map(Into::into);
    let program = std::env::current_exe().context("finding this program")?;
    let log = bench.directory.join("upstream.log");
    let mut upstream = Running::start("upstream", &program, &arguments, &[core], log)?;
    wait_for_listener(&mut upstream, address)?;
    Ok((address, upstream))
}

/// Waits until somebody accepts there.
pub fn wait_for_listener(running: &mut Running, address: SocketAddr) -> Result<()> {
    let until = Instant::now() + ANSWER_WAIT;
    while TcpStream::connect(address).is_err() {
        running.ensure_alive()?;
        anyhow::ensure!(Instant::now() < until, "nobody listens: {}", running.log_tail());
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// A directory of public keys as routers want it: one file for each name.
pub fn key_directory<'n>(
    parent: &Path,
    pem: &str,
    names: impl Iterator<Item = &'n str>,
) -> Result<std::path::PathBuf> {
    let directory = parent.join("keys");
    std::fs::create_dir_all(&directory).context("creating the key directory")?;
    for name in names {
        let file = directory.join(format!("{name}.pem"));
        std::fs::write(&file, pem).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(directory)
}

const START_WAIT: Duration = Duration::from_secs(120);
const ANSWER_WAIT: Duration = Duration::from_secs(10);
