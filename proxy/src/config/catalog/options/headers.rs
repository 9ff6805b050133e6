//! The options about fields and vars: what nodes and clients are told, and who is believed.

use crate::config::catalog::{Opt, OptFacts, Section, Shape};

/// Options of the section "Headers".
pub const HEADERS: &[OptFacts] = &[
    OptFacts {
        opt: Opt::TrustedProxy,
        name: "trusted-proxy",
        shape: Shape::Many,
        section: Section::Headers,
        value: "NET|unix",
        default: "none: what clients say about other clients is dropped",
        allowed: "a network as 10.0.0.0/8 or fd00::/8, a single IP, or unix for connections over \
             unix sockets",
        about: "HTTP proxies in front of this router. X-Forwarded-For, -Proto, -Host and -Port and \
             X-Request-ID of requests from there are kept; the client is then the last address of \
             X-Forwarded-For that is not of such a proxy.",
        cost: "Whoever connects from there can claim any client address; name only addresses of \
             your own proxies, which must set these fields themselves.",
        example: r#"["10.0.0.5", "fd00::/8"]"#,
    },
    OptFacts {
        opt: Opt::Via,
        name: "via",
        shape: Shape::One,
        section: Section::Headers,
        value: "NAME|off",
        default: "suzerain- and a random number of this process",
        allowed: "off, or a name of 1 to 64 letters, digits, dots, - and _",
        about: "The name of this router in the Via field towards nodes. A request that carries it \
             more than three times already goes in circles and is answered with 508.",
        cost: "Without it a node that proxies to this router can make a request circle until a \
             deadline. nginx as a node compresses nothing for requests with Via unless its \
             gzip_proxied says so.",
        example: r#""edge-1.example""#,
    },
    OptFacts {
        opt: Opt::RequestId,
        name: "request-id",
        shape: Shape::Switch,
        section: Section::Headers,
        value: "",
        default: "off",
        allowed: "true or false",
        about: "Give every request an X-Request-ID of 128 random bits, in place of the client's, \
             towards its node and in the access log. That of a trusted proxy is kept.",
        cost: "48 bytes more per request for the node. Off, the client's field travels on like any \
             other.",
        example: "true",
    },
    OptFacts {
        opt: Opt::HttpsRedirect,
        name: "https-redirect",
        shape: Shape::One,
        section: Section::Headers,
        value: "STATUS[,port=N]|off",
        default: "off",
        allowed: "301, 302, 307 or 308, perhaps followed by ,port=N of the HTTPS listener as \
             clients see it; or off",
        about: "Answer requests over plain HTTP with a redirect to HTTPS, for hosts that have a \
             key.",
        cost: "301 and 302 turn a POST into a GET.",
        example: r#""308""#,
    },
    OptFacts {
        opt: Opt::Hsts,
        name: "hsts",
        shape: Shape::One,
        section: Section::Headers,
        value: "AGE[,subdomains][,preload]|off",
        default: "off: what nodes say about it is passed on",
        allowed: "a duration as 5m or 8760h, perhaps followed by ,subdomains and ,preload; or off",
        about: "Send Strict-Transport-Security with responses over HTTPS, in place of a node's.",
        cost: "Browsers refuse plain HTTP and wrong certificates for that long: begin with minutes.",
        example: r#""8760h,subdomains""#,
    },
    OptFacts {
        opt: Opt::HttpVar,
        name: "http-var",
        shape: Shape::Many,
        section: Section::Headers,
        value: "NAME=VALUE",
        default: "none",
        allowed: "NAME=VALUE with NAME of letters, digits and _, not HTTP_*, HTTPS* or another var \
             made from the request",
        about: "A var for uwsgi nodes, behind those of the request.",
        cost: "It takes part of the node's buffer-size, 4096 bytes unless set.",
        example: r#"["APP_ENV=production"]"#,
    },
    OptFacts {
        opt: Opt::ServerNameAsHttpHost,
        name: "server-name-as-http-host",
        shape: Shape::Switch,
        section: Section::Headers,
        value: "",
        default: "off: the machine's name",
        allowed: "true or false",
        about: "Let SERVER_NAME for uwsgi nodes be the host that was asked for, without port.",
        cost: "",
        example: "true",
    },
    OptFacts {
        opt: Opt::HttpModifier1,
        name: "http-modifier1",
        shape: Shape::One,
        section: Section::Headers,
        value: "N",
        default: "0: as the node announced",
        allowed: MODIFIER,
        about: "The modifier1 of packets for uwsgi nodes, in place of what they announced.",
        cost: "",
        example: "0",
    },
    OptFacts {
        opt: Opt::HttpModifier2,
        name: "http-modifier2",
        shape: Shape::One,
        section: Section::Headers,
        value: "N",
        default: "0: as the node announced",
        allowed: MODIFIER,
        about: "The modifier2 of packets for uwsgi nodes, in place of what they announced.",
        cost: "",
        example: "0",
    },
    OptFacts {
        opt: Opt::SendProxy,
        name: "send-proxy",
        shape: Shape::One,
        section: Section::Headers,
        value: "v2|off",
        default: "off, but for nodes whose route says send-proxy=v2",
        allowed: "v2 or off",
        about: "Begin every connection to a node with a PROXY header of version 2 that names the \
             client.",
        cost: "Each exchange then has a connection of its own, and a node that expects no such \
             header takes it for a broken request.",
        example: r#""off""#,
    },
    OptFacts {
        opt: Opt::ExpectBytesMax,
        name: "expect-bytes-max",
        shape: Shape::One,
        section: Section::Headers,
        value: "BYTES",
        default: "none",
        allowed: "a size as 64KiB, 10MB or 1GiB, or none",
        about: "Largest stated body of a request with Expect: 100-continue. A larger one is \
             answered with 413 before a node is asked and before the client sends it.",
        cost: "",
        example: r#""none""#,
    },
];

const MODIFIER: &str = "a number from 0 to 255";
