//! Nodes that speak HTTP/2: one connection for many requests, trailers both ways, gRPC.

use std::process::Command;

use bytes::Bytes;
use http::HeaderMap;
use nix::sys::signal::Signal;

use crate::harness::h2::{H2Client, collect, h2c_node, request};
use crate::harness::origin::Refusing;
use crate::harness::process::Process;
use crate::harness::tools::{python_with, report_missing, run};
use crate::harness::wait::{SOON, eventually};
use crate::harness::{Router, get};

fn router(address: impl std::fmt::Display) -> Router {
    Router::setup()
        .route(format!("h2c.test={address},proto=h2c"))
        .args(["--http2", "all"])
        .workers(1)
        .start()
}

#[test]
fn an_http1_client_is_served_by_an_http2_node() {
    let router = router(h2c_node());
    let answer = get(router.http(), "h2c.test", "/a?b=1");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text(), "GET http://h2c.test/a?b=1 ");
    assert_eq!(answer.field("seen-x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(answer.field("seen-connection"), None);
}

#[test]
fn requests_share_a_connection() {
    let router = router(h2c_node());
    let mut client = H2Client::connect(router.http());
    for round in 0..20 {
        let answer = client.get("h2c.test", &format!("/{round}"));
        assert_eq!(answer.text(), format!("GET http://h2c.test/{round} "));
    }
    let metrics = router.metrics();
    assert_eq!(metrics.sum("suzerain_upstream_connects_total", &[]), 1.0);
    assert_eq!(metrics.sum("suzerain_upstream_reused_total", &[]), 19.0);
}

#[test]
fn trailers_pass_in_both_directions() {
    let router = router(h2c_node());
    let mut client = H2Client::connect(router.http());
    let (response, mut stream) = client.open(request("POST", "h2c.test", "/t"), false);
    stream.send_data(Bytes::from_static(b"body"), false).expect("sent");
    let mut trailers = HeaderMap::new();
    trailers.insert("checksum", "abc".parse().expect("a value"));
    stream.send_trailers(trailers).expect("sent");
    let answer = client.runtime.block_on(async { collect(response.await?).await });
    let answer = answer.expect("an answer");
    assert_eq!(answer.text(), "POST http://h2c.test/t body");
    let trailers = answer.trailers.expect("trailers");
    assert_eq!(trailers["echo-checksum"], "abc");
    assert_eq!(trailers["status-of-all"], "0");
}

#[test]
fn a_big_body_passes_in_both_directions() {
    let router = router(h2c_node());
    let mut client = H2Client::connect(router.http());
    let body = vec![b'q'; 3_000_000];
    let answer = client.exchange(request("PUT", "h2c.test", "/"), &body);
    assert_eq!(answer.body.len(), "PUT http://h2c.test/ ".len() + body.len());
}

#[test]
fn a_node_that_refuses_is_503() {
    let refusing = Refusing::start();
    let router = router(refusing.address());
    assert_eq!(get(router.http(), "h2c.test", "/").status, 503);
}

#[test]
fn a_node_that_speaks_http1_is_502() {
    let origin = crate::harness::Origin::raw(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let router = router(origin.address());
    assert_eq!(get(router.http(), "h2c.test", "/").status, 502);
}

/// A real client and a real server of gRPC, with the router between them.
#[test]
fn grpc_calls_of_all_four_types_pass() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/testdata/grpc_peers.py");
    let Some(python) = python_with("grpc") else { return report_missing("python3 with grpcio") };
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(&python);
    command.args([script, "server"]);
    let server = Process::start(&mut command, folder.path(), "grpc-server", Signal::SIGTERM);
    let address = eventually("the server listens", SOON, || {
        let told = server.stdout();
        told.lines().next().filter(|_| told.contains('\n')).map(str::to_owned)
    });
    let router = router(&address);
    let target = router.http().to_string();
    let done = run(Command::new(&python).args([script, "client", &target, "h2c.test"]));
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(
        done.stdout.lines().collect::<Vec<_>>(),
        [
            "unary ok",
            "server streaming ok",
            "client streaming ok",
            "bidirectional ok",
            "status ok",
            "deadline ok"
        ]
    );
}
