//! What a uwsgi packet says about the request in it, as far as a router needs to know.
//!
//! Bytes in, ranges of them out; no I/O. The packet itself is never rebuilt: a router passes it on as it
//! came but for two bytes, [`set_modifiers`].

#![forbid(unsafe_code)]

#[doc(hidden)]
pub mod fuzzing;
mod request;

pub use request::{Body, NamedBy, Request, RequestError, packet_bytes, set_modifiers};
