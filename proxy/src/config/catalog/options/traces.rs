//! The options about distributed traces.

use crate::config::catalog::{Opt, OptFacts, Section, Shape};

/// Where spans go, and of which requests.
pub const TRACES: &[OptFacts] = &[
    OptFacts {
        opt: Opt::Otlp,
        name: "otlp",
        shape: Shape::One,
        section: Section::Operation,
        value: "URL",
        default: "none: requests are not traced, and traceparent travels on like any other field",
        allowed: "the http:// URL of an OpenTelemetry collector with its port, such as \
             http://127.0.0.1:4318; /v1/traces is added to its path",
        about: "Trace requests: each gets a place in a W3C trace, its node is told in traceparent, and \
             the spans of those that are recorded go to this collector by OTLP over HTTP. See \
             TRACING.md.",
        cost: "About a microsecond for each request, and a few more for one that is recorded; up to \
             1 MiB for each worker and 8 MiB in all while the collector does not answer.",
        example: r#""http://127.0.0.1:4318""#,
    },
    OptFacts {
        opt: Opt::TraceSample,
        name: "trace-sample",
        shape: Shape::One,
        section: Section::Operation,
        value: "RATIO",
        default: "1",
        allowed: "a number from 0 (none) to 1 (all)",
        about: "The part of requests that is recorded, of those whose sender did not decide.",
        cost: "",
        example: "0.01",
    },
    OptFacts {
        opt: Opt::TraceClientRate,
        name: "trace-client-rate",
        shape: Shape::One,
        section: Section::Operation,
        value: "N",
        default: "100",
        allowed: "a number from 0 to 1000000",
        about: "Requests a second that are recorded because their client says so in traceparent, over \
             all workers, each its part rounded up. Beyond it trace-sample decides. What trusted \
             proxies say (trusted-proxy) is always done.",
        cost: "",
        example: "100",
    },
];
