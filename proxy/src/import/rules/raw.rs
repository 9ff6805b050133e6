//! The options of uWSGI's rawrouter, whose listeners are `tcp` listeners here.

use super::{Rule, Rules};
use crate::config::catalog::Opt;
use crate::import::answers;

/// In the order of uWSGI's help.
pub const RULES: Rules = &[
    ("rawrouter", Rule::By(answers::raw)),
    ("rawrouter-processes", Rule::Moot(SHARED)),
    ("rawrouter-workers", Rule::Moot(SHARED)),
    ("rawrouter-zerg", Rule::Lost("a zerg server hands over sockets of uWSGI's own")),
    ("rawrouter-use-cache", Rule::Lost(MAPPER)),
    ("rawrouter-use-pattern", Rule::Lost(MAPPER)),
    ("rawrouter-use-base", Rule::Lost(MAPPER)),
    ("rawrouter-fallback", Rule::Lost("let the fallback subscribe to the same key with backup=1")),
    ("rawrouter-use-code-string", Rule::Lost(MAPPER)),
    ("rawrouter-use-socket", Rule::Lost(MAPPER)),
    ("rawrouter-to", Rule::Lost("write tcp = [\"ADDR=raw\"] and route = [\"raw=NODE,proto=tcp\"]")),
    ("rawrouter-gracetime", Rule::Seconds(&[Opt::EjectTime])),
    ("rawrouter-events", Rule::Moot("nothing to tune")),
    ("rawrouter-max-retries", Rule::Moot("at most 4 attempts, all before a connect succeeds")),
    ("rawrouter-quiet", Rule::Moot("no failure has a line of its own: they are counted")),
    ("rawrouter-cheap", Rule::Moot("a router without nodes closes connections")),
    ("rawrouter-subscription-server", Rule::Listen(Opt::Subscribe)),
    ("rawrouter-subscription-slot", Rule::Moot("uWSGI ignores it too")),
    ("rawrouter-timeout", Rule::Seconds(&[Opt::TimeoutTunnel])),
    ("rawrouter-stats", Rule::By(answers::stats)),
    ("rawrouter-stats-server", Rule::By(answers::stats)),
    ("rawrouter-ss", Rule::By(answers::stats)),
    ("rawrouter-harakiri", Rule::Moot("a worker runs no foreign code")),
    (
        "rawrouter-xclient",
        Rule::Lost("send-proxy = \"v2\" tells a node the client, as Postfix reads it"),
    ),
    ("rawrouter-buffer-size", Rule::Moot("nothing to tune")),
];

const SHARED: &str = "the workers serve all listeners";
const MAPPER: &str =
    "name the key behind the listener: tcp = [\"ADDR=KEY\"], and let nodes subscribe";
