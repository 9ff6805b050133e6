//! Generations: how a reload reaches requests.
//!
//! A reload makes a new [`Shared`] and puts it into [`Generations`]. Each worker finds it at its next
//! tick ([`Current::renew`]) and serves new connections by it. A connection that is open goes on
//! with the context it has until its next request, where it asks for a [`Context::newer`] one; that
//! costs a comparison. An exchange never changes its context, because numbers such as that of a policy
//! mean something in one generation only.

use std::{
    cell::{Cell, RefCell},
    ops::Deref,
    rc::{Rc, Weak},
    sync::Arc,
};

use arc_swap::ArcSwap;
use route_table::TableReader;
use router_core::{
    access_log::{AccessLog, LogSink},
    fairness::Fairness,
    heads::Heads,
    metrics::Shard,
    upstream::{pool::Pool, queue::Queues},
};

use super::Shared;
use crate::{http::sticky::Tokens, http2::node::Links, on_demand::Wakes, traces::WorkerTraces};

/// What the process serves by as of now. One per process.
pub struct Generations {
    newest: ArcSwap<Shared>,
    /// Not among the shared facts: those outlive their generation in whoever is served by them, and an
    /// access log that was left must end.
    log: ArcSwap<AccessLog>,
}

impl Generations {
    /// With the first one.
    #[must_use]
    pub fn new(first: Arc<Shared>, log: AccessLog) -> Self {
        Self { newest: ArcSwap::new(first), log: ArcSwap::from_pointee(log) }
    }

    /// The newest.
    #[must_use]
    pub fn newest(&self) -> Arc<Shared> {
        self.newest.load_full()
    }

    /// Replaces it; workers see that within a tick.
    pub fn publish(&self, next: Shared, log: AccessLog) {
        self.log.store(Arc::new(log));
        self.newest.store(Arc::new(next));
    }
}

/// One worker's state, which outlives reloads. It shares nothing with another worker but the table.
pub struct WorkerState {
    /// This worker's view of the route table.
    pub table: RefCell<TableReader>,
    /// Idle upstream connections.
    pub pool: RefCell<Pool>,
    /// Requests that wait for a node with room.
    pub queues: Rc<Queues>,
    /// Requests that wait for a vassal to start.
    pub wakes: Wakes,
    /// Heads that are not complete.
    pub heads: Rc<Heads>,
    /// The exchanges of this worker by key.
    pub fairness: Rc<Fairness>,
    /// Connections to nodes that speak HTTP/2.
    pub links: Links,
    /// Counters.
    pub shard: Arc<Shard>,
    /// Access log.
    pub log: LogSink,
    /// Traces of requests, if there are any.
    pub traces: Option<WorkerTraces>,
    /// Bytes of request bodies held in memory now.
    pub held_bytes: Cell<usize>,
    /// Tells contexts of older generations that there is a newer one.
    pub newest: Newest,
}

impl WorkerState {
    /// A worker that has served nobody yet. Its bounds are those of the generation it is given.
    #[must_use]
    pub fn new(
        table: TableReader,
        log: LogSink,
        traces: Option<WorkerTraces>,
        shard: Arc<Shard>,
    ) -> Self {
        Self {
            table: table.into(),
            pool: RefCell::default(),
            queues: Rc::default(),
            wakes: Wakes::new(0),
            heads: Rc::new(Heads::new(0)),
            fairness: Rc::new(Fairness::new(0)),
            links: Links::default(),
            shard,
            log,
            traces,
            held_bytes: Cell::new(0),
            newest: Newest::default(),
        }
    }
}

/// The context of a worker's newest generation, as its older ones find it.
#[derive(Default)]
pub struct Newest {
    generation: Cell<u64>,
    /// Weak, because the context holds what holds this.
    context: RefCell<Weak<Context>>,
}

/// What a request is served with: one generation, on one worker.
pub struct Context {
    /// Facts of the process.
    pub shared: Arc<Shared>,
    /// Values of sticky cookies, which depend on the secret.
    pub tokens: Tokens,
    worker: Rc<WorkerState>,
    generation: u64,
}

impl Deref for Context {
    type Target = WorkerState;

    fn deref(&self) -> &WorkerState {
        &self.worker
    }
}

impl Context {
    fn new(shared: Arc<Shared>, worker: Rc<WorkerState>) -> Rc<Self> {
        let generation = shared.generation;
        let bounds = shared.bounds;
        worker.heads.resize(bounds.heads);
        worker.fairness.resize(bounds.exchanges);
        worker.wakes.resize(bounds.wakes);
        let context = Rc::new(Self { shared, tokens: Tokens::default(), worker, generation });
        context.newest.generation.set(generation);
        context.newest.context.replace(Rc::downgrade(&context));
        context
    }

    /// The context of a newer generation, if there is one.
    #[inline]
    #[must_use]
    pub fn newer(&self) -> Option<Rc<Self>> {
        if self.generation == self.newest.generation.get() {
            return None;
        }
        self.newest.context.borrow().upgrade()
    }
}

/// Whether a worker's context changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Renewal {
    /// It is the newest already.
    None,
    /// There is a new one from now on.
    Renewed,
}

/// A worker's hold on the newest generation.
pub struct Current {
    all: Arc<Generations>,
    context: RefCell<Rc<Context>>,
}

impl Current {
    /// A worker that begins with `worker`.
    #[must_use]
    pub fn new(all: Arc<Generations>, worker: WorkerState) -> Self {
        let context = Context::new(all.newest(), Rc::new(worker));
        Self { all, context: context.into() }
    }

    /// What new connections are served with.
    #[must_use]
    pub fn context(&self) -> Rc<Context> {
        self.context.borrow().clone()
    }

    /// Takes the newest generation, if it is not there yet. Called on the worker's tick.
    pub fn renew(&self) -> Renewal {
        let mut context = self.context.borrow_mut();
        let newest = self.all.newest();
        if newest.generation == context.generation {
            return Renewal::None;
        }
        context.log.follow(&self.all.log.load());
        *context = Context::new(newest, context.worker.clone());
        Renewal::Renewed
    }
}
