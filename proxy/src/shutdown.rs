//! The end of a router: what asks for it, and how it is made gentle.

use std::time::{Duration, Instant};

use router_core::drain::DrainPhase;

use crate::{
    control::{Inbox, Order, Request},
    reload,
    startup::Running,
    upgrade::{self, Handed},
};

/// How often a drain looks whether the workers are done.
const POLL: Duration = Duration::from_millis(20);
/// How long connections that wait for a request may still send one after another process took over.
/// Those that do are told to go, so that nobody's request meets a closed connection.
const IDLE_GRACE: Duration = Duration::from_secs(5);
/// How long the access log may take to write its last lines.
const LOG_GRACE: Duration = Duration::from_secs(2);
/// How long the collector may take to take the last spans.
const EXPORT_GRACE: Duration = Duration::from_secs(3);

/// How a router ends.
#[derive(Debug)]
pub enum End {
    /// What is under way may finish.
    Drain,
    /// The same, and a new process has taken over.
    Handed(Handed),
    /// At once.
    Stop,
}

/// Carries out orders until one asks for the end.
pub fn serve(running: &mut Running, inbox: &Inbox) -> End {
    loop {
        let request = inbox.wait();
        if request.order == Order::ReopenLogs
            && let Err(why) = running.audit.reopen()
        {
            tracing::error!("the audit log stays in its old file: {why}");
        }
        if let Some(end) = carry_out(running, inbox, request) {
            return end;
        }
    }
}

/// Ends the router. A drain gives what is under way some time to finish; a second order to end cuts it
/// short.
pub fn end(mut running: Running, inbox: &Inbox, how: End) {
    let timeouts = running.settings.policy.timeouts;
    let limit = timeouts.drain;
    match &how {
        End::Drain | End::Stop => running.manager.stopping(),
        End::Handed(new) => {
            running.manager.followed_by(new.pid);
            new.release();
        }
    }
    let cut = match &how {
        End::Stop => {
            tracing::info!("stopping at once");
            running.state.drain.advance(DrainPhase::Aborting);
            true
        }
        End::Drain => {
            tracing::info!("draining: what is under way has {} s to finish", limit.as_secs());
            drain(&mut running, inbox, None)
        }
        End::Handed(new) => {
            let (limit, tunnels) = (limit.as_secs(), upgrade::longest_drain(&timeouts).as_secs());
            tracing::info!(
                "process {} ({}) took over: what is under way here has {limit} s to finish, tunnels {tunnels} s",
                new.pid,
                new.version
            );
            leave(&mut running);
            drain(&mut running, inbox, Some(new))
        }
    };
    join(running);
    match how {
        End::Stop => tracing::info!("stopped"),
        _ if cut => tracing::warn!("drain cut short: some exchanges were not finished"),
        End::Drain | End::Handed(_) => tracing::info!("drained"),
    }
}

/// Leaves to the new process what only one of the two may have.
fn leave(running: &mut Running) {
    running.estate.leave_files();
    if let Some(admin) = running.admin.take() {
        admin.stop();
    }
    if let Some(ctl) = running.ctl.take() {
        ctl.stop();
    }
}

/// Does what is asked; the end is left to the caller.
fn carry_out(running: &mut Running, inbox: &Inbox, request: Request) -> Option<End> {
    let outcome = match request.order {
        Order::ReopenLogs => {
            running.log_writer.reopen();
            Ok("log files are opened again".to_owned())
        }
        Order::Reload if running.state.drain.phase() != DrainPhase::Serving => {
            Err("this process is ending".to_owned())
        }
        // Says itself what became of it, to people who are not asking.
        Order::Reload => {
            running.manager.reloading();
            let outcome = reload::reload(running);
            running.manager.store(&running.estate);
            running.manager.ready();
            request.answer(outcome);
            return None;
        }
        // Says itself what became of it, to people who are not asking.
        Order::Upgrade => {
            let outcome = upgrade::upgrade(running, inbox);
            let said = outcome.as_ref().map(|new| format!("process {} took over", new.pid));
            request.answer(said.map_err(Clone::clone));
            return outcome.ok().map(End::Handed);
        }
        Order::Drain => {
            request.answer(Ok("draining".to_owned()));
            return Some(End::Drain);
        }
        Order::Stop => {
            request.answer(Ok("stopping".to_owned()));
            return Some(End::Stop);
        }
    };
    if let Err(why) = &outcome {
        tracing::warn!("{:?}: {why}", request.order);
    }
    request.answer(outcome);
    None
}

/// Returns whether the drain had to be cut. `new` is who has taken over.
fn drain(running: &mut Running, inbox: &Inbox, new: Option<&Handed>) -> bool {
    let (began, timeouts) = (Instant::now(), running.settings.policy.timeouts);
    let idle_until = began + IDLE_GRACE.min(timeouts.drain / 2);
    let tunnels_alone_from = began + timeouts.drain;
    let (first, deadline) = match new {
        // Nobody can start this router again before it has ended.
        None => (DrainPhase::Draining, tunnels_alone_from),
        Some(_) => (DrainPhase::Leaving, began + upgrade::longest_drain(&timeouts)),
    };
    // The last handles are those of the workers, so that a port refuses once they have stopped.
    running.estate.release_all();
    running.state.drain.advance(first);
    while !running.workers.iter().all(|worker| worker.is_finished()) {
        let next = inbox.wait_for(POLL);
        let asked_again = next.is_some_and(|request| carry_out(running, inbox, request).is_some());
        if Instant::now() >= idle_until {
            running.state.drain.advance(DrainPhase::Draining);
        }
        if Instant::now() >= tunnels_alone_from && running.state.drain.phase() < DrainPhase::Tunnels
        {
            running.state.drain.advance(DrainPhase::Tunnels);
            new.inspect(|new| new.linger());
        }
        if asked_again || Instant::now() >= deadline {
            running.state.drain.advance(DrainPhase::Aborting);
            return true;
        }
    }
    false
}

fn join(running: Running) {
    for worker in running.workers {
        worker.join();
    }
    running.subscriber.join();
    running.cert_loader.stop();
    running.cert_loader.join();
    if !running.log_writer.stop(LOG_GRACE) {
        tracing::warn!("the last lines of the access log could not be written");
    }
    if running.exporter.is_some_and(|exporter| !exporter.stop(EXPORT_GRACE)) {
        tracing::warn!("the last spans could not be exported");
    }
    if let Some(admin) = running.admin {
        admin.stop();
    }
    if let Some(ctl) = running.ctl {
        ctl.stop();
    }
    drop(running.sockets);
}
