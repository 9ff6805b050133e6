//! What a router must know of HTTP/2 beside its codec: heads, and when frames become a flood.
//!
//! The codec itself is the h2 crate, which the proxy drives. This crate turns the heads it yields
//! into HTTP/1 heads and back, so that one set of rules judges both versions, and watches the frames
//! that pass in both directions for the patterns that cost a server more than their sender. Like its
//! sibling `http1-wire` it does no I/O and knows no time but what it is told.

#![forbid(unsafe_code)]

mod flood;
mod frames;
#[doc(hidden)]
pub mod fuzzing;
pub mod limits;
mod request;
mod response;

pub use flood::{Flood, FloodScore};
pub use frames::{FrameHead, FrameKind, FrameWalk};
pub use request::{HeadBody, RequestParts, RequestRefusal, write_request};
pub use response::{ResponseParts, write_response};
