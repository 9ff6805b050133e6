//! How an exchange can fail: whose fault, in which phase, and what the client is told.

use router_core::{
    deadline::{Half, Watch},
    termination::{Phase, Side, Termination},
};

/// An exchange that did not end in a complete response.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
pub struct Failure {
    /// Whose fault and in which phase: the letters of the access log.
    pub termination: Termination,
    /// The status told to the client if no response byte left yet.
    pub status: u16,
    /// What happened.
    pub cause: Cause,
}

/// What happened.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The client closed or reset the connection.
    #[error("the client closed the connection")]
    ClientGone,
    /// The client was too slow.
    #[error("the client was too slow")]
    ClientSlow,
    /// The client's body came at less than the least rate.
    #[error("the request body comes too slowly")]
    BodySlow,
    /// The client's chunked body broke the rules.
    #[error("the request body is malformed: {0}")]
    ClientBody(#[source] http1_wire::ChunkError),
    /// The request body is larger than this router takes.
    #[error("the request body is too large")]
    BodyTooLarge,
    /// Too much memory is held by bodies that wait to be complete.
    #[error("too many request bodies are being held")]
    HeldBodies,
    /// Too many requests wait for a node already.
    #[error("too many requests are waiting for the application")]
    QueueFull,
    /// The request waited too long for a node.
    #[error("the application had no room in time")]
    QueueSlow,
    /// No node accepted a connection.
    #[error("no node could be reached")]
    Unreachable,
    /// No node accepted a connection in time.
    #[error("connecting to the node took too long")]
    ConnectSlow,
    /// The node closed or reset the connection.
    #[error("the node closed the connection")]
    UpstreamGone,
    /// The node was too slow.
    #[error("the node took too long")]
    UpstreamSlow,
    /// The node's response head broke the rules.
    #[error("the node's response is malformed: {0}")]
    UpstreamHead(#[source] http1_wire::ResponseError),
    /// The node's chunked body broke the rules.
    #[error("the node's response body is malformed: {0}")]
    UpstreamBody(#[source] http1_wire::ChunkError),
    /// The node answered an RTSP request with something else.
    #[error("the node's answer is not RTSP")]
    UpstreamNoRtsp,
    /// The node switched protocols without being asked.
    #[error("the node switched protocols unasked")]
    UnaskedUpgrade,
}

impl Failure {
    /// A failure of the client's side.
    pub fn client(phase: Phase, status: u16, cause: Cause) -> Self {
        Self { termination: Termination::new(Side::Client, phase), status, cause }
    }

    /// A failure of the upstream's side.
    pub fn upstream(phase: Phase, status: u16, cause: Cause) -> Self {
        Self { termination: Termination::new(Side::Upstream, phase), status, cause }
    }

    /// A refusal by this router.
    pub fn router(phase: Phase, status: u16, cause: Cause) -> Self {
        Self { termination: Termination::new(Side::Router, phase), status, cause }
    }

    /// A read or write of the client ended: by its own doing, or by a deadline?
    pub fn client_ended(phase: Phase, watch: &Watch) -> Self {
        match watch.expired() {
            None => Self::client(phase, 400, Cause::ClientGone),
            Some(_) => Self {
                termination: Termination::new(Side::ClientDeadline, phase),
                status: 408,
                cause: Cause::ClientSlow,
            },
        }
    }

    /// A read or write of the upstream ended: by its own doing, or by a deadline?
    pub fn upstream_ended(phase: Phase, watch: &Watch) -> Self {
        match watch.expired() {
            None => Self::upstream(phase, 502, Cause::UpstreamGone),
            Some(Half::Read | Half::Write) => Self {
                termination: Termination::new(Side::UpstreamDeadline, phase),
                status: 504,
                cause: Cause::UpstreamSlow,
            },
        }
    }
}
