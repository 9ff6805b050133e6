//! HTTP/2 clients over TLS: streams on one connection, and a new one when the router says goodbye.

use std::{io, time::Duration};

use ::h2::client::SendRequest;
use bytes::Bytes;

use super::{Desk, HOST, in_time};
use crate::{harness::h2, node::answer_to};

const KIND: &str = "http2";

/// Why there is no answer.
enum Failure {
    /// The router had said goodbye and did not take the stream (RFC 9113, 6.8): it may be sent again.
    NotTaken,
    Broken(String),
}

/// GETs as streams of a connection that is kept open.
pub async fn keep_asking(desk: Desk, period: Duration) {
    let mut kept = None;
    desk.every(period, async || {
        let mut outcome = ask(&desk, kept.take()).await;
        if matches!(outcome, Err(Failure::NotTaken)) {
            desk.tally.again(KIND);
            outcome = ask(&desk, None).await;
        }
        match outcome {
            Ok(send) => {
                kept = Some(send);
                desk.tally.good(KIND);
            }
            Err(Failure::NotTaken) => desk.tally.failed(KIND, "refused on a new connection"),
            Err(Failure::Broken(why)) => desk.tally.failed(KIND, why),
        }
    })
    .await;
}

async fn connect(desk: &Desk) -> io::Result<SendRequest<Bytes>> {
    let stream = desk.tls(b"h2").await?;
    let (send, connection) = ::h2::client::handshake(stream).await.map_err(io::Error::other)?;
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(send)
}

/// One stream; gives the connection back if the next may use it.
async fn ask(desk: &Desk, kept: Option<SendRequest<Bytes>>) -> Result<SendRequest<Bytes>, Failure> {
    // A connection that ended or is ending takes no further stream: that is no failure.
    let kept = match kept {
        Some(send) => send.ready().await.ok(),
        None => None,
    };
    let mut send = match kept {
        Some(send) => send,
        None => {
            connect(desk).await.map_err(|error| Failure::Broken(format!("connect: {error}")))?
        }
    };
    let request = h2::request("GET", HOST, "/stream");
    let (response, _) = send.send_request(request, true).map_err(failure)?;
    let answered = in_time(async { Ok(async { h2::collect(response.await?).await }.await) });
    let answer = answered.await.map_err(|_| Failure::Broken("no answer".to_owned()))?;
    let answer = answer.map_err(failure)?;
    if answer.status != 200 || answer.text() != answer_to("GET", "/stream", 0) {
        return Err(Failure::Broken(format!("{} {}", answer.status, answer.text())));
    }
    Ok(send)
}

fn failure(error: ::h2::Error) -> Failure {
    let refused = error.reason() == Some(::h2::Reason::REFUSED_STREAM);
    if refused || (error.is_go_away() && error.is_remote()) {
        Failure::NotTaken
    } else {
        Failure::Broken(error.to_string())
    }
}
