//! Where a request comes from: from whoever connected, or as trusted proxies in front of us tell.
//!
//! Only what a connection from a trusted proxy says is looked at, and of a list only what such a
//! proxy can have written itself. For all other connections this is a view of [`ConnFacts`].

use std::{borrow::Cow, net::IpAddr};

use http1_wire::{Claims, RequestHead, forwarded_ip};
use route_table::{CanonicalHost, HostBuf, canonical_host};

use crate::{
    context::{ConnFacts, Scheme, Trust},
    sources::NamedSources,
};

/// The client of one request, as far as it can be known.
#[derive(Clone, Debug)]
pub struct Provenance<'a> {
    /// Its address; none over a unix socket.
    pub ip: Option<IpAddr>,
    /// Its address as text.
    pub ip_text: Cow<'a, str>,
    /// Its port; zero if that is not known.
    pub port: u16,
    /// How it asked.
    pub scheme: Scheme,
    /// `host[:port]` it asked for.
    host: Cow<'a, str>,
    /// The port it asked on.
    server_port: Cow<'a, str>,
    /// `X-Forwarded-For` as trusted proxies built it.
    prior: Vec<u8>,
    /// The address of whoever connected.
    peer_ip: &'a str,
}

impl<'a> Provenance<'a> {
    /// Of a request for `host` that came over `conn`.
    pub fn of(
        trusted: &NamedSources,
        conn: &'a ConnFacts,
        head: &RequestHead<'_, '_>,
        host: &CanonicalHost<'a>,
    ) -> Self {
        let mut from = Self {
            ip: conn.ip,
            ip_text: Cow::Borrowed(conn.client_ip()),
            port: conn.client_port,
            scheme: conn.scheme,
            host: Cow::Borrowed(host.host_port()),
            server_port: Cow::Borrowed(&conn.local_port),
            prior: Vec::new(),
            peer_ip: conn.client_ip(),
        };
        if conn.trust == Trust::Proxy {
            from.believe(trusted, head);
        }
        from
    }

    /// What nodes are told.
    pub fn claims(&self) -> Claims<'_> {
        Claims {
            prior: &self.prior,
            peer_ip: self.peer_ip,
            proto: self.scheme.name(),
            host: &self.host,
            port: &self.server_port,
        }
    }

    fn believe(&mut self, trusted: &NamedSources, head: &RequestHead<'_, '_>) {
        for value in values(head, "x-forwarded-for") {
            if !self.prior.is_empty() {
                self.prior.extend_from_slice(b", ");
            }
            self.prior.extend_from_slice(value);
        }
        if let Some(ip) = told_client(trusted, head) {
            (self.ip, self.ip_text, self.port) = (Some(ip), Cow::Owned(ip.to_string()), 0);
        }
        let scheme = match last(head, "x-forwarded-proto") {
            Some(name) if name.eq_ignore_ascii_case(b"https") => Some(Scheme::Https),
            Some(name) if name.eq_ignore_ascii_case(b"http") => Some(Scheme::Http),
            _ => None,
        };
        let mut buf = HostBuf::new();
        let told_host = last(head, "x-forwarded-host");
        let host = told_host.and_then(|host| canonical_host(host, &mut buf).ok());
        let told_port = last(head, "x-forwarded-port").and_then(port);
        // Its own listener's port is not ours; what is not told follows from what is.
        let implied = host.and_then(|host| host.port()).or(match scheme {
            Some(Scheme::Http) => Some(80),
            Some(Scheme::Https) => Some(443),
            Some(Scheme::Uwsgi) | None => None,
        });
        if let Some(port) = told_port.or(implied) {
            self.server_port = Cow::Owned(port.to_string());
        }
        if let Some(host) = host {
            self.host = Cow::Owned(host.host_port().to_owned());
        }
        self.scheme = scheme.unwrap_or(self.scheme);
    }
}

/// The client a trusted proxy told of; for the access log.
pub fn told_client(trusted: &NamedSources, head: &RequestHead<'_, '_>) -> Option<IpAddr> {
    let mut client = None;
    for member in values(head, "x-forwarded-for").flat_map(members) {
        client = match forwarded_ip(member) {
            // The last one that is no trusted proxy; if all are, the first.
            Some(ip) if client.is_none() || !trusted.contains_ip(Some(ip)) => Some(ip),
            Some(_) => client,
            // Nothing before it can be believed.
            None => None,
        };
    }
    client
}

fn values<'b>(head: &RequestHead<'_, 'b>, name: &str) -> impl Iterator<Item = &'b [u8]> {
    let fields = head.fields.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name));
    fields.map(|(_, value)| value).filter(|value| !value.is_empty())
}

fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

/// What the nearest proxy wrote: the last member of the last line.
fn last<'b>(head: &RequestHead<'_, 'b>, name: &str) -> Option<&'b [u8]> {
    values(head, name).last().and_then(|value| members(value).last())
}

fn port(text: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(text).ok().filter(|text| !text.starts_with('+'))?;
    text.parse().ok().filter(|port| *port > 0)
}

#[cfg(test)]
mod tests {
    use http1_wire::{FieldSlots, Parsed, parse_request};

    use super::*;
    use crate::config::ProxySource;

    fn client(fields: &str) -> Option<String> {
        let nets = ["10.0.0.0/8", "fd00::/8"].map(|net| ProxySource::Net(net.parse().unwrap()));
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let mut slots = FieldSlots::new();
        let Ok(Parsed::Complete(head)) = parse_request(head.as_bytes(), &mut slots) else {
            panic!("{fields}")
        };
        told_client(&NamedSources::new(&nets), &head).map(|ip| ip.to_string())
    }

    #[test]
    fn the_client_is_the_last_address_that_is_no_trusted_proxy() {
        for (fields, told) in [
            ("X-Forwarded-For: 192.0.2.1\r\n", Some("192.0.2.1")),
            ("X-Forwarded-For: 6.6.6.6, 192.0.2.1, 10.1.1.1, fd00::1\r\n", Some("192.0.2.1")),
            (
                "X-Forwarded-For: 6.6.6.6\r\nx-forwarded-for: 192.0.2.1:99,10.0.0.1\r\n",
                Some("192.0.2.1"),
            ),
            ("X-Forwarded-For: 10.0.0.9, 10.0.0.8\r\n", Some("10.0.0.9")),
            ("X-Forwarded-For: 6.6.6.6, unknown, 10.0.0.8\r\n", Some("10.0.0.8")),
            ("X-Forwarded-For: 6.6.6.6, <script>\r\n", None),
            ("X-Forwarded-For:\r\n", None),
            ("X-Real-IP: 6.6.6.6\r\n", None),
        ] {
            assert_eq!(client(fields).as_deref(), told, "{fields}");
        }
    }
}
