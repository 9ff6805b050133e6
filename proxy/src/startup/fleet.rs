//! Starting the workers, one thread each.

use std::sync::Arc;

use route_table::TableHandle;
use router_core::{
    access_log::AccessLog,
    listener::WorkerSocket,
    metrics::Metrics,
    runtime::Driver,
    worker::{self, ListenerId, WorkerError, WorkerHandle, WorkerPlan},
};

use super::limiting;
use crate::{
    config::Settings,
    context::{Current, Generations, Role, WorkerState},
    front::Front,
    stats::RouterState,
    traces::Traces,
};

/// What all workers of a router are made from.
pub(super) struct Fleet<'a> {
    /// What it runs by.
    pub settings: &'a Settings,
    /// The I/O driver chosen at start.
    pub driver: Driver,
    /// What requests are served by.
    pub generations: &'a Arc<Generations>,
    /// The route table.
    pub table: &'a TableHandle,
    /// What each counts into.
    pub metrics: &'a Arc<Metrics>,
    /// The access log.
    pub log: &'a AccessLog,
    /// Where spans go, if requests are traced.
    pub traces: Option<&'a Traces>,
}

impl Fleet<'_> {
    /// Starts one per configured worker, each with its own of `sockets`; all look at `state`.
    ///
    /// # Errors
    /// [`WorkerError`] of the first that cannot start.
    pub fn start(
        &self,
        sockets: Vec<Vec<(ListenerId, WorkerSocket, Role)>>,
        state: &RouterState,
        front: &impl Front,
    ) -> Result<Vec<WorkerHandle<Role>>, WorkerError> {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let mut workers = Vec::with_capacity(self.settings.workers);
        for (index, sockets) in sockets.into_iter().enumerate() {
            let shard = self.metrics.shard(index);
            let plan = WorkerPlan {
                index,
                // With fewer workers than cores the scheduler knows better where there is room.
                core: (self.settings.workers == cores).then_some(index),
                driver: self.driver,
                sockets,
                connections_max: limiting::worker_connections_max(self.settings),
                shard: shard.clone(),
                drain: state.drain.clone(),
                headroom: state.headroom.clone(),
            };
            let (table, log) = (self.table.clone(), self.log.clone());
            let generations = self.generations.clone();
            let traces = self.traces.map(|traces| traces.worker(shard.clone()));
            let front = front.clone();
            workers.push(worker::start(plan, move || {
                let log = log.sink(shard.clone());
                let state = WorkerState::new(table.reader(), log, traces, shard);
                front.service(Current::new(generations, state))
            })?);
        }
        Ok(workers)
    }
}
