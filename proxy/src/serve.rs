//! From an accepted socket to a session: TLS or not, and who the client is.

pub mod opening;

use std::{cell::Cell, rc::Rc};

use nix::time::{ClockId, clock_gettime};
use router_core::{
    io::Accepted,
    metrics::{Counter, WorkerCell},
    worker::{Admitted, Service},
};

use crate::{
    context::{Current, Renewal, Role},
    preface::Received,
};
use opening::{Served, begin, receive_preface};

/// Distance between two sweeps of the upstream pool.
const SWEEP_MS: u64 = 1_000;

/// The HTTP router on one worker.
pub struct HttpService {
    current: Current,
    swept_ms: Cell<u64>,
}

impl HttpService {
    /// Serves with the newest generation there is.
    pub fn new(current: Current) -> Self {
        Self { current, swept_ms: Cell::new(0) }
    }
}

impl Service for HttpService {
    type Role = Role;

    fn serve(
        self: Rc<Self>,
        accepted: Accepted,
        role: Role,
        admitted: Admitted,
    ) -> impl Future<Output = ()> + 'static {
        // Begun before there is a task, so that the task holds no more than what is left to do.
        let ctx = self.current.context();
        let served = if ctx.shared.named.contains(accepted.peer) {
            Served::Later(Box::pin(receive_preface(ctx, accepted, role)))
        } else {
            begin(&ctx, accepted, Received { ends: None, rest: Vec::new() }, role)
        };
        served.to_its_end(admitted)
    }

    fn tick(&self, now_ms: u64) {
        tick(&self.current, &self.swept_ms, now_ms);
    }
}

/// What a worker does now and then, whatever it serves. Says whether it found a new generation.
pub fn tick(current: &Current, swept_ms: &Cell<u64>, now_ms: u64) -> Renewal {
    let renewal = current.renew();
    let ctx = current.context();
    // Publishes are seen here also by a worker without requests, so it pins no old table.
    ctx.table.borrow_mut().load();
    ctx.log.flush();
    if let Some(traces) = &ctx.traces {
        traces.sink.flush();
    }
    if now_ms - swept_ms.get() < SWEEP_MS {
        return renewal;
    }
    swept_ms.set(now_ms);
    ctx.shard.set(WorkerCell::CpuMicros, thread_cpu_us());
    let mut pool = ctx.pool.borrow_mut();
    let before = pool.len();
    pool.sweep(now_ms);
    let evicted = (before - pool.len()) as u64;
    ctx.shard.add(Counter::UpstreamPoolEvictions, evicted);
    ctx.shard.set(WorkerCell::UpstreamIdle, pool.len() as u64);
    ctx.links.sweep();
    renewal
}

/// CPU time this thread has used.
fn thread_cpu_us() -> u64 {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(0, |used| {
        used.tv_sec().unsigned_abs() * 1_000_000 + used.tv_nsec().unsigned_abs() / 1000
    })
}
