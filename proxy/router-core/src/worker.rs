//! Workers: one thread per core that accepts, admits and counts connections.
//!
//! A worker shares nothing but the route table with the others. What a connection then says is the
//! business of the [`Service`] that the router built on this crate provides.

use std::{
    cell::Cell,
    io,
    rc::Rc,
    sync::{Arc, mpsc},
    thread::JoinHandle,
};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use crate::{
    deadline,
    drain::{Drain, DrainPhase},
    io::{AcceptStop, Accepted, Listener, sleep_ms, spawn},
    listener::WorkerSocket,
    metrics::{Counter, Shard},
    runtime::{self, Driver},
};

/// Pause after an accept failed for want of a resource, so that the failure does not spin.
const ACCEPT_PAUSE_MS: u64 = 50;

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
    pub sockets: Vec<(WorkerSocket, R)>,
    /// Connections it serves at once; more are closed on arrival.
    pub connections_max: u64,
    /// Its counters.
    pub shard: Arc<Shard>,
    /// The process's drain phase.
    pub drain: Arc<Drain>,
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

/// Starts a worker thread and waits until it accepts.
///
/// `make` runs on the new thread and builds its service.
///
/// # Errors
/// [`WorkerError`]; then no thread is left running.
pub fn start<S: Service>(
    plan: WorkerPlan<S::Role>,
    make: impl FnOnce() -> S + Send + 'static,
) -> Result<JoinHandle<()>, WorkerError> {
    let (ready, started) = mpsc::channel();
    let thread = std::thread::Builder::new()
        .name(format!("worker-{}", plan.index))
        .spawn(move || {
            pin(plan.core);
            let driver = plan.driver;
            let failed = ready.clone();
            let outcome = runtime::run(driver, async move {
                match listen(plan, make()) {
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
        Ok(Ok(())) => Ok(thread),
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

struct Worker<S> {
    service: Rc<S>,
    admission: Rc<Admission>,
    /// One per listener; shared with its loop, which drops its handle as it ends.
    stops: Vec<Rc<AcceptStop>>,
    drain: Arc<Drain>,
}

/// Counts the connections of a worker against its limit.
struct Admission {
    open: Cell<u64>,
    connections_max: u64,
    shard: Arc<Shard>,
}

/// Counts a connection as open until it is dropped.
pub struct Admitted(Rc<Admission>);

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        self.0.shard.add(Counter::ConnectionsClosed, 1);
    }
}

fn listen<S: Service>(plan: WorkerPlan<S::Role>, service: S) -> io::Result<Worker<S>> {
    deadline::tick();
    let service = Rc::new(service);
    let admission = Rc::new(Admission {
        open: Cell::new(0),
        connections_max: plan.connections_max,
        shard: plan.shard,
    });
    let mut stops = Vec::with_capacity(plan.sockets.len());
    for (socket, role) in plan.sockets {
        let listener = socket.into_listener()?;
        let stop = Rc::new(AcceptStop::new());
        stops.push(stop.clone());
        spawn(accept_loop(listener, role, service.clone(), admission.clone(), stop));
    }
    Ok(Worker { service, admission, stops, drain: plan.drain })
}

impl<S: Service> Worker<S> {
    async fn run(self) {
        loop {
            sleep_ms(deadline::TICK_MS).await;
            deadline::tick();
            self.service.tick(deadline::now_ms());
            match self.drain.phase() {
                DrainPhase::Serving => {}
                DrainPhase::Aborting => return,
                DrainPhase::Draining => {
                    if !deadline::is_draining() {
                        deadline::start_drain();
                        self.stops.iter().for_each(|stop| stop.stop());
                    }
                    if self.admission.open.get() == 0 && !self.is_accepting() {
                        return;
                    }
                }
            }
        }
    }
}

impl<S> Worker<S> {
    /// Whether a loop runs that may still have a connection to hand over.
    fn is_accepting(&self) -> bool {
        self.stops.iter().any(|stop| Rc::strong_count(stop) > 1)
    }
}

async fn accept_loop<S: Service>(
    listener: Listener,
    role: S::Role,
    service: Rc<S>,
    admission: Rc<Admission>,
    stop: Rc<AcceptStop>,
) {
    loop {
        match listener.accept(&stop).await {
            Ok(accepted) => admit(accepted, role, &service, &admission),
            Err(_called_off) if stop.is_stopped() => return,
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
    if admission.open.get() >= admission.connections_max {
        admission.shard.add(Counter::ConnectionsRefused, 1);
        return;
    }
    admission.open.set(admission.open.get() + 1);
    admission.shard.add(Counter::ConnectionsAccepted, 1);
    let admitted = Admitted(admission.clone());
    // Nothing around it, which would hold all of it a second time.
    spawn(service.clone().serve(accepted, role, admitted));
}
