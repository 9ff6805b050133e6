//! One plain exchange of the real router under callgrind, on epoll: valgrind knows no io_uring.
//!
//! One client connection, one request after the other. Client and upstream answer with a delay, so that the
//! router is always asleep when something comes: how often it wakes for an exchange does not depend on who
//! was faster. Counting begins with warm connections and pools, and takes the whole process.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::callgrind::{self, CallgrindError};

/// What the upstream speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Upstream {
    /// HTTP/1.1 over one kept-alive TCP connection.
    Http,
    /// The uwsgi protocol, a connection to a unix socket each.
    Uwsgi,
}

/// Why there is no count of an exchange.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// Callgrind did not do its part.
    #[error(transparent)]
    Callgrind(#[from] CallgrindError),
    /// The router did not do its part.
    #[error("{during}: {source}")]
    Router {
        /// What was under way.
        during: &'static str,
        #[source]
        source: io::Error,
    },
}

/// Gives an I/O error the words for what was under way.
fn while_doing(during: &'static str) -> impl FnOnce(io::Error) -> ExchangeError {
    move |source| ExchangeError::Router { during, source }
}

/// Instructions of one exchange.
pub fn per_exchange(suzerain: &Path, upstream: Upstream) -> Result<f64, ExchangeError> {
    let folder = callgrind::folder()?;
    let node = serve(upstream, folder.path()).map_err(while_doing("starting the upstream"))?;
    let listen = free_address().map_err(while_doing("looking for a port"))?;
    let out = folder.path().join("callgrind.out");
    let mut router = Router::start(suzerain, listen, &node, &out)?;
    let mut client = router.client(listen)?;
    exchanges(&mut client, WARM).map_err(while_doing("warming up"))?;
    router.tell("--zero")?;
    exchanges(&mut client, COUNTED).map_err(while_doing("exchanging"))?;
    router.tell("--dump")?;
    Ok(callgrind::total(&out.with_extension("out.1"))? as f64 / f64::from(COUNTED))
}

/// The router below valgrind; ended when dropped.
struct Router(Child);

impl Router {
    fn start(
        suzerain: &Path,
        listen: SocketAddr,
        node: &str,
        out: &Path,
    ) -> Result<Self, ExchangeError> {
        let child = callgrind::command(out)
            .arg(suzerain)
            .args(["run", "--http", &listen.to_string(), "--route", node])
            .args(["--workers", "1", "--io", "epoll", "--access-log", "off"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child =
            child.map_err(|source| CallgrindError::Start { program: "valgrind", source })?;
        Ok(Self(child))
    }

    /// A connection, once an answer came over it.
    fn client(&mut self, listen: SocketAddr) -> Result<TcpStream, ExchangeError> {
        let until = Instant::now() + START_WAIT;
        loop {
            let attempt = TcpStream::connect(listen).and_then(|mut client| {
                client.set_read_timeout(Some(START_WAIT))?;
                client.set_nodelay(true)?;
                exchange(&mut client)?;
                Ok(client)
            });
            match attempt {
                Ok(client) => return Ok(client),
                Err(source) if Instant::now() > until => {
                    return Err(while_doing("waiting for the router")(source));
                }
                Err(_) => thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Has callgrind set its counters to zero, or write them down.
    fn tell(&self, what: &str) -> Result<(), CallgrindError> {
        let output = Command::new("callgrind_control")
            .args([what, &self.0.id().to_string()])
            .stdin(Stdio::null())
            .output()
            .map_err(|source| CallgrindError::Start { program: "callgrind_control", source })?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() && text.contains("OK") {
            return Ok(());
        }
        Err(CallgrindError::Failed { what: format!("callgrind_control {what}"), output: text })
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn exchanges(client: &mut TcpStream, times: u32) -> io::Result<()> {
    for _ in 0..times {
        exchange(client)?;
        thread::sleep(PAUSE);
    }
    Ok(())
}

fn exchange(client: &mut TcpStream) -> io::Result<()> {
    client.write_all(REQUEST)?;
    let mut answer = Vec::new();
    let mut buffer = [0; 8192];
    while !answer.ends_with(BODY_END) {
        let length = client.read(&mut buffer)?;
        answer.extend_from_slice(buffer.get(..length).unwrap_or_default());
        if length == 0 || !answer.starts_with(b"HTTP/1.1 200 ") {
            return Err(io::Error::other(format!("{:?}", String::from_utf8_lossy(&answer))));
        }
    }
    Ok(())
}

/// Starts the upstream and gives the route to it.
fn serve(upstream: Upstream, folder: &Path) -> io::Result<String> {
    match upstream {
        Upstream::Http => {
            let listener = TcpListener::bind(("127.0.0.1", 0))?;
            let address = listener.local_addr()?;
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let _ = stream.set_nodelay(true);
                    thread::spawn(move || answer(stream, u32::MAX));
                }
            });
            Ok(format!("{HOST}={address},proto=http"))
        }
        Upstream::Uwsgi => {
            let path = folder.join("node.sock");
            let listener = UnixListener::bind(&path)?;
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    thread::spawn(move || answer(stream, 1));
                }
            });
            Ok(format!("{HOST}={}", path.display()))
        }
    }
}

/// Answers so many requests; each comes in one piece.
fn answer(mut stream: impl Read + Write, requests: u32) {
    let answer = [RESPONSE, &[b'x'; BODY_BYTES - BODY_END.len()], BODY_END].concat();
    let mut buffer = [0; 8192];
    for _ in 0..requests {
        if !matches!(stream.read(&mut buffer), Ok(1..)) {
            return;
        }
        thread::sleep(PAUSE);
        if stream.write_all(&answer).is_err() {
            return;
        }
    }
}

/// Free a moment ago; if somebody takes it meanwhile the router says so and ends.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}

const HOST: &str = "exchange.test";
const REQUEST: &[u8] =
    b"GET /shop/item?id=42 HTTP/1.1\r\nHost: exchange.test\r\nUser-Agent: instructions/1\r\n\
    Accept: */*\r\nAccept-Encoding: identity\r\nCookie: session=0123456789abcdef\r\n\r\n";
const RESPONSE: &[u8] =
    b"HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Cache-Control: no-store\r\nContent-Length: 1024\r\n\r\n";
const BODY_BYTES: usize = 1024;
const BODY_END: &[u8] = b"end";

/// Longer than the router under callgrind needs to fall asleep again.
const PAUSE: Duration = Duration::from_millis(4);
const START_WAIT: Duration = Duration::from_secs(60);
const WARM: u32 = 100;
const COUNTED: u32 = 400;
