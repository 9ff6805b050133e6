//! The listeners whose connections are passed on as they came.

use crate::config::catalog::{Opt, OptFacts, Section, Shape};

/// TLS passthrough and raw TCP.
pub const RELAYS: &[OptFacts] = &[
    OptFacts {
        opt: Opt::TlsPassthrough,
        name: "tls-passthrough",
        shape: Shape::Many,
        section: Section::Routing,
        value: "ADDR",
        default: "none",
        allowed: super::ADDRESS,
        about: "Listen for TLS here and pass it on without ending it, to the nodes with proto=tls of \
             the key that is the name the client asks for. Such nodes get nothing from other \
             listeners. See PASSTHROUGH.md.",
        cost: "The router sees neither requests nor answers: rules about them do not hold.",
        example: r#"["127.0.0.1:8444"]"#,
    },
    OptFacts {
        opt: Opt::Tcp,
        name: "tcp",
        shape: Shape::Many,
        section: Section::Routing,
        value: "ADDR[=KEY]",
        default: "none",
        allowed: "a listen address as for http, perhaps with = and a key; without one the address \
             itself is the key, which must then name an IP and a port",
        about: "Listen for TCP here and pass everything on to the nodes with proto=tcp of one key, \
             connected to at once. Without =KEY the key is the address, as in uWSGI's rawrouter, and \
             nodes that announce themselves for it without a protocol are taken as proto=tcp.",
        cost: "Nothing is looked at.",
        example: r#"["127.0.0.1:6379=cache.example"]"#,
    },
];
