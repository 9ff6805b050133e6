//! One proxy in one round: started fresh, verified, weighed, loaded, ended.
//!
//! Memory and CPU are taken from two separate starts, so that neither sees what the other left in
//! the proxy's pools. The upstream is started anew for each as well.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::child::{self, Running};
use crate::client::idle::{IdleConnections, IdleKind};
use crate::client::tally::Tally;
use crate::client::wire::Dial;
use crate::client::{self, Mark, Pace, Plan};
use crate::job::Part;
use crate::machine;
use crate::measure::{self, CpuTime, MachineClock};
use crate::peers::{Launch, Proxy, Site, UpstreamAddress};
use crate::probe;
use crate::report::{Costs, Memory, MemoryStep, Sample};
use crate::scenario::{Scenario, Tickets, Transport, Upstream, Work};
use crate::tls::{self, CertFiles};

/// What all rounds of a comparison share.
#[derive(Debug)]
pub struct Bench<'b> {
    /// The workload.
    pub scenario: Scenario,
    /// What is measured.
    pub part: Part,
    /// Client connections.
    pub connections: usize,
    /// Who sets the pace.
    pub pace: Pace,
    /// Uncounted load.
    pub warmup: Duration,
    /// Counted load.
    pub window: Duration,
    /// Connections held open while weighing memory; 0 leaves it out.
    pub idle_connections: usize,
    /// Longest wait for the machine to become quiet before a start.
    pub quiet_wait: Duration,
    /// CPU of each process.
    pub cores: Cores,
    /// Limits and paths for the proxies.
    pub site: SiteLimits,
    /// Set when the run shall end.
    pub stop: &'b AtomicBool,
}

/// CPUs the processes are bound to.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Cores {
    /// The proxy's.
    pub proxy: Vec<usize>,
    /// The load generator's.
    pub client: usize,
    /// The upstream's.
    pub upstream: usize,
}

/// The parts of a [`Site`] that stay the same.
#[derive(Clone, Debug)]
pub struct SiteLimits {
    /// Workers of the proxy.
    pub workers: usize,
    /// Client connections that must fit.
    pub clients_max: usize,
    /// Descriptors a process may open.
    pub descriptors_max: u64,
    /// Longest accept queue.
    pub backlog: u32,
    /// I/O driver of our router.
    pub io: String,
}

/// A proxy and its upstream, up and verified.
struct Stage {
    proxy: Running,
    // Dropped after the proxy.
    upstream: Running,
    site: Site,
    launch: Launch,
    _directory: tempfile::TempDir,
}

/// What one measurement gave, and how it came about.
#[derive(Debug)]
pub struct Outcome {
    /// What requests cost.
    pub sample: Option<Sample>,
    /// What idle connections weigh.
    pub memory: Option<Memory>,
    /// How the proxy was started.
    pub launch: Launch,
    /// A request as the upstream saw it.
    pub forwarded: String,
}

impl Bench<'_> {
    /// Measures `proxy` once.
    pub fn measure(&self, proxy: Proxy, program: &Path) -> Result<Outcome> {
        let upstream = self.scenario.upstream(proxy).context("cannot take part")?;
        let memory = match self.idle_connections {
            0 => None,
            _ if !proxy.is_weighed() => None,
            count => Some(self.weigh(proxy, program, upstream, count)?),
        };
        self.wait_until_quiet()?;
        let mut stage = self.stage(proxy, program, upstream)?;
        let forwarded = probe::request_as_forwarded(&dial(&stage.site)?)
            .context("asking what the upstream sees")?;
        let sample = match self.part {
            Part::Memory => None,
            Part::Load | Part::Both => Some(self.load(&mut stage)?),
        };
        stage.proxy.ensure_alive()?;
        Ok(Outcome { sample, memory, launch: stage.launch.clone(), forwarded })
    }

    /// Starts upstream and proxy and waits until the proxy serves.
    fn stage(&self, proxy: Proxy, program: &Path, upstream: Upstream) -> Result<Stage> {
        let directory = tempfile::Builder::new()
            .prefix("loadtests-")
            .tempdir()
            .context("creating a directory for the run")?;
        let [listen, admin, behind] = machine::free_addresses()?;
        let address = match upstream.transport {
            Transport::Tcp => UpstreamAddress::Tcp(behind),
            Transport::Unix => UpstreamAddress::Unix(directory.path().join("upstream.sock")),
        };
        let certificate = self.scenario.tls().map(|kind| CertFiles::make(directory.path(), kind));
        let origin = self.start_upstream(upstream, &address, directory.path())?;
        let packets =
            (self.scenario.work() == Work::Packets).then(|| directory.path().join("router.sock"));
        let site = Site {
            listen,
            packets,
            workers: self.site.workers,
            body_bytes: self.scenario.load().body_bytes,
            admin,
            host: crate::scenario::HOST,
            protocol: upstream.protocol,
            upstream: address,
            tls: certificate.transpose()?,
            carries_tunnels: self.scenario.work() == Work::Messages,
            directory: directory.path().to_owned(),
            clients_max: self.site.clients_max,
            descriptors_max: self.site.descriptors_max,
            backlog: self.site.backlog,
            as_root: nix::unistd::geteuid().is_root(),
            io: self.site.io.clone(),
        };
        let launch = proxy.launch(&site);
        if let Some(file) = &launch.file {
            std::fs::write(&file.path, &file.text).context("writing the proxy's configuration")?;
        }
        let log = directory.path().join("proxy.log");
        let mut running =
            Running::start(proxy.name(), program, &launch.arguments, &self.cores.proxy, log)?;
        probe::until_serving(&mut running, &dial(&site)?, self.scenario, self.stop)
            .with_context(|| format!("starting {}", proxy.name()))?;
        running.confine(&self.cores.proxy)?;
        Ok(Stage { proxy: running, upstream: origin, site, launch, _directory: directory })
    }

    fn start_upstream(
        &self,
        upstream: Upstream,
        address: &UpstreamAddress,
        directory: &Path,
    ) -> Result<Running> {
        let listen = match address {
            UpstreamAddress::Tcp(address) => address.to_string(),
            UpstreamAddress::Unix(path) => path.display().to_string(),
        };
        let protocol = match upstream.protocol {
            crate::origin::Protocol::Http => "http",
            crate::origin::Protocol::Uwsgi => "uwsgi",
        };
        let body_bytes = self.scenario.load().body_bytes.to_string();
        let arguments =
            ["origin", "--listen", &listen, "--protocol", protocol, "--body-bytes", &body_bytes]
                .map(Into::into);
        let program = std::env::current_exe().context("finding this program")?;
        let log = directory.join("upstream.log");
        Running::start("upstream", &program, &arguments, &[self.cores.upstream], log)
    }

    fn plan(&self, site: &Site) -> Plan {
        Plan {
            target: site.listen,
            request: self.scenario.request(),
            body_bytes: self.scenario.load().body_bytes as u64,
            moved_bytes: self.scenario.load().moved_bytes() as u64,
            connections: self.connections,
            reuse: self.scenario.reuse(),
            pace: self.pace,
            warmup: self.warmup,
            window: self.window,
        }
    }

    /// Runs the load on its own CPU and reads the proxy's costs at the edges of the window.
    fn load(&self, stage: &mut Stage) -> Result<Sample> {
        let plan = self.plan(&stage.site);
        let members = stage.proxy.members()?;
        let upstream = stage.upstream.members()?;
        let mut edges: Vec<Edge> = Vec::new();
        // The proxy is read last before the window and first after it; looking at the whole
        // machine takes milliseconds.
        let mark = |mark: Mark| {
            edges.push(match mark {
                Mark::Opens => {
                    let (others, machine) = (Others::now(&upstream)?, MachineClock::now()?);
                    Edge { proxy: measure::cpu_time(&members)?, others, machine }
                }
                Mark::Closes => Edge {
                    proxy: measure::cpu_time(&members)?,
                    others: Others::now(&upstream)?,
                    machine: MachineClock::now()?,
                },
            });
            Ok(())
        };
        let (dial, directory) = (dial(&stage.site)?, stage.site.directory.clone());
        let packets = stage.site.packets.clone();
        let work = || self.drive(&plan, &dial, (&directory, packets.as_deref()), mark);
        let tally = std::thread::scope(|scope| scope.spawn(work).join())
            .map_err(|_| anyhow::anyhow!("the load generator panicked"))?
            .with_context(|| format!("load on {}", stage.site.listen))?;
        let [opens, closes] = &edges[..] else {
            anyhow::bail!("the load did not reach the end of its window");
        };
        anyhow::ensure!(tally.requests > 0, "no request succeeded: {}", tally.describe_errors());
        Ok(Sample::new(&tally, &closes.since(opens)))
    }

    /// The load itself, by the client that the scenario needs.
    fn drive(
        &self,
        plan: &Plan,
        dial: &Dial,
        (directory, packets): (&Path, Option<&Path>),
        mark: impl FnMut(Mark) -> Result<()>,
    ) -> Result<Tally> {
        let core = self.cores.client;
        child::pin_this_thread(core)?;
        match self.scenario.work() {
            Work::Requests => client::run(plan, self.stop, mark),
            Work::Messages => client::websocket::run(plan, dial, self.stop, mark),
            Work::Packets => {
                let router = packets.context("no socket to send packets to")?;
                client::packets::run(plan, router, self.stop, mark)
            }
            Work::Handshakes(tickets) => {
                client::handshakes::run(plan, tickets, core, self.stop, mark)
            }
            Work::H2load { alpn, streams } => {
                client::h2load::run(plan, (alpn, streams), core, directory, self.stop, mark)
            }
        }
    }

    /// Resident memory without clients and with `count` idle ones that were each served once.
    fn weigh(
        &self,
        proxy: Proxy,
        program: &Path,
        upstream: Upstream,
        count: usize,
    ) -> Result<Memory> {
        let stage = self.stage(proxy, program, upstream)?;
        let empty = self.settled(&stage)?;
        let mut plan = self.plan(&stage.site);
        let dial = dial(&stage.site)?;
        // Idle connections must stay open even where the workload closes each.
        plan.request = match self.scenario.work() {
            Work::Messages => plan.request,
            _ => Scenario::Keepalive.request(),
        };
        let kind = match self.scenario.work() {
            Work::Messages => IdleKind::WebSocket,
            _ => IdleKind::Http,
        };
        let mut clients = IdleConnections::default();
        let mut steps = vec![MemoryStep { connections: 0, pss_kb: empty.pss_kb }];
        let mut full = empty;
        for part in 1..=MEMORY_STEPS {
            let connections = count * part / MEMORY_STEPS;
            clients
                .grow(kind, &plan, &dial, connections, self.stop)
                .with_context(|| format!("holding {count} idle connections"))?;
            full = self.settled(&stage)?;
            steps.push(MemoryStep { connections, pss_kb: full.pss_kb });
        }
        Ok(Memory {
            connections: count,
            still_open: clients.still_open(),
            rss_kb_empty: empty.rss_kb,
            pss_kb_empty: empty.pss_kb,
            rss_kb_idle: full.rss_kb,
            pss_kb_idle: full.pss_kb,
            steps,
        })
    }

    /// Memory once two looks 500 ms apart agree within 1 %, or after 5 s.
    fn settled(&self, stage: &Stage) -> Result<crate::procfs::Resident> {
        let until = Instant::now() + SETTLE_WAIT;
        let mut before = measure::memory(&stage.proxy.members()?)?;
        loop {
            self.pause(Duration::from_millis(500))?;
            let now = measure::memory(&stage.proxy.members()?)?;
            if now.pss_kb.abs_diff(before.pss_kb) * 100 <= before.pss_kb || Instant::now() >= until
            {
                return Ok(now);
            }
            before = now;
        }
    }

    /// Waits for others on the machine to rest; goes on after `quiet_wait` all the same, and the
    /// sample tells how busy others were.
    fn wait_until_quiet(&self) -> Result<()> {
        let until = Instant::now() + self.quiet_wait;
        while Instant::now() < until {
            let before = MachineClock::now()?;
            self.pause(Duration::from_millis(250))?;
            if MachineClock::now()?.foreign_cpus_since(&before) < QUIET_CPUS {
                break;
            }
        }
        Ok(())
    }

    fn pause(&self, length: Duration) -> Result<()> {
        anyhow::ensure!(!self.stop.load(Ordering::Relaxed), "stopped");
        std::thread::sleep(length);
        Ok(())
    }
}

/// CPU time of everything, at one end of the window.
struct Edge {
    proxy: CpuTime,
    others: Others,
    machine: MachineClock,
}

/// CPU time of those that are not measured.
struct Others {
    client_ns: u64,
    upstream_ns: u64,
}

impl Others {
    fn now(upstream: &[i32]) -> Result<Self> {
        let client_ns = measure::own_cpu_ns()?;
        Ok(Self { client_ns, upstream_ns: measure::cpu_time(upstream)?.run_ns })
    }
}

impl Edge {
    fn since(&self, earlier: &Self) -> Costs {
        let grown = |now: u64, before: u64| now.saturating_sub(before) as f64;
        Costs {
            proxy: self.proxy.since(&earlier.proxy),
            client_ns: grown(self.others.client_ns, earlier.others.client_ns),
            upstream_ns: grown(self.others.upstream_ns, earlier.others.upstream_ns),
            foreign_cpus: self.machine.foreign_cpus_since(&earlier.machine),
        }
    }
}

/// How connections to a proxy at `site` are made.
fn dial(site: &Site) -> Result<Dial> {
    let tls = site.tls.as_ref().map(|_| tls::client_config(None, Tickets::Unused));
    Ok(Dial { target: site.listen, packets: site.packets.clone(), tls: tls.transpose()? })
}

/// Points of a curve of memory, beside the empty one.
const MEMORY_STEPS: usize = 3;
const SETTLE_WAIT: Duration = Duration::from_secs(5);
/// Below this the machine counts as quiet.
const QUIET_CPUS: f64 = 0.15;
