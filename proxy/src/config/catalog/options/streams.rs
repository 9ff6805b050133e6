//! The options about what passes through without being framed as HTTP.

use crate::config::catalog::{Opt, OptFacts, Section, Shape};

/// RTSP, sources and raw bodies.
pub const STREAMS: &[OptFacts] = &[OptFacts {
    opt: Opt::Rtsp,
    name: "rtsp",
    shape: Shape::Switch,
    section: Section::Streams,
    value: "",
    default: "off",
    allowed: "true or false",
    about: "Speak RTSP/1.0 on the HTTP and HTTPS listeners, also tunnelled in HTTP: the rtsp:// URL \
         of the first request is the key, its node keeps the connection.",
    cost: "What follows the node's first answer is not looked at, as in a WebSocket.",
    example: "false",
}];
