//! WebSockets over HTTP/2 (RFC 8441): an extended CONNECT, then a tunnel inside one stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use futures_util::{SinkExt, StreamExt};
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::harness::Router;
use crate::harness::h2::{H2Client, collect, request};
use crate::harness::origin::Origin;
use crate::harness::wait::{SOON, eventually_true};
use crate::websocket::echo_server;

/// A stream of HTTP/2 as a plain pair of byte streams.
struct Tunnel {
    send: SendStream<Bytes>,
    recv: RecvStream,
    pending: Bytes,
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.pending.is_empty() {
            match self.recv.poll_data(cx) {
                Poll::Ready(Some(Ok(data))) => {
                    let _ = self.recv.flow_control().release_capacity(data.len());
                    self.pending = data;
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(io::Error::other(error))),
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
        }
        let count = self.pending.len().min(target.remaining());
        target.put_slice(&self.pending[..count]);
        self.pending.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // The library keeps what the window does not allow yet; tests do not send that much.
        let sent = self.send.send_data(Bytes::copy_from_slice(bytes), false);
        Poll::Ready(sent.map(|()| bytes.len()).map_err(io::Error::other))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = self.send.send_data(Bytes::new(), true);
        Poll::Ready(Ok(()))
    }
}

fn connect_request(path: &str) -> http::Request<()> {
    let mut connect = request("CONNECT", "ws.test", path);
    connect.extensions_mut().insert(Protocol::from_static("websocket"));
    connect.headers_mut().insert("sec-websocket-version", 13.into());
    connect
}

fn router(route: String) -> Router {
    Router::setup().route(route).args(["--http2", "all"]).workers(1).start()
}

#[test]
fn messages_pass_both_ways_beside_ordinary_requests() {
    let origin = Origin::echo();
    let address = echo_server();
    let router = Router::setup()
        .route(format!("ws.test={address},proto=http"))
        .route(origin.route("h2.test"))
        .args(["--http2", "all"])
        .workers(1)
        .start();
    let mut client = H2Client::connect(router.http());
    let (response, send) = client.open(connect_request("/chat"), false);
    let response = client.runtime.block_on(response).expect("an answer");
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key("sec-websocket-accept"));
    let tunnel = Tunnel { send, recv: response.into_body(), pending: Bytes::new() };
    let mut socket =
        client.runtime.block_on(WebSocketStream::from_raw_socket(tunnel, Role::Client, None));
    for bytes in [0, 1, 125, 70_000, 500_000] {
        let message = Message::binary(vec![7; bytes]);
        let echoed = client.runtime.block_on(async {
            socket.send(message.clone()).await.expect("sent");
            socket.next().await.expect("open").expect("a message")
        });
        assert_eq!(echoed, message);
        assert_eq!(client.get("h2.test", "/beside").status, 200);
    }
    client.runtime.block_on(async {
        socket.close(None).await.expect("closed");
        while socket.next().await.is_some_and(|message| message.is_ok()) {}
    });
    drop(socket);
    eventually_true("the tunnel is in the log", SOON, || {
        client.turn();
        router.access_log().contains("target=\"/chat\" proto=HTTP/2.0")
    });
}

#[test]
fn a_node_that_refuses_the_handshake_answers_it() {
    let origin = Origin::raw(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    let router = router(origin.route("ws.test"));
    let mut client = H2Client::connect(router.http());
    let (response, _send) = client.open(connect_request("/"), false);
    let answer = client.runtime.block_on(async { collect(response.await?).await });
    let answer = answer.expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (403, "no"));
    let seen = origin.only_request();
    assert_eq!(seen.fields("upgrade"), ["websocket"]);
    assert_eq!(seen.fields("sec-websocket-key")[0].len(), 24);
}

#[test]
fn other_protocols_are_refused() {
    let origin = Origin::echo();
    let router = router(origin.route("ws.test"));
    let mut client = H2Client::connect(router.http());
    let mut connect = connect_request("/");
    connect.extensions_mut().insert(Protocol::from_static("connect-udp"));
    let (response, _send) = client.open(connect, false);
    let response = client.runtime.block_on(response).expect("an answer");
    assert_eq!(response.status(), 501);
    assert!(origin.seen().is_empty());
}
