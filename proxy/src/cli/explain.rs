//! `suzerain explain`: asks a running router's admin socket what a request for a URL would get.
//!
//! One HTTP/1.0 exchange over TCP or a unix socket, so that the answer ends with the connection.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use router_core::address::{ListenAddr, ListenAddrError};

use super::arguments::ExplainArgs;

/// For the connect, and for each read of the answer.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest answer read.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;

/// Why there is no explanation.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// `--admin` is no address.
    #[error("--admin \"{text}\": {cause}; allowed: IP:PORT, [IPV6]:PORT or /PATH")]
    Admin {
        /// The text read.
        text: String,
        /// What is wrong with it.
        cause: ListenAddrError,
    },
    /// Nobody answers there.
    #[error(
        "no router answers on the admin socket {admin}: {cause} (start it with --admin {admin})"
    )]
    Unreachable {
        /// The address tried.
        admin: ListenAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// What answers there is no admin socket.
    #[error("{admin} does not answer as an admin socket")]
    Stranger {
        /// The address asked.
        admin: ListenAddr,
    },
    /// The router refused the question.
    #[error("{}", said.trim_end())]
    Refused {
        /// Its answer.
        said: String,
        /// Its status; 4xx means the URL is to blame.
        status: u16,
    },
}

impl ExplainError {
    /// Whether an argument is to blame.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Admin { .. } => true,
            Self::Refused { status, .. } => (400..500).contains(status),
            _ => false,
        }
    }
}

/// The router's answer.
pub fn ask(args: &ExplainArgs) -> Result<String, ExplainError> {
    let admin: ListenAddr = args
        .admin
        .parse()
        .map_err(|cause| ExplainError::Admin { text: args.admin.clone(), cause })?;
    let format = if args.json { "json" } else { "text" };
    let request = format!(
        "GET /explain?format={format}&url={} HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        percent_encoded(&args.url)
    );
    let answer = exchange(&admin, &request)
        .map_err(|cause| ExplainError::Unreachable { admin: admin.clone(), cause })?;
    let (status, body) = split(&answer).ok_or(ExplainError::Stranger { admin })?;
    let body = String::from_utf8_lossy(body).into_owned();
    if status == 200 { Ok(closed(body)) } else { Err(ExplainError::Refused { said: body, status }) }
}

fn closed(mut body: String) -> String {
    if !body.ends_with('\n') {
        body.push('\n');
    }
    body
}

fn exchange(admin: &ListenAddr, request: &str) -> io::Result<Vec<u8>> {
    match admin {
        ListenAddr::Tcp(addr) => {
            let stream = TcpStream::connect_timeout(addr, ADMIN_TIMEOUT)?;
            stream.set_read_timeout(Some(ADMIN_TIMEOUT))?;
            talk(stream, request)
        }
        ListenAddr::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(ADMIN_TIMEOUT))?;
            talk(stream, request)
        }
    }
}

fn talk(mut stream: impl Read + Write, request: &str) -> io::Result<Vec<u8>> {
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(answer)
}

/// Status and body of an answer.
fn split(answer: &[u8]) -> Option<(u16, &[u8])> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(answer.get(..end)?).ok()?;
    let line = head.strip_prefix("HTTP/1.")?;
    let status = line.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer.get(end + 4..)?))
}

/// Everything but unreserved bytes (RFC 3986, 2.3) as `%XX`.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_survives_inside_a_query() {
        assert_eq!(percent_encoded("http://a.b/x?y=1&z"), "http%3A%2F%2Fa.b%2Fx%3Fy%3D1%26z");
    }

    #[test]
    fn an_answer_is_cut_into_status_and_body() {
        let answer = b"HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\nkey a\n";
        assert_eq!(split(answer), Some((200, &b"key a\n"[..])));
        assert_eq!(split(b"SSH-2.0-x\r\n\r\n"), None);
        assert_eq!(split(b"HTTP/1.1 200"), None);
    }

    #[test]
    fn nobody_on_the_admin_socket_is_said_with_the_way_out() {
        let directory = tempfile::tempdir().expect("a directory");
        let admin = directory.path().join("admin.sock").display().to_string();
        let args = ExplainArgs { admin: admin.clone(), url: "http://a/".to_owned(), json: false };
        let error = ask(&args).expect_err("nobody listens");
        assert!(error.to_string().contains(&format!("start it with --admin {admin}")), "{error}");
    }
}
