//! What vassals on demand need, made at start and only if there is an emperor.

use std::{io, sync::Arc};

use route_table::TableHandle;

use crate::{
    config::Settings,
    on_demand::emperor::{Emperor, Standing},
    policy::streams::Switch,
};

/// The way to the emperor, if there is one.
pub fn emperor(
    settings: &Settings,
    table: &TableHandle,
    standing: &Arc<Standing>,
) -> io::Result<Option<Emperor>> {
    let at = settings.waking.emperor.as_ref();
    at.map(|at| Emperor::start(at, table.clone(), standing.clone())).transpose()
}

/// Whether there is an emperor.
pub fn switch(settings: &Settings) -> Switch {
    if settings.waking.emperor.is_some() { Switch::On } else { Switch::Off }
}

/// Each worker's part of the requests that may wait for vassals.
pub fn worker_wakes_max(settings: &Settings) -> usize {
    settings.waking.waiting_max.div_ceil(settings.workers)
}
