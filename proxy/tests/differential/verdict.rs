//! What is expected to become of one client connection.

use std::fmt;

/// Requests forwarded completely, and how the connection goes on after them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Verdict {
    pub forwarded: usize,
    pub end: End,
}

/// What follows the forwarded requests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// The connection stays: a request pipelined behind is forwarded and answered.
    Open,
    /// The router closes; a request pipelined behind is never answered.
    Closed,
    /// A sound request that the router answers itself; the connection stays.
    Answered(u16),
    /// A head is refused: no upstream sees any of it, and the connection closes.
    Refused(u16),
    /// A body is refused: an upstream may have seen the head, never the end of the body.
    Cut(u16),
    /// The client ends inside a head: nobody sees any of it, nothing is answered.
    EndedInHead,
    /// The client ends inside a body: an upstream may have seen the head, nothing is answered.
    EndedInBody,
}

pub const fn passed(forwarded: usize) -> Verdict {
    Verdict { forwarded, end: End::Open }
}

pub const fn closed(forwarded: usize) -> Verdict {
    Verdict { forwarded, end: End::Closed }
}

pub const fn refused(status: u16) -> Verdict {
    Verdict { forwarded: 0, end: End::Refused(status) }
}

pub const fn answered(status: u16) -> Verdict {
    Verdict { forwarded: 0, end: End::Answered(status) }
}

pub const fn cut(status: u16) -> Verdict {
    Verdict { forwarded: 0, end: End::Cut(status) }
}

pub const ENDED_IN_HEAD: Verdict = Verdict { forwarded: 0, end: End::EndedInHead };
pub const ENDED_IN_BODY: Verdict = Verdict { forwarded: 0, end: End::EndedInBody };

impl Verdict {
    /// The same after `forwarded` good requests.
    pub const fn after(mut self, forwarded: usize) -> Self {
        self.forwarded = forwarded;
        self
    }

    /// Whether a request pipelined behind would be taken for a part of this one.
    pub fn is_unfinished(self) -> bool {
        matches!(self.end, End::EndedInHead | End::EndedInBody)
    }

    /// Status the router itself answers with.
    pub fn own_status(self) -> Option<u16> {
        match self.end {
            End::Answered(status) | End::Refused(status) | End::Cut(status) => Some(status),
            End::Open | End::Closed | End::EndedInHead | End::EndedInBody => None,
        }
    }

    /// Whether a request pipelined behind is answered.
    pub fn is_open(self) -> bool {
        matches!(self.end, End::Open | End::Answered(_))
    }

    /// Whether an upstream that gets bodies as they come sees a head without the end of its body.
    pub fn leaves_a_torso(self) -> bool {
        matches!(self.end, End::Cut(_) | End::EndedInBody)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = match self.end {
            End::Open | End::Closed if self.forwarded == 1 => "forwarded".to_owned(),
            End::Open | End::Closed => format!("{} forwarded", self.forwarded),
            End::Answered(status) | End::Refused(status) => status.to_string(),
            End::Cut(status) => format!("{status} in the body"),
            End::EndedInHead => "closed in the head".to_owned(),
            End::EndedInBody => "closed in the body".to_owned(),
        };
        match self.end {
            End::Closed => write!(f, "{end}, then closed"),
            End::Open => f.write_str(&end),
            _ if self.forwarded > 0 => write!(f, "{} forwarded, then {end}", self.forwarded),
            _ => f.write_str(&end),
        }
    }
}
