//! The admin thread: the same routes over TCP and unix sockets.

use std::io;

use axum::Router;
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::limits::{
    ANSWER_THREADS_MAX, CONNECTION_TIMEOUT, CONNECTIONS_MAX, HEAD_BYTES_MAX, HEAD_TIMEOUT,
};
use super::socket::AdminSocket;
use crate::address::ListenAddr;
use crate::local_http::{self, Bounds};

const BOUNDS: Bounds = Bounds {
    connections_max: CONNECTIONS_MAX,
    head_bytes_max: HEAD_BYTES_MAX,
    head_timeout: HEAD_TIMEOUT,
    connection_timeout: CONNECTION_TIMEOUT,
};

/// A runtime of one thread, and few more for long answers.
pub(super) fn runtime() -> io::Result<Runtime> {
    local_http::runtime("admin-answer", ANSWER_THREADS_MAX)
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
    local_http::end(runtime);
}

async fn accept_until(
    socket: &AdminSocket,
    router: Router,
    stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    match socket.address() {
        ListenAddr::Tcp(_) => {
            let listener = TcpListener::from_std(socket.try_clone()?.into())?;
            let service = |_: &_| Some(router.clone());
            local_http::accept_until(|| listener.accept(), BOUNDS, service, stopped).await;
        }
        ListenAddr::Unix(_) => {
            let listener = UnixListener::from_std(socket.try_clone()?.into())?;
            let service = |_: &_| Some(router.clone());
            local_http::accept_until(|| listener.accept(), BOUNDS, service, stopped).await;
        }
    }
    Ok(())
}
