//! HTTP/2 peers of a test: a client and a node on the h2 crate, each with a runtime of its own.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use h2::{RecvStream, SendStream, client, server};
use http::{HeaderMap, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// Longest any step of a client may take.
const STEP_MAX: Duration = Duration::from_secs(30);

/// A single-threaded runtime.
pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A client connection that speaks HTTP/2 with prior knowledge.
pub struct H2Client {
    /// Runs its connection whenever something is asked of it.
    pub runtime: Runtime,
    /// Opens streams.
    pub send: client::SendRequest<Bytes>,
}

/// A complete response.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub fields: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: Option<HeaderMap>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl H2Client {
    /// Connects to a plain listener with `--http2 all`.
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        let runtime = runtime();
        let send = runtime.block_on(async {
            let stream = TcpStream::connect(address).await.expect("the router listens");
            let mut builder = client::Builder::new();
            builder.initial_window_size(1 << 20).initial_connection_window_size(1 << 20);
            let (send, connection) = builder.handshake(stream).await.expect("a handshake");
            tokio::spawn(async move {
                let _ = connection.await;
            });
            send
        });
        Self { runtime, send }
    }

    /// Opens a stream: its response to come and the way for its body.
    #[track_caller]
    pub fn open(
        &mut self,
        request: Request<()>,
        ends: bool,
    ) -> (client::ResponseFuture, SendStream<Bytes>) {
        let send = self.send.clone();
        let ready = self.runtime.block_on(async {
            tokio::time::timeout(STEP_MAX, send.ready()).await.expect("in time")
        });
        self.send = ready.expect("the connection is open");
        self.send.send_request(request, ends).expect("a stream")
    }

    /// One whole exchange.
    #[track_caller]
    pub fn exchange(&mut self, request: Request<()>, body: &[u8]) -> Answer {
        let (response, mut stream) = self.open(request, body.is_empty());
        let body = Bytes::copy_from_slice(body);
        self.runtime.block_on(async {
            if !body.is_empty() {
                stream.send_data(body, true).expect("a body");
            }
            let answer = async { collect(response.await?).await };
            tokio::time::timeout(STEP_MAX, answer).await.expect("in time").expect("an answer")
        })
    }

    /// Lets the connection send and receive what it can; it does so at no other time.
    pub fn turn(&self) {
        self.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(5)).await });
    }

    /// [`H2Client::exchange`] of a GET.
    #[track_caller]
    pub fn get(&mut self, authority: &str, path: &str) -> Answer {
        self.exchange(request("GET", authority, path), b"")
    }
}

/// A request head.
pub fn request(method: &str, authority: &str, path: &str) -> Request<()> {
    let uri = format!("http://{authority}{path}");
    Request::builder().method(method).uri(uri).body(()).expect("a request")
}

/// Reads a response to its end.
pub async fn collect(response: Response<RecvStream>) -> Result<Answer, h2::Error> {
    let (parts, mut stream) = response.into_parts();
    let body = read_all(&mut stream).await?;
    let trailers = stream.trailers().await?;
    Ok(Answer { status: parts.status.as_u16(), fields: parts.headers, body, trailers })
}

/// Reads a body to its end, giving the window back.
pub async fn read_all(stream: &mut RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data?;
        stream.flow_control().release_capacity(data.len())?;
        body.extend_from_slice(&data);
    }
    Ok(body)
}

/// A node that speaks HTTP/2 without TLS: answers with method, path, fields and body of the request,
/// and repeats its trailers, each name with `echo-` before it. It ends with the test.
pub fn h2c_node() -> SocketAddr {
    let (told, address) = mpsc::channel();
    thread::spawn(move || {
        runtime().block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            told.send(listener.local_addr().expect("bound")).expect("the test waits");
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve_node(stream));
            }
        });
    });
    address.recv().expect("the node listens")
}

async fn serve_node(stream: TcpStream) -> Result<(), h2::Error> {
    let mut connection = server::handshake(stream).await?;
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted?;
        tokio::spawn(answer(request, respond));
    }
    Ok(())
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: server::SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let (parts, mut stream) = request.into_parts();
    let body = read_all(&mut stream).await?;
    let came = stream.trailers().await?.unwrap_or_default();
    let mut response = Response::builder().status(200).header("seen-version", "HTTP/2");
    for (name, value) in &parts.headers {
        response = response.header(format!("seen-{name}"), value);
    }
    let response = response.body(()).expect("a response");
    let mut stream = respond.send_response(response, false)?;
    let text = format!("{} {} ", parts.method, parts.uri);
    stream.send_data(Bytes::from(text), false)?;
    stream.send_data(Bytes::from(body), false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("status-of-all", "0".parse().expect("a value"));
    for (name, value) in &came {
        let name: http::HeaderName = format!("echo-{name}").parse().expect("a name");
        trailers.insert(name, value.clone());
    }
    stream.send_trailers(trailers)
}
