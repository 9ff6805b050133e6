//! What every test stands on: the harness of `suzerain`'s own tests, as far as it is used here, and
//! uwsgi packets.

pub mod front;
pub mod packet;

#[path = "../../../proxy/tests/e2e/harness/datagram.rs"]
pub mod datagram;

#[path = "../../../proxy/tests/e2e/harness/certs.rs"]
pub mod certs;
#[path = "../../../proxy/tests/e2e/harness/client.rs"]
pub mod client;
#[path = "../../../proxy/tests/e2e/harness/emperor.rs"]
pub mod emperor;
#[path = "../../../proxy/tests/e2e/harness/metrics.rs"]
pub mod metrics;
#[path = "../../../proxy/tests/e2e/harness/port.rs"]
pub mod port;
#[path = "../../../proxy/tests/e2e/harness/process.rs"]
pub mod process;
#[path = "../../../proxy/tests/e2e/harness/response.rs"]
pub mod response;
#[path = "../../../proxy/tests/e2e/harness/router.rs"]
pub mod router;
#[path = "../../../proxy/tests/e2e/harness/tools.rs"]
pub mod tools;
#[path = "../../../proxy/tests/e2e/harness/vassal.rs"]
pub mod vassal;
#[path = "../../../proxy/tests/e2e/harness/wait.rs"]
pub mod wait;

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
