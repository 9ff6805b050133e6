//! The options about nodes that fail and about more requests than can be served.

use crate::config::catalog::{Opt, OptFacts, Section, Shape};

/// Ejection, queues and limits.
pub const RESILIENCE: &[OptFacts] = &[
    OptFacts {
        opt: Opt::EjectFailures,
        value: "N",
        default: "5",
        allowed: "a number from 0 (never) to 255",
        about: "Failures in a row that take a node out for a while: no first byte in time, closed \
             without an answer, a malformed answer. A refused or slow connect does at once. One \
             success ends it. When all nodes of a key are out they are tried all the same.",
        example: "5",
        ..option("eject-failures")
    },
    OptFacts {
        opt: Opt::EjectTime,
        default: "3s",
        about: "How long the first ejection of a node lasts; each further one without a success \
             between lasts twice as long.",
        example: r#""3s""#,
        ..duration("eject-time")
    },
    OptFacts {
        opt: Opt::EjectTimeMax,
        default: "30s",
        about: "How long an ejection lasts at most.",
        example: r#""30s""#,
        ..duration("eject-time-max")
    },
    OptFacts {
        opt: Opt::EjectOn5xx,
        shape: Shape::Switch,
        value: "",
        default: "off",
        allowed: "true or false",
        about: "Count an answer of 500 or above as a failure of the node.",
        cost: "A page that always fails takes the nodes out that serve it.",
        example: "false",
        ..option("eject-on-5xx")
    },
    OptFacts {
        opt: Opt::SlowStart,
        default: "none",
        allowed: DURATION_OR_NONE,
        about: "How long a node that joins, or comes back after an ejection or failed checks, takes \
             to its full weight, in ten steps. For wrr, wlrc and p2c.",
        example: r#""none""#,
        ..duration("slow-start")
    },
    OptFacts {
        opt: Opt::NodeConnectionsMax,
        default: "none",
        allowed: "a number from 1 to 1000000, or none",
        about: "Requests one node has in hand at most, over all workers; WebSockets count. When all \
             nodes of a key are full its requests wait in a queue.",
        example: r#""none""#,
        ..option("node-connections-max")
    },
    OptFacts {
        opt: Opt::QueueMax,
        default: "1024",
        allowed: "a number from 0 (nobody waits) to 100000",
        about: "Requests of a key that wait for a node with room, over all workers. Further ones \
             get 503.",
        example: "1024",
        ..option("queue-max")
    },
    OptFacts {
        opt: Opt::QueueTimeout,
        default: "5s",
        about: "How long a request waits for a node with room; then 503.",
        example: r#""5s""#,
        ..duration("queue-timeout")
    },
];

const DURATION: &str = "a duration as 500ms, 10s or 5m, from 10ms to 24h";
const DURATION_OR_NONE: &str = "a duration as 500ms, 10s or 5m, from 10ms to 24h, or none";

/// What most options here have in common: a number, no cost.
const fn option(name: &'static str) -> OptFacts {
    OptFacts {
        opt: Opt::EjectFailures,
        name,
        shape: Shape::One,
        section: Section::Resilience,
        value: "N",
        default: "",
        allowed: "",
        about: "",
        cost: "",
        example: "",
    }
}

const fn duration(name: &'static str) -> OptFacts {
    OptFacts { value: "DURATION", allowed: DURATION, ..option(name) }
}
