//! What the shell must do after a batch, because this crate does no I/O.
//!
//! Publishing is not among them: the shell calls `Registry::publish` itself, once per batch.

use std::sync::Arc;

use route_table::{Node, RouteKey};

/// One thing to be done outside.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Load a certificate and serve it for `name`. A certificate that does not load must leave
    /// the one in use alone.
    LoadCert {
        /// The server name: host part of the key.
        name: String,
        /// The private key (`sni_key`).
        key: CertText,
        /// The certificate chain (`sni_crt`).
        crt: CertText,
        /// The authority clients must be certified by (`sni_ca`). A leading `!`, which makes the
        /// client's certificate mandatory, is kept.
        ca: Option<CertText>,
    },
    /// The subscription that gave `name` its files was renewed: they may have changed.
    LookAtCert {
        /// The server name of the `LoadCert`.
        name: String,
    },
    /// Stop serving the certificate that was loaded for `name`.
    DropCert {
        /// The server name of the `LoadCert`.
        name: String,
    },
    /// A node was added: one log line.
    NodeAdded {
        /// The key it serves.
        key: RouteKey,
        /// The node.
        node: Arc<Node>,
    },
    /// A node is the same and its address another, or none: one log line.
    NodeMoved {
        /// The key it serves.
        key: RouteKey,
        /// The node as it is now.
        node: Arc<Node>,
        /// Its address before, as text; empty if it had none.
        from: Box<str>,
    },
    /// A node left: one log line.
    NodeRemoved {
        /// The key it served.
        key: RouteKey,
        /// The node; `node.facts.announced` is its address as text.
        node: Arc<Node>,
        /// What ended it.
        why: Departure,
    },
    /// Pass a datagram on, as it came.
    Forward {
        /// All of it.
        datagram: Vec<u8>,
    },
    /// Send `text` as one datagram to the unix socket at `path` (subscription spec 8).
    Notify {
        /// Path of a unix datagram socket, allowed by the upstream policy.
        path: Vec<u8>,
        /// The acknowledgement.
        text: String,
    },
}

/// What ended a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Departure {
    /// It said so.
    Unsubscribed,
    /// Its lease ran out.
    Lapsed,
    /// A vassal moved to its address, or the configuration has it now.
    Superseded,
    /// The key file that vouched for it changed or vanished.
    KeyRevoked,
    /// The operator allows its address no more.
    Disallowed,
    /// An operator, who had added it, deleted it.
    Deleted,
}

impl Departure {
    /// The word of log lines and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unsubscribed => "unsubscribed",
            Self::Lapsed => "lapsed",
            Self::Superseded => "superseded",
            Self::KeyRevoked => "key_revoked",
            Self::Disallowed => "disallowed",
            Self::Deleted => "deleted",
        }
    }
}

/// A piece of a certificate as a subscription names it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CertText {
    /// A path as seen by the router. Not confined here: the shell knows the certificate roots.
    Path(Vec<u8>),
    /// The PEM text itself.
    Pem(Vec<u8>),
}

impl CertText {
    /// Tells a path from PEM text, which begins with `-----BEGIN ` (subscription spec 7).
    #[must_use]
    pub fn parse(value: &[u8]) -> Self {
        if Self::is_path(value) { Self::Path(value.to_vec()) } else { Self::Pem(value.to_vec()) }
    }

    /// Whether it is a path.
    #[must_use]
    pub fn is_path(value: &[u8]) -> bool {
        !value.strip_prefix(b"!").unwrap_or(value).starts_with(b"-----BEGIN ")
    }
}
