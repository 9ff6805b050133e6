//! What this test stands on: the parts of the end-to-end tests' harness that it uses.

#[path = "../e2e/harness/certs.rs"]
pub mod certs;
#[path = "../e2e/harness/client.rs"]
pub mod client;
#[path = "../e2e/harness/h2.rs"]
pub mod h2;
#[path = "../e2e/harness/metrics.rs"]
pub mod metrics;
#[path = "../e2e/harness/port.rs"]
pub mod port;
#[path = "../e2e/harness/process.rs"]
pub mod process;
#[path = "../e2e/harness/response.rs"]
pub mod response;
#[path = "../e2e/harness/router.rs"]
pub mod router;
#[path = "../e2e/harness/tools.rs"]
pub mod tools;
#[path = "../e2e/harness/wait.rs"]
pub mod wait;
