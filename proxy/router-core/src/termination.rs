//! Who ended an exchange and in which phase, as the two letters of the access log.
//!
//! The pair is fixed by the first cause; whatever fails afterwards is a consequence. The letters
//! are documented for operators in `docs/TERMINATION.md`.

/// Who caused the end of an exchange.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Side {
    /// Nobody: the exchange ran to its end.
    #[default]
    Nobody,
    /// The client closed, reset or sent something malformed.
    Client,
    /// The client was too slow for a deadline.
    ClientDeadline,
    /// The upstream refused, closed, reset or sent something malformed.
    Upstream,
    /// The upstream was too slow for a deadline.
    UpstreamDeadline,
    /// This router refused by its own rules or limits.
    Router,
}

/// What was under way when an exchange ended.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Phase {
    /// Nothing: the exchange ran to its end.
    #[default]
    Done,
    /// The request head was being read or judged.
    RequestHead,
    /// A node was being chosen or connected to.
    Connect,
    /// The request head or body was on its way to the upstream.
    RequestBody,
    /// The response head was awaited.
    ResponseHead,
    /// The response body was on its way to the client.
    ResponseBody,
    /// Opaque bytes went both ways after a protocol switch.
    Tunnel,
}

/// The first cause of an exchange's end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Termination {
    /// Who.
    pub side: Side,
    /// During what.
    pub phase: Phase,
}

impl Termination {
    /// An exchange that ran to its end: `--`.
    pub const CLEAN: Self = Self { side: Side::Nobody, phase: Phase::Done };

    /// Names a cause.
    pub const fn new(side: Side, phase: Phase) -> Self {
        Self { side, phase }
    }

    /// The two letters, side first.
    pub const fn letters(self) -> [u8; 2] {
        let side = match self.side {
            Side::Nobody => b'-',
            Side::Client => b'C',
            Side::ClientDeadline => b'c',
            Side::Upstream => b'U',
            Side::UpstreamDeadline => b'u',
            Side::Router => b'R',
        };
        let phase = match self.phase {
            Phase::Done => b'-',
            Phase::RequestHead => b'H',
            Phase::Connect => b'C',
            Phase::RequestBody => b'Q',
            Phase::ResponseHead => b'W',
            Phase::ResponseBody => b'D',
            Phase::Tunnel => b'T',
        };
        [side, phase]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_end_is_two_dashes() {
        assert_eq!(Termination::CLEAN.letters(), *b"--");
        assert_eq!(Termination::default(), Termination::CLEAN);
    }

    #[test]
    fn deadline_letters_are_the_lower_case_of_their_side() {
        let slow = Termination::new(Side::UpstreamDeadline, Phase::ResponseHead);
        assert_eq!(slow.letters(), *b"uW");
    }
}
