//! The options of uWSGI's fastrouter.

use super::{Rule, Rules};
use crate::config::catalog::Opt;
use crate::import::answers;

/// In the order of uWSGI's help.
pub const RULES: Rules = &[
    ("fastrouter", Rule::Listen(Opt::Uwsgi)),
    ("fastrouter-processes", Rule::Same(Opt::Workers)),
    ("fastrouter-workers", Rule::Same(Opt::Workers)),
    ("fastrouter-zerg", Rule::Lost("a zerg server hands over sockets of uWSGI's own")),
    ("fastrouter-use-cache", Rule::Lost(MAPPER)),
    ("fastrouter-use-pattern", Rule::Same(Opt::Pattern)),
    ("fastrouter-use-base", Rule::Path(Opt::Base)),
    ("fastrouter-fallback", Rule::Same(Opt::Fallback)),
    ("fastrouter-use-code-string", Rule::Lost(MAPPER)),
    ("fastrouter-use-socket", Rule::By(answers::own_socket_as_node)),
    ("fastrouter-to", Rule::By(answers::static_node)),
    ("fastrouter-gracetime", Rule::Seconds(&[Opt::EjectTime])),
    ("fastrouter-events", Rule::Moot(TUNED)),
    ("fastrouter-quiet", Rule::Moot("no failure has a line of its own: they are counted")),
    ("fastrouter-cheap", Rule::Moot("a router without nodes answers 404 instead of refusing")),
    ("fastrouter-subscription-server", Rule::Listen(Opt::Subscribe)),
    ("fastrouter-subscription-slot", Rule::Moot("uWSGI ignores it too")),
    ("fastrouter-timeout", Rule::Seconds(super::http::TIMEOUT)),
    ("fastrouter-post-buffering", Rule::Same(Opt::PostBuffering)),
    ("fastrouter-post-buffering-dir", Rule::Path(Opt::PostBufferingDir)),
    ("fastrouter-stats", Rule::By(answers::stats)),
    ("fastrouter-stats-server", Rule::By(answers::stats)),
    ("fastrouter-ss", Rule::By(answers::stats)),
    ("fastrouter-harakiri", Rule::Moot("a worker runs no foreign code; requests have deadlines")),
    ("fastrouter-uid", Rule::By(answers::user)),
    ("fastrouter-gid", Rule::By(answers::group)),
    ("fastrouter-resubscribe", Rule::Same(Opt::Resubscribe)),
    ("fastrouter-resubscribe-bind", Rule::Lost("the kernel chooses the sending address")),
    ("fastrouter-buffer-size", Rule::Moot(TUNED)),
    ("fastrouter-fallback-on-no-key", Rule::On(Opt::FallbackOnNoKey)),
    ("fastrouter-subscription-fallback-key", Rule::Same(Opt::FallbackKey)),
    (
        "fastrouter-force-key",
        Rule::Lost("in nginx: uwsgi_param UWSGI_FASTROUTER_KEY with this value"),
    ),
    ("fastrouter-emperor-socket", Rule::Same(Opt::EmperorSocket)),
    ("fastrouter-defer-connect-timeout", Rule::Seconds(&[Opt::WakeTimeout])),
    ("fastrouter-max-retries", Rule::Moot("at most 4 attempts, all before a connect succeeds")),
];

const TUNED: &str = "nothing to tune: packets of all 64 KiB pass";
const MAPPER: &str = "nginx's map to UWSGI_FASTROUTER_KEY does it, or let what fills the map run \
     suzerain announce";
