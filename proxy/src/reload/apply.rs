//! The two halves of a reload: what may fail, and then what changes.

use std::{
    collections::HashSet,
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

use route_table::Address;
use router_core::{
    access_log::{AccessLog, AccessLogWriter},
    address::ListenAddr,
    estate::Kind,
    subscriber::{Reconfiguration, Standing, SubscriberConfig, SubscriberError},
    worker::Change,
};
use subscribe::StaticNodeError;
use tracing::warn;

use super::{ReloadError, admin::Admin};
use crate::{
    Ready,
    config::Settings,
    context::Role,
    log_level,
    startup::{Running, Taken, cert_config, limiting, subscriber_config},
    stats::Facts,
};

/// How long certificates may take to be read.
const CERTIFICATES_WITHIN: Duration = Duration::from_secs(30);
/// How long the workers are waited for; they look every tenth of a second.
const WORKERS_WITHIN: Duration = Duration::from_secs(2);

/// Makes `running` run by `next`. Answers what became of listeners, in words.
pub fn apply(running: &mut Running, next: Settings) -> Result<Vec<String>, ReloadError> {
    let estate = running.estate.clone();
    let mut step = running.sockets.plan(&next, &estate)?;
    let tcp_keys = std::mem::take(&mut step.tcp_keys);
    let log = next_log(running, &next)?;
    let followed = log.as_ref().map_or(&running.log, |(log, _)| log).clone();
    let number = running.generations.newest().generation + 1;
    let generation = running.lasting.generation(number, &next, tcp_keys)?;
    let admin = Admin::prepare(running, &next)?;
    let own = step.own_addresses(&running.sockets, admin.address(running));
    let sockets = standing_sockets(running);
    let subscriber = match prepare_outside(running, &next, own, &sockets) {
        Ok(subscriber) => subscriber,
        Err(error) => {
            admin.give_up(running);
            return Err(error);
        }
    };

    for warning in next.warnings() {
        warn!("{warning}");
    }
    running.generations.publish(generation, followed);
    let taken = running.sockets.take(step, next.workers);
    let told = tell_workers(running, &next, taken);
    if let Err(error) = running.health.start_if_wanted() {
        warn!(%error, "health checks cannot start");
    }
    log_level::follow(next.log_level);
    running.state.headroom.follow(next.limits.memory_max);
    let subscribe = reconfigure(running, subscriber, &sockets);
    let admin = admin.take(running);
    running.ready = Ready::of(&running.sockets, subscribe, admin, running.ready.driver);
    if let Some((log, writer)) = log {
        // The writer of the old one ends when the last worker has left it.
        (running.log, running.log_writer) = (log, writer);
    }
    running.state.facts.store(Facts::of(&running.ready, &next).into());
    running.settings = next;
    Ok(told)
}

/// What other threads must be able to have: subscription sockets and directories, then certificates,
/// which come last because they take effect at once.
fn prepare_outside(
    running: &Running,
    next: &Settings,
    own: Vec<Address>,
    sockets: &[(ListenAddr, ListenAddr)],
) -> Result<Reconfiguration, ReloadError> {
    let now = &running.settings;
    let standing = Standing {
        sockets,
        sign_dir: now.sign_check.as_ref().map(|check| check.dir.clone()),
        resubscribe: &now.senders.resubscribe,
    };
    let config = subscriber_config(next, own, &running.estate);
    check_static(&config)?;
    let mut subscriber = Reconfiguration::prepare(config, &standing)?;
    if let Err(error) = reconfigure_certs(running, next) {
        subscriber.close(&running.estate);
        return Err(error);
    }
    Ok(subscriber)
}

/// Another access log, if `next` has one.
fn next_log(
    running: &Running,
    next: &Settings,
) -> Result<Option<(AccessLog, AccessLogWriter)>, ReloadError> {
    if running.settings.access_log == next.access_log {
        return Ok(None);
    }
    running.log.open_next(next.access_log.clone()).map(Some).map_err(ReloadError::AccessLog)
}

fn reconfigure_certs(running: &Running, next: &Settings) -> Result<(), ReloadError> {
    let now = &running.settings;
    let same = (&now.default_cert, &now.cert_dir, &now.cert_root)
        == (&next.default_cert, &next.cert_dir, &next.cert_root);
    if same {
        return Ok(());
    }
    let errands = running.cert_loader.errands();
    Ok(errands.reconfigure(cert_config(next), CERTIFICATES_WITHIN)?)
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
