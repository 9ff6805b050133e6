//! The cells in which ends of exchanges are counted: one per side and phase of a `Termination`.
//!
//! Every sample exists from the start, so that an alert on a rate sees the first failure too.

use crate::termination::{Phase, Side, Termination};

/// How many cells a shard keeps.
pub(super) const ENDS: usize = SIDES.len() * PHASES.len();

/// The cell of one end.
#[inline]
pub(super) fn cell_of(end: Termination) -> usize {
    end.side as usize * PHASES.len() + end.phase as usize
}

/// The ends that can happen: nobody's fault and done, or somebody's during something.
pub(super) fn possible() -> impl Iterator<Item = Termination> {
    let failures = SIDES[1..].iter().flat_map(|side| {
        PHASES[1..].iter().map(move |phase| Termination { side: *side, phase: *phase })
    });
    std::iter::once(Termination::CLEAN).chain(failures)
}

pub(super) fn side_label(side: Side) -> &'static str {
    match side {
        Side::Nobody => "nobody",
        Side::Client => "client",
        Side::ClientDeadline => "client_deadline",
        Side::Upstream => "upstream",
        Side::UpstreamDeadline => "upstream_deadline",
        Side::Router => "router",
    }
}

pub(super) fn phase_label(phase: Phase) -> &'static str {
    match phase {
        Phase::Done => "done",
        Phase::RequestHead => "request_head",
        Phase::Connect => "connect",
        Phase::RequestBody => "request_body",
        Phase::ResponseHead => "response_head",
        Phase::ResponseBody => "response_body",
        Phase::Tunnel => "tunnel",
    }
}

/// In the order of their discriminants, nobody first.
const SIDES: [Side; 6] = [
    Side::Nobody,
    Side::Client,
    Side::ClientDeadline,
    Side::Upstream,
    Side::UpstreamDeadline,
    Side::Router,
];

/// In the order of their discriminants, done first.
const PHASES: [Phase; 7] = [
    Phase::Done,
    Phase::RequestHead,
    Phase::Connect,
    Phase::RequestBody,
    Phase::ResponseHead,
    Phase::ResponseBody,
    Phase::Tunnel,
];

// A variant added without its row here would count in a neighbour's cell.
const _: () = {
    let mut i = 0;
    while i < SIDES.len() {
        assert!(SIDES[i] as usize == i);
        i += 1;
    }
    i = 0;
    while i < PHASES.len() {
        assert!(PHASES[i] as usize == i);
        i += 1;
    }
    assert!(Side::Router as usize == SIDES.len() - 1);
    assert!(Phase::Tunnel as usize == PHASES.len() - 1);
};
