//! The two halves of a reload: what may fail, and then what changes.

use std::{
    collections::HashSet,
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

use router_core::{
    address::ListenAddr,
    estate::Kind,
    subscriber::{Reconfiguration, Standing, SubscriberConfig, SubscriberError},
    worker::Change,
};
use subscribe::StaticNodeError;
use tracing::warn;

use super::ReloadError;
use crate::{
    Ready, cli,
    config::Settings,
    context::Role,
    startup::{Running, Taken, limiting, subscriber_config},
    stats::Facts,
};

/// How long the workers are waited for; they look every tenth of a second.
const WORKERS_WITHIN: Duration = Duration::from_secs(2);

/// Makes `running` run by `next`. Answers what became of listeners, in words.
pub fn apply(running: &mut Running, next: Settings) -> Result<Vec<String>, ReloadError> {
    let estate = running.estate.clone();
    let mut step = running.sockets.plan(&next, &estate)?;
    let number = running.generations.newest().generation + 1;
    let tcp_keys = std::mem::take(&mut step.tcp_keys);
    let generation = running.lasting.generation(number, &next, tcp_keys)?;
    let now = &running.settings;
    let sockets = standing_sockets(running);
    let standing = Standing {
        sockets: &sockets,
        sign_dir: now.sign_check.as_ref().map(|check| check.dir.clone()),
        resubscribe: &now.senders.resubscribe,
    };
    let own = step.own_addresses(&running.sockets, running.ready.admin.as_ref());
    let config = subscriber_config(&next, own, &estate);
    check_static(&config)?;
    // The last that can fail, so that there is nothing to take back.
    let subscriber = Reconfiguration::prepare(config, &standing)?;

    for warning in next.warnings() {
        warn!("{warning}");
    }
    running.generations.publish(generation);
    let taken = running.sockets.take(step, next.workers);
    let told = tell_workers(running, &next, taken);
    if let Err(error) = running.health.start_if_wanted() {
        warn!(%error, "health checks cannot start");
    }
    cli::set_log_level(next.log_level);
    let subscribe = reconfigure(running, subscriber, &sockets);
    let Ready { admin, driver, .. } = &running.ready;
    running.ready = Ready::of(&running.sockets, subscribe, admin.clone(), *driver);
    running.facts.store(Facts::of(&running.ready, &next).into());
    running.settings = next;
    Ok(told)
}

/// Subscription sockets as configured, and where each is bound.
fn standing_sockets(running: &Running) -> Vec<(ListenAddr, ListenAddr)> {
    let written = running.settings.subscribe.iter().cloned();
    written.zip(running.ready.subscribe.iter().cloned()).collect()
}

/// Has the subscription thread run by `next`. Answers where its sockets are bound.
fn reconfigure(
    running: &Running,
    next: Reconfiguration,
    before: &[(ListenAddr, ListenAddr)],
) -> Vec<ListenAddr> {
    let bound: Vec<_> = next.sockets.iter().map(|(_, bound)| bound.clone()).collect();
    running.subscriber.reconfigure(next);
    for (_, gone) in before.iter().filter(|(_, at)| !bound.contains(at)) {
        running.estate.release(Kind::Datagram, gone);
    }
    bound
}

/// What a start refuses, too.
fn check_static(config: &SubscriberConfig) -> Result<(), ReloadError> {
    let mut seen = HashSet::new();
    let twice = config.static_nodes.iter().find(|(key, facts)| !seen.insert((key, &facts.address)));
    match twice {
        Some((key, _)) => Err(ReloadError::Subscriber(SubscriberError::Static {
            key: key.to_string(),
            cause: StaticNodeError::Duplicate,
        })),
        None => Ok(()),
    }
}

/// Tells the workers and waits until all of them have it, so that who asked for the reload finds it in
/// force, and an address that is gone can be had again. After the generation was published, so that no
/// worker serves a new listener by an older one.
fn tell_workers(running: &Running, next: &Settings, taken: Taken) -> Vec<String> {
    let Taken { by_worker, retargeted, removed, told } = taken;
    let (done, all_done) = mpsc::channel();
    for (worker, sockets) in running.workers.iter().zip(by_worker) {
        for (id, socket, role) in sockets {
            worker.tell(Change::Listen(id, socket, role));
        }
        retargeted.iter().for_each(|(id, role)| worker.tell(Change::Retarget(*id, *role)));
        removed.iter().for_each(|id| worker.tell(Change::<Role>::Unlisten(*id, done.clone())));
        worker.tell(Change::ConnectionsMax(limiting::worker_connections_max(next)));
        worker.tell(Change::Done(done.clone()));
    }
    drop(done);
    if all_done.recv_timeout(WORKERS_WITHIN) == Err(RecvTimeoutError::Timeout) {
        warn!("a worker is busy; it will follow");
    }
    told
}
