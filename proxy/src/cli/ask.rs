//! One question to the admin socket of a running router: HTTP/1.0 over TCP or a unix socket, so
//! that the answer ends with the connection.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use router_core::address::{ListenAddr, ListenAddrError};
use router_core::admin::access::TOKEN_BYTES_MAX;

pub use super::http::percent_encoded;
use super::http::{Bounds, exchange, split};

const BOUNDS: Bounds = Bounds { wait: Duration::from_secs(5), bytes_max: 4 * 1024 * 1024 };

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
        let answer = exchange(&self.address, &request, BOUNDS)
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

#[cfg(test)]
mod tests {
    use super::*;

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
