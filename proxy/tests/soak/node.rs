//! The node behind the router: answers requests with what they were, and echoes WebSocket messages.

use std::{io, net::SocketAddr, sync::mpsc, thread};

use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{handshake::derive_accept_key, protocol::Role},
};

use crate::{
    harness::h2::runtime,
    traffic::wire::{Head, read_head},
};

/// Starts one on a thread of its own; it ends with the test.
pub fn start() -> SocketAddr {
    let (told, address) = mpsc::channel();
    thread::spawn(move || {
        runtime().block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            told.send(listener.local_addr().expect("bound")).expect("the test waits");
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    let _ = stream.set_nodelay(true);
                    tokio::spawn(serve(stream));
                }
            }
        });
    });
    address.recv().expect("the node listens")
}

/// The body of the answer to a request.
pub fn answer_to(method: &str, target: &str, body_bytes: usize) -> String {
    format!("{method} {target} {body_bytes}")
}

async fn serve(mut stream: TcpStream) -> io::Result<()> {
    let mut held = Vec::new();
    while let Some(head) = read_head(&mut stream, &mut held).await? {
        if let Some(key) = head.field("sec-websocket-key") {
            return echo(stream, key).await;
        }
        let body_bytes = head.content_length().unwrap_or(0);
        skip(&mut stream, &mut held, body_bytes).await?;
        let answer = answer_of(&head, body_bytes);
        stream.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

fn answer_of(head: &Head, body_bytes: usize) -> String {
    let mut words = head.start_line().split(' ');
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let body = answer_to(method, target, body_bytes);
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

async fn skip(stream: &mut TcpStream, held: &mut Vec<u8>, bytes: usize) -> io::Result<()> {
    let mut left = bytes - bytes.min(held.len());
    held.drain(..bytes.min(held.len()));
    let mut buffer = vec![0; 16 * 1024];
    while left > 0 {
        let most = left.min(buffer.len());
        match stream.read(&mut buffer[..most]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            bytes => left -= bytes,
        }
    }
    Ok(())
}

async fn echo(mut stream: TcpStream, key: &str) -> io::Result<()> {
    let accept = derive_accept_key(key.as_bytes());
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    while let Some(Ok(message)) = socket.next().await {
        if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
            break;
        }
    }
    Ok(())
}
