//! The built-in demo site: a small HTTP server on its own thread and its own loopback port.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Html;
use axum::routing::{any, get};
use tokio::sync::oneshot;

use super::page::{self, Node};

/// For one look whether the site is routed.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);
/// After the router is gone nobody waits for an answer.
const STOP_WITHIN: Duration = Duration::from_secs(1);

/// The running site.
pub struct Site {
    addr: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

struct Facts {
    key: &'static str,
    address: String,
}

impl Facts {
    fn node(&self) -> Node<'_> {
        Node { key: self.key, address: &self.address }
    }
}

impl Site {
    /// Binds a free port and serves there as `key`.
    pub fn start(key: &'static str) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let facts = Arc::new(Facts { key, address: addr.to_string() });
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("demo-site".to_owned()).spawn(move || {
            runtime.block_on(serve(listener, facts, stopped));
        })?;
        Ok(Self { addr, stop, thread })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ends it.
    pub fn stop(self) {
        // The receiver is gone only if the site already ended.
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}

async fn serve(listener: TcpListener, facts: Arc<Facts>, stopped: oneshot::Receiver<()>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the demo site does not start");
            return;
        }
    };
    let app = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/echo", any(echo))
        .fallback(front)
        .with_state(facts);
    let (told, asked) = oneshot::channel::<()>();
    let server = axum::serve(listener, app).with_graceful_shutdown(async move {
        let _ = stopped.await;
        let _ = told.send(());
    });
    let patience = async move {
        let _ = asked.await;
        tokio::time::sleep(STOP_WITHIN).await;
    };
    tokio::select! {
        _ = server => {}
        () = patience => {}
    }
}

async fn front(
    State(facts): State<Arc<Facts>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Html<String> {
    Html(page::html(&facts.node(), &method, &uri, &headers))
}

async fn echo(
    State(facts): State<Arc<Facts>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> String {
    page::text(&facts.node(), &method, &uri, &headers, &body)
}

/// Whether a request for `key` at `router` reaches the site.
pub fn answers(router: SocketAddr, key: &str) -> bool {
    ask(router, key).is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

fn ask(router: SocketAddr, key: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&router, LOOK_TIMEOUT)?;
    stream.set_read_timeout(Some(LOOK_TIMEOUT))?;
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {key}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(4096).read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_site_answers_until_it_is_stopped() {
        let site = Site::start("demo.localhost").expect("a free port");
        let addr = site.addr();
        assert!(answers(addr, "demo.localhost"));
        site.stop();
        assert!(!answers(addr, "demo.localhost"));
    }
}
