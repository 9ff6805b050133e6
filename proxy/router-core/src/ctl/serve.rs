//! The control thread: who connects is asked of the kernel before anything is read.

use std::io;

use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::caller::Caller;
use super::limits::{
    ANSWER_THREADS_MAX, CONNECTION_TIMEOUT, CONNECTIONS_MAX, HEAD_BYTES_MAX, HEAD_TIMEOUT,
};
use super::routes::Service;
use super::socket::CtlSocket;
use crate::local_http::{self, Bounds};

const BOUNDS: Bounds = Bounds {
    connections_max: CONNECTIONS_MAX,
    head_bytes_max: HEAD_BYTES_MAX,
    head_timeout: HEAD_TIMEOUT,
    connection_timeout: CONNECTION_TIMEOUT,
};

/// A runtime of one thread, and few more for answers.
pub(super) fn runtime() -> io::Result<Runtime> {
    local_http::runtime("ctl-answer", ANSWER_THREADS_MAX)
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
            Ok(listener) => {
                let service = |stream: &UnixStream| Some(service.router(admit(stream)?));
                local_http::accept_until(|| listener.accept(), BOUNDS, service, stopped).await;
            }
            Err(error) => tracing::error!(%error, "the control socket cannot be served"),
        }
    });
    local_http::end(runtime);
    drop(file);
}

fn admit(stream: &UnixStream) -> Option<Caller> {
    let caller = Caller::of(stream).ok()?;
    if caller.is_this_process() {
        tracing::warn!("the router was made to connect to its own control socket: refused");
        return None;
    }
    Some(caller)
}
