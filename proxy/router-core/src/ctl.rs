//! The control socket: questions and changes of a running router over HTTP on a unix socket.
//!
//! Runs on one thread of its own and a few for answers. Who a caller is comes from the kernel alone:
//! root, the router's user and the group of operators may change things, whoever else the permissions
//! of the socket let in may only ask. It is bounded (connections, bytes of a head, seconds, changes
//! at a time), and this process itself is never let in. What commands there are, and what they
//! do, is the [`CtlSource`]'s business.

mod caller;
pub mod limits;
mod routes;
mod serve;
mod socket;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use tokio::sync::oneshot;

use crate::estate::Estate;
pub use caller::{Caller, Level};
use socket::CtlSocket;
pub use socket::SocketAccess;

/// One command as it was sent.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Call {
    /// Its name.
    pub command: String,
    /// Names and values, in order.
    pub arguments: Vec<(String, String)>,
}

impl Call {
    /// The value of an argument, if it was given.
    #[must_use]
    pub fn argument(&self, name: &str) -> Option<&str> {
        self.arguments.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum CtlFormat {
    /// For programs.
    #[default]
    Json,
    /// For people.
    Text,
}

/// Why a command has no answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CtlRefusal {
    /// There is no such command.
    #[error("no such command")]
    Unknown,
    /// The arguments are wrong.
    #[error("{0}")]
    Wrong(String),
    /// The caller may only ask.
    #[error("only operators may do that: root, the router's user and the group ctl-operators")]
    NotPermitted,
    /// What it is about is not there.
    #[error("{0}")]
    NotFound(String),
    /// It was tried and did not work.
    #[error("{0}")]
    Failed(String),
}

/// What the control socket does. Called on blocking threads.
pub trait CtlSource: Send + Sync + 'static {
    /// Answers a question.
    ///
    /// # Errors
    /// Why there is no answer.
    fn ask(&self, call: &Call, format: CtlFormat) -> Result<String, CtlRefusal>;

    /// Makes a change and says in a sentence what it did.
    ///
    /// # Errors
    /// Why it was not made; [`CtlRefusal::NotPermitted`] if `level` is too low.
    fn change(&self, call: &Call, caller: Caller, level: Level) -> Result<String, CtlRefusal>;
}

/// Where to serve, and whom.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CtlConfig {
    /// Path of the socket.
    pub path: PathBuf,
    /// Who may connect.
    pub access: SocketAccess,
    /// The group whose members may change things.
    pub operators: Option<u32>,
}

/// The control socket cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum CtlError {
    /// The path cannot be bound.
    #[error("cannot bind the control socket {}: {cause}", path.display())]
    Bind {
        /// As configured.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        cause: io::Error,
    },
    /// The thread or its runtime cannot be started.
    #[error("cannot start the control thread: {0}")]
    Start(#[source] io::Error),
}

/// A bound control socket that answers nobody yet.
#[derive(Debug)]
pub struct CtlServer {
    socket: CtlSocket,
    operators: Option<u32>,
}

impl CtlServer {
    /// Takes the socket from `estate` or binds the path, so that one that cannot be had stops the start of the router.
    ///
    /// # Errors
    /// [`CtlError::Bind`] with the kernel's reason.
    pub fn bind(config: CtlConfig, estate: &Estate) -> Result<Self, CtlError> {
        let CtlConfig { path, access, operators } = config;
        let socket = CtlSocket::bind(&path, access, estate)
            .map_err(|cause| CtlError::Bind { path, cause })?;
        Ok(Self { socket, operators })
    }

    /// Where it is bound.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.socket.file.path()
    }

    /// Starts to answer, on a thread of its own.
    ///
    /// # Errors
    /// [`CtlError::Start`].
    pub fn spawn(self, source: Arc<dyn CtlSource>) -> Result<CtlHandle, CtlError> {
        let runtime = serve::runtime().map_err(CtlError::Start)?;
        let (stop, stopped) = oneshot::channel();
        let Self { socket, operators } = self;
        let service = routes::Service::new(source, operators);
        let thread = thread::Builder::new()
            .name("ctl".into())
            .spawn(move || serve::run(runtime, socket, service, stopped))
            .map_err(CtlError::Start)?;
        Ok(CtlHandle { stop, thread })
    }
}

/// The running control thread.
#[derive(Debug)]
pub struct CtlHandle {
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl CtlHandle {
    /// Ends the thread; answers that are worked out already have a moment to be sent.
    pub fn stop(self) {
        drop(self.stop);
        let _ = self.thread.join();
    }
}
