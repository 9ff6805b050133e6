//! One question to the admin socket of a running router: HTTP/1.0 over TCP or a unix socket, so
//! that the answer ends with the connection.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use router_core::address::{ListenAddr, ListenAddrError};
use router_core::admin::access::TOKEN_BYTES_MAX;

/// For the connect, and for each read of the answer.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest answer read.
const ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// `--admin` is no address.
    #[error("--admin \"{text}\": {cause}; allowed: IP:PORT, [IPV6]:PORT or /PATH")]
    Admin {
        /// The text read.
        text: String,
        /// What is wrong with it.
        cause: ListenAddrError,
    },
    /// `--token-file` holds no token.
    #[error("--token-file {}: {cause}", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: io::Error,
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
    /// The router wants a token, or another one.
    #[error("the router wants a token it knows: --token-file FILE")]
    Unknown,
    /// The router refused the question.
    #[error("{}", said.trim_end())]
    Refused {
        /// Its answer.
        said: String,
        /// Its status; 4xx means the question is to blame.
        status: u16,
    },
}

impl AskError {
    /// Whether an argument is to blame.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Admin { .. } | Self::Token { .. } | Self::Unknown => true,
            Self::Refused { status, .. } => (400..500).contains(status),
            _ => false,
        }
    }
}

/// Whom to ask, and as whom.
#[derive(Debug)]
pub struct Admin {
    address: ListenAddr,
    token: Option<String>,
}

impl Admin {
    /// Reads the address, and the token from its file.
    ///
    /// # Errors
    /// [`AskError::Admin`], [`AskError::Token`].
    pub fn new(address: &str, token_file: Option<&Path>) -> Result<Self, AskError> {
        let parsed = address.parse();
        let address =
            parsed.map_err(|cause| AskError::Admin { text: address.to_owned(), cause })?;
        let read = |path: &Path| {
            read_token(path).map_err(|cause| AskError::Token { path: path.to_owned(), cause })
        };
        Ok(Self { address, token: token_file.map(read).transpose()? })
    }

    /// The body of the answer to `GET target`.
    ///
    /// # Errors
    /// [`AskError`], if it is not 200.
    pub fn ask(&self, target: &str) -> Result<String, AskError> {
        let token = self.token.as_ref().map(|token| format!("Authorization: Bearer {token}\r\n"));
        let request = format!(
            "GET {target} HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n{}\r\n",
            token.unwrap_or_default()
        );
        let admin = || self.address.clone();
        let answer = exchange(&self.address, &request)
            .map_err(|cause| AskError::Unreachable { admin: admin(), cause })?;
        let (status, body) = split(&answer).ok_or_else(|| AskError::Stranger { admin: admin() })?;
        let body = String::from_utf8_lossy(body).into_owned();
        match status {
            200 => Ok(body),
            401 => Err(AskError::Unknown),
            _ => Err(AskError::Refused { said: body, status }),
        }
    }
}

fn read_token(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(2 * TOKEN_BYTES_MAX as u64).read_to_string(&mut text)?;
    let token = text.trim();
    let is_one = (1..=TOKEN_BYTES_MAX).contains(&token.len());
    if !is_one || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(io::Error::other("not one token of visible ASCII"));
    }
    Ok(token.to_owned())
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
pub fn percent_encoded(text: &str) -> String {
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
        let error = Admin::new(&admin, None).unwrap().ask("/").expect_err("nobody listens");
        assert!(error.to_string().contains(&format!("start it with --admin {admin}")), "{error}");
    }

    #[test]
    fn a_token_cannot_smuggle_a_header_field() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("token");
        std::fs::write(&path, "a\r\nHost: b\r\n").unwrap();
        assert!(matches!(Admin::new("/x", Some(&path)), Err(AskError::Token { .. })));
        std::fs::write(&path, "token\n").unwrap();
        assert_eq!(Admin::new("/x", Some(&path)).unwrap().token.as_deref(), Some("token"));
    }
}
