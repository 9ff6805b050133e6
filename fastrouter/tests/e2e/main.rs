//! The built `suzerain-fastrouter` driven from outside: real nginx and Apache before it, real uWSGI
//! behind it, and packets captured from both.
//!
//! `SUZERAIN_TEST_IO` picks the I/O driver (`auto`, `uring`, `epoll`); `CI=true` turns a missing tool
//! into a failure. The harness is the one of the other router.

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_suzerain-fastrouter");
/// The flag of its listener.
pub const LISTEN: &str = "--uwsgi";

mod apache;
mod bodies;
mod document;
#[expect(dead_code, reason = "the other router's tests use the rest of it")]
mod harness;
mod nginx;
mod nginx_bodies;
mod nginx_failures;
mod on_demand;
mod packets;
mod reload;
mod routing;
mod upgrade;
