//! What a node is told of a client before its protocol begins: a PROXY preface of version 2.
//!
//! A connection that begins with one belongs to that client alone. So it carries one exchange: it
//! never comes out of a pool and never goes into one, whatever the node speaks. The preface is
//! written once for each client connection, and only if any node wants one.

use std::net::SocketAddr;

use http1_wire::{Announcement, PrefaceEnds, write_preface};
use route_table::{Node, Opening};

use crate::{
    config::Settings,
    context::ConnFacts,
    policy::{Policy, streams::Switch},
};

/// PROXY preface of version 2 with the command LOCAL: nobody is announced (2.2 of its document).
pub const LOCAL: &[u8; 16] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// The preface of one client connection.
#[derive(Debug)]
pub struct Introduction {
    ends: PrefaceEnds,
    bytes: Vec<u8>,
}

impl Introduction {
    /// Of a connection from `source`, as far as that is known, to `destination`.
    pub fn new(source: Option<SocketAddr>, destination: Option<SocketAddr>) -> Box<Self> {
        let canonical = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
        let ends = match (source.map(canonical), destination.map(canonical)) {
            (Some(source), Some(destination)) => PrefaceEnds::Relayed { source, destination },
            // A client of a unix socket has no address that could be told. PROXY with no family would
            // say just that, but HAProxy closes such connections.
            _ => PrefaceEnds::Local,
        };
        let mut introduction = Self { ends, bytes: Vec::new() };
        introduction.write("", b"");
        Box::new(introduction)
    }

    /// The client asked for `authority` in TLS and agreed to `alpn`; empty: it did not.
    pub fn note_tls(&mut self, authority: &str, alpn: &[u8]) {
        self.write(authority, alpn);
    }

    fn write(&mut self, authority: &str, alpn: &[u8]) {
        self.bytes.clear();
        let authority = authority.as_bytes();
        write_preface(&Announcement { ends: self.ends, alpn, authority }, &mut self.bytes);
    }
}

/// What connections to `node` begin with: its own route may ask for a preface, or the rules of the
/// key.
#[must_use]
pub fn opening(policy: &Policy, node: &Node) -> Opening {
    match node.facts.opening {
        Opening::Plain => policy.headers.opening,
        own => own,
    }
}

/// The preface for a client's connection.
#[must_use]
pub fn of(conn: &ConnFacts) -> &[u8] {
    debug_assert!(conn.introduction.is_some(), "there is one whenever any node wants it");
    conn.introduction.as_ref().map_or(LOCAL, |introduction| &introduction.bytes)
}

/// Whether any node may want one.
#[must_use]
pub fn wanted_anywhere(settings: &Settings) -> Switch {
    let policies = settings.keys.iter().map(|(_, policy)| policy).chain([&settings.policy]);
    let of_keys = policies.map(|policy| policy.headers.opening);
    let of_nodes = settings.route.iter().map(|route| route.opening);
    let wanted = of_keys.chain(of_nodes).any(|opening| opening != Opening::Plain);
    if wanted { Switch::On } else { Switch::Off }
}

#[cfg(test)]
mod tests {
    use http1_wire::{Parsed, parse_preface};

    use super::*;

    fn told(introduction: &Introduction) -> PrefaceEnds {
        match parse_preface(&introduction.bytes) {
            Ok(Parsed::Complete(preface)) => preface.ends,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_ipv4_client_of_an_ipv6_listener_is_told_as_ipv4() {
        let [source, destination] =
            ["[::ffff:192.0.2.7]:4711", "[::ffff:192.0.2.1]:80"].map(|end| end.parse().unwrap());
        let introduction = Introduction::new(Some(source), Some(destination));
        let [source, destination] =
            ["192.0.2.7:4711", "192.0.2.1:80"].map(|end| end.parse().unwrap());
        assert_eq!(told(&introduction), PrefaceEnds::Relayed { source, destination });
    }

    #[test]
    fn a_client_without_an_address_is_not_told_of() {
        let end = Some("192.0.2.1:80".parse().unwrap());
        for destination in [end, None] {
            let mut introduction = Introduction::new(None, destination);
            introduction.note_tls("site.test", b"h2");
            assert_eq!(introduction.bytes, LOCAL);
        }
    }

    #[test]
    fn what_is_local_is_what_the_codec_calls_so() {
        let mut out = Vec::new();
        write_preface(&Announcement::LOCAL, &mut out);
        assert_eq!(out, LOCAL);
    }
}
