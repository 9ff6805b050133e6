//! Workers: one thread per core that accepts, admits and counts connections.
//!
//! A worker shares nothing but the route table with the others. What a connection then says is the
//! business of the [`Service`] that the router built on this crate provides.

use std::{
    cell::Cell,
    io,
    rc::Rc,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    thread::JoinHandle,
};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use crate::{
    buffer, deadline,
    drain::{Drain, DrainPhase},
    headroom::Headroom,
    io::{AcceptStop, Accepted, Listener, sleep_ms, spawn},
    listener::WorkerSocket,
    metrics::{Counter, Shard, WorkerCell},
    runtime::{self, Driver},
};

/// How often a worker that is prepared looks whether it may accept.
const BEGIN_LOOK_MS: u64 = 2;
/// Pause after an accept failed for want of a resource, so that the failure does not spin.
const ACCEPT_PAUSE_MS: u64 = 50;
/// How long new connections are left to take memory before it is looked at, where it is limited.
const SETTLE_MS: u64 = 5;

/// What a router does with its connections. One value per worker.
pub trait Service: 'static {
    /// What a listening socket is for, as the router names it.
    type Role: Copy + Send + 'static;

    /// Serves one client connection to its end, for as long as it holds `admitted`. What this answers is
    /// the task of the connection, so it should hold no more than a connection that waits needs.
    fn serve(
        self: Rc<Self>,
        accepted: Accepted,
        role: Self::Role,
        admitted: Admitted,
    ) -> impl Future<Output = ()> + 'static;

    /// Called every [`deadline::TICK_MS`].
    fn tick(&self, now_ms: u64);
}

/// Everything a worker needs that can cross threads.
pub struct WorkerPlan<R> {
    /// Number of the worker, from zero.
    pub index: usize,
    /// The core it is pinned to; `None` leaves it to the scheduler.
    pub core: Option<usize>,
    /// The I/O driver chosen at start.
    pub driver: Driver,
    /// Its own sockets and what they are for.
    pub sockets: Vec<(ListenerId, WorkerSocket, R)>,
    /// Connections it serves at once; more are closed on arrival.
    pub connections_max: u64,
    /// Its counters.
    pub shard: Arc<Shard>,
    /// The process's drain phase.
    pub drain: Arc<Drain>,
    /// Whether there is memory for more.
    pub headroom: Arc<Headroom>,
}

/// Names a listener for as long as the process runs; none is used twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ListenerId(pub u32);

/// What a running worker is told. It is done at the next tick, after [`Service::tick`].
#[derive(Debug)]
pub enum Change<R> {
    /// Accepts from one more socket.
    Listen(ListenerId, WorkerSocket, R),
    /// New connections of a listener are for something else.
    Retarget(ListenerId, R),
    /// Accepts no more from a listener. Its connections stay. What comes with it is dropped when the
    /// socket is.
    Unlisten(ListenerId, Sender<()>),
    /// Connections it serves at once from now on.
    ConnectionsMax(u64),
    /// What was told before is done; what comes with it is dropped then.
    Done(Sender<()>),
}

/// A running worker.
#[derive(Debug)]
pub struct WorkerHandle<R> {
    thread: JoinHandle<()>,
    changes: Sender<Change<R>>,
}

impl<R> WorkerHandle<R> {
    /// Tells it something, and does not wait.
    pub fn tell(&self, change: Change<R>) {
        // One that ended has nothing to change.
        let _ = self.changes.send(change);
    }

    /// Whether it ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for its end.
    pub fn join(self) {
        drop(self.thread.join());
    }
}

/// A worker that could not start.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The thread could not be made.
    #[error("worker thread cannot start: {0}")]
    Thread(#[source] io::Error),
    /// The runtime or a listener could not be set up on the thread.
    #[error("worker cannot set up its runtime: {0}")]
    Setup(#[source] io::Error),
}

/// Starts a worker thread and waits until it has all it needs to accept, which it does once its
/// [`WorkerPlan::drain`] says that the router serves.
///
/// `make` runs on the new thread and builds its service.
///
/// # Errors
/// [`WorkerError`]; then no thread is left running.
pub fn start<S: Service>(
    plan: WorkerPlan<S::Role>,
    make: impl FnOnce() -> S + Send + 'static,
) -> Result<WorkerHandle<S::Role>, WorkerError> {
    let (ready, started) = mpsc::channel();
    let (changes, told) = mpsc::channel();
    let thread = std::thread::Builder::new()
        .name(format!("worker-{}", plan.index))
        .spawn(move || {
            pin(plan.core);
            let driver = plan.driver;
            let failed = ready.clone();
            let outcome = runtime::run(driver, async move {
                match listen(plan, told, make()) {
                    Ok(worker) => {
                        let _ = ready.send(Ok(()));
                        worker.run().await;
                    }
                    Err(error) => {
                        let _ = ready.send(Err(error));
                    }
                }
            });
            if let Err(error) = outcome {
                let _ = failed.send(Err(error));
            }
        })
        .map_err(WorkerError::Thread)?;
    match started.recv() {
        Ok(Ok(())) => Ok(WorkerHandle { thread, changes }),
        Ok(Err(error)) => Err(WorkerError::Setup(error)),
        Err(_gone) => Err(WorkerError::Setup(io::Error::other("the thread ended at once"))),
    }
}

fn pin(core: Option<usize>) {
    let Some(core) = core else { return };
    let mut set = CpuSet::new();
    // A container may forbid pinning; the worker then runs wherever the scheduler puts it.
    if set.set(core).is_ok() {
        let _ = sched_setaffinity(Pid::from_raw(0), &set);
    }
}

struct Worker<S: Service> {
    service: Rc<S>,
    admission: Rc<Admission>,
    open: Vec<Rc<Open<S::Role>>>,
    told: Receiver<Change<S::Role>>,
    drain: Arc<Drain>,
}

/// A listener; shared with its loop, which drops its handle as it ends.
struct Open<R> {
    id: ListenerId,
    role: Cell<R>,
    stop: AcceptStop,
    /// Who waits for its end.
    awaited: Cell<Option<Sender<()>>>,
}

/// Counts the connections of a worker against its limit.
struct Admission {
    open: Cell<u64>,
    connections_max: Cell<u64>,
    headroom: Arc<Headroom>,
    shard: Arc<Shard>,
}

impl Admission {
    /// Where memory is limited: lets what was accepted take what it takes, before there is more.
    async fn settle(&self) {
        if self.headroom.is_spent() {
            sleep_ms(SETTLE_MS).await;
            self.headroom.look_again();
        }
    }
}

/// Counts a connection as open until it is dropped.
pub struct Admitted(Rc<Admission>);

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        self.0.shard.add(Counter::ConnectionsClosed, 1);
    }
}

fn listen<S: Service>(
    plan: WorkerPlan<S::Role>,
    told: Receiver<Change<S::Role>>,
    service: S,
) -> io::Result<Worker<S>> {
    deadline::tick();
    let service = Rc::new(service);
    let admission = Rc::new(Admission {
        open: Cell::new(0),
        connections_max: Cell::new(plan.connections_max),
        headroom: plan.headroom,
        shard: plan.shard,
    });
    let mut worker = Worker { service, admission, open: Vec::new(), told, drain: plan.drain };
    for (id, socket, role) in plan.sockets {
        worker.listen(id, socket, role)?;
    }
    Ok(worker)
}

impl<S: Service> Worker<S> {
    async fn run(mut self) {
        loop {
            sleep_ms(deadline::TICK_MS).await;
            deadline::tick();
            self.admission.shard.set(WorkerCell::TickedMs, deadline::now_ms());
            if self.admission.headroom.is_short() {
                buffer::free_spare();
            }
            // What was told before a generation was published is done after that was found.
            let told: Vec<_> = self.told.try_iter().collect();
            self.service.tick(deadline::now_ms());
            told.into_iter().for_each(|change| self.change(change));
            match self.drain.phase() {
                DrainPhase::Preparing | DrainPhase::Serving => {}
                DrainPhase::Aborting => return,
                phase @ (DrainPhase::Leaving | DrainPhase::Draining | DrainPhase::Tunnels) => {
                    if !deadline::is_draining() {
                        deadline::start_leaving();
                        self.open.iter().for_each(|open| open.stop.stop());
                    }
                    if phase >= DrainPhase::Draining {
                        deadline::end_idle();
                    }
                    if phase == DrainPhase::Tunnels {
                        deadline::end_all_but_spared();
                    }
                    if self.admission.open.get() == 0 && !self.is_accepting() {
                        return;
                    }
                }
            }
        }
    }
}

impl<S: Service> Worker<S> {
    /// Whether a loop runs that may still have a connection to hand over.
    fn is_accepting(&self) -> bool {
        self.open.iter().any(|open| Rc::strong_count(open) > 1)
    }

    fn listen(&mut self, id: ListenerId, socket: WorkerSocket, role: S::Role) -> io::Result<()> {
        let listener = socket.into_listener()?;
        let open = Rc::new(Open {
            id,
            role: Cell::new(role),
            stop: AcceptStop::new(),
            awaited: Cell::default(),
        });
        self.open.push(open.clone());
        let (service, admission) = (self.service.clone(), self.admission.clone());
        let drain = self.drain.clone();
        spawn(async move {
            while drain.phase() == DrainPhase::Preparing {
                sleep_ms(BEGIN_LOOK_MS).await;
            }
            accept_loop(open, listener, service, admission).await;
        });
        Ok(())
    }

    fn change(&mut self, change: Change<S::Role>) {
        match change {
            Change::Listen(id, socket, role) => {
                if let Err(error) = self.listen(id, socket, role) {
                    // The other workers may have theirs.
                    self.admission.shard.add(Counter::AcceptFailures, 1);
                    tracing::error!(%error, "a worker cannot accept from a new listener");
                }
            }
            Change::Retarget(id, role) => {
                let of_it = self.open.iter().filter(|open| open.id == id);
                of_it.for_each(|open| open.role.set(role));
            }
            Change::Unlisten(id, awaited) => self.open.retain(|open| {
                if open.id == id {
                    open.awaited.set(Some(awaited.clone()));
                    open.stop.stop();
                }
                open.id != id
            }),
            Change::ConnectionsMax(most) => self.admission.connections_max.set(most),
            Change::Done(_) => {}
        }
    }
}

async fn accept_loop<S: Service>(
    // Dropped after the listener, because its end is that of the socket.
    open: Rc<Open<S::Role>>,
    listener: Listener,
    service: Rc<S>,
    admission: Rc<Admission>,
) {
    loop {
        match listener.accept(&open.stop).await {
            Ok(accepted) => {
                let admit = |accepted| admit(accepted, open.role.get(), &service, &admission);
                admit(accepted);
                if !admission.headroom.is_spent() {
                    listener.accept_waiting(admit);
                }
                admission.settle().await;
            }
            Err(_called_off) if open.stop.is_stopped() => return,
            Err(_scarce) => {
                admission.shard.add(Counter::AcceptFailures, 1);
                sleep_ms(ACCEPT_PAUSE_MS).await;
            }
        }
    }
}

fn admit<S: Service>(
    accepted: Accepted,
    role: S::Role,
    service: &Rc<S>,
    admission: &Rc<Admission>,
) {
    if admission.open.get() >= admission.connections_max.get() {
        admission.shard.add(Counter::ConnectionsRefused, 1);
        return;
    }
    if !admission.headroom.admits() {
        admission.shard.add(Counter::MemoryConnectionsRefused, 1);
        return;
    }
    admission.open.set(admission.open.get() + 1);
    admission.shard.add(Counter::ConnectionsAccepted, 1);
    let admitted = Admitted(admission.clone());
    // Nothing around it, which would hold all of it a second time.
    spawn(service.clone().serve(accepted, role, admitted));
}
