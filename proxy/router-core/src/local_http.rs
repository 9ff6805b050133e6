//! The HTTP servers of the admin and the control socket: a thread each that accepts within a bound and
//! serves one request per connection, each within a time.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// What a server gives its clients at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Connections served at a time; further ones wait in the kernel.
    pub connections_max: usize,
    /// Bytes of a request head; a longer one gets 431. Bodies are never read.
    pub head_bytes_max: usize,
    /// For a request head to arrive.
    pub head_timeout: Duration,
    /// For a whole connection.
    pub connection_timeout: Duration,
}

/// A runtime of one thread, and few more for what takes long.
pub(crate) fn runtime(answer_threads: &str, answer_threads_max: usize) -> io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .thread_name(answer_threads)
        .max_blocking_threads(answer_threads_max)
        .build()
}

/// Ends a runtime that served.
pub(crate) fn end(runtime: Runtime) {
    runtime.shutdown_timeout(SHUTDOWN_GRACE);
}

/// Serves what `accept` brings until `stopped` resolves, which it also does when its other end is dropped.
/// `service` says what answers a connection, if anything does.
pub(crate) async fn accept_until<S, A, F>(
    accept: impl Fn() -> F,
    bounds: Bounds,
    service: impl Fn(&S) -> Option<Router>,
    stopped: oneshot::Receiver<()>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = io::Result<(S, A)>>,
{
    let mut stopped = pin!(stopped);
    let connections = Arc::new(Semaphore::new(bounds.connections_max));
    loop {
        let accepted = tokio::select! {
            _ = &mut stopped => break,
            accepted = admitted(&connections, &accept) => accepted,
        };
        match accepted {
            Ok((stream, permit)) => {
                if let Some(router) = service(&stream) {
                    tokio::spawn(serve(stream, permit, router, bounds));
                }
            }
            // Mostly for lack of descriptors: give others time to close some.
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
    let all = u32::try_from(bounds.connections_max).unwrap_or(u32::MAX);
    // Answers under way are finished, unless somebody only holds a connection.
    let _ = tokio::time::timeout(FINISH, connections.acquire_many(all)).await;
}

/// Waits for room first: what is not accepted waits in the kernel and costs nothing here.
async fn admitted<S, A, F: Future<Output = io::Result<(S, A)>>>(
    connections: &Arc<Semaphore>,
    accept: impl Fn() -> F,
) -> io::Result<(S, OwnedSemaphorePermit)> {
    let permit = Arc::clone(connections).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = accept().await?;
    Ok((stream, permit))
}

async fn serve<S>(mut stream: S, permit: OwnedSemaphorePermit, router: Router, bounds: Bounds)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head_timeout)
        .max_buf_size(bounds.head_bytes_max)
        .keep_alive(false)
        .serve_connection(TokioIo::new(&mut stream), TowerToHyperService::new(router));
    // How it ended concerns only the client.
    let _ = tokio::time::timeout(bounds.connection_timeout, connection).await;
    let _ = tokio::time::timeout(LINGER, linger(stream)).await;
    drop(permit);
}

/// Reads what was not wanted: closed before, the socket would take the answer with it.
async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<u64> {
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(LINGER_BYTES_MAX), &mut tokio::io::sink()).await
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// For answers under way when the thread is to end.
const FINISH: Duration = Duration::from_millis(500);
/// How long a client is waited for that was answered and does not close, and what is read of it.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: u64 = 256 * 1024;
const SHUTDOWN_GRACE: Duration = Duration::from_millis(500);
