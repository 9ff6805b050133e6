//! The first message of a TLS client, read without answering it.
//!
//! A router that passes TLS through must know whom the client wants, and nothing else of it. This
//! crate reads the ClientHello out of the received bytes, which stay the caller's to pass on, and
//! writes the alert for a client that cannot be served. It does no I/O, knows no time and keeps no
//! more than one message. Section numbers without a name are those of RFC 8446.

#![forbid(unsafe_code)]

mod alert;
mod client_hello;
mod fields;
#[doc(hidden)]
pub mod fuzzing;
pub mod limits;
mod records;

pub use alert::Alert;
pub use client_hello::{ClientHello, HelloError, Protocols};
pub use records::{HelloReader, Read};
