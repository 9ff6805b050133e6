//! The admin thread: accepts within a bound, one request per connection, each within a time.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, oneshot};

use super::limits::{
    ANSWER_THREADS_MAX, CONNECTION_TIMEOUT, CONNECTIONS_MAX, HEAD_BYTES_MAX, HEAD_TIMEOUT,
};
use super::socket::AdminSocket;
use crate::address::ListenAddr;

/// A runtime of one thread, and few more for long answers.
pub(super) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .thread_name("admin-answer")
        .max_blocking_threads(ANSWER_THREADS_MAX)
        .build()
}

/// Serves until `stopped` resolves, which it also does when its other end is dropped.
pub(super) fn run(
    runtime: Runtime,
    socket: AdminSocket,
    router: Router,
    stopped: oneshot::Receiver<()>,
) {
    runtime.block_on(async {
        if let Err(error) = accept_until(&socket, router, stopped).await {
            tracing::error!(%error, "the admin socket cannot be served");
        }
    });
    runtime.shutdown_timeout(SHUTDOWN_GRACE);
}

async fn accept_until(
    socket: &AdminSocket,
    router: Router,
    stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    let mut stopped = pin!(stopped);
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    match socket.address() {
        ListenAddr::Tcp(_) => {
            let listener = TcpListener::from_std(socket.try_clone()?.into())?;
            loop {
                tokio::select! {
                    _ = &mut stopped => break,
                    accepted = admitted(&connections, listener.accept()) => {
                        serve_accepted(accepted, &router).await;
                    }
                }
            }
        }
        ListenAddr::Unix(_) => {
            let listener = UnixListener::from_std(socket.try_clone()?.into())?;
            loop {
                tokio::select! {
                    _ = &mut stopped => break,
                    accepted = admitted(&connections, listener.accept()) => {
                        serve_accepted(accepted, &router).await;
                    }
                }
            }
        }
    }
    let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
    // Answers under way are finished, unless somebody only holds a connection.
    let _ = tokio::time::timeout(FINISH, connections.acquire_many(all)).await;
    Ok(())
}

type Permit = tokio::sync::OwnedSemaphorePermit;

/// Waits for room first: what is not accepted waits in the kernel and costs nothing here.
async fn admitted<S, A>(
    connections: &Arc<Semaphore>,
    accept: impl Future<Output = io::Result<(S, A)>>,
) -> io::Result<(S, Permit)> {
    let permit = Arc::clone(connections).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = accept.await?;
    Ok((stream, permit))
}

async fn serve_accepted<S>(accepted: io::Result<(S, Permit)>, router: &Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match accepted {
        Ok((stream, permit)) => {
            let service = TowerToHyperService::new(router.clone());
            tokio::spawn(async move {
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_TIMEOUT)
                    .max_buf_size(HEAD_BYTES_MAX)
                    .keep_alive(false)
                    .serve_connection(TokioIo::new(stream), service);
                // How it ended concerns only the client.
                let _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection).await;
                drop(permit);
            });
        }
        // Mostly for lack of descriptors: give others time to close some.
        Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
    }
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// For answers under way when the thread is to end.
const FINISH: Duration = Duration::from_millis(500);
const SHUTDOWN_GRACE: Duration = Duration::from_millis(500);
