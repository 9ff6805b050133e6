//! What a connection may weigh, which is what ten thousand of them are made of.

use super::*;
use crate::serve::opening::Served;

/// The task of a connection.
const TASK_BYTES_MAX: usize = 320;
/// What a session knows.
const SESSION_BYTES_MAX: usize = 384;
/// A tunnel that runs.
const TAIL_BYTES_MAX: usize = 1024;
/// A request under way.
const TURN_BYTES_MAX: usize = 5120;

/// Bytes of the future that `make` answers, which has no name.
fn future_bytes<A, F: Future>(_make: impl FnOnce(A) -> F) -> usize {
    size_of::<F>()
}

fn turn(session: &mut Session) -> impl Future<Output = Next> {
    session.turn(None)
}

#[test]
fn a_connection_that_rests_carries_no_state_of_requests() {
    let bounds = [
        (
            "task",
            future_bytes(|(served, admitted)| Served::to_its_end(served, admitted)),
            TASK_BYTES_MAX,
        ),
        ("session", size_of::<Session>(), SESSION_BYTES_MAX),
        ("tunnel", future_bytes(|(session, tail)| Session::pass(session, tail)), TAIL_BYTES_MAX),
        ("turn", future_bytes(turn), TURN_BYTES_MAX),
    ];
    assert!(bounds.iter().all(|(_, bytes, most)| bytes <= most), "bytes, and how many: {bounds:?}");
}
