//! The options about what passes through without being framed as HTTP.

use crate::config::catalog::{Opt, OptFacts, Section, Shape};

/// RTSP, sources and raw bodies.
pub const STREAMS: &[OptFacts] = &[
    OptFacts {
        opt: Opt::Rtsp,
        about: "Speak RTSP/1.0 on the HTTP and HTTPS listeners, also tunnelled in HTTP: the rtsp:// \
             URL of the first request is the key, its node keeps the connection.",
        cost: "What follows the node's first answer is not looked at, as in a WebSocket.",
        ..switch("rtsp")
    },
    OptFacts {
        opt: Opt::ManageSource,
        about: "Let a SOURCE without a length, and a PUT without one that waits for 100 Continue, \
             send for as long as they like, as encoders do to Icecast.",
        cost: "body-bytes-max does not bound such a body, and to an HTTP node what follows its 100 \
             or 2xx is not looked at.",
        ..switch("manage-source")
    },
    OptFacts {
        opt: Opt::UwsgiChunked,
        name: "uwsgi-chunked",
        shape: Shape::One,
        value: "hold|raw",
        default: "hold",
        allowed: "hold or raw",
        about: "How a chunked request body reaches a uwsgi node: held until it is complete, at most \
             1 MiB, and sent with its length; or as chunks as they come, for applications that read \
             them with uwsgi.chunked_read().",
        cost: "With raw, an application that expects a length sees an empty body.",
        example: r#""hold""#,
        ..switch("")
    },
    OptFacts {
        opt: Opt::AbortOnClose,
        about: "Take a client for gone as soon as it finished sending, and give its node up. Without \
             it only a reset says so, since such a client may still listen.",
        cost: "Clients that half-close after their request get no answer, unless it comes within a \
             second.",
        ..switch("abort-on-close")
    },
];

const fn switch(name: &'static str) -> OptFacts {
    OptFacts {
        opt: Opt::Rtsp,
        name,
        shape: Shape::Switch,
        section: Section::Streams,
        value: "",
        default: "off",
        allowed: "true or false",
        about: "",
        cost: "",
        example: "false",
    }
}
