//! HTTP/1 heads and framing as a strict codec over borrowed bytes.
//!
//! Parses request and response heads in place, decides where bodies end, scans chunked bodies and
//! writes forwarded heads. It does no I/O, knows no time and allocates nothing but growth of the
//! output buffers its callers bring; the HTTP sessions of the proxy are its callers.
//!
//! It is stricter than RFC 9110 and RFC 9112 ask, because a router stands between parsers that
//! disagree: whatever two recipients could read in two ways is refused and never repaired. All
//! refusals are rows of [`REJECTS`]. Beyond what the RFCs demand, it refuses:
//! - lines ending in a bare LF, and empty lines before the request line (RFC 9112 2.2);
//! - `Content-Length` twice even if equal, and beside `Transfer-Encoding` (6.3);
//! - every coding but `chunked` alone (6.1), and every version but 1.0 and 1.1;
//! - an absolute-form target whose authority differs from Host (3.2.2 would prefer the target);
//! - `#` and octets above ASCII in targets; userinfo, escapes and lists in Host;
//! - `Connection` naming the fields that frame or route a message; expectations but 100-continue.

#![forbid(unsafe_code)]

mod chunked;
mod claims;
mod connection;
mod decimal;
mod error;
mod fields;
mod framing;
#[doc(hidden)]
pub mod fuzzing;
mod head;
pub mod limits;
mod octets;
mod preface;
mod request;
mod response;
mod rewrite;
mod rtsp;
mod target;
mod trace_context;
mod trailers;
mod upgrade;
mod via;

pub use chunked::{
    CHUNK_END, ChunkError, ChunkScanner, ChunkState, ChunkStep, LAST_CHUNK, write_chunk_size_line,
};
pub use claims::{Claims, forwarded_ip};
pub use connection::ConnectionError;
pub use error::{REJECTS, RefusedIn, RejectRow};
pub use fields::{FieldSlots, Fields, is_forwardable};
pub use framing::{FramingError, RequestFraming, ResponseFraming};
pub use head::{HeadEnd, HeadError, head_end};
pub use preface::{Announcement, Preface, PrefaceEnds, PrefaceError, parse_preface, write_preface};
pub use request::{Method, RequestError, RequestHead, parse_request};
pub use response::{ResponseError, ResponseHead, ResponseTo, parse_response};
pub use rewrite::{
    ExpectRule, ForwardFacts, NO_EDIT, ReplyBody, ReplyEdit, ReplyFacts, UpgradeRule,
    write_request_head, write_response_head,
};
pub use rtsp::{
    RtspError, RtspHead, RtspSlots, RtspStart, RtspTarget, parse_rtsp, rtsp_cseq, rtsp_start,
};
pub use target::{Target, TargetError, TargetForm, decode_path};
pub use trace_context::{
    SpanId, TRACEPARENT_BYTES, TraceFields, TraceId, TraceParent, TraceState, trace_hex,
};
pub use trailers::{is_trailer, trailer_fields, write_last_chunk};
pub use upgrade::Upgrade;
pub use via::{via_count, write_via};

/// The versions of HTTP this codec speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

/// A head, or the news that its end is not in the buffer yet.
#[derive(Clone, Debug)]
pub enum Parsed<T> {
    /// All of it.
    Complete(T),
    /// Read more and try again.
    Partial,
}

#[cfg(test)]
mod tests;
