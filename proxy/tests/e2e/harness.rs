//! What every test of the real binary stands on.
//!
//! Nothing here uses a fixed port, waits without a deadline or shares state between tests, so
//! tests may run at once. Everything started is ended when its value is dropped.

pub mod certs;
pub mod chromium;
pub mod client;
pub mod client_pki;
pub mod collector;
pub mod datagram;
pub mod emperor;
pub mod h2;
pub mod h2_frames;
pub mod metrics;
pub mod open_admin;
pub mod origin;
pub mod port;
pub mod process;
pub mod raw_node;
pub mod response;
pub mod router;
pub mod rtsp_server;
pub mod tls_client;
pub mod tls_node;
pub mod tools;
pub mod uwsgi_origin;
pub mod vassal;
pub mod wait;

pub use client::{Client, get};
pub use origin::{After, Origin};
pub use router::Router;
pub use wait::eventually;

/// Ends the test early where a third-party tool is not installed; fails it under `CI=true`.
macro_rules! require_tool {
    ($name:literal) => {
        match $crate::harness::tools::find($name) {
            Some(path) => path,
            None => return $crate::harness::tools::report_missing($name),
        }
    };
}
pub(crate) use require_tool;
