//! A page in a real browser speaks WebSocket with its own origin through the router.
//!
//! Over plain HTTP the browser opens a connection of its own for the WebSocket; over HTTPS it opens
//! a stream inside the HTTP/2 connection the page came over (RFC 8441). The access log says which.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use crate::harness::certs;
use crate::harness::chromium::Chromium;
use crate::harness::process::Process;
use crate::harness::router::{Setup, Subscribe};
use crate::harness::vassal::vassal;
use crate::harness::wait::{SOON, eventually_true};
use crate::harness::{Router, require_tool};
use crate::websocket::echo;

const PAGE: &str = include_str!("../testdata/websocket_page.html");
const ECHOED: &str = "11 of 11, closed with 1000";
/// uWSGI closes with a frame without a code.
const HEARD: &str = "5 of 5, closed with 1005";

/// An HTTP server with the page that echoes WebSocket messages at `/chat`.
fn page_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Serves one connection; an error means that the router closed it.
fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    let mut start = [0; 9];
    while start.last() == Some(&0) && stream.peek(&mut start)? > 0 {}
    if &start == b"GET /chat" {
        echo(stream);
        return Ok(());
    }
    let length = PAGE.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/html; charset=utf-8\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(PAGE.as_bytes())?;
    stream.shutdown(std::net::Shutdown::Write)?;
    std::io::copy(&mut stream, &mut std::io::sink())?;
    Ok(())
}

/// The setup with an HTTPS listener and a certificate for `ws.test`.
fn with_https(setup: Setup) -> Setup {
    let dir = setup.folder().join("certs");
    std::fs::create_dir(&dir).expect("a directory");
    certs::leaf(setup.folder(), "ws.test").install(&dir, "ws.test");
    setup.https().args(["--cert-dir", certs::utf8(&dir)])
}

/// Waits for the line of the tunnel in the access log and returns it and that of the page.
fn lines(router: &Router) -> (String, String) {
    let line_of = |target: &str| {
        let log = router.access_log();
        log.lines().find(|line| line.contains(target)).map(str::to_owned)
    };
    eventually_true("the tunnel is in the log", SOON, || line_of("target=\"/chat\"").is_some());
    (line_of("target=\"/page").expect("the page came first"), line_of("/chat").expect("seen"))
}

/// The value of a field of the access log.
fn field<'line>(line: &'line str, name: &str) -> Option<&'line str> {
    line.split_whitespace().find_map(|word| word.strip_prefix(name))
}

#[test]
fn a_page_over_plain_http_speaks_with_an_http_node() {
    let chromium = require_tool!("chromium");
    let router = Router::with_route(format!("ws.test={},proto=http", page_server()));
    let url = format!("http://ws.test:{}/page", router.http().port());
    let mut browser = Chromium::open(&chromium, router.folder(), &url);
    assert_eq!(browser.text_of("outcome", "under way"), ECHOED);
    let (page, tunnel) = lines(&router);
    assert!(page.contains("proto=HTTP/1.1"), "{page}");
    assert!(tunnel.contains("proto=HTTP/1.1") && tunnel.contains("status=101"), "{tunnel}");
}

#[test]
fn a_page_over_https_speaks_inside_its_http2_connection() {
    let chromium = require_tool!("chromium");
    let _openssl = require_tool!("openssl");
    let setup = with_https(Router::setup());
    let router = setup.route(format!("ws.test={},proto=http", page_server())).start();
    let url = format!("https://ws.test:{}/page", router.https().port());
    let mut browser = Chromium::open(&chromium, router.folder(), &url);
    assert_eq!(browser.text_of("outcome", "under way"), ECHOED);
    let (page, tunnel) = lines(&router);
    assert!(page.contains("proto=HTTP/2.0"), "{page}");
    assert!(tunnel.contains("proto=HTTP/2.0") && tunnel.contains("status=101"), "{tunnel}");
    assert_eq!(field(&page, "client="), field(&tunnel, "client="), "one connection for both");
}

/// A uWSGI application with the page that answers messages at `/chat`.
fn vassal_with_page(router: &Router, uwsgi: &std::path::Path) -> Process {
    let app = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/testdata/websocket_app.py");
    let process = vassal("ws")
        .args(["--wsgi-file", app, "--processes", "2"])
        .subscribe_to(format!("{}:ws.test", router.subscribe()))
        .start(uwsgi, router.folder());
    router.wait_for_nodes("ws.test", 1);
    process
}

#[test]
fn a_page_of_a_uwsgi_application_speaks_over_both_versions() {
    let chromium = require_tool!("chromium");
    let uwsgi = require_tool!("uwsgi");
    let _openssl = require_tool!("openssl");
    let router = with_https(Router::setup()).subscribe(Subscribe::Udp).start();
    let _vassal = vassal_with_page(&router, &uwsgi);
    let (http, https) = (router.http().port(), router.https().port());
    for origin in [format!("http://ws.test:{http}"), format!("https://ws.test:{https}")] {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("{origin}/page?uwsgi%20heard%20");
        let mut browser = Chromium::open(&chromium, folder.path(), &url);
        assert_eq!(browser.text_of("outcome", "under way"), HEARD, "{origin}");
    }
    eventually_true("both tunnels are in the log", SOON, || {
        let log = router.access_log();
        log.lines().filter(|line| line.contains("target=\"/chat\"")).count() == 2
    });
    let log = router.access_log();
    assert!(log.contains("target=\"/chat\" proto=HTTP/1.1"), "{log}");
    assert!(log.contains("target=\"/chat\" proto=HTTP/2.0"), "{log}");
}
