//! The entries of the catalogue: one per option, in the order of help and documentation.
//!
//! A part with options of its own declares them in its own file below here and joins [`PARTS`].

mod access_log;
mod compression;
mod ctl;
mod headers;
mod memory;
mod on_demand;
mod packets;
mod privileges;
mod relays;
mod resilience;
mod seeing;
mod senders;
mod streams;
mod timeouts;
mod traces;

use super::{Opt, OptFacts, Section, Shape};

/// The catalogue, in the order of help and documentation within each section.
pub const OPTIONS: &[OptFacts] = &joined();

const PARTS: &[&[OptFacts]] = &[
    ROUTER,
    memory::MEMORY,
    access_log::ACCESS_LOG,
    ctl::CTL,
    relays::RELAYS,
    packets::PACKETS,
    headers::HEADERS,
    compression::COMPRESSION,
    resilience::RESILIENCE,
    senders::SENDERS,
    on_demand::ON_DEMAND,
    streams::STREAMS,
    seeing::SEEING,
    privileges::PRIVILEGES,
    traces::TRACES,
    timeouts::TIMEOUTS,
];

const fn joined() -> [OptFacts; count()] {
    let mut all = [ROUTER[0]; count()];
    let (mut at, mut part) = (0, 0);
    while part < PARTS.len() {
        let mut entry = 0;
        while entry < PARTS[part].len() {
            all[at] = PARTS[part][entry];
            (at, entry) = (at + 1, entry + 1);
        }
        part += 1;
    }
    all
}

const fn count() -> usize {
    let (mut count, mut part) = (0, 0);
    while part < PARTS.len() {
        count += PARTS[part].len();
        part += 1;
    }
    count
}

/// Listening, routing, subscriptions, certificates, operation and resources.
const ROUTER: &[OptFacts] = &[
    OptFacts {
        opt: Opt::Http,
        name: "http",
        shape: Shape::Many,
        section: Section::Routing,
        value: "ADDR",
        default: "none",
        allowed: ADDRESS,
        about: "Listen for HTTP here. Port 0 lets the kernel choose; the choice is printed.",
        cost: "",
        example: r#"["127.0.0.1:8080", "[::1]:8080"]"#,
    },
    OptFacts {
        opt: Opt::Https,
        name: "https",
        shape: Shape::Many,
        section: Section::Routing,
        value: "ADDR",
        default: "none",
        allowed: ADDRESS,
        about: "Listen for HTTPS here. Certificates are chosen by the name the client asks for.",
        cost: "",
        example: r#"["127.0.0.1:8443"]"#,
    },
    OptFacts {
        opt: Opt::Http2,
        name: "http2",
        shape: Shape::One,
        section: Section::Routing,
        value: "tls|all|off",
        default: "tls",
        allowed: "tls, all or off",
        about: "Where HTTP/2 is spoken to clients: tls offers it on HTTPS listeners, all takes it on \
             plain listeners too, from clients that begin with it (prior knowledge).",
        cost: "An idle HTTP/2 connection takes about 32 KiB, most of it the codec's buffers.",
        example: r#""tls""#,
    },
    OptFacts {
        opt: Opt::ProxyProtocol,
        name: "proxy-protocol",
        shape: Shape::Many,
        section: Section::Routing,
        value: "NET|unix",
        default: "none: nobody may name another client",
        allowed: "a network as 10.0.0.0/8 or fd00::/8, a single IP, or unix for connections over \
             unix sockets",
        about: "Sources whose connections to every HTTP and HTTPS listener begin with a PROXY \
             header, version 1 or 2; the client it names is the client. Without one the connection \
             is closed. From other sources the header is not understood.",
        cost: "Whoever connects from there is believed; name only addresses of your own proxies.",
        example: r#"["10.0.0.5", "unix"]"#,
    },
    OptFacts {
        opt: Opt::Route,
        name: "route",
        shape: Shape::Many,
        section: Section::Routing,
        value: "KEY=ADDR[,proto=P][,weight=N][,send-proxy=v2]",
        default: "none",
        allowed: "KEY=ADDR with ADDR an IP:PORT, /PATH or @ABSTRACT socket, then optionally \
             ,proto=uwsgi, http, h2c, tls or tcp, ,weight=1 to 65535 and ,send-proxy=v2",
        about: "A node that needs no subscription and never expires. The protocol is uwsgi unless \
             it says proto=http (HTTP/1.1) or proto=h2c (HTTP/2, as gRPC needs it), or proto=tls or \
             proto=tcp for nodes of tls-passthrough and tcp listeners. With send-proxy=v2 its \
             connections begin as send-proxy says.",
        cost: "",
        example: r#"["static.example=127.0.0.1:3000,proto=http,weight=2"]"#,
    },
    OptFacts {
        opt: Opt::Dotsplit,
        name: "dotsplit",
        shape: Shape::Switch,
        section: Section::Routing,
        value: "",
        default: "off",
        allowed: "true or false",
        about: "Let the key .example.org also take a.example.org and b.a.example.org.",
        cost: "Up to four more table lookups for a host that has no key of its own.",
        example: "true",
    },
    OptFacts {
        opt: Opt::FallbackKey,
        name: "fallback-key",
        shape: Shape::One,
        section: Section::Routing,
        value: "KEY",
        default: "none: a host without a key gets 404",
        allowed: "a key: a host name, perhaps with :PORT and a /PATH",
        about: "Serve a request whose host has no key, not even by dotsplit, from the nodes of this \
             key. The node sees the Host as it was sent. While the key has no node: 404.",
        cost: "Every host name that leads here is served, made-up ones too.",
        example: r#""default.example""#,
    },
    OptFacts {
        opt: Opt::Algorithm,
        name: "algorithm",
        shape: Shape::One,
        section: Section::Routing,
        value: "NAME",
        default: "wrr",
        allowed: "wrr, lrc, wlrc, iphash or p2c",
        about: "How the nodes of a key share its requests if the announcement that created the \
             key does not say: in turn by weight, fewest requests in flight, the same by weight, \
             by client address, or the better of two drawn by chance.",
        cost: "",
        example: r#""p2c""#,
    },
    OptFacts {
        opt: Opt::UpstreamAllow,
        name: "upstream-allow",
        shape: Shape::Many,
        section: Section::Routing,
        value: "NET|/PATH",
        default: "loopback, private networks and unix sockets",
        allowed: "a network as 10.0.0.0/8 or fd00::/8, a single IP, /PATH for unix sockets below \
             it, or @ for abstract sockets",
        about: "Addresses a subscription may bring. Naming one replaces the default list; the \
             router's own listeners are never allowed.",
        cost: "A wide list lets whoever may subscribe make the router connect anywhere in it.",
        example: r#"["10.1.0.0/16", "/run/apps"]"#,
    },
    OptFacts {
        opt: Opt::Subscribe,
        name: "subscribe",
        shape: Shape::Many,
        section: Section::Subscriptions,
        value: "IP:PORT|/PATH",
        default: "none",
        allowed: ADDRESS,
        about: "Take subscriptions here: UDP on an IP address, datagrams on a unix socket. A group from \
             224.0.0.0 to 239.255.255.255 is joined; 255.255.255.255 takes broadcasts.",
        cost: "",
        example: r#"["/var/lib/apps/subscribe.sock"]"#,
    },
    OptFacts {
        opt: Opt::SignCheck,
        name: "sign-check",
        shape: Shape::One,
        section: Section::Subscriptions,
        value: "DIGEST:DIR",
        default: "unsigned subscriptions are taken",
        allowed: "DIGEST:DIR with DIGEST one of SHA1, SHA256, SHA512 and DIR an existing directory",
        about: "Take only subscriptions signed by the key's owner: the public key of KEY is \
             DIR/KEY.pem. Replaced or removed files count at once.",
        cost: "One signature check per subscription, on its own thread. SHA1 is for old senders \
             only and warns at start.",
        example: r#""SHA256:/etc/suzerain/keys""#,
    },
    OptFacts {
        opt: Opt::SignTolerance,
        name: "sign-tolerance",
        shape: Shape::One,
        section: Section::Subscriptions,
        value: "SECONDS",
        default: "60s",
        allowed: TOLERANCE,
        about: "How far the stamp of a signed subscription may be from the router's clock, either \
             way.",
        cost: "Senders whose clock is further off are refused.",
        example: r#""60s""#,
    },
    OptFacts {
        opt: Opt::Tolerance,
        name: "tolerance",
        shape: Shape::One,
        section: Section::Subscriptions,
        value: "SECONDS",
        default: "17s",
        allowed: TOLERANCE,
        about: "How long a node stays without being announced again. uWSGI announces every 10 s.",
        cost: "A node that died without a word gets requests for that long; they are retried on \
             the key's other nodes.",
        example: r#""17s""#,
    },
    OptFacts {
        opt: Opt::AllowUnsigned,
        name: "allow-unsigned",
        shape: Shape::Switch,
        section: Section::Subscriptions,
        value: "",
        default: "off",
        allowed: "true or false",
        about: "Take unsigned subscriptions even where other machines can send them.",
        cost: "Whoever reaches the port can take over any site of this router.",
        example: "false",
    },
    OptFacts {
        opt: Opt::DefaultCert,
        name: "default-cert",
        shape: Shape::Many,
        section: Section::Certificates,
        value: "CRT,KEY[,[!]CA]",
        default: "a self-signed certificate made at start",
        allowed: "CRT,KEY: two existing PEM files, the chain and its private key, then optionally \
             ,CA or ,!CA: a PEM file of client authorities; at most 3 of them",
        about: "Certificate for names that have none of their own; of several, say one with an ECDSA and \
             one with an RSA key, each client gets the first it can verify. With CA clients are asked for \
             a certificate of these authorities; !CA refuses those without.",
        cost: "",
        example: r#""/etc/suzerain/default.crt,/etc/suzerain/default.key""#,
    },
    OptFacts {
        opt: Opt::CertDir,
        name: "cert-dir",
        shape: Shape::One,
        section: Section::Certificates,
        value: "DIR",
        default: "none",
        allowed: "an existing directory",
        about: "Directory of NAME.crt and NAME.key, one pair per host name. A replaced pair is \
             served to the next handshake; a broken one never evicts a good one. With NAME.ca \
             clients are asked for a certificate of these authorities, and refused without one if \
             the file begins with !.",
        cost: "",
        example: r#""/etc/suzerain/certs""#,
    },
    OptFacts {
        opt: Opt::CertRoot,
        name: "cert-root",
        shape: Shape::Many,
        section: Section::Certificates,
        value: "DIR",
        default: "none: subscriptions may bring certificates only inline",
        allowed: "an existing directory",
        about: "Where the certificate paths of subscriptions (sni_crt, sni_key) may point to. \
             Everything else is refused.",
        cost: "",
        example: r#"["/var/lib/apps/certs"]"#,
    },
    OptFacts {
        opt: Opt::HttpsExportCert,
        name: "https-export-cert",
        shape: Shape::Switch,
        section: Section::Certificates,
        value: "",
        default: "off",
        allowed: "true or false",
        about: "Tell uwsgi nodes a client's certificate also as PEM, in HTTPS_CC.",
        cost: "One to two KiB more in each request of a client with a certificate; the node's \
             buffer-size must hold it.",
        example: "true",
    },
    OptFacts {
        opt: Opt::Admin,
        name: "admin",
        shape: Shape::One,
        section: Section::Operation,
        value: "IP:PORT|/PATH",
        default: "none",
        allowed: ADDRESS,
        about: "Serve a dashboard, statistics, metrics and explanations here: SEEING.md.",
        cost: "Without a token it answers everybody who reaches it: keep it on loopback or a unix socket. \
               What it says is not encrypted, tokens neither.",
        example: r#""127.0.0.1:9090""#,
    },
    OptFacts {
        opt: Opt::LogLevel,
        name: "log-level",
        shape: Shape::One,
        section: Section::Operation,
        value: "LEVEL",
        default: "info, or SUZERAIN_LOG from the environment",
        allowed: "off, error, warn, info, debug or trace",
        about: "How much the router says about itself on standard error.",
        cost: "",
        example: r#""info""#,
    },
    OptFacts {
        opt: Opt::Workers,
        name: "workers",
        shape: Shape::One,
        section: Section::Resources,
        value: "N",
        default: "one per core",
        allowed: "a number from 1 to 256",
        about: "Worker threads, each pinned to a core with its own listeners.",
        cost: "",
        example: "2",
    },
    OptFacts {
        opt: Opt::Io,
        name: "io",
        shape: Shape::One,
        section: Section::Resources,
        value: "auto|uring|epoll",
        default: "auto",
        allowed: "auto, uring or epoll",
        about: "Which kernel interface moves the bytes. auto takes io_uring where the kernel \
             grants it.",
        cost: "",
        example: r#""auto""#,
    },
    OptFacts {
        opt: Opt::ConnectionsMax,
        name: "connections-max",
        shape: Shape::One,
        section: Section::Resources,
        value: "N",
        default: "100000",
        allowed: "a number from 1 to 10000000",
        about: "Client connections of the whole router. Further ones are closed at once and \
             counted.",
        cost: "",
        example: "100000",
    },
    OptFacts {
        opt: Opt::BodyBytesMax,
        name: "body-bytes-max",
        shape: Shape::One,
        section: Section::Resources,
        value: "BYTES",
        default: "none",
        allowed: "a size as 64KiB, 10MB or 1GiB, or none",
        about: "Largest request body. A larger one is answered with 413.",
        cost: "",
        example: r#""none""#,
    },
];

const ADDRESS: &str = "IP:PORT, [IPV6]:PORT, :PORT for every IPv4 interface, or /PATH of a unix \
     socket in an existing directory";
const TOLERANCE: &str = "seconds, or a duration as 60s or 5m, from 1s to 24h";
