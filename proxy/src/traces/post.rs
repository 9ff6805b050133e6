//! One request to the collector: OTLP over plain HTTP/1.1.
//!
//! A connection each: there is about one a second, and a connection that is kept may turn out closed.

use std::{
    fmt,
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::{Duration, Instant},
};

use http::{Uri, uri::Scheme};
use http1_wire::{FieldSlots, Parsed, ResponseTo, parse_response};

use super::limits::{ANSWER_BYTES_MAX, CONNECT_TIMEOUT, POST_TIMEOUT};

/// Where the collector takes traces.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint {
    /// Host and port as they are resolved and told.
    authority: String,
    path: String,
}

impl Endpoint {
    /// Reads `http://HOST:PORT`, perhaps with a path that stands before `/v1/traces`.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|_| "not a URL")?;
        if uri.scheme() == Some(&Scheme::HTTPS) {
            return Err("https is not spoken here: name a collector on this machine or in its \
                        private network"
                .to_owned());
        }
        if uri.scheme() != Some(&Scheme::HTTP) {
            return Err("not a URL of http".to_owned());
        }
        let authority = uri.authority().ok_or("it names no host")?;
        if authority.as_str().contains('@') {
            return Err("a user or password is not sent".to_owned());
        }
        match authority.port_u16() {
            None | Some(0) => return Err("it names no port".to_owned()),
            Some(_) => {}
        }
        if uri.query().is_some() {
            return Err("it has a query".to_owned());
        }
        let path = format!("{}{TRACES_PATH}", uri.path().trim_end_matches('/'));
        Ok(Self { authority: authority.to_string(), path })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

/// Why a request did not bring its spans in.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The collector could not be reached, or went away.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// What it answered is not HTTP.
    #[error("the answer is not HTTP")]
    NotHttp,
    /// It does not take them now.
    #[error("the answer is {status}")]
    Later {
        /// Its status.
        status: u16,
        /// When it wants to be asked again.
        after: Duration,
    },
    /// It does not take them at all.
    #[error("the answer is {0}")]
    Refused(u16),
}

impl PostError {
    /// How long to wait at least before the same is sent again; `None`: that has no use.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Io(_) => Some(Duration::ZERO),
            Self::Later { after, .. } => Some(*after),
            Self::NotHttp | Self::Refused(_) => None,
        }
    }
}

/// Sends `parts`, one behind the other, as the body of one request.
///
/// # Errors
/// [`PostError`].
pub fn post(endpoint: &Endpoint, parts: [&[u8]; 2]) -> Result<(), PostError> {
    let until = Instant::now() + POST_TIMEOUT;
    let mut stream = connect(&endpoint.authority)?;
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: suzerain/{}\r\n\
         Content-Type: application/x-protobuf\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n",
        endpoint.path,
        endpoint.authority,
        env!("CARGO_PKG_VERSION"),
    );
    let sent = [head.as_bytes(), parts[0], parts[1]]
        .into_iter()
        .try_for_each(|part| write_until(&mut stream, part, until));
    // Who refuses a request may answer without having read it.
    match (read_answer(&mut stream, until), sent) {
        (Err(PostError::Io(_)), Err(error)) => Err(error.into()),
        (outcome, _) => outcome,
    }
}

fn connect(authority: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in authority.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn write_until(stream: &mut TcpStream, mut bytes: &[u8], until: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.set_write_timeout(Some(left(until)?))?;
        match stream.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn read_answer(stream: &mut TcpStream, until: Instant) -> Result<(), PostError> {
    let mut answer = Vec::new();
    let mut piece = [0; 1024];
    loop {
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(&mut piece) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Ok(received) => answer.extend_from_slice(&piece[..received]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        }
        if let Some(outcome) = judge(&answer) {
            return outcome;
        }
    }
}

/// What the answer says, once its head is there.
fn judge(answer: &[u8]) -> Option<Result<(), PostError>> {
    let mut slots = FieldSlots::new();
    let head = match parse_response(answer, &mut slots, ResponseTo::Other) {
        Ok(Parsed::Complete(head)) => head,
        Ok(Parsed::Partial) if answer.len() <= ANSWER_BYTES_MAX => return None,
        Ok(Parsed::Partial) | Err(_) => return Some(Err(PostError::NotHttp)),
    };
    Some(match head.status {
        200..=299 => Ok(()),
        // Those the protocol calls retryable (OTLP 1.x, "Retryable Response Codes").
        status @ (429 | 502 | 503 | 504) => {
            let seconds = head
                .fields
                .first("retry-after")
                .and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
            Err(PostError::Later { status, after: Duration::from_secs(seconds.unwrap_or(0)) })
        }
        status => Err(PostError::Refused(status)),
    })
}

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// Where OTLP over HTTP takes traces.
const TRACES_PATH: &str = "/v1/traces";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_an_http_url_with_a_port() {
        for (text, shown) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://[::1]:4318/", "http://[::1]:4318/v1/traces"),
            ("HTTP://otel.internal:4318/a/b/", "http://otel.internal:4318/a/b/v1/traces"),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().to_string(), shown);
        }
        for text in [
            "",
            "127.0.0.1:4318",
            "https://127.0.0.1:4318",
            "grpc://127.0.0.1:4317",
            "http://127.0.0.1",
            "http://127.0.0.1:0",
            "http://user:secret@127.0.0.1:4318",
            "http://127.0.0.1:4318/?token=x",
            "http://127.0.0.1:99999",
            "http://a b:1",
        ] {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_answer_says_whether_to_come_again() {
        let after =
            |text: &str| judge(text.as_bytes()).map(|told| told.map_err(|e| e.retry_after()));
        assert_eq!(after("HTTP/1.1 200"), None);
        assert_eq!(after("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), Some(Ok(())));
        assert_eq!(after("HTTP/1.1 400 Bad\r\n\r\n"), Some(Err(None)));
        assert_eq!(after("SSH-2.0-x\r\n\r\n"), Some(Err(None)));
        let seconds = |count| Some(Err(Some(Duration::from_secs(count))));
        assert_eq!(after("HTTP/1.1 503 Busy\r\n\r\n"), seconds(0));
        assert_eq!(after("HTTP/1.1 429 Slow\r\nRetry-After: 7\r\n\r\n"), seconds(7));
        let date = "HTTP/1.1 429 Slow\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n\r\n";
        assert_eq!(after(date), seconds(0));
    }
}
