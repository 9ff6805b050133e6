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
    OptFacts {
        opt: Opt::RateLimit,
        value: "N/UNIT[,burst=N]",
        default: "none",
        allowed: RATE,
        about: "Requests of a key in a time, over all workers; further ones get 429. The burst, a \
             second's worth unless given, may come at once.",
        example: r#""none""#,
        ..option("rate-limit")
    },
    OptFacts {
        opt: Opt::ClientRateLimit,
        value: "N/UNIT[,burst=N]",
        default: "none",
        allowed: RATE,
        about: "Requests of one client address in a time; further ones get 429. IPv6 counts by /64. \
             A key with a table of its own counts for itself, all others together.",
        cost: "1 MiB. Behind a proxy that is not named in proxy-protocol all its clients count as \
             one.",
        example: r#""none""#,
        ..option("client-rate-limit")
    },
    OptFacts {
        opt: Opt::KeyExchangesMax,
        default: "none",
        allowed: "a number from 1 to 1000000, or none",
        about: "Requests of a key under way at once, over all workers, those that wait for a node \
             and WebSockets included; further ones get 503.",
        example: r#""none""#,
        ..option("key-exchanges-max")
    },
    OptFacts {
        opt: Opt::ExchangesMax,
        default: "as connections-max",
        allowed: "a number from 8 to 10000000, or none",
        about: "Requests under way at once in the whole router, each worker its part. The nearer it \
             is, the less of it one key may hold: as many as are free. Further ones get 503.",
        example: r#""none""#,
        ..option("exchanges-max")
    },
    OptFacts {
        opt: Opt::ClientConnectionsMax,
        default: "none",
        allowed: "a number from 1 to 1000000, or none",
        about: "Connections of one client address at once, IPv6 by /64. Further ones are closed on \
             arrival and counted.",
        cost: "512 KiB. Behind a proxy that is not named in proxy-protocol all its clients count as \
             one.",
        example: r#""none""#,
        ..option("client-connections-max")
    },
    OptFacts {
        opt: Opt::HealthCheck,
        value: "/PATH|connect",
        default: "none",
        allowed: "a path as /health, connect for a connection alone, or none",
        about: "Ask every node for this path now and then, and skip those that do not answer as they \
             should until they do. HTTP nodes get a GET with the key as Host, uwsgi nodes a packet; \
             others are only connected to. When all nodes of a key fail, all are tried.",
        example: r#""none""#,
        ..option("health-check")
    },
    OptFacts {
        opt: Opt::HealthInterval,
        default: "10s",
        about: "From one health check of a node to the next; a look every 500 ms begins what is due.",
        example: r#""10s""#,
        ..duration("health-interval")
    },
    OptFacts {
        opt: Opt::HealthTimeout,
        default: "2s",
        about: "For the connect of a health check, and again for its answer.",
        example: r#""2s""#,
        ..duration("health-timeout")
    },
    OptFacts {
        opt: Opt::HealthRise,
        default: "2",
        allowed: "a number from 1 to 100",
        about: "Good checks in a row that bring a node back.",
        example: "2",
        ..option("health-rise")
    },
    OptFacts {
        opt: Opt::HealthFall,
        default: "3",
        allowed: "a number from 1 to 100",
        about: "Failed checks in a row that take a node out.",
        example: "3",
        ..option("health-fall")
    },
    OptFacts {
        opt: Opt::HealthStatus,
        value: "N[-N]",
        default: "200-399",
        allowed: "a status or a range of them, from 200 to 599",
        about: "Statuses of a node that serves.",
        example: r#""200-399""#,
        ..option("health-status")
    },
    OptFacts {
        opt: Opt::Sticky,
        value: "COOKIE",
        default: "none",
        allowed: "the name of a cookie, at most 64 characters, or none",
        about: "Lead a client back to the node that served it, by a cookie of this name that the \
             router sets. When that node is gone or out another serves, and the cookie changes.",
        cost: "Requests are spread by clients and no longer by load.",
        example: r#""none""#,
        ..option("sticky")
    },
    OptFacts {
        opt: Opt::StickySecret,
        value: "FILE",
        default: "/etc/machine-id, or else chance",
        allowed: "an existing file of 16 to 4096 bytes",
        about: "What the values of sticky cookies are made from. Routers with the same file \
             understand each other's cookies.",
        cost: "Whoever knows it can find out which node a cookie means.",
        example: r#""/etc/suzerain/sticky.key""#,
        ..option("sticky-secret")
    },
    OptFacts {
        opt: Opt::BodyRateMin,
        value: "BYTES",
        default: "50B a second",
        allowed: "a size as 50B or 1KiB, or none",
        about: "Bytes per second at which a request body must come, over all the time the router \
             waits for it, after 10 s of grace; then 408.",
        cost: "A live stream that sends less than that needs none.",
        example: r#""50B""#,
        ..option("body-rate-min")
    },
    OptFacts {
        opt: Opt::HeadsMax,
        default: "a quarter of connections-max",
        allowed: "a number from 1 to 10000000, or none for the default",
        about: "Connections in the whole router that have not sent a whole request head, each worker \
             its part; new ones count from their start. Beyond it the one that takes longest is \
             ended. 64 MiB of unfinished heads per worker are the bound otherwise.",
        example: r#""none""#,
        ..option("heads-max")
    },
];

const RATE: &str = "N/s, N/m or N/h with N from 1 to 1000000, then optionally ,burst=N, or none";
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
