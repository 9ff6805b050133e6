//! What a client wants its connection to become, if its node agrees.

use http1_wire::{RequestHead, Upgrade};

use super::rtsp::pairs::Part;

/// What a client wants its connection to become.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wish {
    /// HTTP, as it is.
    Http,
    /// A WebSocket (RFC 6455), if the node agrees.
    WebSocket,
    /// What an RTSP server says, if the node agrees.
    RtspListening,
    /// What an RTSP client says, if the node agreed.
    RtspSending,
    /// A stream towards the node, if it agrees.
    Source,
}

impl Wish {
    /// What `head` asks for.
    pub fn of(head: &RequestHead<'_, '_>) -> Self {
        match head.upgrade {
            Some(Upgrade::WebSocket) => Self::WebSocket,
            // Whatever else a client would like, it gets HTTP (RFC 9110 section 7.8 allows that).
            Some(Upgrade::Other(_)) | None => Self::Http,
        }
    }
}

impl Wish {
    /// What a request that may be half of an RTSP session asks for.
    pub fn of_part(head: &RequestHead<'_, '_>, part: Option<Part>) -> Self {
        match part {
            None => Self::of(head),
            Some(Part::Listening) => Self::RtspListening,
            Some(Part::Sending) => Self::RtspSending,
        }
    }
}
