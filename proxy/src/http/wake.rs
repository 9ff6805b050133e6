//! Waiting for a vassal to start, as requests do: judged anew when their key has a node.

use std::pin::Pin;

use route_table::Tried;
use router_core::termination::Phase;

use super::{
    exchange::Exchange,
    failure::{Cause, Failure},
    judge::{Held, Judged, Plan, Refusal, Round, judge},
};
use crate::{
    context::{ConnFacts, Context},
    on_demand::{NotAwake, Sleeper, until_awake},
    traces::TraceSlot,
};

/// A request whose key has only vassals that sleep.
pub struct Asleep {
    /// What waits.
    pub sleeper: Sleeper,
    /// The answer, if nobody wakes.
    pub refusal: Refusal,
}

impl Asleep {
    /// Bytes of the head.
    pub fn head_bytes(&self) -> usize {
        self.refusal.head.map_or(0, |head| head.head_bytes)
    }
}

/// Why a request gets no plan.
pub enum Unplanned {
    /// It is answered by this router.
    Refused(Refusal),
    /// It can wait.
    Asleep(Box<Asleep>),
    /// Its client has left.
    Left,
}

impl Unplanned {
    /// The answer of this router, if it does not wait.
    pub fn refusal(self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            Self::Asleep(asleep) => asleep.refusal,
            // Nobody reads it.
            Self::Left => Refusal::closing(400, String::new(), b""),
        }
    }
}

/// What the first judgement of the head at the begin of `bytes` comes to once its vassal is awake.
///
/// # Errors
/// [`Unplanned`], never that it can wait.
pub async fn first(
    ctx: &Context,
    conn: &ConnFacts,
    bytes: &[u8],
    asleep: Asleep,
    trace: &TraceSlot,
    has_left: impl Fn() -> bool,
) -> Result<Plan, Unplanned> {
    let mut tried = Tried::default();
    tried.note_counted();
    let round = Round { tried: &tried, held: Held::No, id: None, trace };
    awake(asleep, ctx, has_left, || judge(ctx, conn, bytes, &round)).await
}

impl Exchange<'_> {
    /// A new `plan` for the attempt after `waits`, a failure, once a vassal is awake. In boxes, so that
    /// requests with a node do not carry it.
    ///
    /// # Errors
    /// The failure, which says more than that there is no other node; or that the client has left.
    pub(super) fn wake<'s>(
        &'s self,
        waits: Box<(Asleep, Failure)>,
        plan: &'s mut Plan,
        held: Held,
    ) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + 's>> {
        Box::pin(async move {
            let (asleep, failure) = *waits;
            let (reader, head) = (&self.client.reader, self.client.inbound.head());
            let (id, trace) = (self.record.id, &self.record.trace);
            let round = Round { tried: &self.tried, held, id, trace };
            let again = || judge(self.ctx, self.client.conn, head, &round);
            match awake(asleep, self.ctx, || reader.has_left(), again).await {
                Ok(again) => *plan = again,
                Err(Unplanned::Left) => return Err(client_gone()),
                Err(_) => return Err(failure),
            }
            Ok(())
        })
    }
}

/// A client that left while its request waited.
pub fn client_gone() -> Failure {
    Failure::client(Phase::Connect, 400, Cause::ClientGone)
}

async fn awake(
    asleep: Asleep,
    ctx: &Context,
    has_left: impl Fn() -> bool,
    judge: impl Fn() -> Judged,
) -> Result<Plan, Unplanned> {
    let Asleep { mut sleeper, mut refusal } = asleep;
    let again = || match judge() {
        Judged::Admitted(plan) => Some(Ok(plan)),
        Judged::Refused(refusal) => Some(Err(refusal)),
        // Another vassal of the key may come.
        Judged::Asleep(_) | Judged::Partial | Judged::Rtsp(_) => None,
    };
    match until_awake(ctx, &mut sleeper, has_left, again).await {
        Ok(Ok(plan)) => Ok(Plan { admitted: sleeper.admitted, ..plan }),
        Ok(Err(refusal)) => Err(Unplanned::Refused(refusal)),
        Err(NotAwake::Left) => Err(Unplanned::Left),
        Err(why) => {
            refusal.detail = why.to_string();
            Err(Unplanned::Refused(refusal))
        }
    }
}
