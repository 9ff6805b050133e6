//! What TLS means here: certificates chosen by server name, terminated by rustls.
//!
//! Choosing ([`cert_store`]) happens in handshakes, on workers, without waiting; reading, parsing
//! and judging ([`cert_load`]) on a thread of its own. The crypto library is named explicitly
//! everywhere (aws-lc-rs): no process-wide default is relied on.

pub mod accept;
pub mod cert_desk;
pub mod cert_load;
pub mod cert_store;
pub mod client_cert;
pub mod limits;
pub mod self_signed;
pub mod stream;
pub mod tickets;
