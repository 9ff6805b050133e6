//! The control thread: accepts within a bound, one request per connection, each within a time.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinSet;

use super::caller::Caller;
use super::limits::{
    ANSWER_THREADS_MAX, CONNECTION_TIMEOUT, CONNECTIONS_MAX, HEAD_BYTES_MAX, HEAD_TIMEOUT,
};
use super::routes::Service;
use super::socket::CtlSocket;

/// A runtime of one thread, and few more for answers.
pub(super) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .thread_name("ctl-answer")
        .max_blocking_threads(ANSWER_THREADS_MAX)
        .build()
}

/// Serves until `stopped` resolves, which it also does when its other end is dropped.
pub(super) fn run(
    runtime: Runtime,
    socket: CtlSocket,
    service: Service,
    stopped: oneshot::Receiver<()>,
) {
    let CtlSocket { socket, file } = socket;
    runtime.block_on(async {
        match UnixListener::from_std(socket.into()) {
            Ok(listener) => accept_until(listener, service, stopped).await,
            Err(error) => tracing::error!(%error, "the control socket cannot be served"),
        }
    });
    runtime.shutdown_timeout(SHUTDOWN_GRACE);
    drop(file);
}

async fn accept_until(listener: UnixListener, service: Service, stopped: oneshot::Receiver<()>) {
    let mut stopped = pin!(stopped);
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut serving = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            accepted = admitted(&connections, listener.accept()) => match accepted {
                Ok((stream, permit)) => {
                    serving.spawn(serve(stream, permit, service.clone()));
                }
                // Mostly for lack of descriptors: give others time to close some.
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = serving.join_next() => {}
        }
    }
    // Whoever ordered the end is told so.
    let rest = async { while serving.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(SHUTDOWN_GRACE, rest).await;
}

/// Waits for room first: what is not accepted waits in the kernel and costs nothing here.
async fn admitted<S, A>(
    connections: &Arc<Semaphore>,
    accept: impl Future<Output = io::Result<(S, A)>>,
) -> io::Result<(S, OwnedSemaphorePermit)> {
    let permit = Arc::clone(connections).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = accept.await?;
    Ok((stream, permit))
}

async fn serve(stream: UnixStream, permit: OwnedSemaphorePermit, service: Service) {
    let Ok(caller) = Caller::of(&stream) else { return };
    if caller.is_this_process() {
        tracing::warn!("the router was made to connect to its own control socket: refused");
        return;
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service.router(caller)));
    // How it ended concerns only the client.
    let _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection).await;
    drop(permit);
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const SHUTDOWN_GRACE: Duration = Duration::from_millis(500);
