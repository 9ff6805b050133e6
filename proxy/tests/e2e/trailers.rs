//! Trailers between HTTP/1.1 and HTTP/2, in both directions, and the fields that never travel there.

use bytes::Bytes;
use http::HeaderMap;

use crate::harness::h2::{Answer, H2Client, collect, h2c_node, request};
use crate::harness::tools::curl;
use crate::harness::uwsgi_origin::UwsgiOrigin;
use crate::harness::{After, Client, Origin, Router, get, require_tool};

const LAST_CHUNK_FOR_CLIENT: &str = "\r\n0\r\nanswer: 42\r\n\r\n";

/// A node of HTTP/1.1 that answers with the request's chunks as they came, and trailers behind them.
fn node() -> Origin {
    Origin::start(|exchange| {
        let mut came = Vec::new();
        let is_chunked = !exchange.request.fields("transfer-encoding").is_empty();
        while is_chunked && !came.ends_with(b"\r\n\r\n") {
            came.extend(exchange.take(1)?);
        }
        let said = format!("{}{:?}", exchange.request.target(), String::from_utf8_lossy(&came));
        exchange.write(format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Answer\r\n\r\n\
             {:x}\r\n{said}\r\n0\r\nAnswer: 42\r\nSet-Cookie: a=1\r\nContent-Length: 7\r\n\r\n",
            said.len()
        ))?;
        Ok(After::KeepOpen)
    })
}

fn setup(route: impl AsRef<str>) -> Router {
    Router::setup().route(route).args(["--http2", "all"]).workers(1).start()
}

/// A request of HTTP/1.1 with a chunk and trailers; everything that comes back.
fn raw(router: &Router, connection: &str) -> String {
    let mut client = Client::connect(router.http());
    client.send(format!(
        "POST /t HTTP/1.1\r\nHost: t.test\r\n{connection}Transfer-Encoding: chunked\r\n\r\n\
         4\r\nbody\r\n0\r\nChecksum: abc\r\nHost: evil.test\r\nX-Forwarded-For: 6.6.6.6\r\n\
         Authorization: x\r\n\r\n"
    ));
    String::from_utf8(client.read_to_end().expect("an answer")).expect("text")
}

/// The same over HTTP/2.
fn stream(router: &Router) -> Answer {
    let mut client = H2Client::connect(router.http());
    let (response, mut stream) = client.open(request("POST", "t.test", "/t"), false);
    stream.send_data(Bytes::from_static(b"body"), false).expect("sent");
    let mut trailers = HeaderMap::new();
    for (name, value) in [("checksum", "abc"), ("host", "evil.test"), ("x-forwarded-for", "6")] {
        trailers.insert(name, value.parse().expect("a value"));
    }
    stream.send_trailers(trailers).expect("sent");
    let answer = client.runtime.block_on(async { collect(response.await?).await });
    answer.expect("an answer")
}

const TAKES: &str = "Connection: TE, close\r\nTE: trailers\r\n";
const CLOSES: &str = "Connection: close\r\n";

#[test]
fn they_pass_between_http1_clients_and_http1_nodes() {
    let node = node();
    let router = setup(node.route("t.test"));
    let answer = raw(&router, TAKES);
    let came = r#"/t"4\r\nbody\r\n0\r\nchecksum: abc\r\n\r\n""#;
    assert!(answer.contains(came), "{answer}");
    assert!(answer.ends_with(LAST_CHUNK_FOR_CLIENT), "{answer}");
    for connection in [CLOSES, "Connection: close\r\nTE: trailers\r\n", "Connection: TE, close\r\n"]
    {
        let answer = raw(&router, connection);
        assert!(answer.ends_with("\r\n0\r\n\r\n"), "without being asked for: {answer}");
    }
}

#[test]
fn they_pass_between_http2_clients_and_http1_nodes() {
    let node = node();
    let router = setup(node.route("t.test"));
    let answer = stream(&router);
    assert_eq!(answer.text(), r#"/t"4\r\nbody\r\n0\r\nchecksum: abc\r\n\r\n""#);
    let trailers = answer.trailers.expect("trailers");
    assert_eq!((trailers.len(), &trailers["answer"]), (1, &"42".parse().expect("a value")));
}

#[test]
fn they_pass_between_http1_clients_and_http2_nodes() {
    let router = setup(format!("t.test={},proto=h2c", h2c_node()));
    let answer = raw(&router, TAKES);
    let (_, end) = answer.split_once("\r\n0\r\n").expect("a last chunk");
    let mut lines: Vec<_> = end.trim_end().split("\r\n").collect();
    lines.sort_unstable();
    assert_eq!(lines, ["echo-checksum: abc", "status-of-all: 0"], "{answer}");
    assert!(raw(&router, CLOSES).ends_with("\r\n0\r\n\r\n"));
}

#[test]
fn fields_that_must_not_travel_there_are_left_out_between_streams_too() {
    let router = setup(format!("t.test={},proto=h2c", h2c_node()));
    let trailers = stream(&router).trailers.expect("trailers");
    assert_eq!(trailers["echo-checksum"], "abc");
    let mut names: Vec<_> = trailers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["echo-checksum", "status-of-all"]);
}

/// A node that does not know trailers reads them as its next request: its next answer would be taken
/// for another client's. So nothing more is sent on a connection that carried some.
#[test]
fn a_connection_that_carried_trailers_serves_nobody_else() {
    let node = node();
    let router = setup(node.route("t.test"));
    for round in 1..4 {
        assert!(raw(&router, TAKES).ends_with(LAST_CHUNK_FOR_CLIENT));
        assert_eq!(node.connections(), round);
    }
    // One without is kept, and the next may bring trailers on it.
    for _ in 0..2 {
        assert_eq!(get(router.http(), "t.test", "/next").status, 200);
    }
    assert!(raw(&router, TAKES).ends_with(LAST_CHUNK_FOR_CLIENT));
    assert_eq!(node.connections(), 4);
}

#[test]
fn a_uwsgi_node_gets_the_body_without_them() {
    let node = UwsgiOrigin::ok();
    let router = setup(format!("t.test={}", node.address()));
    assert!(raw(&router, TAKES).contains("200 OK"));
    let packet = node.only_packet();
    assert_eq!((packet.body.as_slice(), packet.var("HTTP_CHECKSUM")), (&b"body"[..], None));
}

#[test]
fn curl_is_told_the_trailers_it_asked_for() {
    let program = require_tool!("curl");
    let node = node();
    let router = setup(node.route("t.test"));
    let url = format!("http://{}/t", router.http());
    let more = ["-i", "-H", "Host: t.test", "-H", "TE: trailers", "-H", "Connection: TE"];
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let mut arguments = vec![version, &url, more[0], more[1], more[2]];
        if version == "--http1.1" {
            arguments.extend(&more[3..]);
        }
        let answer = curl(&program, &arguments);
        assert_eq!((answer.exit, answer.status), (0, 200), "{answer:?}");
        assert!(answer.body.contains("answer: 42"), "{answer:?}");
        assert!(!answer.body.to_ascii_lowercase().contains("set-cookie"), "{answer:?}");
    }
}
