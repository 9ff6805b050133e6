//! A raw HTTP/1 client: sends the bytes it is given, reads exactly what comes.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::response::Response;

/// Longest silence tolerated from the router.
pub const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// A byte stream to the router.
trait Stream: Read + Write + Send {
    fn set_deadline(&self, limit: Duration) -> io::Result<()>;
    fn half_close(&self) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn set_deadline(&self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit)).and(self.set_write_timeout(Some(limit)))
    }

    fn half_close(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Stream for UnixStream {
    fn set_deadline(&self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit)).and(self.set_write_timeout(Some(limit)))
    }

    fn half_close(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

/// One client connection.
pub struct Client {
    stream: Box<dyn Stream>,
    unread: Vec<u8>,
}

impl Client {
    /// Connects over TCP.
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).unwrap_or_else(|error| panic!("connect {address}: {error}"))
    }

    /// Connects over TCP, reporting failure.
    pub fn try_connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, READ_TIMEOUT)?;
        stream.set_nodelay(true)?;
        Self::over(Box::new(stream))
    }

    /// Connects to a unix socket.
    pub fn try_connect_unix(path: &Path) -> io::Result<Self> {
        Self::over(Box::new(UnixStream::connect(path)?))
    }

    fn over(stream: Box<dyn Stream>) -> io::Result<Self> {
        stream.set_deadline(READ_TIMEOUT)?;
        Ok(Self { stream, unread: Vec::new() })
    }

    /// Sends these bytes.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the router takes the bytes");
    }

    /// Sends these bytes, reporting failure: a router that refused may have closed already.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Says that no more bytes will follow.
    #[track_caller]
    pub fn half_close(&mut self) {
        self.stream.half_close().expect("shutdown");
    }

    /// Reads the response to a request whose method allows a body.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        self.try_response("GET").unwrap_or_else(|error| panic!("no response: {error}"))
    }

    /// Reads the response to a `HEAD` request.
    #[track_caller]
    pub fn response_to_head(&mut self) -> Response {
        self.try_response("HEAD").unwrap_or_else(|error| panic!("no response: {error}"))
    }

    /// Reads one whole response to `method`.
    ///
    /// # Errors
    /// `UnexpectedEof` if the connection ends before the response does.
    pub fn try_response(&mut self, method: &str) -> io::Result<Response> {
        let mut response = self.try_head()?;
        if method == "HEAD" || response.is_bodiless() {
            return Ok(response);
        }
        response.body = if response.is_chunked() {
            self.read_chunks()?
        } else if let Some(length) = response.content_length() {
            self.take(length)?
        } else {
            self.read_to_end()?
        };
        Ok(response)
    }

    /// Reads one head and leaves its body unread.
    pub fn try_head(&mut self) -> io::Result<Response> {
        let end = loop {
            if let Some(at) = find(&self.unread, b"\r\n\r\n") {
                break at;
            }
            self.fill()?;
        };
        let head = String::from_utf8_lossy(&self.unread[..end]).into_owned();
        self.unread.drain(..end + 4);
        Ok(Response::from_head(&head))
    }

    /// Takes exactly `length` bytes.
    pub fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.unread.len() < length {
            self.fill()?;
        }
        Ok(self.unread.drain(..length).collect())
    }

    /// Reads until the router closes.
    pub fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        loop {
            match self.fill() {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(std::mem::take(&mut self.unread));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Asserts that the router closes now, without another byte. A reset counts as closed.
    #[track_caller]
    pub fn expect_closed(&mut self) {
        match self.read_to_end() {
            Ok(rest) => {
                let rest = String::from_utf8_lossy(&rest);
                assert!(rest.is_empty(), "bytes after the last response: {rest:?}");
            }
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}"),
        }
    }

    fn read_chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.read_line()?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16)
                .unwrap_or_else(|_| panic!("chunk size line {line:?}"));
            if size == 0 {
                while !self.read_line()?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.take(size)?);
            assert_eq!(self.take(2)?, b"\r\n", "a chunk ends in CRLF");
        }
    }

    fn read_line(&mut self) -> io::Result<String> {
        let end = loop {
            if let Some(at) = find(&self.unread, b"\r\n") {
                break at;
            }
            self.fill()?;
        };
        let line = String::from_utf8_lossy(&self.unread[..end]).into_owned();
        self.unread.drain(..end + 2);
        Ok(line)
    }

    /// Reads what is there into `unread`; end of stream is an error.
    fn fill(&mut self) -> io::Result<()> {
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk)? {
            0 => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("closed after {:?}", String::from_utf8_lossy(&self.unread)),
            )),
            count => {
                self.unread.extend_from_slice(&chunk[..count]);
                Ok(())
            }
        }
    }
}

/// One `GET` on its own connection.
#[track_caller]
pub fn get(address: SocketAddr, host: &str, target: &str) -> Response {
    try_get(address, host, target).unwrap_or_else(|error| panic!("GET {host}{target}: {error}"))
}

/// One `GET` on its own connection, reporting failure.
pub fn try_get(address: SocketAddr, host: &str, target: &str) -> io::Result<Response> {
    let mut client = Client::try_connect(address)?;
    client
        .try_send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))?;
    client.try_response("GET")
}

/// Where `needle` starts in `hay`.
pub fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|window| window == needle)
}
