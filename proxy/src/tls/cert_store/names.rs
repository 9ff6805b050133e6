//! Names: the one a certificate is served under, and those written inside it.

use std::borrow::Borrow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::tls::limits::SERVED_NAME_BYTES_MAX;

/// A name certificates are looked up by: lower case, no trailing dot. A one-level wildcard
/// `*.example.com` is kept as `.example.com`, which is also how a subscription key writes it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServedName(Arc<str>);

impl ServedName {
    /// The name in its one spelling; `None` for an empty or longer one than
    /// [`SERVED_NAME_BYTES_MAX`], or with a byte that no host name has.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let text = if text.starts_with("*.") { &text[1..] } else { text };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        let label = text.strip_prefix('.').unwrap_or(text);
        let is_valid = !label.is_empty()
            && !label.starts_with('.')
            && text.len() <= SERVED_NAME_BYTES_MAX
            && text.bytes().all(is_name);
        is_valid.then(|| Self(text.to_ascii_lowercase().into()))
    }

    /// The name as looked up.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Must agree with the derived `Hash` and `Eq`, which see the same `str`.
impl Borrow<str> for ServedName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.0.starts_with('.') { "*" } else { "" };
        write!(f, "{star}{}", self.0)
    }
}

/// The subject alternative names of one certificate.
///
/// The common name is not among them: no current client looks at it (RFC 9525, 6.3).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CertNames {
    /// DNS names without a wildcard.
    exact: Box<[Box<str>]>,
    /// `*.example.com` as `.example.com`.
    suffixes: Box<[Box<str>]>,
    ips: Box<[IpAddr]>,
}

impl CertNames {
    /// From the names as the certificate writes them.
    #[must_use]
    pub fn new<'a>(dns: impl Iterator<Item = &'a str>, ips: Vec<IpAddr>) -> Self {
        let (wild, exact): (Vec<&str>, Vec<&str>) = dns.partition(|name| name.starts_with("*."));
        Self {
            exact: exact.iter().map(|name| name.to_ascii_lowercase().into()).collect(),
            suffixes: wild.iter().map(|name| name[1..].to_ascii_lowercase().into()).collect(),
            ips: ips.into(),
        }
    }

    /// Whether a client that asked for `host` would accept this certificate's names. A wildcard
    /// stands for exactly one label (RFC 9525, 6.3). `.example.com` asks for the wildcard itself.
    #[must_use]
    pub fn cover(&self, host: &str) -> bool {
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return self.ips.contains(&ip);
        }
        let host = host.strip_suffix('.').unwrap_or(host);
        let among =
            |set: &[Box<str>], name: &str| set.iter().any(|own| own.eq_ignore_ascii_case(name));
        among(&self.exact, host)
            || host.find('.').is_some_and(|dot| among(&self.suffixes, &host[dot..]))
    }

    /// The names as text, wildcards with their star, addresses last.
    #[must_use]
    pub fn to_strings(&self) -> Vec<String> {
        let exact = self.exact.iter().map(ToString::to_string);
        let wild = self.suffixes.iter().map(|suffix| format!("*{suffix}"));
        exact.chain(wild).chain(self.ips.iter().map(ToString::to_string)).collect()
    }
}
