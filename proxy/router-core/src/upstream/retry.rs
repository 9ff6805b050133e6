//! The pure rule of when another attempt may be made.
//!
//! A request is sent again only if no upstream can have acted on it: it never left, or the connection
//! was a pooled one that the upstream had closed meanwhile and the method may be repeated
//! (RFC 9110 section 9.2.2). A body that was partly read from the client is gone, so it ends retrying.

use super::Reuse;

/// Connect attempts of one exchange, the first included (spec fastrouter.md: three retries).
pub const ATTEMPTS_MAX: usize = 4;

/// How far an attempt got before it failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// No connection.
    Unconnected,
    /// Request bytes may have left; no response byte came.
    Sent,
    /// A response byte came.
    Answered,
}

/// Whether a request can be sent twice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Replay {
    /// The method is idempotent and all request bytes are still at hand.
    Safe,
    /// The method is not idempotent; all request bytes are still at hand.
    Unsafe,
    /// Part of the body has been read from the client and passed on.
    Spent,
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Retry {
    /// Try a node that was not tried yet.
    NextNode,
    /// Try the same node over a new connection.
    FreshConnection,
    /// Tell the client.
    Stop,
}

/// Decides after the `attempts`-th attempt failed.
pub fn after_failure(progress: Progress, reuse: Reuse, replay: Replay, attempts: usize) -> Retry {
    if attempts >= ATTEMPTS_MAX {
        return Retry::Stop;
    }
    match (progress, reuse, replay) {
        (Progress::Unconnected, _, _) => Retry::NextNode,
        (Progress::Sent, Reuse::Pooled, Replay::Safe) => Retry::FreshConnection,
        _ => Retry::Stop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_connect_moves_on_whatever_the_method() {
        for replay in [Replay::Safe, Replay::Unsafe] {
            let verdict = after_failure(Progress::Unconnected, Reuse::Fresh, replay, 1);
            assert_eq!(verdict, Retry::NextNode);
        }
    }

    #[test]
    fn stale_pooled_connection_is_replaced_for_idempotent_methods_only() {
        let after = |replay| after_failure(Progress::Sent, Reuse::Pooled, replay, 1);
        assert_eq!(after(Replay::Safe), Retry::FreshConnection);
        assert_eq!(after(Replay::Unsafe), Retry::Stop);
        assert_eq!(after(Replay::Spent), Retry::Stop);
    }

    #[test]
    fn nothing_is_sent_twice_over_a_fresh_connection_or_after_an_answer() {
        assert_eq!(after_failure(Progress::Sent, Reuse::Fresh, Replay::Safe, 1), Retry::Stop);
        assert_eq!(after_failure(Progress::Answered, Reuse::Pooled, Replay::Safe, 1), Retry::Stop);
    }

    #[test]
    fn attempts_are_bounded() {
        let last = after_failure(Progress::Unconnected, Reuse::Fresh, Replay::Safe, ATTEMPTS_MAX);
        assert_eq!(last, Retry::Stop);
    }
}
