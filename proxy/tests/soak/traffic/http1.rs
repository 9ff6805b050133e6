//! HTTP/1.1 clients: connections kept open, connections for one request, uploads, with and without TLS.

use std::{io, time::Duration};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::{
    Desk, HOST, in_time,
    wire::{read_body, read_head},
};
use crate::node::answer_to;

/// Bytes of an uploaded body.
const UPLOAD_BYTES: usize = 64 * 1024;

/// An open connection.
struct Link<S> {
    stream: S,
    held: Vec<u8>,
    /// Exchanges it has had.
    used: u64,
}

/// What an exchange left of its connection.
enum After<S> {
    /// Good for another one.
    Open(Link<S>),
    /// The router said that it closes it.
    Closed,
}

/// Why there is no answer.
enum Failure {
    /// The connection had answered before, and ended before a byte of this answer: RFC 9112, 9.3.1 lets
    /// a client send an idempotent request again.
    Stale,
    Broken(String),
}

/// GETs on a plain connection that is kept open.
pub async fn keep_asking(desk: Desk, period: Duration) {
    let open = async || desk.tcp(desk.target.http).await;
    ask_and_keep(&desk, "http", period, open).await;
}

/// The same over TLS.
pub async fn keep_asking_tls(desk: Desk, period: Duration) {
    let open = async || desk.tls(b"http/1.1").await;
    ask_and_keep(&desk, "https", period, open).await;
}

/// A GET on a connection of its own, time and again.
pub async fn connect_anew(desk: Desk, period: Duration) {
    desk.every(period, async || {
        let asked = async {
            let link = Link::new(desk.tcp(desk.target.http).await.map_err(broken)?);
            link.exchange("GET", "/once", &[]).await
        };
        note(&desk, "new connection", asked.await.map(drop));
    })
    .await;
}

/// POSTs, each on a connection of its own over TLS.
pub async fn keep_uploading(desk: Desk, period: Duration) {
    let body = vec![b'u'; UPLOAD_BYTES];
    desk.every(period, async || {
        let asked = async {
            let link = Link::new(desk.tls(b"http/1.1").await.map_err(broken)?);
            link.exchange("POST", "/upload", &body).await
        };
        note(&desk, "upload", asked.await.map(drop));
    })
    .await;
}

async fn ask_and_keep<S: AsyncRead + AsyncWrite + Unpin>(
    desk: &Desk,
    kind: &'static str,
    period: Duration,
    open: impl AsyncFn() -> io::Result<S>,
) {
    let mut kept = None;
    desk.every(period, async || {
        let asked = async |link: Option<Link<S>>| {
            let link = match link {
                Some(link) => link,
                None => Link::new(open().await.map_err(broken)?),
            };
            link.exchange("GET", "/kept", &[]).await
        };
        let mut outcome = asked(kept.take()).await;
        if matches!(outcome, Err(Failure::Stale)) {
            desk.tally.again(kind);
            outcome = asked(None).await;
        }
        match outcome {
            Ok(After::Open(link)) => {
                kept = Some(link);
                desk.tally.good(kind);
            }
            Ok(After::Closed) => desk.tally.good(kind),
            Err(failure) => note(desk, kind, Err(failure)),
        }
    })
    .await;
}

fn note(desk: &Desk, kind: &'static str, outcome: Result<(), Failure>) {
    match outcome {
        Ok(()) => desk.tally.good(kind),
        Err(Failure::Stale) => desk.tally.failed(kind, "closed twice before an answer"),
        Err(Failure::Broken(why)) => desk.tally.failed(kind, why),
    }
}

fn broken(error: io::Error) -> Failure {
    Failure::Broken(format!("connect: {error}"))
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    fn new(stream: S) -> Self {
        Self { stream, held: Vec::new(), used: 0 }
    }

    /// Asks, and checks the answer.
    async fn exchange(
        mut self,
        method: &str,
        target: &str,
        body: &[u8],
    ) -> Result<After<S>, Failure> {
        let length = match body.len() {
            0 => String::new(),
            bytes => format!("Content-Length: {bytes}\r\n"),
        };
        let head = format!("{method} {target} HTTP/1.1\r\nHost: {HOST}\r\n{length}\r\n");
        let sent = in_time(async {
            self.stream.write_all(head.as_bytes()).await?;
            self.stream.write_all(body).await?;
            self.stream.flush().await
        });
        let stale = |used: u64, error: io::Error, step: &str| match error.kind() {
            io::ErrorKind::TimedOut => Failure::Broken(format!("{step}: no progress")),
            _ if used > 0 => Failure::Stale,
            _ => Failure::Broken(format!("{step}: {error}")),
        };
        sent.await.map_err(|error| stale(self.used, error, "send"))?;
        let head = in_time(read_head(&mut self.stream, &mut self.held)).await;
        let head = match head {
            Ok(Some(head)) => head,
            Ok(None) => {
                let ended = io::ErrorKind::UnexpectedEof.into();
                return Err(stale(self.used, ended, "receive"));
            }
            Err(error) => return Err(stale(self.used, error, "receive")),
        };
        let bytes = head.content_length().unwrap_or(0);
        let answer = in_time(read_body(&mut self.stream, &mut self.held, bytes)).await;
        let answer = answer.map_err(|error| Failure::Broken(format!("body: {error}")))?;
        if head.status() != 200 || answer != answer_to(method, target, body.len()).as_bytes() {
            let text = String::from_utf8_lossy(&answer);
            return Err(Failure::Broken(format!("{} {text}", head.start_line())));
        }
        self.used += 1;
        Ok(if head.closes() { After::Closed } else { After::Open(self) })
    }
}
