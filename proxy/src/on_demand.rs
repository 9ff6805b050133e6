//! Requests that wait for a vassal to start: their bounds, and how one waits.
//!
//! A route whose vassals sleep has nobody to serve a request. If an emperor is configured the request
//! becomes a [`Sleeper`]; whoever serves the client hands it to [`until_awake`], which asks the
//! emperor's thread for the vassal, waits, and lets the caller choose again when the key has a node.
//! Nothing here knows what a request is, so HTTP, passthrough and raw TCP wait in the same way.
//!
//! Only requests that find no node come here: others do not pay for it.

mod agenda;
pub mod emperor;

use std::{cell::Cell, rc::Rc, sync::Arc};

use route_table::{Route, Speech};
use router_core::{
    deadline::{self, TICK_MS},
    metrics::Counter,
    upstream::queue::{Place, Queues},
};

use crate::{
    context::Context,
    http::gate::Admitted,
    policy::{PolicyId, on_demand::OnDemand},
};
use emperor::Asked;

/// Distance between two reminders to the emperor's thread that somebody still waits. How often a
/// command is sent is decided there.
const REMIND_MS: u64 = 1000;

/// A request, or connection, whose key has nobody awake.
pub struct Sleeper {
    /// The route as it was found.
    route: Arc<Route>,
    /// The rules of its key.
    policy: PolicyId,
    /// What the node will be given.
    speech: Speech,
    /// Its place among the exchanges of the key, kept while it waits.
    pub admitted: Admitted,
}

impl Sleeper {
    /// A request that found no node, if an emperor can be asked for one of those that sleep. Its
    /// place among the exchanges of the key goes with it.
    pub fn of(
        ctx: &Context,
        route: &Arc<Route>,
        policy: PolicyId,
        speech: Speech,
        admitted: Admitted,
    ) -> Option<Box<Self>> {
        let mut asleep = route.asleep();
        let can_wake =
            ctx.shared.emperor.is_some() && asleep.any(|node| speech.suits(node.facts.proto));
        can_wake.then(|| Box::new(Self { route: route.clone(), policy, speech, admitted }))
    }

    /// Whether the key has other nodes than when it was last looked at, and one of use among them.
    fn is_news(&mut self, ctx: &Context) -> bool {
        let mut table = ctx.table.borrow_mut();
        // A key that is gone is waited for, too: its vassal may have slept longer than its name is
        // remembered, and starts now.
        match table.load().get(self.route.key().as_str()) {
            Some(now) if !Arc::ptr_eq(now, &self.route) => {
                self.route = now.clone();
                now.nodes().iter().any(|node| self.speech.suits(node.facts.proto))
            }
            _ => false,
        }
    }
}

/// Why a request waits no longer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotAwake {
    /// As many as may wait for this key already.
    #[error("too many requests are waiting for the application to start")]
    KeyFull,
    /// As many as may wait in this worker already, whatever their keys.
    #[error("too many requests are waiting for applications to start")]
    RouterFull,
    /// The emperor cannot be told.
    #[error("the application is not running and cannot be started")]
    NoEmperor,
    /// The vassal did not announce itself in time.
    #[error("the application did not start in time")]
    Late,
    /// The client has left.
    #[error("the client closed the connection")]
    Left,
}

impl NotAwake {
    const fn counter(self) -> Counter {
        match self {
            Self::KeyFull => Counter::WakeKeyFull,
            Self::RouterFull => Counter::WakeRouterFull,
            Self::NoEmperor => Counter::WakeNoEmperor,
            Self::Late => Counter::WakeTimeouts,
            Self::Left => Counter::WakeLeft,
        }
    }
}

/// The requests of one worker that wait for vassals.
pub struct Wakes {
    queues: Rc<Queues>,
    waiting: Cell<usize>,
    waiting_max: Cell<usize>,
}

impl Wakes {
    /// At most `waiting_max` wait at once.
    pub fn new(waiting_max: usize) -> Self {
        Self { queues: Rc::default(), waiting: Cell::new(0), waiting_max: Cell::new(waiting_max) }
    }

    /// Changes how many may wait; those that do go on waiting.
    pub fn resize(&self, waiting_max: usize) {
        self.waiting_max.set(waiting_max);
    }

    fn join(&self, route: &Route, rules: &OnDemand) -> Result<Waiting<'_>, NotAwake> {
        if self.waiting.get() >= self.waiting_max.get() {
            return Err(NotAwake::RouterFull);
        }
        let place = self.queues.join(route.key(), route.load(), rules.waiting_max);
        let place = place.ok_or(NotAwake::KeyFull)?;
        self.waiting.set(self.waiting.get() + 1);
        Ok(Waiting { wakes: self, place })
    }
}

/// One request that waits, counted until it is dropped.
struct Waiting<'a> {
    wakes: &'a Wakes,
    place: Place,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.wakes.waiting.set(self.wakes.waiting.get() - 1);
    }
}

/// Waits until `again` finds a node, which is asked whenever the key has others than before.
///
/// The client is not read meanwhile; `has_left` says whether it is known to be gone. A future that is
/// dropped leaves no trace but a count.
///
/// # Errors
/// [`NotAwake`]; counted.
pub async fn until_awake<T>(
    ctx: &Context,
    sleeper: &mut Sleeper,
    has_left: impl Fn() -> bool,
    again: impl FnMut() -> Option<T>,
) -> Result<T, NotAwake> {
    // Counted when this is dropped before it ends: so a stream is that its client gave up.
    let mut end = End { ctx, how: Some(NotAwake::Left) };
    let outcome = wait(ctx, sleeper, has_left, again).await;
    end.how = outcome.as_ref().err().copied();
    if end.how.is_some_and(|how| how != NotAwake::Left) {
        sleeper.route.load().note_queue_refused();
        ctx.shard.add(Counter::Asleep, 1);
    }
    outcome
}

struct End<'a> {
    ctx: &'a Context,
    how: Option<NotAwake>,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        if let Some(how) = self.how {
            self.ctx.shard.add(how.counter(), 1);
        }
    }
}

async fn wait<T>(
    ctx: &Context,
    sleeper: &mut Sleeper,
    has_left: impl Fn() -> bool,
    mut again: impl FnMut() -> Option<T>,
) -> Result<T, NotAwake> {
    let emperor = ctx.shared.emperor.as_ref().ok_or(NotAwake::NoEmperor)?;
    let rules = &ctx.shared.policies.get(sleeper.policy).on_demand;
    let now_ms = deadline::process_ms();
    if emperor.is_away(now_ms) {
        return Err(NotAwake::NoEmperor);
    }
    let waiting = ctx.wakes.join(&sleeper.route, rules)?;
    ctx.shard.add(Counter::WakeWaits, 1);
    let due_ms = now_ms.saturating_add(rules.timeout.as_millis() as u64);
    let (mut remind_ms, mut look_ms) = (0, now_ms + TICK_MS);
    let mut asked: Option<Asked> = None;
    loop {
        let now_ms = deadline::process_ms();
        if waiting.place.is_first() && now_ms >= remind_ms {
            if asked.is_none() && emperor.is_away(now_ms) {
                return Err(NotAwake::NoEmperor);
            }
            asked = emperor.ask(&sleeper.route, sleeper.speech).or(asked);
            remind_ms = now_ms + REMIND_MS;
        }
        waiting.place.turn().await;
        let now_ms = deadline::process_ms();
        if now_ms >= look_ms {
            look_ms = now_ms + TICK_MS;
            if has_left() {
                return Err(NotAwake::Left);
            }
        }
        if sleeper.is_news(ctx)
            && let Some(found) = again()
        {
            return Ok(found);
        }
        if asked.as_ref().is_some_and(Asked::failed) {
            return Err(NotAwake::NoEmperor);
        }
        if now_ms >= due_ms {
            return Err(NotAwake::Late);
        }
    }
}
