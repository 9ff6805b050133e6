//! WebSockets that stay open for the whole run. Nothing that is done to the router may end one.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

use super::{Desk, HOST, in_time};

const KIND: &str = "websocket";
/// Of their handshakes, one each.
const OPENED: &str = "websocket opened";

/// Sends messages and awaits each back.
pub async fn keep_talking(desk: Desk, period: Duration) {
    let mut socket = match connect(&desk).await {
        Ok(socket) => {
            desk.tally.good(OPENED);
            Some(socket)
        }
        Err(why) => return desk.tally.failed(OPENED, why),
    };
    let mut number = 0_u64;
    desk.every(period, async || {
        let Some(open) = &mut socket else { return };
        number += 1;
        match exchange(open, number).await {
            Ok(()) => desk.tally.good(KIND),
            Err(why) => {
                desk.tally.failed(KIND, format!("message {number}: {why}"));
                socket = None;
            }
        }
    })
    .await;
}

async fn connect(desk: &Desk) -> Result<WebSocketStream<TcpStream>, String> {
    let stream = desk.tcp(desk.target.http).await.map_err(|error| error.to_string())?;
    let url = format!("ws://{HOST}/talk");
    let opened = in_time(async {
        tokio_tungstenite::client_async(url, stream).await.map_err(std::io::Error::other)
    });
    opened.await.map(|(socket, _)| socket).map_err(|error| error.to_string())
}

async fn exchange(socket: &mut WebSocketStream<TcpStream>, number: u64) -> Result<(), String> {
    let message = Message::text(number.to_string());
    socket.send(message.clone()).await.map_err(|error| error.to_string())?;
    let answer = in_time(async { Ok(socket.next().await) }).await;
    match answer.map_err(|error| error.to_string())? {
        Some(Ok(came)) if came == message => Ok(()),
        other => Err(format!("{other:?} came back")),
    }
}
