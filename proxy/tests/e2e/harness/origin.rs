//! HTTP/1 origins that do what a script says, well-behaved or not, and record what reached them.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use super::client::find;

/// Longest an origin waits for the router's next byte.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// What the script wants done with the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum After {
    KeepOpen,
    Close,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The head as received, without the blank line.
    pub head: String,
    /// The body as far as the script read it, chunk framing removed.
    pub body: Vec<u8>,
}

impl Seen {
    /// The request line.
    pub fn request_line(&self) -> &str {
        self.head.split("\r\n").next().unwrap_or_default()
    }

    /// Method and target.
    pub fn target(&self) -> &str {
        self.request_line().split(' ').nth(1).unwrap_or_default()
    }

    /// Values of every field of that name.
    pub fn fields(&self, name: &str) -> Vec<&str> {
        let lines = self.head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        let wanted = lines.filter(|(known, _)| known.eq_ignore_ascii_case(name));
        wanted.map(|(_, value)| value.trim()).collect()
    }
}

/// One request in the hands of a script.
pub struct Exchange {
    /// The head; the body is read on demand.
    pub request: Seen,
    stream: TcpStream,
    unread: Vec<u8>,
    log: Arc<Mutex<Vec<Seen>>>,
    index: usize,
}

impl Exchange {
    /// Reads the whole body and records it. Asks for it first, if the sender waits to be asked.
    pub fn read_body(&mut self) -> io::Result<Vec<u8>> {
        if self.request.fields("expect") == ["100-continue"] {
            self.write("HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let chunked = self.request.fields("transfer-encoding");
        let length = self.request.fields("content-length").first().map(|text| text.parse());
        let body = match length {
            _ if !chunked.is_empty() => self.read_chunks()?,
            Some(length) => self.take(length.map_err(io::Error::other)?)?,
            None => Vec::new(),
        };
        self.log.lock().expect("no panic while held")[self.index].body.clone_from(&body);
        Ok(body)
    }

    /// Reads some of the body, undecoded.
    pub fn read_some(&mut self) -> io::Result<usize> {
        match std::mem::take(&mut self.unread).len() {
            0 => self.stream.read(&mut [0; 64 * 1024]),
            buffered => Ok(buffered),
        }
    }

    /// Writes raw bytes of a response.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Reads exactly that many bytes behind the head, undecoded.
    pub fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.unread.len() < length {
            fill(&mut self.stream, &mut self.unread)?;
        }
        Ok(self.unread.drain(..length).collect())
    }

    fn read_chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = loop {
                if let Some(end) = find(&self.unread, b"\r\n") {
                    let line: Vec<u8> = self.unread.drain(..end + 2).collect();
                    let text = String::from_utf8_lossy(&line);
                    break usize::from_str_radix(text.trim(), 16).map_err(io::Error::other)?;
                }
                fill(&mut self.stream, &mut self.unread)?;
            };
            body.extend(self.take(size)?);
            if size == 0 {
                // Trailers, up to an empty line.
                let mut line = Vec::new();
                while line != b"\r\n" {
                    line.clear();
                    while !line.ends_with(b"\r\n") {
                        line.extend(self.take(1)?);
                    }
                }
                return Ok(body);
            }
            self.take(2)?;
        }
    }
}

type Script = dyn Fn(&mut Exchange) -> io::Result<After> + Send + Sync;

/// A scripted origin on a loopback port of the kernel's choice.
pub struct Origin {
    address: SocketAddr,
    log: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    stopping: Arc<AtomicBool>,
}

impl Origin {
    /// Serves every request with `script`.
    pub fn start(
        script: impl Fn(&mut Exchange) -> io::Result<After> + Send + Sync + 'static,
    ) -> Self {
        Self::serve(TcpListener::bind("127.0.0.1:0").expect("bind"), script)
    }

    fn serve(
        listener: TcpListener,
        script: impl Fn(&mut Exchange) -> io::Result<After> + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().expect("bound");
        let log = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let stopping = Arc::new(AtomicBool::new(false));
        let script: Arc<Script> = Arc::new(script);
        let origin = Self { address, log, connections, stopping };
        let (log, connections) = (origin.log.clone(), origin.connections.clone());
        let stopping = origin.stopping.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stopping.load(Ordering::SeqCst) {
                    return;
                }
                connections.fetch_add(1, Ordering::SeqCst);
                let (script, log) = (script.clone(), log.clone());
                std::thread::spawn(move || {
                    // An error means the router went away: the router's business.
                    let _ = serve(stream, &*script, &log);
                });
            }
        });
        origin
    }

    /// Answers each request with its method, target and body, and keeps the connection.
    pub fn echo() -> Self {
        Self::start(answer_with_request)
    }

    /// [`Origin::echo`] on an address that refused until now.
    #[track_caller]
    pub fn echo_at(refusing: Refusing) -> Self {
        refusing.0.listen(128).expect("listen");
        Self::serve(refusing.0.into(), answer_with_request)
    }

    /// Answers each request with exactly these bytes, then closes.
    pub fn raw(bytes: &'static [u8]) -> Self {
        Self::start(move |exchange| {
            exchange.read_body()?;
            exchange.write(bytes)?;
            Ok(After::Close)
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `--route` argument that sends `key` here.
    pub fn route(&self, key: &str) -> String {
        format!("{key}={},proto=http", self.address)
    }

    /// Requests whose head arrived so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.log.lock().expect("no panic while held").clone()
    }

    /// The only request so far.
    #[track_caller]
    pub fn only_request(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:#?}");
        seen[0].clone()
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn answer_with_request(exchange: &mut Exchange) -> io::Result<After> {
    let body = exchange.read_body()?;
    let line = exchange.request.request_line().to_owned();
    let is_head = line.starts_with("HEAD ");
    let text = format!("{line} body={}", String::from_utf8_lossy(&body));
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", text.len());
    exchange.write(if is_head { head } else { head + &text })?;
    Ok(After::KeepOpen)
}

fn serve(mut stream: TcpStream, script: &Script, log: &Arc<Mutex<Vec<Seen>>>) -> io::Result<()> {
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    stream.set_write_timeout(Some(READ_TIMEOUT))?;
    stream.set_nodelay(true)?;
    let mut unread = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = find(&unread, b"\r\n\r\n") {
                break end;
            }
            fill(&mut stream, &mut unread)?;
        };
        let head = String::from_utf8_lossy(&unread[..end]).into_owned();
        unread.drain(..end + 4);
        let request = Seen { head, body: Vec::new() };
        let index = {
            let mut log = log.lock().expect("no panic while held");
            log.push(request.clone());
            log.len() - 1
        };
        let mut exchange = Exchange { request, stream, unread, log: log.clone(), index };
        if script(&mut exchange)? == After::Close {
            return Ok(());
        }
        (stream, unread) = (exchange.stream, exchange.unread);
    }
}

fn fill(stream: &mut TcpStream, unread: &mut Vec<u8>) -> io::Result<()> {
    let mut chunk = [0; 16 * 1024];
    let count = stream.read(&mut chunk)?;
    unread.extend_from_slice(&chunk[..count]);
    if count == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

/// An address that refuses connections as long as the value lives: bound, never listening.
pub struct Refusing(Socket);

impl Refusing {
    pub fn start() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&loopback()).expect("bind");
        Self(socket)
    }

    /// The refusing address.
    pub fn address(&self) -> SocketAddr {
        address_of(&self.0)
    }
}

/// An address whose connections never complete: its accept queue is full and nobody accepts.
pub struct Blackhole(Socket, Vec<Socket>);

impl Blackhole {
    pub fn start() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&loopback()).expect("bind");
        socket.listen(0).expect("listen");
        let target = SockAddr::from(address_of(&socket));
        let fillers = (0..4).map(|_| {
            let filler = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            filler.set_nonblocking(true).expect("non-blocking");
            let _ = filler.connect(&target);
            filler
        });
        let fillers = fillers.collect();
        Self(socket, fillers)
    }

    /// The silent address.
    pub fn address(&self) -> SocketAddr {
        debug_assert!(!self.1.is_empty(), "the queue stays full while these live");
        address_of(&self.0)
    }
}

fn loopback() -> SockAddr {
    SockAddr::from(SocketAddr::from(([127, 0, 0, 1], 0)))
}

fn address_of(socket: &Socket) -> SocketAddr {
    socket.local_addr().expect("bound").as_socket().expect("an IP address")
}
