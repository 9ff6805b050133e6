//! One connection of a web server: a packet in, a node reached, the body there and the response back.
//!
//! The packet goes on as it came but for the two modifiers, which are the node's. What follows it passes
//! both ways at once; the node's end is the end of the response. A node is changed only before it was
//! connected to.

use std::rc::Rc;

use proxy::{
    config::packets::{FallbackOn, OnFailure},
    context::{ConnFacts, Context},
    policy::PolicyId,
    relay::{Errand, Line, Reached, choice::Unserved},
};
use route_table::{NodeFacts, Tried};
use router_core::{
    buffer::{self, Use},
    io::{self, Accepted},
    metrics::Counter,
    termination::{Phase, Side as FaultOf, Termination},
};
use uwsgi_request::{Body, Request, RequestError, set_modifiers};

use crate::{
    answer::answer,
    body::Rest,
    errand::PacketErrand,
    exchange::exchange,
    front::WorkerRules,
    hold::{Held, HoldError, HoldRules},
    linger,
    receive::{ReceiveError, receive},
};

/// A packet's connection.
pub type PacketLine<'a> = Line<'a, PacketErrand>;

/// A request that got no response of a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refused {
    status: u16,
}

impl Refused {
    /// With this status.
    pub const fn with(status: u16) -> Self {
        Self { status }
    }
}

impl From<Unserved> for Refused {
    fn from(unserved: Unserved) -> Self {
        Self::with(unserved.status())
    }
}

/// Serves a connection to its end.
pub async fn serve(ctx: Rc<Context>, rules: Rc<WorkerRules>, accepted: Accepted, conn: ConnFacts) {
    let Accepted { mut read, write, .. } = accepted;
    let received = match receive(&ctx, &mut read).await {
        Ok(received) => received,
        Err(ReceiveError::Nothing) => return,
        Err(error) => return ctx.shard.count(error.counter()),
    };
    let request = match Request::read(received.bytes.get(..received.packet).unwrap_or_default()) {
        Ok(request) => request,
        Err(error) => {
            let is_nameless = error == RequestError::Nameless;
            ctx.shard.count(if is_nameless {
                Counter::PacketNameless
            } else {
                Counter::PacketMalformed
            });
            return;
        }
    };
    ctx.shard.count(Counter::Requests);
    let sockets = rules.sockets.clone();
    let errand = PacketErrand { bytes: received.bytes, request, sockets };
    let mut line = Line::new(&ctx, conn, (read, write), errand);
    line.record.bytes_in = line.errand.bytes.len() as u64;
    let outcome = pass(&mut line, &rules, received.packet).await;
    let told = outcome.err().and_then(|refused| told(&rules, &mut line, refused));
    crate::conclude::conclude(&line);
    if let Some(told) = told {
        Box::pin(linger::answer(&mut line.read, &mut line.write, told)).await;
    }
    buffer::give(Use::Head, line.errand.bytes);
    io::close(line.read, line.write);
}

/// What is answered, if anything is.
fn told(rules: &WorkerRules, line: &mut PacketLine<'_>, refused: Refused) -> Option<Vec<u8>> {
    if rules.on_failure == OnFailure::Close || line.record.termination.side == FaultOf::Client {
        return None;
    }
    let told = answer(refused.status, line.errand.text(&line.errand.request.method));
    line.record.status = refused.status;
    line.record.bytes_out += told.len() as u64;
    Some(told)
}

/// Passes a request on, `packet` bytes long without its body.
async fn pass(
    line: &mut PacketLine<'_>,
    rules: &WorkerRules,
    packet: usize,
) -> Result<(), Refused> {
    let body = line.errand.request.body;
    if let Body::Stated(length) = body
        && rules.bounds_bodies
        && length > longest_body(line)
    {
        line.ctx.shard.count(Counter::PacketBodyLong);
        line.record.termination = Termination::new(FaultOf::Router, Phase::RequestHead);
        return Err(Refused::with(413));
    }
    let mut held = match (&rules.hold, body) {
        (Some(hold), Body::Stated(length)) if length > 0 => {
            Some(Box::pin(hold_body(line, hold, packet, length)).await?)
        }
        _ => None,
    };
    let (reached, modifiers) = match line.reach().await {
        Ok(reached) => {
            let modifiers = modifiers(&reached.node.facts);
            (reached, modifiers)
        }
        Err(unserved) => Box::pin(reach_spare(line, rules, unserved)).await?,
    };
    set_modifiers(&mut line.errand.bytes, modifiers.0, modifiers.1);
    let rest = match &mut held {
        Some(held) => Rest::Held(held.reader().map_err(|_| Refused::with(500))?),
        None => rest_of(line, packet),
    };
    exchange(line, reached, rest).await
}

/// Largest body of the key.
fn longest_body(line: &PacketLine<'_>) -> u64 {
    let ctx = line.ctx;
    let mut tried = Tried::default();
    tried.note_counted();
    let mut table = ctx.table.borrow_mut();
    let route = line.errand.route(ctx, &line.conn, table.load(), &tried);
    let id = route.map_or(PolicyId::DEFAULT, |route| ctx.shared.policies.id_of(route.key()));
    ctx.shared.policies.get(id).body_bytes_max.unwrap_or(u64::MAX)
}

/// Receives the whole body, `length` bytes long.
async fn hold_body<'a>(
    line: &mut PacketLine<'a>,
    hold: &HoldRules,
    packet: usize,
    length: u64,
) -> Result<Held<'a>, Refused> {
    let ctx: &'a Context = line.ctx;
    let first = line.errand.bytes.split_off(packet);
    let first = first.get(..first.len().min(usize::try_from(length).unwrap_or(usize::MAX)));
    line.record.bytes_in = packet as u64;
    let from = (&mut line.read, ctx.shared.timeouts.body_idle);
    let held = Held::receive(ctx, hold, from, first.unwrap_or_default(), length).await;
    held.map_err(|error| {
        let (side, status) = match error {
            HoldError::Cut => (FaultOf::Client, 400),
            HoldError::Late => (FaultOf::ClientDeadline, 408),
            HoldError::File(_) => (FaultOf::Router, 500),
        };
        line.record.termination = Termination::new(side, Phase::RequestBody);
        Refused::with(status)
    })
}

/// Tries the addresses of `fallback`, if they are for this; they get the modifiers of the node that
/// failed (fastrouter spec, section 3).
async fn reach_spare<'a>(
    line: &mut PacketLine<'a>,
    rules: &WorkerRules,
    unserved: Unserved,
) -> Result<(Reached<'a>, (u8, u8)), Refused> {
    let is_for_it = match unserved {
        Unserved::Unreachable | Unserved::Late => true,
        Unserved::UnknownKey => rules.fallback_on == FallbackOn::NoKey,
        _ => false,
    };
    let ctx: &'a Context = line.ctx;
    let policy = match &line.key {
        Some(key) => ctx.shared.policies.of(key),
        None => ctx.shared.policies.get(PolicyId::DEFAULT),
    };
    let failed = line.record.node.as_ref().map_or((0, 0), |node| modifiers(&node.facts));
    for node in rules.fallback.iter().filter(|_| is_for_it) {
        if let Ok(reached) = line.reach_spare(node, policy).await {
            return Ok((reached, failed));
        }
    }
    Err(unserved.into())
}

fn modifiers(facts: &NodeFacts) -> (u8, u8) {
    (facts.modifier1, facts.modifier2)
}

/// What of the body is still to come. More than was stated is neither read nor passed on.
fn rest_of(line: &mut PacketLine<'_>, packet: usize) -> Rest {
    let bytes = &mut line.errand.bytes;
    match line.errand.request.body {
        Body::Open => Rest::Open,
        Body::Stated(length) => {
            let here = (bytes.len() - packet) as u64;
            bytes.truncate(packet + usize::try_from(length.min(here)).unwrap_or(0));
            Rest::Stated(length.saturating_sub(here))
        }
    }
}
