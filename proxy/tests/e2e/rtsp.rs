//! RTSP on the HTTP listeners: real servers and players, one node per connection, and nothing for
//! nodes that do not speak it.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::origin::Refusing;
use crate::harness::process::Process;
use crate::harness::router::{BINARY, Setup, Subscribe};
use crate::harness::rtsp_server::{RtspServer, picture_width};
use crate::harness::tools::run;
use crate::harness::uwsgi_origin::UwsgiOrigin;
use crate::harness::vassal::vassal;
use crate::harness::wait::{SOON, eventually_true};
use crate::harness::{After, Client, Origin, Router, get, require_tool};

const OPTIONS: &str = "OPTIONS rtsp://cam.test/live RTSP/1.0\r\nCSeq: 1\r\n\r\n";
const OK: &[u8] = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n";

fn setup() -> Setup {
    Router::setup().args(["--rtsp"])
}

/// A router whose key `cam.test` is the origin's.
fn rtsp_router(origin: &Origin) -> Router {
    setup().route(origin.route("cam.test")).start()
}

fn url(address: SocketAddr) -> String {
    format!("rtsp://{address}/live")
}

#[track_caller]
fn expect_answer(client: &mut Client, answer: &[u8]) {
    let got = client.take(answer.len()).expect("an answer");
    assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(answer));
}

#[test]
fn ffprobe_plays_from_each_of_two_announced_servers() {
    let ffprobe = require_tool!("ffprobe");
    let router = setup().subscribe(Subscribe::Udp).start();
    let Some(narrow) = RtspServer::start(router.folder(), 160) else { return };
    let Some(wide) = RtspServer::start(router.folder(), 320) else { return };
    let announcers = [&narrow, &wide].map(|server| {
        let mut command = Command::new(BINARY);
        command.args(["announce", "--server", &router.subscribe_text(), "--key", "127.0.0.1"]);
        command.args(["--address", &server.address, "--proto", "http"]);
        let name = format!("announce-{}", server.address);
        Process::start(&mut command, router.folder(), &name, Signal::SIGTERM)
    });
    router.wait_for_nodes("127.0.0.1", 2);
    let mut widths = [0; 4].map(|_| picture_width(&ffprobe, "tcp", &url(router.http())));
    widths.sort_unstable();
    assert_eq!(widths, [160, 160, 320, 320], "a connection stays where its first request went");
    assert_eq!((narrow.connections(), wide.connections()), (2, 2));
    assert_eq!(router.metrics().sum("suzerain_rtsp_connections_total", &[]), 4.0);
    eventually_true("each connection has its line", SOON, || {
        let log = router.access_log();
        let lines = log.lines().filter(|line| {
            line.contains("method=OPTIONS") && line.contains("proto=RTSP/1.0 tls=0 status=200")
        });
        lines.filter(|line| line.contains("key=127.0.0.1 node=127.0.0.1:")).count() == 4
    });
    drop(announcers);
}

/// The client's side carries the pictures: interleaved data towards the node.
#[test]
fn ffmpeg_records_to_a_server() {
    let ffmpeg = require_tool!("ffmpeg");
    let router = setup();
    let Some(server) = RtspServer::start(router.folder(), 160) else { return };
    let router = router.route(format!("127.0.0.1={},proto=http", server.address)).start();
    let finished = run(Command::new(ffmpeg)
        .args(["-v", "error", "-re", "-f", "lavfi", "-i", "testsrc=size=64x64:rate=15"])
        .args(["-t", "2", "-c:v", "mpeg4", "-f", "rtsp", "-rtsp_transport", "tcp"])
        .arg(format!("rtsp://{}/up", router.http())));
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    eventually_true("the server has pictures", SOON, || server.has_recorded());
}

#[test]
fn ffprobe_plays_inside_tls() {
    let ffprobe = require_tool!("ffprobe");
    let router = setup().https();
    let Some(server) = RtspServer::start(router.folder(), 160) else { return };
    let router = router.route(format!("127.0.0.1={},proto=http", server.address)).start();
    let url = format!("rtsps://{}/live", router.https());
    assert_eq!(picture_width(&ffprobe, "tcp", &url), 160);
}

#[test]
fn binary_data_and_a_half_close_pass_both_ways() {
    let payload: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let expected = payload.clone();
    let origin = Origin::start(move |exchange| {
        exchange.write(OK)?;
        let received = exchange.take(expected.len())?;
        exchange.write(&received)?;
        while exchange.read_some().is_ok_and(|bytes| bytes > 0) {}
        exchange.write(b"after your end")?;
        Ok(After::Close)
    });
    let router = rtsp_router(&origin);
    let mut client = Client::connect(router.http());
    client.send(OPTIONS);
    expect_answer(&mut client, OK);
    client.send(&payload);
    assert!(client.take(payload.len()).expect("it comes back") == payload);
    client.half_close();
    assert_eq!(client.read_to_end().expect("the rest"), b"after your end");
    let seen = origin.only_request();
    assert_eq!(
        format!("{}\r\n\r\n", seen.head),
        OPTIONS,
        "an HTTP node gets the bytes as they are"
    );
    eventually_true("it is in the log", SOON, || {
        let log = router.access_log();
        log.contains("host=\"cam.test\" target=\"rtsp://cam.test/live\"") && log.contains("term=--")
    });
}

/// What follows the first request may be a smuggled one if the node does not speak RTSP.
#[test]
fn bytes_behind_the_first_request_wait_for_an_rtsp_answer() {
    let origin = Origin::start(|exchange| {
        exchange.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")?;
        Ok(After::KeepOpen)
    });
    let router = rtsp_router(&origin);
    let mut client = Client::connect(router.http());
    client.send(format!("{OPTIONS}GET /admin HTTP/1.1\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n"));
    expect_answer(&mut client, b"RTSP/1.0 502 Bad Gateway\r\nCSeq: 1\r\n\r\n");
    client.expect_closed();
    assert_eq!(origin.only_request().target(), "rtsp://cam.test/live");
    eventually_true("the log says who", SOON, || router.access_log().contains("term=UW"));
}

#[test]
fn refusals_are_rtsp_and_repeat_the_number() {
    let origin = Origin::echo();
    let router = rtsp_router(&origin);
    for (request, answer) in [
        ("PLAY rtsp://u:p@cam.test/ RTSP/1.0\r\nCSeq: 7\r\n\r\n", "400 Bad Request\r\nCSeq: 7"),
        ("PLAY rtsp://cam.test/ RTSP/1.0\r\nX: 1\r\n\r\n", "400 Bad Request"),
        (
            "PLAY rtsp://cam.test/ RTSP/2.0\r\nCSeq: 8\r\n\r\n",
            "505 RTSP Version Not Supported\r\nCSeq: 8",
        ),
        (
            "ANNOUNCE rtsp://cam.test/ RTSP/1.0\r\nCSeq: 9\r\nContent-Length: 70000\r\n\r\n",
            "413 Content Too Large\r\nCSeq: 9",
        ),
    ] {
        let mut client = Client::connect(router.http());
        // In two pieces, of which the first ends within the version.
        let cut = request.find("SP/").expect("a version");
        client.send(&request[..cut]);
        client.send(&request[cut..]);
        expect_answer(&mut client, format!("RTSP/1.0 {answer}\r\n\r\n").as_bytes());
        client.expect_closed();
    }
    assert!(origin.seen().is_empty());
    let refused =
        |reason| router.metrics().sum("suzerain_head_rejects_total", &[("reason", reason)]);
    assert_eq!((refused("rtsp_version"), refused("rtsp_cseq")), (1.0, 1.0));
}

/// `OPTIONS *` names no server; whoever asks that first may go on with a URL.
#[test]
fn a_request_without_a_node_leaves_the_connection_to_the_next_one() {
    let origin = Origin::start(|exchange| exchange.write(OK).map(|()| After::KeepOpen));
    let router = rtsp_router(&origin);
    let mut client = Client::connect(router.http());
    client.send("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n");
    expect_answer(&mut client, b"RTSP/1.0 404 Not Found\r\nCSeq: 1\r\n\r\n");
    client.send("OPTIONS rtsp://other.test/ RTSP/1.0\r\nCSeq: 2\r\n\r\n");
    expect_answer(&mut client, b"RTSP/1.0 404 Not Found\r\nCSeq: 2\r\n\r\n");
    client.send(OPTIONS);
    expect_answer(&mut client, OK);
}

#[test]
fn a_key_is_found_whatever_case_port_and_path_the_url_has() {
    let origin = Origin::start(|exchange| exchange.write(OK).map(|()| After::KeepOpen));
    let router = rtsp_router(&origin);
    for target in ["rtsp://CAM.Test:554/x?y", "rtsps://cam.test", "rtsp://cam.test./a/../b"] {
        let mut client = Client::connect(router.http());
        client.send(format!("DESCRIBE {target} RTSP/1.0\r\nCSeq: 1\r\n\r\n"));
        expect_answer(&mut client, OK);
    }
}

#[test]
fn a_session_description_reaches_the_node_with_its_request() {
    let origin = Origin::start(|exchange| {
        let body = exchange.read_body()?;
        exchange.write(OK)?;
        exchange.write(body)?;
        Ok(After::Close)
    });
    let router = rtsp_router(&origin);
    let mut client = Client::connect(router.http());
    client.send(
        "ANNOUNCE rtsp://cam.test/up RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 10\r\n\r\nv=0\r\n",
    );
    client.send("s=x\r\n$\0\0\x01z");
    expect_answer(&mut client, OK);
    assert_eq!(client.read_to_end().expect("the body"), b"v=0\r\ns=x\r\n");
}

#[test]
fn a_node_that_refuses_is_passed_over_and_the_last_one_is_told() {
    let (origin, refusing) = (Origin::raw(OK), Refusing::start());
    let dead = format!("cam.test={},proto=http", refusing.address());
    let router = setup().route(&dead).route(origin.route("cam.test")).start();
    for _ in 0..3 {
        let mut client = Client::connect(router.http());
        client.send(OPTIONS);
        expect_answer(&mut client, OK);
    }
    let router = setup().route(&dead).start();
    let mut client = Client::connect(router.http());
    client.send(OPTIONS);
    expect_answer(&mut client, b"RTSP/1.0 503 Service Unavailable\r\nCSeq: 1\r\n\r\n");
    eventually_true("the log says who", SOON, || router.access_log().contains("term=UC"));
}

#[test]
fn a_uwsgi_node_gets_a_packet() {
    let origin = UwsgiOrigin::start(OK);
    let router = setup().route(format!("cam.test={}", origin.address())).start();
    let mut client = Client::connect(router.http());
    let fields = "CSeq: 1\r\nX_Forged: 1\r\nX-Forwarded-For: 9.9.9.9\r\nUser-Agent: t\r\n";
    client.send(format!("DESCRIBE rtsp://cam.test:554/a%20b?x=1 RTSP/1.0\r\n{fields}\r\n"));
    expect_answer(&mut client, OK);
    let packet = origin.only_packet();
    for (name, value) in [
        ("REQUEST_METHOD", "DESCRIBE"),
        ("REQUEST_URI", "rtsp://cam.test:554/a%20b?x=1"),
        ("PATH_INFO", "/a b"),
        ("QUERY_STRING", "x=1"),
        ("SERVER_PROTOCOL", "RTSP/1.0"),
        ("HTTP_HOST", "cam.test:554"),
        ("HTTP_CSEQ", "1"),
        ("HTTP_USER_AGENT", "t"),
        ("HTTP_X_FORWARDED_FOR", "127.0.0.1"),
    ] {
        assert_eq!(packet.var(name), Some(value), "{name}");
    }
    assert_eq!(packet.var("HTTP_X_FORGED"), None);
}

#[test]
fn a_real_uwsgi_app_answers_and_keeps_the_raw_connection() {
    let uwsgi = require_tool!("uwsgi");
    let router = setup().subscribe(Subscribe::Udp).start();
    let app = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/testdata/raw_app.py");
    let _vassal = vassal("rtsp")
        .args(["--wsgi-file", app])
        .subscribe_to(format!("{}:cam.test", router.subscribe()))
        .start(&uwsgi, router.folder());
    router.wait_for_nodes("cam.test", 1);
    let mut client = Client::connect(router.http());
    client.send("DESCRIBE rtsp://cam.test/live?a=b RTSP/1.0\r\nCSeq: 4\r\n\r\n");
    let vars = "DESCRIBE|/live|a=b|RTSP/1.0|cam.test|127.0.0.1";
    let answer = format!("RTSP/1.0 200 OK\r\nCSeq: 4\r\nX-Vars: {vars}\r\n\r\n");
    expect_answer(&mut client, answer.as_bytes());
    for piece in ["$\0\0\x03abc", "PLAY rtsp://cam.test/live RTSP/1.0\r\nCSeq: 5\r\n\r\n"] {
        client.send(piece);
        expect_answer(&mut client, piece.as_bytes());
    }
}

#[test]
fn without_the_option_rtsp_is_a_malformed_request() {
    let origin = Origin::echo();
    let router = Router::with_route(origin.route("cam.test"));
    let mut client = Client::connect(router.http());
    client.send(OPTIONS);
    assert_eq!(client.response().status, 400);
    assert!(origin.seen().is_empty());
}

#[test]
fn http_is_served_as_ever_beside_it() {
    let origin = Origin::echo();
    let router = rtsp_router(&origin);
    assert_eq!(get(router.http(), "cam.test", "/x").status, 200);
    let mut client = Client::connect(router.http());
    client.send("GET /x HTTP/3.1\r\nHost: cam.test\r\n\r\n");
    assert_eq!(client.response().status, 505);
}

#[test]
fn a_silent_conversation_is_closed_after_its_time() {
    let origin = Origin::start(|exchange| {
        exchange.write(OK)?;
        while exchange.read_some().is_ok_and(|bytes| bytes > 0) {}
        Ok(After::Close)
    });
    let config = "[timeouts]\ntunnel = \"300ms\"\n";
    let router = setup().config(config).route(origin.route("cam.test")).start();
    let mut client = Client::connect(router.http());
    client.send(OPTIONS);
    expect_answer(&mut client, OK);
    client.expect_closed();
    eventually_true("the log says who", Duration::from_secs(5), || {
        router.access_log().contains("term=cT")
    });
}

#[test]
fn one_key_may_speak_rtsp_alone() {
    let origin = Origin::start(|exchange| exchange.write(OK).map(|()| After::KeepOpen));
    let setup = Router::setup().config("[key.\"cam.test\"]\nrtsp = true\n");
    let router = setup.route(origin.route("cam.test")).route(origin.route("web.test")).start();
    let mut client = Client::connect(router.http());
    client.send(OPTIONS.replace("cam.test", "web.test"));
    expect_answer(&mut client, b"RTSP/1.0 404 Not Found\r\nCSeq: 1\r\n\r\n");
    client.send(OPTIONS);
    expect_answer(&mut client, OK);
}
