//! What every test stands on: the harness of `suzerain`'s own tests, as far as it is used here, and
//! uwsgi packets.

pub mod packet;

#[path = "../../../proxy/tests/e2e/harness/datagram.rs"]
pub mod datagram;

#[path = "../../../proxy/tests/e2e/harness/client.rs"]
pub mod client;
#[path = "../../../proxy/tests/e2e/harness/emperor.rs"]
pub mod emperor;
#[path = "../../../proxy/tests/e2e/harness/metrics.rs"]
pub mod metrics;
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
