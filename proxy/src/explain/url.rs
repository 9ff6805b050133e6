//! Reading the URL of an explanation: just what decides where a request goes.

use crate::context::Scheme;

/// A text that is no http or https URL.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UrlError {
    /// No `http://` or `https://` in front.
    #[error("a URL begins with http:// or https://")]
    Scheme,
    /// Something stands before an `@`.
    #[error("a URL with a user name is not explained: leave out everything up to the @")]
    UserInfo,
    /// Nothing stands where the host should.
    #[error("the URL names no host")]
    NoHost,
    /// What follows the colon is no port.
    #[error("the URL's port is not a number from 1 to 65535")]
    Port,
    /// It is another tenant's, or nobody's: that is not told.
    #[error("none of your keys can serve this URL")]
    Foreign,
}

/// The parts of a URL that matter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Parts<'u> {
    pub(super) scheme: Scheme,
    /// Host and port as written.
    pub(super) authority: &'u str,
    /// Host as written, an IPv6 literal in its brackets.
    pub(super) host: &'u str,
    /// The port, the scheme's own if none is written.
    pub(super) port: u16,
    /// What stands before the query, nothing if the URL ends with the authority.
    pub(super) path: &'u str,
}

impl<'u> Parts<'u> {
    pub(super) fn parse(url: &'u str) -> Result<Self, UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::Scheme)?;
        let scheme = match scheme {
            s if s.eq_ignore_ascii_case("http") => Scheme::Http,
            s if s.eq_ignore_ascii_case("https") => Scheme::Https,
            _ => return Err(UrlError::Scheme),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let path = target.split(['?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(UrlError::UserInfo);
        }
        let (host, port) = split_port(authority)?;
        if host.is_empty() {
            return Err(UrlError::NoHost);
        }
        let port = port.unwrap_or_else(|| port_of(scheme));
        // `a:` is a host with an empty port, which clients drop.
        let authority = authority.strip_suffix(':').unwrap_or(authority);
        Ok(Self { scheme, authority, host, port, path })
    }

    pub(super) fn scheme_port(&self) -> u16 {
        port_of(self.scheme)
    }
}

fn port_of(scheme: Scheme) -> u16 {
    match scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
        // No URL has it.
        Scheme::Uwsgi => 0,
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), UrlError> {
    let host_end = if authority.starts_with('[') {
        authority.find(']').map_or(authority.len(), |at| at + 1)
    } else {
        authority.find(':').unwrap_or(authority.len())
    };
    let (host, rest) = authority.split_at(host_end);
    match rest.strip_prefix(':') {
        None if rest.is_empty() => Ok((host, None)),
        Some("") => Ok((host, None)),
        Some(port) => match port.parse() {
            Ok(port) if port > 0 => Ok((host, Some(port))),
            _ => Err(UrlError::Port),
        },
        None => Err(UrlError::Port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_are_found_in_every_form_of_url() {
        for (url, host, port) in [
            ("http://a.example", "a.example", 80),
            ("HTTPS://a.example/x:1@y?z#f", "a.example", 443),
            ("http://a.example:8080?q", "a.example", 8080),
            ("http://a.example:/", "a.example", 80),
            ("https://[::1]:8443/", "[::1]", 8443),
            ("https://[::1]", "[::1]", 443),
        ] {
            let parts = Parts::parse(url).unwrap();
            assert_eq!((parts.host, parts.port), (host, port), "{url}");
        }
    }

    #[test]
    fn text_that_is_no_url_is_told_what_is_missing() {
        for (url, error) in [
            ("a.example", UrlError::Scheme),
            ("ftp://a.example/", UrlError::Scheme),
            ("http:///x", UrlError::NoHost),
            ("http://:80/", UrlError::NoHost),
            ("http://me:secret@a.example/", UrlError::UserInfo),
            ("http://a.example:0/", UrlError::Port),
            ("http://a.example:65536/", UrlError::Port),
            ("http://[::1]x/", UrlError::Port),
        ] {
            assert_eq!(Parts::parse(url), Err(error), "{url}");
        }
    }
}
