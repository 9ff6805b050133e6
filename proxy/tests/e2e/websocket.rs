//! WebSockets through the router: to HTTP and uwsgi nodes, over HTTP and TLS, to their end.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use tokio_tungstenite::tungstenite::{self, Message, WebSocket, client::IntoClientRequest};

use crate::harness::certs;
use crate::harness::datagram;
use crate::harness::origin::{After, Origin};
use crate::harness::router::Subscribe;
use crate::harness::vassal::vassal;
use crate::harness::wait::{SOON, eventually_true};
use crate::harness::{Client, Router, get, require_tool};

/// A WebSocket server that sends every message back; its address.
pub fn echo_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || echo(stream));
        }
    });
    address
}

/// Serves one connection as [`echo_server`] does.
pub fn echo(stream: TcpStream) {
    let Ok(mut socket) = tungstenite::accept(stream) else { return };
    while let Ok(message) = socket.read() {
        if (message.is_text() || message.is_binary()) && socket.send(message).is_err() {
            return;
        }
    }
}

/// The handshake over `stream`.
pub fn open<S: std::io::Read + std::io::Write>(
    stream: S,
    scheme: &str,
    host: &str,
) -> WebSocket<S> {
    let request = format!("{scheme}://{host}/chat?room=1").into_client_request().expect("a URL");
    let (socket, response) = tungstenite::client(request, stream).expect("the handshake");
    assert_eq!(response.status(), 101);
    socket
}

fn connect(router: &Router, host: &str) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(router.http()).expect("the router listens");
    stream.set_read_timeout(Some(SOON)).expect("a timeout");
    open(stream, "ws", host)
}

/// Sends a message and awaits it back.
pub fn exchange<S: std::io::Read + std::io::Write>(socket: &mut WebSocket<S>, message: Message) {
    socket.send(message.clone()).expect("it is sent");
    assert_eq!(socket.read().expect("it comes back"), message);
}

fn ws_router(address: SocketAddr) -> Router {
    Router::with_route(format!("ws.test={address},proto=http"))
}

#[test]
fn messages_of_every_size_pass_both_ways() {
    let router = ws_router(echo_server());
    let mut socket = connect(&router, "ws.test");
    for bytes in [0, 1, 125, 126, 1024, 65_535, 65_536, 3_000_000] {
        exchange(&mut socket, Message::binary(vec![bytes as u8; bytes]));
    }
    exchange(&mut socket, Message::text("grüße"));
    socket.send(Message::Ping(vec![7].into())).expect("a ping");
    assert_eq!(socket.read().expect("a pong"), Message::Pong(vec![7].into()));
    socket.close(None).expect("a close frame");
    while socket.read().is_ok() {}
    drop(socket);
    eventually_true("it is in the statistics", SOON, || {
        router.metrics().sum("suzerain_responses_total", &[("class", "1xx")]) == 1.0
    });
}

#[test]
fn tokio_tungstenite_speaks_through_the_router() {
    use futures_util::{SinkExt, StreamExt};
    let router = ws_router(echo_server());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("one");
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(router.http()).await.expect("it listens");
        let (mut socket, _) =
            tokio_tungstenite::client_async("ws://ws.test/", stream).await.expect("a handshake");
        socket.send(Message::text("async")).await.expect("it is sent");
        assert_eq!(socket.next().await.expect("more").expect("a frame"), Message::text("async"));
    });
}

#[test]
fn it_works_inside_tls() {
    let _openssl = require_tool!("openssl");
    let setup = Router::setup().https().route(format!("ws.test={},proto=http", echo_server()));
    let dir = setup.folder().join("certs");
    std::fs::create_dir(&dir).expect("a directory");
    certs::leaf(setup.folder(), "ws.test").install(&dir, "ws.test");
    let router = setup.args(["--cert-dir", certs::utf8(&dir)]).start();
    let stream = TcpStream::connect(router.https()).expect("the router listens");
    stream.set_read_timeout(Some(SOON)).expect("a timeout");
    let name = "ws.test".try_into().expect("a name");
    let session = rustls::ClientConnection::new(client_config(), name).expect("a session");
    let mut socket = open(rustls::StreamOwned::new(session, stream), "wss", "ws.test");
    exchange(&mut socket, Message::text("hidden"));
    exchange(&mut socket, Message::binary(vec![1; 200_000]));
}

fn client_config() -> Arc<rustls::ClientConfig> {
    use rustls_pki_types::{CertificateDer, pem::PemObject};
    let mut roots = rustls::RootCertStore::empty();
    for cert in CertificateDer::pem_file_iter(certs::ca()).expect("the test's CA") {
        roots.add(cert.expect("PEM")).expect("a CA");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

#[test]
fn a_real_uwsgi_websocket_app_answers() {
    let uwsgi = require_tool!("uwsgi");
    let router = Router::setup().subscribe(Subscribe::Udp).start();
    let app = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/testdata/websocket_app.py");
    let _vassal = vassal("ws")
        .args(["--wsgi-file", app])
        .subscribe_to(format!("{}:ws.test", router.subscribe()))
        .start(&uwsgi, router.folder());
    router.wait_for_nodes("ws.test", 1);
    let mut socket = connect(&router, "ws.test");
    for word in ["one", "two"] {
        socket.send(Message::text(word)).expect("it is sent");
        let heard = socket.read().expect("an answer").into_data();
        assert_eq!(heard, format!("uwsgi heard {word}").as_bytes());
    }
}

const HANDSHAKE: &str = "GET / HTTP/1.1\r\nHost: ws.test\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const SWITCHING: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// What follows a handshake may be a smuggled request if the node does not agree.
#[test]
fn bytes_behind_a_handshake_wait_for_the_nodes_agreement() {
    let origin = Origin::start(|exchange| {
        exchange.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")?;
        Ok(After::KeepOpen)
    });
    let router = Router::with_route(origin.route("ws.test"));
    let mut client = Client::connect(router.http());
    client.send(format!("{HANDSHAKE}GET /second HTTP/1.1\r\nHost: ws.test\r\n\r\n"));
    assert_eq!(client.response().status, 403);
    assert_eq!(client.response().status, 403, "the second is a request like any other");
    let targets: Vec<_> = origin.seen().iter().map(|seen| seen.target().to_owned()).collect();
    assert_eq!(targets, ["/", "/second"]);
}

#[test]
fn early_bytes_and_a_half_close_reach_the_other_side() {
    let origin = Origin::start(|exchange| {
        exchange.write(SWITCHING)?;
        while exchange.read_some().is_ok_and(|bytes| bytes > 0) {}
        exchange.write(b"after your end")?;
        Ok(After::Close)
    });
    let router = Router::with_route(origin.route("ws.test"));
    let mut client = Client::connect(router.http());
    client.send(format!("{HANDSHAKE}early"));
    assert_eq!(client.try_head().expect("a head").status, 101);
    client.half_close();
    assert_eq!(client.read_to_end().expect("the rest"), b"after your end");
}

#[test]
fn a_silent_tunnel_is_closed_after_its_time() {
    let config = "[timeouts]\ntunnel = \"500ms\"\n";
    let route = format!("ws.test={},proto=http", echo_server());
    let router = Router::setup().config(config).route(route).start();
    let mut socket = connect(&router, "ws.test");
    exchange(&mut socket, Message::text("still here"));
    assert!(socket.read().is_err(), "nobody said anything");
    eventually_true("the log says who", SOON, || router.access_log().contains("term=cT"));
}

#[test]
fn a_tunnel_outlives_the_node_that_unsubscribes() {
    let router = Router::setup().subscribe(Subscribe::Udp).start();
    let address = echo_server().to_string();
    let fields = [("key", "ws.test"), ("address", address.as_str()), ("proto", "http")];
    datagram::send(router.subscribe(), &datagram::plain(0, &fields));
    router.wait_for_nodes("ws.test", 1);
    let mut socket = connect(&router, "ws.test");
    exchange(&mut socket, Message::text("before"));
    datagram::send(router.subscribe(), &datagram::plain(1, &fields));
    router.wait_for_nodes("ws.test", 0);
    assert_eq!(get(router.http(), "ws.test", "/").status, 404);
    exchange(&mut socket, Message::text("after"));
}

#[test]
fn an_agreement_to_what_nobody_asked_is_a_bad_answer() {
    let h2c = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    let origin = Origin::raw(h2c);
    let router = Router::with_route(origin.route("ws.test"));
    let mut client = Client::connect(router.http());
    client.send(HANDSHAKE);
    assert_eq!(client.response().status, 502);
}
