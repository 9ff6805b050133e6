//! The options of the `[timeouts]` table.

use crate::config::catalog::{Opt, OptFacts, Section, Shape};

/// Every timeout, in the order a request meets them.
pub const TIMEOUTS: &[OptFacts] = &[
    timeout(
        Opt::TimeoutHead,
        "head",
        "10s",
        r#""10s""#,
        "For a complete request head once its first byte came; then 408. Of a key: from its second \
         request on a connection.",
        "",
    ),
    timeout(
        Opt::TimeoutKeepalive,
        "keepalive",
        "75s",
        r#""75s""#,
        "Between two requests of a client connection; then it is closed. Of a key: after its requests, \
         over HTTP/1.",
        "An idle connection costs memory and a file descriptor for that long.",
    ),
    timeout(
        Opt::TimeoutBodyIdle,
        "body-idle",
        "60s",
        r#""60s""#,
        "Between two reads of a request body; then 408.",
        "",
    ),
    timeout(
        Opt::TimeoutConnect,
        "connect",
        "5s",
        r#""5s""#,
        "For a connect to one node; then the next node of the key is tried.",
        "",
    ),
    timeout(
        Opt::TimeoutFirstByte,
        "first-byte",
        "60s",
        r#""60s""#,
        "From the sent request to the first byte of the response; then 504.",
        "Slow reports and long polls need more.",
    ),
    timeout(
        Opt::TimeoutResponseIdle,
        "response-idle",
        "60s",
        r#""60s""#,
        "Between two reads of a response; then the connection is cut.",
        "",
    ),
    timeout(
        Opt::TimeoutWriteStall,
        "write-stall",
        "60s",
        r#""60s""#,
        "For one write to a client or a node to make progress.",
        "",
    ),
    timeout(
        Opt::TimeoutTlsHandshake,
        "tls-handshake",
        "10s",
        r#""10s""#,
        "For a whole TLS handshake.",
        "",
    ),
    timeout(
        Opt::TimeoutTunnel,
        "tunnel",
        "1h",
        r#""1h""#,
        "For a tunnel, such as a WebSocket, in which neither side sends anything; then it is closed.",
        "An idle tunnel holds about 2 KiB of buffers.",
    ),
    timeout(
        Opt::TimeoutDrain,
        "drain",
        "30s",
        r#""30s""#,
        "For running requests to finish after SIGQUIT or SIGINT, or once another process took over; then \
         they are cut.",
        "",
    ),
    timeout(
        Opt::TimeoutDrainTunnels,
        "drain-tunnels",
        "1h",
        r#""1h""#,
        "For tunnels, such as WebSockets, and relayed connections, once another process took over; then \
         they are cut. No less than drain.",
        "The old process stays for as long as one of them lasts. With eight such processes no other upgrade is possible.",
    ),
];

const TIMEOUT: &str = "a duration as 500ms, 10s or 5m, from 10ms to 24h";

const fn timeout(
    opt: Opt,
    name: &'static str,
    default: &'static str,
    example: &'static str,
    about: &'static str,
    cost: &'static str,
) -> OptFacts {
    OptFacts {
        opt,
        name,
        shape: Shape::One,
        section: Section::Timeouts,
        value: "DURATION",
        default,
        allowed: TIMEOUT,
        about,
        cost,
        example,
    }
}
