//! The PROXY protocol: who must send it, who may not, and what it changes; with curl, HAProxy and
//! nginx as senders.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::certs::{self, utf8};
use crate::harness::port::Port;
use crate::harness::process::Process;
use crate::harness::router::Setup;
use crate::harness::tools::{self, Curl, curl};
use crate::harness::uwsgi_origin::UwsgiOrigin;
use crate::harness::wait::{SOON, eventually_true};
use crate::harness::{Client, Origin, Router, require_tool};

const REQUEST: &str = "GET /a HTTP/1.1\r\nHost: site.test\r\n\r\n";
const V1: &str = "PROXY TCP4 203.0.113.7 192.0.2.1 51234 443\r\n";
const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// 203.0.113.7:51234 to 192.0.2.1:443.
const V4_BLOCK: &[u8] = &[203, 0, 113, 7, 192, 0, 2, 1, 0xc8, 0x22, 0x01, 0xbb];

/// A version 2 preface.
fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).expect("a short block").to_be_bytes();
    [V2_SIGNATURE, &[command, family], &length, block].concat()
}

/// Version 2, TCP over IPv6: [2001:db8::7]:51234 to [2001:db8::1]:443.
fn v2_over_ipv6() -> Vec<u8> {
    let ip = |last| [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    v2(0x21, 0x21, &[&ip(7)[..], &ip(1), &V4_BLOCK[8..]].concat())
}

/// A router that wants a preface of everybody who connects over IPv4 loopback.
fn demanding(origin: &Origin) -> Setup {
    let setup = Router::setup().route(origin.route("site.test"));
    setup.args(["--proxy-protocol", "127.0.0.0/8"])
}

/// The router of [`demanding`] with an HTTPS listener and a certificate for site.test.
fn demanding_https(origin: &Origin) -> Router {
    let setup = demanding(origin).https();
    let folder = setup.folder().join("certs");
    std::fs::create_dir(&folder).expect("a folder");
    certs::leaf(setup.folder(), "site.test").install(&folder, "site.test");
    setup.args(["--cert-dir", utf8(&folder)]).start()
}

/// Connections refused for this reason so far.
fn rejects(router: &Router, reason: &str) -> f64 {
    router.metrics().sum("suzerain_proxy_protocol_rejects_total", &[("reason", reason)])
}

#[track_caller]
fn wait_for_client(router: &Router, client: &str) {
    let field = format!(" client={client} ");
    eventually_true(&format!("{client} is in the access log"), SOON, || {
        router.access_log().contains(&field)
    });
}

#[test]
fn the_client_a_preface_names_is_the_client() {
    let origin = Origin::echo();
    let router = demanding(&origin).start();
    let v6_line = b"PROXY TCP6 2001:db8::7 2001:db8::1 51234 443\r\n".to_vec();
    let (v4, v6) = ("203.0.113.7:51234", "[2001:db8::7]:51234");
    let prefaces =
        [(V1.into(), v4), (v2(0x21, 0x11, V4_BLOCK), v4), (v6_line, v6), (v2_over_ipv6(), v6)];
    for (preface, client) in prefaces {
        let mut connection = Client::connect(router.http());
        connection.send(&preface);
        // Twice: it holds for the connection and not only for the first request.
        for _ in 0..2 {
            connection.send(REQUEST);
            assert_eq!(connection.response().status, 200);
            let ip = client.rsplit_once(':').expect("a port").0.trim_matches(['[', ']']);
            let seen = origin.seen();
            assert_eq!(seen.last().expect("a request").fields("X-Forwarded-For"), [ip]);
        }
        wait_for_client(&router, client);
    }
}

#[test]
fn a_uwsgi_app_is_told_the_client_of_the_preface() {
    let origin = UwsgiOrigin::ok();
    let setup = Router::setup().route(format!("site.test={}", origin.address()));
    let router = setup.args(["--proxy-protocol", "127.0.0.1"]).start();
    let mut client = Client::connect(router.http());
    client.send([V1, REQUEST].concat());
    assert_eq!(client.response().status, 200);
    let packet = origin.only_packet();
    assert_eq!(packet.var("REMOTE_ADDR"), Some("203.0.113.7"));
    assert_eq!(packet.var("REMOTE_PORT"), Some("51234"));
}

#[test]
fn a_preface_in_single_bytes_is_understood() {
    let origin = Origin::echo();
    let router = demanding(&origin).start();
    for preface in [V1.as_bytes().to_vec(), v2(0x21, 0x11, V4_BLOCK)] {
        let mut client = Client::connect(router.http());
        for byte in [&preface, REQUEST.as_bytes()].concat() {
            client.send([byte]);
        }
        assert_eq!(client.response().status, 200);
    }
    for request in origin.seen() {
        assert_eq!(request.fields("X-Forwarded-For"), ["203.0.113.7"]);
    }
}

#[test]
fn requests_in_one_segment_with_the_preface_are_not_lost() {
    let origin = Origin::echo();
    let router = demanding(&origin).start();
    // The longest there is: 4096 bytes of which most are one TLV nobody reads.
    let padding = 4096 - 16 - V4_BLOCK.len() - 3;
    let tlv = [&[0x04][..], &u16::try_from(padding).expect("fits").to_be_bytes()].concat();
    let long = v2(0x21, 0x11, &[V4_BLOCK, &tlv, &vec![0; padding]].concat());
    assert_eq!(long.len(), 4096);
    let requests = "POST /1 HTTP/1.1\r\nHost: site.test\r\nContent-Length: 3\r\n\r\nabc\
                    GET /2 HTTP/1.1\r\nHost: site.test\r\n\r\n";
    for preface in [V1.as_bytes().to_vec(), v2(0x21, 0x11, V4_BLOCK), long] {
        let mut client = Client::connect(router.http());
        client.send([&preface, requests.as_bytes()].concat());
        assert_eq!(client.response().text(), "POST /1 HTTP/1.1 body=abc");
        assert_eq!(client.response().text(), "GET /2 HTTP/1.1 body=");
    }
}

#[test]
fn a_proxy_that_names_nobody_is_the_client() {
    let origin = Origin::echo();
    let router = demanding(&origin).start();
    let silent = [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN 203.0.113.7 192.0.2.1 51234 443\r\n".to_vec(),
        v2(0x20, 0x00, b""),
        v2(0x20, 0x11, V4_BLOCK),
        v2(0x21, 0x00, b""),
        v2(0x21, 0x31, &[b'/'; 216]),
    ];
    for preface in &silent {
        let mut client = Client::connect(router.http());
        client.send(preface);
        client.send(REQUEST);
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(origin.seen().len(), silent.len());
    for request in origin.seen() {
        assert_eq!(request.fields("X-Forwarded-For"), ["127.0.0.1"]);
    }
}

#[test]
fn a_named_source_without_a_right_preface_is_closed() {
    let origin = Origin::echo();
    let router = demanding(&origin).config("[timeouts]\nhead = \"1s\"\n").start();
    let mut altered = v2(0x21, 0x11, &[V4_BLOCK, &[0x03, 0, 4, 0, 0, 0, 0]].concat());
    altered.extend_from_slice(REQUEST.as_bytes());
    let cases: [(&str, &[u8]); 6] = [
        ("absent", REQUEST.as_bytes()),
        ("absent", b"POST / HTTP/1.1\r\nHost: site.test\r\n\r\n"),
        ("malformed", b"PROXY TCP4 203.0.113.07 192.0.2.1 51234 443\r\n"),
        ("malformed", b"\r\n\r\n\0\r\nQUIT\n\x11"),
        ("checksum", &altered),
        ("timeout", b"PROXY TCP4 203.0.113.7"),
    ];
    for (_, bytes) in cases {
        let mut client = Client::connect(router.http());
        client.send(bytes);
        client.expect_closed();
    }
    let mut client = Client::connect(router.http());
    client.send("PROXY TCP4 203.0.113.7");
    client.half_close();
    client.expect_closed();
    for (reason, count) in
        [("absent", 2.0), ("malformed", 2.0), ("checksum", 1.0), ("timeout", 1.0), ("cut", 1.0)]
    {
        eventually_true(reason, SOON, || rejects(&router, reason) == count);
    }
    assert!(origin.seen().is_empty(), "{:#?}", origin.seen());
}

#[test]
fn a_preface_of_a_source_that_was_not_named_is_no_request() {
    let origin = Origin::echo();
    let setup = Router::setup().https().route(origin.route("site.test"));
    let router = setup.args(["--proxy-protocol", "10.0.0.0/8", "--proxy-protocol", "unix"]).start();
    for preface in [V1.as_bytes().to_vec(), v2(0x21, 0x11, V4_BLOCK), v2(0x20, 0, b"")] {
        let mut client = Client::connect(router.http());
        client.send([&preface, REQUEST.as_bytes()].concat());
        assert_eq!(client.response().status, 400);
        let mut client = Client::connect(router.https());
        client.send(&preface);
        client.half_close();
        // A TLS alert at most.
        let answer = client.read_to_end().unwrap_or_default();
        assert!(answer.is_empty() || answer[0] == 0x15, "{answer:?}");
    }
    assert!(origin.seen().is_empty(), "{:#?}", origin.seen());
    assert_eq!(crate::harness::get(router.http(), "site.test", "/").status, 200);
    assert_eq!(origin.only_request().fields("X-Forwarded-For"), ["127.0.0.1"]);
}

#[test]
fn proxies_on_a_unix_socket_are_named_apart() {
    let origin = Origin::echo();
    let setup = Router::setup().route(origin.route("site.test"));
    let socket = setup.folder().join("http.sock");
    let router = setup.args(["--http", utf8(&socket), "--proxy-protocol", "unix"]).start();
    let connect = || Client::try_connect_unix(&socket).expect("the router listens");
    let mut client = connect();
    client.send([V1, REQUEST].concat());
    assert_eq!(client.response().status, 200);
    assert_eq!(origin.only_request().fields("X-Forwarded-For"), ["203.0.113.7"]);
    let mut client = connect();
    client.send(REQUEST);
    client.expect_closed();
    assert_eq!(crate::harness::get(router.http(), "site.test", "/").status, 200);
}

/// What [`relay`] does with the bytes a TLS client sends first.
#[derive(Clone, Copy, Debug)]
enum Joint {
    /// Preface and client hello in one write.
    Together,
    /// Every byte alone.
    Apart,
}

/// Accepts one connection and passes it on behind a preface.
fn relay(router: SocketAddr, preface: Vec<u8>, joint: Joint) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept()?;
        let mut upstream = TcpStream::connect(router)?;
        upstream.set_nodelay(true)?;
        let mut hello = vec![0; 16 * 1024];
        let count = client.read(&mut hello)?;
        let first = [&preface, &hello[..count]].concat();
        let step = match joint {
            Joint::Together => first.len(),
            Joint::Apart => 1,
        };
        for piece in first.chunks(step) {
            upstream.write_all(piece)?;
        }
        let (mut back, mut forth) = (upstream.try_clone()?, client.try_clone()?);
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut back, &mut forth);
            forth.shutdown(Shutdown::Write)
        });
        std::io::copy(&mut client, &mut upstream)?;
        upstream.shutdown(Shutdown::Write)
    });
    address
}

/// curl to `https://site.test/` at `address`, with certificate check.
#[track_caller]
fn https(program: &Path, address: SocketAddr, more: &[&str]) -> Curl {
    let connect_to = format!("::127.0.0.1:{}", address.port());
    let ca = certs::ca();
    let mut arguments = vec!["--connect-to", &connect_to, "--cacert", utf8(&ca)];
    arguments.extend(more);
    arguments.push("https://site.test/");
    curl(program, &arguments)
}

#[test]
fn a_client_hello_behind_the_preface_is_not_lost() {
    let curl_program = require_tool!("curl");
    let origin = Origin::echo();
    let router = demanding_https(&origin);
    for preface in [V1.as_bytes().to_vec(), v2(0x21, 0x11, V4_BLOCK)] {
        for joint in [Joint::Together, Joint::Apart] {
            let address = relay(router.https(), preface.clone(), joint);
            let answer = https(&curl_program, address, &[]);
            assert_eq!((answer.status, answer.exit), (200, 0), "{joint:?}: {answer:?}");
        }
    }
    for request in origin.seen() {
        assert_eq!(request.fields("X-Forwarded-For"), ["203.0.113.7"]);
        assert_eq!(request.fields("X-Forwarded-Proto"), ["https"]);
    }
}

#[test]
fn curl_is_served_with_its_preface_and_not_without() {
    let program = require_tool!("curl");
    let origin = Origin::echo();
    let router = demanding_https(&origin);
    let plain = format!("http://{}/", router.http());
    let host = ["-H", "Host: site.test"];
    for version in ["--haproxy-protocol", "-4"] {
        let has_preface = version != "-4";
        let expected = if has_preface { (200, true) } else { (0, false) };
        let answer = curl(&program, &[version, host[0], host[1], &plain]);
        assert_eq!((answer.status, answer.exit == 0), expected, "{answer:?}");
        let answer = https(&program, router.https(), &[version]);
        assert_eq!((answer.status, answer.exit == 0), expected, "{answer:?}");
    }
    assert_eq!(origin.seen().len(), 2);
}

/// HAProxy before both listeners of `router`, with these words on its server lines.
fn haproxy(program: &Path, router: &Router, server: &str) -> (Process, [Port; 2]) {
    let ports = [Port::reserve(), Port::reserve()];
    let mut text = "defaults\n mode tcp\n timeout connect 10s\n timeout client 10s\n \
                    timeout server 10s\n"
        .to_owned();
    for (port, listener) in ports.iter().zip([router.http(), router.https()]) {
        let bind = port.1;
        text += &format!(
            "listen at{0}\n bind {bind}\n server router {listener} {server}\n",
            bind.port()
        );
    }
    let name = format!("haproxy-{}", ports[0].1.port());
    let file = router.folder().join(&name);
    std::fs::write(&file, text).expect("write");
    let mut command = Command::new(program);
    command.args(["-db", "-f", utf8(&file)]);
    let process = Process::start(&mut command, router.folder(), &name, Signal::SIGTERM);
    ports.iter().for_each(Port::wait);
    (process, ports)
}

/// curl through a proxy to both schemes, from 127.0.0.2: the proxy itself connects from 127.0.0.1.
#[track_caller]
fn both_schemes_arrive(program: &Path, router: &Router, origin: &Origin, [http, tls]: &[Port; 2]) {
    let before = origin.seen().len();
    let from = ["--interface", "127.0.0.2"];
    let url = format!("http://{}/", http.1);
    let answer = curl(program, &[from[0], from[1], "-H", "Host: site.test", &url]);
    assert_eq!((answer.status, answer.exit), (200, 0), "{answer:?}");
    let answer = https(program, tls.1, &from);
    assert_eq!((answer.status, answer.exit), (200, 0), "{answer:?}");
    let seen = &origin.seen()[before..];
    assert_eq!(seen.len(), 2);
    for request in seen {
        assert_eq!(request.fields("X-Forwarded-For"), ["127.0.0.2"]);
    }
    let rejects = router.metrics().sum("suzerain_proxy_protocol_rejects_total", &[]);
    assert!(rejects == 0.0, "{rejects} were refused");
}

#[test]
fn haproxy_passes_its_clients_on() {
    let curl_program = require_tool!("curl");
    let program = require_tool!("haproxy");
    let origin = Origin::echo();
    let router = demanding_https(&origin);
    let servers = [
        "send-proxy",
        "send-proxy-v2",
        "send-proxy-v2-ssl-cn",
        "send-proxy-v2 proxy-v2-options crc32c,unique-id",
    ];
    for server in servers {
        let (_process, ports) = haproxy(&program, &router, server);
        both_schemes_arrive(&curl_program, &router, &origin, &ports);
    }
}

/// A check carries LOCAL: HAProxy speaks for itself and the router must answer.
#[test]
fn health_checks_of_haproxy_are_answered() {
    let program = require_tool!("haproxy");
    let origin = Origin::echo();
    let router = demanding_https(&origin);
    let check = "send-proxy-v2 check check-send-proxy inter 200ms\n option httpchk\n \
                 http-check send meth GET uri /check ver HTTP/1.1 hdr Host site.test";
    let (_process, _ports) = haproxy(&program, &router, check);
    eventually_true("a check reaches the origin", SOON, || {
        origin.seen().iter().any(|request| request.target() == "/check")
    });
    assert_eq!(origin.seen()[0].fields("X-Forwarded-For"), ["127.0.0.1"]);
}

/// nginx's stream module, where it is packaged apart.
fn nginx_stream_module() -> Option<PathBuf> {
    let given = std::env::var_os("SUZERAIN_TEST_NGINX_MODULES").map(PathBuf::from);
    let system = ["/usr/lib/nginx/modules", "/usr/lib64/nginx/modules"].map(PathBuf::from);
    let mut files = given.into_iter().chain(system).map(|dir| dir.join("ngx_stream_module.so"));
    files.find(|file| file.is_file())
}

#[test]
fn nginx_passes_its_clients_on() {
    let curl_program = require_tool!("curl");
    let program = require_tool!("nginx");
    let Some(module) = nginx_stream_module() else {
        eprintln!("SKIPPED: nginx has no stream module here, its only sender of PROXY headers");
        return;
    };
    let origin = Origin::echo();
    let router = demanding_https(&origin);
    let ports = [Port::reserve(), Port::reserve()];
    let server = |port: &Port, to: SocketAddr| {
        format!("server {{ listen {} reuseport; proxy_pass {to}; proxy_protocol on; }}\n", port.1)
    };
    let text = format!(
        "load_module {};\ndaemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\n\
         events {{}}\nstream {{\n{}{}}}\n",
        module.display(),
        server(&ports[0], router.http()),
        server(&ports[1], router.https()),
    );
    let file = router.folder().join("nginx.conf");
    std::fs::write(&file, text).expect("write");
    let mut command = Command::new(program);
    command.args(["-p", utf8(router.folder()), "-c", utf8(&file)]);
    let _process = Process::start(&mut command, router.folder(), "nginx", Signal::SIGTERM);
    ports.iter().for_each(Port::wait);
    both_schemes_arrive(&curl_program, &router, &origin, &ports);
}

#[test]
fn a_router_that_believes_everybody_says_so_at_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("router.toml");
    std::fs::write(&file, "http = \":8080\"\nproxy-protocol = \"0.0.0.0/0\"\n").expect("write");
    let finished =
        tools::run(Command::new(crate::harness::router::BINARY).args(["check", utf8(&file)]));
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let warning = "proxy-protocol believes 0.0.0.0/0: whoever connects can claim any client";
    assert!(finished.stderr.contains(warning), "{}", finished.stderr);
}

/// A stalled preface costs a connection no longer than a stalled head does.
#[test]
fn a_preface_that_does_not_come_is_not_waited_for() {
    let origin = Origin::echo();
    let router = demanding(&origin).config("[timeouts]\nhead = \"1s\"\n").start();
    let start = std::time::Instant::now();
    Client::connect(router.http()).expect_closed();
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
}
