//! The built `suzerain` driven from outside: real sockets, real uWSGI, curl and openssl.
//!
//! One binary holds every subject, so that the tests overlap their waiting and link once.
//! Run one subject with `cargo test -p proxy --test e2e http1::`. `SUZERAIN_TEST_IO` picks the
//! I/O driver (`auto`, `uring`, `epoll`); `CI=true` turns a missing tool into a failure.

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_suzerain");
/// The flag of its plain listener.
pub const LISTEN: &str = "--http";

mod access_log_json;
mod activation;
mod admin;
mod announce;
mod browser;
mod certs_pairs;
mod certs_swap;
mod cli;
mod client_certificates;
mod client_certificates_reload;
mod client_gone;
mod compression;
mod crash;
mod ctl;
mod ctl_certs;
mod ctl_trail;
mod dashboard;
mod ejection;
mod exhaustion;
mod framing_attacks;
mod getting_started_document;
mod harness;
mod header_rules;
mod headers;
mod health;
mod http1;
mod http1_bodies;
mod http1_edges;
mod http2;
mod http2_floods;
mod http2_nodes;
mod http2_websocket;
mod idle;
mod import_uwsgi;
mod limits;
mod memory_cap;
mod migrating;
mod mountpoints;
mod on_demand;
mod on_demand_emperor;
mod operating_document;
mod passthrough;
mod policy;
mod privileges;
mod proxy_protocol;
mod proxy_protocol_out;
mod queue;
mod raw_tcp;
mod reload;
mod reload_under_load;
mod ring_calls;
mod rtsp;
mod rtsp_over_http;
mod sandbox;
mod slow_clients;
mod sources;
mod sticky;
mod subscribe_choice;
mod subscribe_credentials;
mod subscribe_https;
mod subscribe_lifecycle;
mod subscribe_multicast;
mod subscribe_resubscribe;
mod subscribe_signed;
mod subscribe_uwsgi;
mod subscribe_vassal;
mod systemd;
mod tenants;
mod tls;
mod top;
mod traces;
mod trailers;
mod upgrade;
mod upstream_failure;
mod websocket;
