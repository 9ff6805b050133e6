//! The PROXY preface towards nodes: what they are told, and that no two clients share what was told;
//! with nginx, HAProxy and a second router as nodes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::signal::Signal;
use socket2::{Domain, Socket, Type};

use crate::harness::certs::{self, utf8};
use crate::harness::h2::{H2Client, h2c_node};
use crate::harness::port::Port;
use crate::harness::process::Process;
use crate::harness::router::{Setup, suzerain};
use crate::harness::tools::curl;
use crate::harness::uwsgi_origin::UwsgiOrigin;
use crate::harness::wait::{SOON, eventually_true};
use crate::harness::{Client, Origin, Router, get, require_tool};

const REQUEST: &str = "GET /a HTTP/1.1\r\nHost: site.test\r\n\r\n";

/// nginx that wants a preface and answers with both ends it names.
fn nginx(program: &Path, folder: &Path) -> (Process, Port) {
    let port = Port::reserve();
    let text = format!(
        "daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nerror_log stderr;\nevents {{}}\n\
         http {{\n access_log off;\n client_body_temp_path {folder}/body;\n \
         proxy_temp_path {folder}/proxy;\n fastcgi_temp_path {folder}/fastcgi;\n \
         uwsgi_temp_path {folder}/uwsgi;\n scgi_temp_path {folder}/scgi;\n \
         server {{\n listen {} reuseport proxy_protocol;\n location / {{ return 200 \
         \"$proxy_protocol_addr:$proxy_protocol_port $proxy_protocol_server_addr:\
         $proxy_protocol_server_port $connection_requests\"; }} }} }}\n",
        port.1,
        folder = folder.display(),
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, text).expect("write");
    let mut command = Command::new(program);
    command.args(["-p", utf8(folder), "-c", utf8(&file)]);
    let process = Process::start(&mut command, folder, "nginx", Signal::SIGTERM);
    port.wait();
    (process, port)
}

/// HAProxy that wants a preface, with these lines behind its `bind`.
fn haproxy(program: &Path, folder: &Path, name: &str, bind: &str, rest: &str) -> (Process, Port) {
    let port = Port::reserve();
    let text = format!(
        "defaults\n timeout connect 10s\n timeout client 10s\n timeout server 10s\n\
         listen {name}\n bind {} accept-proxy {bind}\n{rest}\n",
        port.1
    );
    let file = folder.join(name);
    std::fs::write(&file, text).expect("write");
    let mut command = Command::new(program);
    command.args(["-db", "-f", utf8(&file)]);
    let process = Process::start(&mut command, folder, name, Signal::SIGTERM);
    port.wait();
    (process, port)
}

/// What HAProxy answers with: the ends, the authority and the ALPN of the preface.
const HAPROXY_TELLS: &str = " mode http\n http-request return status 200 content-type text/plain \
     lf-string \"%[src]:%[src_port] %[dst]:%[dst_port] %[fc_pp_authority] %[fc_rcvd_proxy]\"";

fn https(setup: Setup) -> Setup {
    let setup = setup.https();
    let folder = setup.folder().join("certs");
    std::fs::create_dir(&folder).expect("a folder");
    certs::leaf(setup.folder(), "site.test").install(&folder, "site.test");
    setup.args(["--cert-dir", utf8(&folder)])
}

/// A connection to `to` from 127.0.0.`last`, and the address it comes from.
fn connect_from(last: u8, to: SocketAddr) -> (TcpStream, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, last], 0)).into()).expect("a loopback address");
    socket.connect(&to.into()).expect("the router listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(SOON)).expect("a timeout");
    let from = stream.local_addr().expect("bound");
    (stream, from)
}

/// One exchange with a node that answers with a length.
fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(REQUEST.as_bytes()).expect("sent");
    let mut seen = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&seen).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok()
            });
            if body.len() >= length.expect("a length") {
                return body.to_owned();
            }
        }
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).expect("an answer");
        assert!(count > 0, "closed after {text:?}");
        seen.extend_from_slice(&chunk[..count]);
    }
}

/// Two clients take turns on connections they keep: each is told as itself, every time.
#[test]
fn nginx_is_told_every_client_and_never_another_ones() {
    let program = require_tool!("nginx");
    let setup = Router::setup().workers(1);
    let (_process, port) = nginx(&program, setup.folder());
    let router = setup.route(format!("site.test={},proto=http,send-proxy=v2", port.1)).start();
    let mut clients = [2, 3].map(|last| connect_from(last, router.http()));
    for _ in 0..3 {
        for (stream, from) in &mut clients {
            assert_eq!(ask(stream), format!("{from} {} 1", router.http()));
        }
    }
    let metrics = router.metrics();
    assert_eq!(metrics.sum("suzerain_upstream_reused_total", &[]), 0.0);
    assert_eq!(metrics.sum("suzerain_upstream_connects_total", &[]), 6.0);
}

#[test]
fn a_key_can_ask_for_it_and_others_stay_as_they_are() {
    let program = require_tool!("nginx");
    let setup = Router::setup();
    let (_process, port) = nginx(&program, setup.folder());
    let plain = Origin::echo();
    let router = setup
        .config("[key.\"site.test\"]\nsend-proxy = \"v2\"\n")
        .route(format!("site.test={},proto=http", port.1))
        .route(plain.route("plain.test"))
        .start();
    let (mut stream, from) = connect_from(2, router.http());
    assert!(ask(&mut stream).starts_with(&format!("{from} ")));
    for _ in 0..2 {
        assert_eq!(get(router.http(), "plain.test", "/").status, 200);
    }
    assert_eq!(plain.seen().len(), 2);
}

#[test]
fn haproxy_is_told_the_name_and_protocol_of_tls_clients() {
    let curl_program = require_tool!("curl");
    let program = require_tool!("haproxy");
    let setup = https(Router::setup());
    let (_process, port) = haproxy(&program, setup.folder(), "web", "", HAPROXY_TELLS);
    let router = setup.route(format!("site.test={},proto=http,send-proxy=v2", port.1)).start();
    let url = format!("https://site.test:{}/", router.https().port());
    let resolve = format!("site.test:{}:127.0.0.1", router.https().port());
    for version in ["--http1.1", "--http2"] {
        let from = ["--interface", "127.0.0.2", version, "-k", "--resolve", &resolve, &url];
        let answer = curl(&curl_program, &from);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.body.starts_with("127.0.0.2:"), "{answer:?}");
        let rest = format!(" {} site.test 1", router.https());
        assert!(answer.body.ends_with(&rest), "{answer:?}");
    }
    let answer = get(router.http(), "site.test", "/");
    assert!(answer.text().ends_with(&format!(" {}  1", router.http())), "{answer:?}");
}

#[test]
fn streams_to_a_node_of_http2_have_a_connection_each() {
    let program = require_tool!("haproxy");
    let setup = Router::setup().args(["--http2", "all"]).workers(1);
    let bind = "proto h2";
    let (_process, port) = haproxy(&program, setup.folder(), "h2", bind, HAPROXY_TELLS);
    let router = setup.route(format!("site.test={},proto=h2c,send-proxy=v2", port.1)).start();
    let mut clients = [2, 3].map(|last| connect_from(last, router.http()));
    for _ in 0..2 {
        for (stream, from) in &mut clients {
            assert_eq!(ask(stream), format!("{from} {}  1", router.http()));
        }
    }
    let mut client = H2Client::connect(router.http());
    for _ in 0..2 {
        assert_eq!(client.get("site.test", "/").status, 200);
    }
    let metrics = router.metrics();
    assert_eq!(metrics.sum("suzerain_upstream_connects_total", &[]), 6.0);
}

/// The connection of a stream that was introduced ends with the stream.
#[test]
fn a_connection_of_one_stream_ends_with_it() {
    let node = h2c_node();
    let (told, ended) = mpsc::channel();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let between = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        let (mut from, _) = listener.accept().expect("the router connects");
        from.read_exact(&mut [0; 16 + 12 + 7]).expect("a preface of IPv4 with a checksum");
        let mut to = TcpStream::connect(node).expect("the node listens");
        let (mut back, mut forth) =
            (to.try_clone().expect("a handle"), from.try_clone().expect("a handle"));
        std::thread::spawn(move || std::io::copy(&mut back, &mut forth));
        told.send(std::io::copy(&mut from, &mut to).is_ok()).expect("the test waits");
    });
    let router =
        Router::setup().route(format!("site.test={between},proto=h2c,send-proxy=v2")).start();
    let answer = get(router.http(), "site.test", "/x");
    assert_eq!(answer.text(), "GET http://site.test/x ");
    assert_eq!(ended.recv_timeout(Duration::from_secs(10)), Ok(true));
}

/// uWSGI takes no such header, so it stands behind HAProxy, which lets in whom the header names.
#[test]
fn a_uwsgi_node_behind_haproxy_gets_its_packets() {
    let program = require_tool!("haproxy");
    let origin = UwsgiOrigin::ok();
    let setup = Router::setup();
    let rest = format!(
        " mode tcp\n tcp-request content reject unless {{ src 127.0.0.2 }}\n server app {}",
        origin.address()
    );
    let (_process, port) = haproxy(&program, setup.folder(), "tcp", "", &rest);
    let router = setup.route(format!("site.test={},send-proxy=v2", port.1)).start();
    let (mut stream, _) = connect_from(2, router.http());
    assert_eq!(ask(&mut stream), "ok");
    assert_eq!(origin.only_packet().var("REMOTE_ADDR"), Some("127.0.0.2"));
    assert_eq!(get(router.http(), "site.test", "/").status, 502, "from 127.0.0.1");
}

/// A router that believes the first one.
fn second(origin_route: &str) -> Router {
    let setup = Router::setup().args(["--proxy-protocol", "127.0.0.1", "--rtsp"]);
    setup.route(origin_route).start()
}

#[test]
fn a_second_router_knows_the_client_of_the_first() {
    let origin = Origin::echo();
    let second = second(&origin.route("site.test"));
    // A preface came in: both ends of it go out again.
    let first = Router::setup()
        .args(["--proxy-protocol", "127.0.0.1"])
        .route(format!("site.test={},proto=http,send-proxy=v2", second.http()))
        .start();
    let mut client = Client::connect(first.http());
    client.send("PROXY TCP6 2001:db8::7 2001:db8::1 51234 443\r\n");
    for _ in 0..2 {
        client.send(REQUEST);
        assert_eq!(client.response().status, 200);
    }
    eventually_true("both are in the log of the second", SOON, || {
        second.access_log().matches(" client=[2001:db8::7]:51234 ").count() == 2
    });
    assert_eq!(second.metrics().sum("suzerain_proxy_protocol_rejects_total", &[]), 0.0);
}

#[test]
fn tunnels_begin_with_it_too() {
    let upgrade = "GET /a HTTP/1.1\r\nHost: site.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let address = crate::websocket::echo_server();
    let second = second(&format!("site.test={address},proto=http"));
    let first = Router::setup()
        .route(format!("site.test={},proto=http,send-proxy=v2", second.http()))
        .start();
    let (mut stream, from) = connect_from(2, first.http());
    stream.write_all(upgrade.as_bytes()).expect("sent");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 101");
    drop(stream);
    eventually_true("it is in the log of the second", SOON, || {
        second.access_log().contains(&format!(" client={from} "))
    });
}

#[test]
fn rtsp_connections_begin_with_it_too() {
    const OK: &[u8] = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n";
    let origin = Origin::raw(OK);
    let second = second(&origin.route("site.test"));
    let first = Router::setup()
        .args(["--rtsp"])
        .route(format!("site.test={},proto=http,send-proxy=v2", second.http()))
        .start();
    let (mut stream, from) = connect_from(2, first.http());
    stream.write_all(b"OPTIONS rtsp://site.test/live RTSP/1.0\r\nCSeq: 1\r\n\r\n").expect("sent");
    let mut answer = vec![0; OK.len()];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(answer, OK);
    drop(stream);
    eventually_true("it is in the log of the second", SOON, || {
        second.access_log().contains(&format!(" client={from} "))
    });
}

/// A check carries LOCAL: the router speaks for itself.
#[test]
fn health_checks_speak_for_the_router_itself() {
    let origin = Origin::echo();
    let second = second(&origin.route("site.test"));
    let _first = Router::setup()
        .config(
            "[key.\"site.test\"]\nsend-proxy = \"v2\"\nhealth-check = \"/healthz\"\n\
             health-interval = \"100ms\"\n",
        )
        .route(format!("site.test={},proto=http", second.http()))
        .start();
    eventually_true("two checks are in the log of the second", SOON, || {
        let log = second.access_log();
        let checks = log.lines().filter(|line| line.contains("target=\"/healthz\""));
        let good = |line: &&str| line.contains("client=127.0.0.1:") && line.contains("status=200");
        checks.filter(good).count() >= 2
    });
    assert_eq!(second.metrics().sum("suzerain_proxy_protocol_rejects_total", &[]), 0.0);
}

/// Nobody can be told of a client that has no address; the connection itself then counts.
#[test]
fn a_client_of_a_unix_socket_is_not_told_of() {
    let program = require_tool!("haproxy");
    let setup = Router::setup();
    let (_process, port) = haproxy(&program, setup.folder(), "web", "", HAPROXY_TELLS);
    let socket = setup.folder().join("http.sock");
    let _router = setup
        .args(["--http", utf8(&socket)])
        .route(format!("site.test={},proto=http,send-proxy=v2", port.1))
        .start();
    let mut client = Client::try_connect_unix(&socket).expect("the router listens");
    client.send(REQUEST);
    let answer = client.response().text();
    assert!(answer.starts_with("127.0.0.1:"), "{answer}");
    assert!(answer.ends_with(&format!(" {}  1", port.1)), "{answer}");
}

#[test]
fn another_version_is_no_value() {
    let folder = tempfile::tempdir().expect("a folder");
    let text =
        "http = \":8080\"\nroute = \"a.test=:1,proto=http,send-proxy=v1\"\nsend-proxy = \"v1\"\n";
    let file = folder.path().join("router.toml");
    std::fs::write(&file, text).expect("write");
    let finished = suzerain(folder.path(), &["check", utf8(&file)]);
    assert_eq!(finished.code, Some(64), "{finished:?}");
    assert_eq!(finished.stderr.matches("\"v1\" is neither off nor v2").count(), 2, "{finished:?}");
}
