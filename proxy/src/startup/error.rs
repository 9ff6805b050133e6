//! Why a router does not start.

use router_core::{
    admin::AdminError, ctl::CtlError, listener::ListenError, subscriber::SubscriberError,
    worker::WorkerError,
};

use crate::{
    privileges::PrivilegeError, sandbox::SandboxError, tls::cert_load::CertLoadError,
    upgrade::SuccessionError,
};

/// Why a router could not start or went down.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// `--io uring` was asked for and the kernel refuses it.
    #[error("io_uring is not available here ({0}); --io auto falls back to epoll")]
    Uring(#[source] std::io::Error),
    /// The access log cannot be written.
    #[error("cannot open the access log: {0}")]
    AccessLog(#[source] std::io::Error),
    /// A certificate given by the operator is unusable.
    #[error(transparent)]
    Certificates(#[from] CertLoadError),
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// A listener cannot be bound.
    #[error("{0}: {cause}", cause = .0.cause)]
    Listen(#[from] ListenError),
    /// A subscription socket cannot be bound.
    #[error(transparent)]
    Subscriber(#[from] SubscriberError),
    /// The admin socket cannot be bound.
    #[error("{0}{why}", why = admin_cause(.0))]
    Admin(#[from] AdminError),
    /// The control socket cannot be bound.
    #[error(transparent)]
    Ctl(#[from] CtlError),
    /// The audit log cannot be written.
    #[error("cannot open the audit log: {0}")]
    AuditLog(#[source] std::io::Error),
    /// The powers of the start cannot be given up.
    #[error(transparent)]
    Privileges(PrivilegeError),
    /// The process cannot be confined.
    #[error(transparent)]
    Sandbox(SandboxError),
    /// A worker cannot start.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The process before this one cannot be taken over from.
    #[error(transparent)]
    Succession(#[from] SuccessionError),
    /// The signals cannot be watched, or a control thread cannot start.
    #[error("cannot start: {0}")]
    Start(#[source] std::io::Error),
}

pub(crate) fn admin_cause(error: &AdminError) -> String {
    std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default()
}
