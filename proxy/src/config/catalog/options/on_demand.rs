//! The options about vassals that are started when somebody asks for them.

use crate::config::catalog::{Opt, OptFacts, Section, Shape};

/// The emperor, and who may wait for what it starts.
pub const ON_DEMAND: &[OptFacts] = &[
    OptFacts {
        opt: Opt::EmperorSocket,
        name: "emperor-socket",
        shape: Shape::One,
        section: Section::Subscriptions,
        value: "/PATH|IP:PORT",
        default: "none: a key whose vassals all sleep gets 503",
        allowed: "the datagram socket on which an emperor takes commands: a /PATH or an IP:PORT",
        about: "Ask this emperor to spawn the vassal of a key that has only vassals without an \
             address, and hold its requests until it announces itself. What is sent is what uWSGI \
             2.1 takes at emperor-command-socket. See ON_DEMAND.md.",
        cost: "Whoever asks for a name can start its vassal.",
        example: r#""/run/uwsgi/emperor.sock""#,
    },
    OptFacts {
        opt: Opt::WakeMax,
        name: "wake-max",
        shape: Shape::One,
        section: Section::Subscriptions,
        value: "N",
        default: "256",
        allowed: "a number from 0 (nobody waits) to 100000",
        about: "Requests of a key that wait for its vassal to start, over all workers. Further ones \
             get 503.",
        cost: "",
        example: "256",
    },
    OptFacts {
        opt: Opt::WakeTimeout,
        name: "wake-timeout",
        shape: Shape::One,
        section: Section::Subscriptions,
        value: "DURATION",
        default: "30s",
        allowed: "a duration as 500ms, 10s or 5m, from 10ms to 24h",
        about: "How long a request waits for a vassal to start; then 503.",
        cost: "",
        example: r#""30s""#,
    },
    OptFacts {
        opt: Opt::WakeTotalMax,
        name: "wake-total-max",
        shape: Shape::One,
        section: Section::Subscriptions,
        value: "N",
        default: "4096",
        allowed: "a number from 1 to 10000000",
        about: "Requests that wait for vassals in the whole router, each worker its part, whatever \
             their keys. Further ones get 503.",
        cost: "",
        example: "4096",
    },
];
