//! RTSP tunnelled in HTTP: a GET whose response never ends and a POST whose body never does.
//!
//! The length the POST states (32,767 by custom) is not its length: clients send for as long as the
//! session lasts. So once the node agreed to the GET as RTSP servers do, the POST of the same session
//! passes through as it comes. Before that, and to nodes that did not agree, it is a request like any
//! other: a cookie alone is no way around the framing.

use std::sync::Arc;

use http1_wire::{Method, RequestFraming, RequestHead, ResponseFraming, ResponseHead};
use route_table::{Node, Route, Tried};
use router_core::{deadline, io::sleep_ms};

use super::pairs::{COOKIE_BYTES_MAX, Known, Pair, Part, State};
use crate::{
    context::Context,
    policy::{Policy, streams::Switch},
};

/// What both halves call their content.
const CONTENT_TYPE: &[u8] = b"application/x-rtsp-tunnelled";
/// How often a POST looks whether the node agreed to its GET, and for how long.
const LOOK_MS: u64 = 10;
const LOOKS_MAX: usize = 200;

/// Which half of which session a request is, if it is one.
pub fn part_of(policy: &Policy, head: &RequestHead<'_, '_>, route: &Route) -> Option<(Part, Pair)> {
    if policy.streams.rtsp == Switch::Off {
        return None;
    }
    let part = match (head.method, head.framing) {
        (Method::Get, RequestFraming::None) => Part::Listening,
        (Method::Post, RequestFraming::Length(_)) => Part::Sending,
        _ => return None,
    };
    let cookie = head.fields.first("x-sessioncookie")?;
    (1..=COOKIE_BYTES_MAX)
        .contains(&cookie.len())
        .then(|| (part, Pair { key: route.key().as_str().into(), cookie: cookie.into() }))
}

/// The node of a session: the other half's if there is one, else `pick`'s, which is remembered.
pub fn choose(
    ctx: &Context,
    part: Part,
    pair: &Pair,
    tried: &Tried,
    pick: impl FnOnce() -> Option<Arc<Node>>,
) -> Option<Arc<Node>> {
    let (pairs, now) = (&ctx.shared.rtsp_pairs, deadline::now_ms());
    match pairs.known(pair, now) {
        Some(Known { node, .. }) if !tried.contains(node.id) => {
            if part == Part::Listening {
                pairs.remember(pair, part, &node, now);
            }
            Some(node)
        }
        // No other node knows an open session.
        Some(Known { state: State::Open, .. }) => None,
        _ => {
            let node = pick()?;
            pairs.remember(pair, part, &node, now);
            Some(node)
        }
    }
}

/// Whether the node agreed to the session's GET; waits for its answer if it was only just asked.
pub async fn is_open(ctx: &Context, pair: &Pair) -> bool {
    for _ in 0..LOOKS_MAX {
        match ctx.shared.rtsp_pairs.known(pair, deadline::now_ms()) {
            Some(Known { state: State::Open, .. }) => return true,
            Some(Known { state: State::Asked, .. }) => sleep_ms(LOOK_MS).await,
            Some(Known { state: State::Alone, .. }) | None => return false,
        }
    }
    false
}

/// Whether a node's answer to the GET opens the tunnel.
pub fn is_agreement(head: &ResponseHead<'_, '_>) -> bool {
    let named = |(name, value): (&str, &[u8])| {
        name.eq_ignore_ascii_case("content-type")
            && value.len() >= CONTENT_TYPE.len()
            && value[..CONTENT_TYPE.len()].eq_ignore_ascii_case(CONTENT_TYPE)
    };
    head.status == 200
        && head.framing == ResponseFraming::UntilClose
        && head.forwarded_fields().any(named)
}
