//! Large bodies and WebSockets through real nginx, the router and real uWSGI.

use std::net::TcpStream;

use tokio_tungstenite::tungstenite::{self, Message};

use crate::harness::client::Client;
use crate::harness::front::{Front, PARAMS, app, file_of, sha1_of};
use crate::harness::router::Subscribe;
use crate::harness::wait::{SOON, eventually_true};
use crate::harness::{Router, require_tool};

/// Bytes of a large body.
const LARGE: usize = 50 * 1024 * 1024;
/// How much memory the router may take more than before while large bodies pass: the buffers of
/// both workers and of the listeners' sockets, and nothing that grows with a body.
const GROWTH_KIB_MAX: u64 = 4 * 1024;

/// The largest memory the process had since the last call, in KiB.
fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a live process");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("VmHWM");
    let peak = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number");
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("the peak is reset");
    peak
}

#[test]
fn fifty_megabytes_pass_each_way_in_flat_memory() {
    let (nginx, uwsgi) = (require_tool!("nginx"), require_tool!("uwsgi"));
    let curl = require_tool!("curl");
    let setup = Router::setup().subscribe(Subscribe::Udp);
    let socket = setup.folder().join("uwsgi.sock").display().to_string();
    let router = setup.args(["--uwsgi", &socket]).start();
    let _app = app("a")
        .socket(router.folder().join("app.sock").display().to_string())
        .subscribe_to(format!("{}:a.example", router.subscribe()))
        .start(&uwsgi, router.folder());
    router.wait_for_nodes("a.example", 1);
    let file = file_of(router.folder(), LARGE);
    let upload = format!("@{}", file.display());
    let arrived = router.folder().join("arrived");
    let download = ["-o", arrived.to_str().expect("UTF-8")];
    let pid = router.process.pid();
    for (to, buffering) in [(router.http().to_string(), "on"), (format!("unix:{socket}"), "off")] {
        let server = format!(
            "uwsgi_request_buffering {buffering}; uwsgi_buffering {buffering};\
             location / {{ {PARAMS} uwsgi_pass {to}; }}"
        );
        let front = Front::nginx_with(&nginx, router.folder(), "", &server);
        assert_eq!(front.ask(&curl, "a.example", "/", &[]).status, 200);
        let resident = router.process.resident_kib();
        peak_kib(pid);
        let more = ["-H", "Expect:", "--data-binary", &upload];
        let got = front.ask(&curl, "a.example", "/upload", &more).json();
        assert_eq!(got["body"]["length"], LARGE, "{to}");
        assert_eq!(got["body"]["sha1"], sha1_of(&file), "{to}");
        let got = front.ask(&curl, "a.example", &format!("/download?{LARGE}"), &download);
        assert_eq!((got.exit, got.status), (0, 200), "{to}: {got:?}");
        assert_eq!(std::fs::metadata(&arrived).expect("a file").len(), LARGE as u64, "{to}");
        let grown = peak_kib(pid).saturating_sub(resident);
        println!("{to}: {grown} KiB above {resident} KiB");
        assert!(grown <= GROWTH_KIB_MAX, "{to}: {grown} KiB above {resident} KiB");
    }
}

#[test]
fn a_chunked_upload_arrives_with_the_length_that_nginx_found() {
    let (nginx, uwsgi) = (require_tool!("nginx"), require_tool!("uwsgi"));
    let curl = require_tool!("curl");
    let router = Router::setup().subscribe(Subscribe::Udp).start();
    let _app = app("a")
        .subscribe_to(format!("{}:a.example", router.subscribe()))
        .start(&uwsgi, router.folder());
    router.wait_for_nodes("a.example", 1);
    let front = Front::nginx(&nginx, router.folder(), &router.http().to_string());
    let file = file_of(router.folder(), 300_000);
    let upload = format!("@{}", file.display());
    let more = ["-H", "Transfer-Encoding: chunked", "-H", "Expect:", "--data-binary", &upload];
    let got = front.ask(&curl, "a.example", "/upload", &more).json();
    assert_eq!(got["body"]["sha1"], sha1_of(&file));
    assert_eq!(got["env"]["CONTENT_LENGTH"], "300000");
    assert_eq!(
        got["env"]["HTTP_TRANSFER_ENCODING"], "chunked",
        "told, though it is not so any more"
    );
}

#[test]
fn a_body_that_nginx_does_not_buffer_passes_while_it_comes() {
    let (nginx, uwsgi) = (require_tool!("nginx"), require_tool!("uwsgi"));
    let router = Router::setup().subscribe(Subscribe::Udp).start();
    let _app = app("a")
        .subscribe_to(format!("{}:a.example", router.subscribe()))
        .start(&uwsgi, router.folder());
    router.wait_for_nodes("a.example", 1);
    let to = router.http();
    let server = format!("uwsgi_request_buffering off; location / {{ {PARAMS} uwsgi_pass {to}; }}");
    let front = Front::nginx_with(&nginx, router.folder(), "", &server);
    let mut client = Client::connect(front.address());
    client.send("POST /upload HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\n\r\nfirst");
    eventually_true("the vassal has the request before its body is whole", SOON, || {
        router.nodes("a.example")[0]["ref"] == 1
    });
    client.send("later");
    assert_eq!(client.response().json()["body"]["length"], 10);
}

#[test]
fn websockets_of_a_uwsgi_application_work_through_nginx() {
    let (nginx, uwsgi) = (require_tool!("nginx"), require_tool!("uwsgi"));
    let router = Router::setup().subscribe(Subscribe::Udp).start();
    let echo = concat!(env!("CARGO_MANIFEST_DIR"), "/../proxy/tests/testdata/websocket_app.py");
    let _app = app("ws")
        .args(["--wsgi-file", echo])
        .subscribe_to(format!("{}:ws.example", router.subscribe()))
        .start(&uwsgi, router.folder());
    router.wait_for_nodes("ws.example", 1);
    let front = Front::nginx(&nginx, router.folder(), &router.http().to_string());
    let stream = TcpStream::connect(front.address()).expect("nginx listens");
    stream.set_read_timeout(Some(SOON)).expect("a timeout");
    let (mut socket, response) =
        tungstenite::client("ws://ws.example/chat", stream).expect("the handshake");
    assert_eq!(response.status(), 101);
    for length in [3, 200, 70_000] {
        let text = "x".repeat(length);
        socket.send(Message::text(text.clone())).expect("it is sent");
        let heard = socket.read().expect("an answer").into_data();
        assert_eq!(heard, format!("uwsgi heard {text}").as_bytes(), "{length}");
    }
    socket.close(None).expect("a close frame");
    while socket.read().is_ok() {}
    drop(socket);
    eventually_true("it is logged", SOON, || {
        let log = router.access_log();
        log.contains("status=101") && log.contains("key=ws.example")
    });
}
