//! Carrying out the order to upgrade, on the main thread of a running router.

use std::time::Duration;

use router_core::drain::DrainPhase;

use super::{
    Handed, Launch, Memory, Offer, UpgradeError, hand_over,
    history::{self, Became},
    lingering::LINGERING_MAX,
};
use crate::{
    config::Timeouts,
    control::{Inbox, Order},
    startup::Running,
};

/// Part of the memory: what the registry of subscriptions knows.
pub const SUBSCRIPTIONS: &str = "subscriptions";
/// Part of the memory: keys of TLS session tickets.
pub const TICKET_KEYS: &str = "ticket-keys";

/// How long a process that another one took over from may go on.
#[must_use]
pub fn longest_drain(timeouts: &Timeouts) -> Duration {
    timeouts.drain.max(timeouts.drain_tunnels)
}

/// Hands everything over to a new process of this program. This one has only to drain then.
///
/// # Errors
/// Why not, in a sentence. This process goes on as if nothing had been.
pub fn upgrade(running: &Running, inbox: &Inbox) -> Result<Handed, String> {
    let launch = match may_upgrade(running) {
        Ok(launch) => launch,
        Err(why) => {
            running.state.upgrades.note(Became::Refused);
            tracing::warn!("not upgraded: {why}");
            return Err(why);
        }
    };
    tracing::info!(program = %launch.path().display(), "upgrading");
    let offer = Offer {
        estate: &running.estate,
        freeze: &|| freeze(running),
        thaw: &|| running.subscriber.thaw(),
        drain: longest_drain(&running.settings.policy.timeouts),
    };
    let handed = hand_over(launch, &offer, &mut || has_to_end(inbox));
    handed.map_err(|error: UpgradeError| {
        running.state.upgrades.note(Became::Failed);
        tracing::error!("the upgrade failed and this process goes on: {error}");
        error.to_string()
    })
}

fn may_upgrade(running: &Running) -> Result<&Launch, String> {
    if running.state.drain.phase() != DrainPhase::Serving {
        return Err("this process is ending".to_owned());
    }
    let Some(launch) = &running.launch else {
        return Err("only a router started with `run` can start itself again".to_owned());
    };
    if std::process::id() == 1 {
        return Err("this is the first process of its container, which ends with it".to_owned());
    }
    if let Some(draining) = running.state.upgrades.draining() {
        return Err(format!(
            "process {} of the last upgrade still drains, for at most {} s; SIGTERM ends it at once",
            draining.pid,
            draining.left().as_secs()
        ));
    }
    let lingering = running.state.upgrades.lingering();
    if lingering.len() >= LINGERING_MAX {
        let oldest = lingering.first().map_or(0, |one| one.pid);
        return Err(format!(
            "{LINGERING_MAX} processes of earlier upgrades still have tunnels, the oldest is {oldest}; SIGTERM \
             ends it at once, timeouts.drain-tunnels says how long they may"
        ));
    }
    Ok(launch)
}

/// What this process knows, and nothing is learned from here on.
fn freeze(running: &Running) -> Result<Memory, String> {
    let mut memory = Memory::default();
    let known = running.subscriber.freeze().map_err(|error| error.to_string())?;
    memory.put(SUBSCRIPTIONS, known);
    memory.put(TICKET_KEYS, running.state.certs.tickets().export());
    memory.put(history::PART, running.state.upgrades.for_successor());
    Ok(memory)
}

/// Looks whether an order to end has come. Others are answered.
fn has_to_end(inbox: &Inbox) -> bool {
    while let Some(request) = inbox.wait_for(Duration::ZERO) {
        if matches!(request.order, Order::Drain | Order::Stop) {
            inbox.put_back(request);
            return true;
        }
        let why = "an upgrade is under way";
        tracing::warn!("{:?}: {why}", request.order);
        request.answer(Err(why.to_owned()));
    }
    false
}
