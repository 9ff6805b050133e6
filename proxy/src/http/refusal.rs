//! Requests that the router answers itself, and why.

use http1_wire::{Method, RequestFraming, RequestHead, TargetError};

use super::{gate::Shed, rejects, reply::Text};
use crate::{context::Context, on_demand::Sleeper};

/// A request answered by this router.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// Status of the answer.
    pub status: u16,
    /// What narrows it down for the reader; may be empty.
    pub detail: String,
    /// When the client may come again, in seconds; 0 leaves that open.
    pub retry_after_s: u32,
    /// Whether the answer is held back for a moment: the client asks too much.
    pub pace: Pace,
    /// Where the client should go instead; empty: nowhere.
    pub location: String,
    /// Whether the answer carries its text, which one to HEAD never does (RFC 9110 9.3.2).
    pub text: Text,
    /// The head, if it kept all rules: then this counts as a request.
    pub head: Option<RefusedHead>,
}

/// When an answer is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pace {
    /// As soon as it is known.
    AtOnce,
    /// A little later, so that who is refused does not ask again as fast as it can.
    Held,
}

/// When a client may come again after an answer that says nothing better.
const fn retry_after(status: u16) -> u32 {
    if status == 503 { 5 } else { 0 }
}

/// The sound head of a refused request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RefusedHead {
    /// Bytes of it.
    pub head_bytes: usize,
    /// The client wants to keep the connection and no body is in the way.
    pub may_stay: bool,
}

impl Refusal {
    /// Without a sound head, of which `head` is what was received.
    pub fn closing(status: u16, detail: String, head: &[u8]) -> Self {
        let retry_after_s = retry_after(status);
        let text = Text::for_request(head);
        let (location, pace) = (String::new(), Pace::AtOnce);
        Self { status, detail, retry_after_s, pace, location, text, head: None }
    }
}

/// The answer to a sound head that gets no node.
pub fn refuse(ctx: &Context, head: &RequestHead<'_, '_>, denial: Denial) -> Refusal {
    let mut location = String::new();
    let (status, detail) = match &denial {
        Denial::Status(status) => (*status, String::new()),
        Denial::Redirect(status, place) => {
            location.clone_from(place);
            (*status, String::new())
        }
        Denial::Path(error) => {
            ctx.shard.count_head_reject(rejects::index(error.label()));
            (error.status(), error.to_string())
        }
        Denial::Outdated | Denial::Asleep(_) => (denial.status(), String::new()),
        Denial::Shed(shed) => (shed.status, shed.detail.to_owned()),
    };
    let is_usable = !matches!(denial, Denial::Outdated);
    let (retry_after_s, pace) = match denial {
        Denial::Shed(shed) => (shed.retry_after_s, Pace::Held),
        _ => (retry_after(status), Pace::AtOnce),
    };
    Refusal {
        status,
        detail,
        retry_after_s,
        pace,
        location,
        text: if head.method == Method::Head { Text::Withheld } else { Text::Shown },
        head: Some(RefusedHead {
            head_bytes: head.head_bytes,
            may_stay: is_usable && head.keep_alive && head.framing == RequestFraming::None,
        }),
    }
}

/// Why a sound head gets no node.
pub enum Denial {
    /// The status says it all.
    Status(u16),
    /// The connection is not what its host wants of one any more (421); it ends with the answer.
    Outdated,
    /// There are too many.
    Shed(Shed),
    /// Its key has only vassals that sleep, of which one can be woken.
    Asleep(Box<Sleeper>),
    /// Its path cannot be decoded, which a uwsgi node needs.
    Path(TargetError),
    /// The client should go to this place.
    Redirect(u16, String),
}

impl Denial {
    /// Status of the answer.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Status(status) | Self::Redirect(status, _) => *status,
            Self::Path(error) => error.status(),
            Self::Outdated => 421,
            Self::Shed(shed) => shed.status,
            Self::Asleep(_) => 503,
        }
    }
}
